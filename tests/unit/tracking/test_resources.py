import multiprocessing

import numpy as np
import psutil

from twinfolio.tracking.resources import ResourceMeter, _tree_memory, device_name

MIB = 1 << 20
HELD = 60


def _hold(ready, done):
    block = np.ones(HELD * MIB, np.uint8)
    ready.release()
    done.wait()
    assert block[-1]


def test_memory_of_children_at_work_together_is_added_up_and_shared_pages_count_once():
    context = multiprocessing.get_context("fork")
    ready, done = context.Semaphore(0), context.Event()
    process = psutil.Process()
    alone = process.memory_full_info().pss / MIB
    children = [context.Process(target=_hold, args=(ready, done)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in children:
        ready.acquire()
    together = _tree_memory(process)
    done.set()
    for child in children:
        child.join()
    # the children share the pages they were forked with: counted thrice they would add `alone` twice
    assert 2 * HELD * 0.9 < together - alone < 2 * HELD + 0.5 * alone
    assert _tree_memory(process) == 0


def test_a_summary_has_time_memory_and_device():
    with ResourceMeter(interval=0.01) as meter:
        pass
    summary = meter.summary()
    assert summary["wall_s"] > 0
    assert summary["peak_memory_mib"] > 10
    assert summary["n_cores"] >= 1
    assert summary["device"] == device_name()
