"""The inner loops of the scorers, compiled: sums over dimensions of many pairs, with no array between the steps.

They release the interpreter's lock, and ``in_parts`` gives each core its own rows of the gallery. Imported late, by
whoever needs them: the compiler takes half a second to load.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twinfolio.retrieval.parts import in_parts

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_QUERIES = 64
"""Queries whose values stay in a core's cache while the gallery passes by."""
_HEAP = 1024
"""Up to so many places a heap beats partitioning: nearly all scores are turned away at its root."""
_ZERO = np.float32(0)


def weighted_l1(queries: Floats, gallery: Floats, weight: Floats) -> Floats:
    """sum_j w_j |x_j - y_j| (Q, M) of all rows of ``queries`` (Q, D) with all rows of ``gallery`` (M, D)."""
    out = np.empty((len(queries), len(gallery)), np.float32)
    x = np.ascontiguousarray(queries, dtype=np.float32)
    in_parts(gallery.shape, lambda part: _weighted_l1(x, gallery, weight, out, part.start, part.stop))
    return out


def squared_l2(queries: Floats, gallery: Floats) -> Floats:
    """sum_j (x_j - y_j)^2 (Q, M), from the differences themselves: equal rows are at exactly 0."""
    out = np.empty((len(queries), len(gallery)), np.float32)
    x = np.ascontiguousarray(queries, dtype=np.float32)
    in_parts(gallery.shape, lambda part: _squared_l2(x, gallery, out, part.start, part.stop))
    return out


def fusion_second_layer(
    cross: Floats,
    gallery_parts: tuple[Doubles, Doubles],
    query_parts: tuple[Floats, Floats],
    scalar: Floats,
    weights: tuple[Floats, Floats],
) -> Floats:
    """sum_h v_h max(0, c + |o|, 2 c) (Q, m), c = cross + G(y) + Q(x) + w_h lambda, o = S(x) - S(y).

    Args:
        cross: The matrix product (m, Q H), queries side by side.
        gallery_parts: G and S (m, H).
        query_parts: Q and S (Q, H).
        scalar: lambda (Q, m).
        weights: w and v (H,).
    """
    out = np.empty(scalar.shape, np.float32)
    in_parts(
        cross.shape,
        lambda part: _second_layer(cross, *gallery_parts, *query_parts, scalar, *weights, out, part.start, part.stop),
    )
    return out


def largest(scores: Floats, places: int) -> NDArray[np.int64]:
    """Columns (Q, places) of the largest scores (Q, M) of each row, in no order."""
    if places > _HEAP:
        return np.asarray(np.argpartition(scores, -places, axis=1)[:, -places:])
    columns = np.empty((len(scores), places), np.int64)
    in_parts(scores.shape, lambda part: _largest(scores, columns, part.start, part.stop))
    return columns


# four queries share each load of a gallery row; fastmath lets the sums run in vector lanes
@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _weighted_l1(
    queries: Floats, gallery: Floats, weight: Floats, out: Floats, start: int, stop: int
) -> None:  # pragma: no cover
    for first in range(0, len(queries), _QUERIES):
        last = min(first + _QUERIES, len(queries))
        for row in range(start, stop):
            y = gallery[row]
            for q in range(first, last - 3, 4):
                a, b, c, d = queries[q], queries[q + 1], queries[q + 2], queries[q + 3]
                s = t = u = v = _ZERO
                for j in range(len(y)):
                    s += weight[j] * abs(a[j] - y[j])
                    t += weight[j] * abs(b[j] - y[j])
                    u += weight[j] * abs(c[j] - y[j])
                    v += weight[j] * abs(d[j] - y[j])
                out[q, row], out[q + 1, row], out[q + 2, row], out[q + 3, row] = s, t, u, v
            for q in range(last - (last - first) % 4, last):
                a, s = queries[q], _ZERO
                for j in range(len(y)):
                    s += weight[j] * abs(a[j] - y[j])
                out[q, row] = s


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _squared_l2(queries: Floats, gallery: Floats, out: Floats, start: int, stop: int) -> None:  # pragma: no cover
    for first in range(0, len(queries), _QUERIES):
        last = min(first + _QUERIES, len(queries))
        for row in range(start, stop):
            y = gallery[row]
            for q in range(first, last - 3, 4):
                a, b, c, d = queries[q], queries[q + 1], queries[q + 2], queries[q + 3]
                s = t = u = v = _ZERO
                for j in range(len(y)):
                    s += (a[j] - y[j]) ** 2
                    t += (b[j] - y[j]) ** 2
                    u += (c[j] - y[j]) ** 2
                    v += (d[j] - y[j]) ** 2
                out[q, row], out[q + 1, row], out[q + 2, row], out[q + 3, row] = s, t, u, v
            for q in range(last - (last - first) % 4, last):
                a, s = queries[q], _ZERO
                for j in range(len(y)):
                    s += (a[j] - y[j]) ** 2
                out[q, row] = s


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _second_layer(
    cross: Floats, common: Doubles, order: Doubles, own: Floats, own_order: Floats, scalar: Floats,
    weight: Floats, last: Floats, out: Floats, start: int, stop: int,
) -> None:  # fmt: skip # pragma: no cover
    hidden = len(weight)
    for row in range(start, stop):
        g, s = common[row].astype(np.float32), order[row].astype(np.float32)
        for query in range(len(own)):
            product = cross[row, query * hidden : (query + 1) * hidden]
            q, r, factor, total = own[query], own_order[query], scalar[query, row], _ZERO
            for h in range(hidden):
                c = product[h] + g[h] + q[h] + factor * weight[h]
                total += last[h] * max(max(c + abs(r[h] - s[h]), c + c), _ZERO)
            out[query, row] = total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _largest(scores: Floats, columns: NDArray[np.int64], start: int, stop: int) -> None:  # pragma: no cover
    places = columns.shape[1]
    for query in range(start, stop):
        row, kept = scores[query], columns[query]
        heap = row[:places].copy()
        for column in range(places):
            kept[column] = column
        for root in range(places // 2 - 1, -1, -1):
            _sift(heap, kept, root)
        for column in range(places, len(row)):
            if row[column] > heap[0]:
                heap[0], kept[0] = row[column], column
                _sift(heap, kept, 0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sift(heap: Floats, kept: NDArray[np.int64], root: int) -> None:  # pragma: no cover
    """Let a value sink until no smaller one lies below it."""
    while 2 * root + 1 < len(heap):
        child = 2 * root + 1
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= heap[root]:
            return
        heap[child], heap[root] = heap[root], heap[child]
        kept[child], kept[root] = kept[root], kept[child]
        root = child
