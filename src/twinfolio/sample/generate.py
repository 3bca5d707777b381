"""Write the whole sample: class folders of JPEG pages, the same pixels whatever the number of processes."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from twinfolio.errors import DataError
from twinfolio.sample.scribes import Manuscript, draw_manuscripts

logger = logging.getLogger(__name__)

_CHUNK = 8


def write_sample(
    out: Path,
    *,
    seed: int,
    manuscripts: int,
    pages: tuple[int, int],
    processes: int | None = None,
) -> int:
    """Write the sample as ``out/<manuscript>/pNNN.jpg``, all or nothing.

    Args:
        out: Folder to make; it may exist if it is empty.
        seed: Seed of everything drawn.
        manuscripts: Number of manuscripts.
        pages: Fewest and most pages of a manuscript.
        processes: Processes that draw; None: one a core.

    Returns:
        Number of pages written.

    Raises:
        DataError: ``out`` is a file, holds something already or cannot be written.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataError(f"{out} exists and is not an empty folder", "move it away or give another --out")
    drawn = draw_manuscripts(seed, manuscripts, pages)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}", "give an --out that can be written") from None
    try:
        written = _write_all(scratch, seed, drawn, processes or os.cpu_count() or 1)
        scratch.chmod(0o755)
        scratch.rename(out)
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}", "free some space or give another --out") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    logger.info("%d pages of %d manuscripts in %s", written, len(drawn), out)
    return written


def _write_all(folder: Path, seed: int, drawn: Sequence[Manuscript], processes: int) -> int:
    """Write every page, in chunks of one manuscript so that its rendered words are used again."""
    jobs = []
    for index, manuscript in enumerate(drawn):
        (folder / manuscript.name).mkdir()
        starts = range(0, manuscript.pages, _CHUNK)
        jobs += [(folder, seed, index, manuscript, range(s, min(s + _CHUNK, manuscript.pages))) for s in starts]
    if processes == 1:
        return sum(_write_chunk(*job) for job in jobs)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_write_chunk, *zip(*jobs, strict=True)))


def _write_chunk(folder: Path, seed: int, index: int, manuscript: Manuscript, pages: range) -> int:
    """Write some pages of one manuscript; returns how many."""
    import cv2

    from twinfolio.sample.page import draw_page, encode_page

    cv2.setNumThreads(1)
    for page in pages:
        rng = page_generator(seed, index, page)
        data = encode_page(draw_page(manuscript, rng), rng)
        (folder / manuscript.name / f"p{page + 1:03d}.jpg").write_bytes(data)
    return len(pages)


def page_generator(seed: int, manuscript: int, page: int) -> np.random.Generator:
    """The generator of one page, independent of the order in which pages are drawn."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, manuscript, page)))
