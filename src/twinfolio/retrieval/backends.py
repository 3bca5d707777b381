"""Approximate indexes that propose candidates; the head itself scores those (``search.search``), so scores stay exact.

``exact`` needs no file and misses nothing; below some 100,000 rows it is also fast. What the others miss is measured
(``measured_recall``), not promised. Their parameters follow from N rows of D dimensions:

* ``hnsw`` (Malkov & Yashunin, 2018, arXiv:1603.09320): M = 16 and efConstruction = 160 up to 100,000 rows,
  then 32 and 200; efSearch = twice the candidates, at least 64. Holds the vectors: 4 D + 8 M bytes a row and a little.
* ``ivfpq`` (Jegou et al., 2011, doi:10.1109/TPAMI.2010.57): rotated at random so that all sub-vectors tell alike;
  nlist = 4 sqrt(N) cells, at most one a 39 rows (what k-means needs); nprobe = nlist / 16, at least 8; sub-vectors of 4
  dimensions, at most 64 of them, of 8 bits, fewer where rows are too few for 256 centres. Holds 8 bytes and the code.

Cosine is L2 on unit vectors. Under L1 ``ivfpq`` proposes by L2, and its recall says what that costs.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.scorers import Floats, Scorer, unit_rows
from twinfolio.retrieval.search import CANDIDATES_A_PLACE, search

BACKENDS = ("exact", "hnsw", "ivfpq")
_ROWS_A_CENTRE = 39
_TRAINING_ROWS = 64
"""Rows a cell that k-means looks at; more take longer and change little."""


class Backend:
    """An approximate index, opened.

    Args:
        index: FAISS's.
        distance: ``l1``, ``l2`` or ``cosine``: what it was built for.
    """

    def __init__(self, index: Any, distance: str) -> None:
        faiss = _faiss()

        self.index, self.distance = index, distance
        self.kind = "hnsw" if isinstance(index, faiss.IndexHNSW) else "ivfpq"
        # codes of a few bits order near neighbours badly: at 1 a place recall is .47, at 4 .95, at 10 1.00
        self.candidates_a_place = 4 if self.kind == "hnsw" else 16
        self.nlist = 0 if self.kind == "hnsw" else faiss.extract_index_ivf(index).nlist

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def candidates(self, queries: Floats, places: int) -> NDArray[np.int64]:
        """Gallery rows (Q, places) likely to be the nearest, nearest first; -1 where it finds fewer.

        Args:
            queries: (Q, D).
            places: At most its rows.
        """
        faiss = _faiss()

        if self.kind == "hnsw":
            how = faiss.SearchParametersHNSW(efSearch=max(64, 2 * places))
        else:
            cells = faiss.SearchParametersIVF(nprobe=max(8, self.nlist // 16))
            how = faiss.SearchParametersPreTransform(index_params=cells)
        x = unit_rows(queries) if self.distance == "cosine" else queries
        return np.asarray(self.index.search(np.ascontiguousarray(x, np.float32), places, params=how)[1])

    def near(self, queries: Floats, places: int) -> NDArray[np.int64]:
        """``candidates`` for a caller that asks for as many as an index without codes needs (``PreparedGallery``)."""
        places = places * self.candidates_a_place // CANDIDATES_A_PLACE
        return self.candidates(queries, min(len(self), places))


def require_backend(name: str, kind: str) -> None:
    """Check that a backend can serve a head.

    Args:
        name: The backend.
        kind: The head: ``distance``, ``weighted`` or ``fusion``.

    Raises:
        DataError: No such backend.
        ModelError: An approximate one under a head that is no distance.
    """
    if name not in BACKENDS:
        raise DataError(f"backend = {name!r} is unknown", f"choose one of {', '.join(BACKENDS)}")
    if name != "exact" and kind != "distance":
        raise ModelError(f"backend = {name}: no approximate index follows a {kind} head", "choose exact")


def build_backend(name: str, vectors: Floats, distance: str, seed: int = 0) -> bytes | None:
    """Build an approximate index of a gallery whose head is a distance.

    Args:
        name: ``exact``, ``hnsw`` or ``ivfpq``.
        vectors: (N, D), finite.
        distance: ``l1``, ``l2`` or ``cosine``.
        seed: Of levels, rotation and k-means. Threads that build ``hnsw`` together may still differ in some edges.

    Returns:
        The index as FAISS writes it; None: ``exact`` has none.

    Raises:
        DataError: No such backend, or too few vectors for it.
    """
    require_backend(name, "distance")
    if name == "exact":
        return None
    faiss = _faiss()

    x = unit_rows(vectors) if distance == "cosine" else np.ascontiguousarray(vectors, dtype=np.float32)
    index = _hnsw(x, distance, seed) if name == "hnsw" else _ivfpq(x, seed)
    return bytes(faiss.serialize_index(index))


def open_backend(source: Path | bytes, distance: str) -> Backend:
    """Open what ``build_backend`` made; from a file it is memory-mapped, so that processes share it.

    Args:
        source: The file, or its bytes.
        distance: What it was built for.

    Raises:
        DataError: It is no index.
    """
    faiss = _faiss()

    try:
        if isinstance(source, bytes):
            index = faiss.deserialize_index(np.frombuffer(source, np.uint8))
        else:
            index = faiss.read_index(str(source), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:
        name = "the approximate index" if isinstance(source, bytes) else source
        raise DataError(f"{name}: damaged", "build the index again") from None
    return Backend(index, distance)


def recall_at(k: int, found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """Mean share of the first k exact rows (Q, >= k) that are among the first k found (Q, >= k); -1 is no row.

    Raises:
        ValueError: There are fewer than k columns, or no queries.
    """
    if not len(exact) or min(found.shape[1], exact.shape[1]) < k or len(found) != len(exact):
        raise ValueError(f"k = {k}: found {found.shape}, exact {exact.shape}")
    hits = [np.isin(e[e >= 0], f).sum() for f, e in zip(found[:, :k], exact[:, :k], strict=True)]
    return float(np.sum(hits) / (exact[:, :k] >= 0).sum())


def measured_recall(
    scorer: Scorer, backend: Backend, vectors: Floats, k: int = 10, sample: int = 200, seed: int = 0
) -> float:
    """Recall at k of ``search`` with a backend against ``search`` without.

    Queries are rows of the gallery, each with itself left out: new images of the same collection lie as they do. Rows
    that duplicate others are found more easily; a gallery full of them flatters every index.

    Args:
        scorer: The head, with the gallery.
        backend: Built from the same rows.
        vectors: (N, D) the gallery's rows.
        k: Places; fewer where the gallery is smaller.
        sample: Queries, at most.
        seed: Of the draw.
    """
    k = min(k, len(vectors) - 1)
    if k < 1:
        return 1.0
    drawn = np.random.default_rng(seed).choice(len(vectors), min(sample, len(vectors)), replace=False)
    queries, own = np.asarray(vectors[drawn], np.float32), list(drawn[:, None])
    exact, found = (search(scorer, queries, k, own, backend=which) for which in (None, backend))
    return recall_at(k, found.ids, exact.ids)


def _hnsw(x: Floats, distance: str, seed: int) -> Any:
    faiss = _faiss()

    links, construction = (16, 160) if len(x) <= 100_000 else (32, 200)
    index = faiss.IndexHNSWFlat(x.shape[1], links, faiss.METRIC_L1 if distance == "l1" else faiss.METRIC_L2)
    index.hnsw.efConstruction = construction
    index.hnsw.rng = faiss.RandomGenerator(seed)
    index.add(x)
    return index


def _ivfpq(x: Floats, seed: int) -> Any:
    faiss = _faiss()

    n, dim = x.shape
    bits = min(8, int(math.log2(n / _ROWS_A_CENTRE))) if n >= _ROWS_A_CENTRE else 0
    if bits < 4:
        raise DataError(f"backend = ivfpq: {n} vectors, fewer than {16 * _ROWS_A_CENTRE}", "choose exact")
    cells = max(1, min(round(4 * math.sqrt(n)), n // _ROWS_A_CENTRE))
    codes = min(64, -(-dim // 4))
    rotation = faiss.RandomRotationMatrix(dim, codes * -(-dim // codes))
    rotation.init(seed)
    quantiser = faiss.IndexFlatL2(rotation.d_out)
    ivf = faiss.IndexIVFPQ(quantiser, rotation.d_out, cells, codes, bits)
    ivf.own_fields, _ = True, quantiser.this.disown()
    for clustering in (ivf.cp, ivf.pq.cp):
        clustering.seed = seed
    index = faiss.IndexPreTransform(rotation, ivf)
    draw = np.random.default_rng(seed)
    enough = _TRAINING_ROWS * max(cells, 4 << bits)
    index.train(x if n <= enough else x[np.sort(draw.choice(n, enough, replace=False))])
    index.add(x)
    return index


def _faiss() -> Any:
    """Imported late; its stubs lack half of what it has."""
    return importlib.import_module("faiss")
