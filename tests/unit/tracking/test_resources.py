import multiprocessing
import subprocess
import sys

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
    # other tests of the session may have left helpers of theirs (a fork server, a resource tracker)
    alone = max(process.memory_full_info().pss / MIB, _tree_memory(process))
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


def test_a_process_without_children_is_left_to_the_kernels_own_peak():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert _tree_memory(psutil.Process(child.pid)) == 0
        child.communicate(b"\n")


def test_a_summary_has_time_memory_and_device():
    with ResourceMeter(interval=0.01) as meter:
        pass
    summary = meter.summary()
    assert summary["wall_s"] > 0
    assert summary["peak_memory_mib"] > 10
    assert summary["n_cores"] >= 1
    assert summary["device"] == device_name()
