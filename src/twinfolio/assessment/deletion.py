"""How faithful each kind of map is: the deletion and the insertion test, on queries with their first answers.

The places of a query are wiped out in falling order of their map, and the head scores the pair again after each step.
A faithful map makes the score fall early (small area) and, put back in the same order, rise early (large area).
Curves run from 1 (whole query) to 0 (wiped out altogether), so that pairs weigh alike and all kinds share both ends.
Beside the maps stand two orders that know nothing of the model: chance, and how much ink the wiping takes away.

Source: Petsiuk et al. 2018, "RISE", section 4.4 (both areas, and the blurred canvas).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.assessment.attribution import attribution_map, available_kinds, cell_of_pixels, emptied, pixels_to_places
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.match_pairs import MatchPair
from twinfolio.errors import DataError
from twinfolio.evaluation.bootstrap import bootstrap_interval
from twinfolio.evaluation.significance import paired_difference
from twinfolio.models.bundle import Model

logger = logging.getLogger(__name__)

INK, RANDOM = "ink alone", "random"
LEAST_GAP = 0.1
"""A pair is left out where wiping its query out costs less than this share of the median pair's cost, or nothing."""

Doubles = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Faithfulness:
    """Curves of the test.

    Attributes:
        shares: (S,) share of the places wiped out, or put back, from 0 to 1.
        deletion: Kind -> (N, S), the score left, 1 at first and 0 at last.
        insertion: Kind -> (N, S), the score won back, 0 at first and 1 at last.
        groups: (N,) of the queries.
        left_out: Pairs that say nothing, see ``LEAST_GAP``.
        seconds: Kind of map -> seconds one took, on average.
    """

    shares: Doubles
    deletion: dict[str, Doubles]
    insertion: dict[str, Doubles]
    groups: NDArray[np.str_]
    left_out: int
    seconds: dict[str, float]


def deletion_test(model: Model, pairs: Sequence[MatchPair], *, steps: int = 8, seed: int = 0) -> Faithfulness:
    """Wipe out the query's places in the order of each kind of map, and score again.

    Only the query is changed: heads are symmetric, so the answer's map is the same function of the other image. The
    cost of a pair is one map of each kind and 2 (steps - 1) embeddings for each of up to five kinds.

    Args:
        model: A Siamese model.
        pairs: See ``match_pairs.first_answers``.
        steps: Scores along a curve, the whole query not counted.
        seed: Of the random orders.

    Raises:
        DataError: No pair, or none whose score depends on the query's writing.
    """
    generator = np.random.default_rng(seed)
    shares = np.linspace(0, 1, steps + 1)
    kinds = (*available_kinds(model), INK, RANDOM)
    seconds = dict.fromkeys(available_kinds(model), 0.0)
    curves, gaps = [], []
    for pair in pairs:
        answer = model.embed_uint8(pair.answer[None])
        maps = dict(_maps(model, pair, generator, seconds))
        scored = [_curves(model, pair.query, answer, values, shares) for values in maps.values()]
        ends = scored[0][0]
        gaps.append(ends[0] - ends[-1])
        curves.append((np.array(scored) - ends[-1]) / (gaps[-1] or 1.0))
    kept = _telling(np.array(gaps))
    every = np.array(curves)[kept]  # (N, kinds, 2, S)
    logger.info("deletion test: %d pairs, %d left out", kept.sum(), (~kept).sum())
    return Faithfulness(
        shares=shares,
        deletion={kind: every[:, i, 0] for i, kind in enumerate(kinds)},
        insertion={kind: every[:, i, 1] for i, kind in enumerate(kinds)},
        groups=np.array([pair.group for pair in pairs])[kept],
        left_out=int((~kept).sum()),
        seconds={kind: spent / len(pairs) for kind, spent in seconds.items()},
    )


def faithfulness_table(found: Faithfulness, resampling: Resampling) -> pd.DataFrame:
    """Areas under the curves, and what each kind gains over random places of the same queries.

    Args:
        found: The curves.
        resampling: How intervals are made, over the queries' groups.

    Returns:
        A row a kind: ``map``, ``deletion`` (smaller is better), ``deletion_gain`` (random minus this), ``insertion``
        (larger is better), ``insertion_gain`` (this minus random), each with ``_low`` and ``_high``; ``pairs``.
    """
    how = (found.groups, resampling.n, resampling.seed, resampling.confidence)
    rows = []
    for kind in found.deletion:
        row: dict[str, object] = {"map": kind}
        for test, curves, sign in (("deletion", found.deletion, -1), ("insertion", found.insertion, 1)):
            areas, chance = (sign * area_under(found.shares, curves[name]) for name in (kind, RANDOM))
            interval = bootstrap_interval(sign * areas, *how)
            row |= _with_ends(test, (float((sign * areas).mean()), *interval))
            # chance against itself says nothing
            gain = (float("nan"),) * 3 if kind == RANDOM else paired_difference(areas, chance, *how)
            row |= _with_ends(f"{test}_gain", gain)
        rows.append({**row, "pairs": len(found.groups)})
    return pd.DataFrame(rows)


def area_under(shares: Doubles, curves: Doubles) -> Doubles:
    """Areas (N,) under curves (N, S), by trapezia."""
    return np.asarray(np.trapezoid(curves, shares, axis=1))


def _maps(
    model: Model, pair: MatchPair, generator: np.random.Generator, seconds: dict[str, float]
) -> Iterator[tuple[str, Doubles]]:
    """Kind -> map (h, w) of the query, in the order of the kinds; adds up what each took."""
    shape = (1, 1)
    for kind in available_kinds(model):
        start = time.perf_counter()
        values = attribution_map(model, kind, pair.query, pair.answer).astype(np.float64)
        seconds[kind] += time.perf_counter() - start
        shape = (values.shape[0], values.shape[1])
        yield kind, values
    change = np.abs(pair.query.astype(np.float64) - emptied(pair.query)).sum(2)
    yield INK, pixels_to_places(change, shape)
    yield RANDOM, generator.random(shape)


def _curves(model: Model, query: Image, answer: NDArray[np.float32], values: Doubles, shares: Doubles) -> Doubles:
    """Logits (2, S): wiping out the highest places first, and putting them back first."""
    order = np.argsort(-values, axis=None, kind="stable")
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    rank_of_pixel = rank.reshape(values.shape)[cell_of_pixels(query.shape, (values.shape[0], values.shape[1]))]
    touched = rank_of_pixel < np.round(shares * order.size)[:, None, None]
    wiped = np.concatenate([touched, ~touched])[..., None]
    images = np.where(wiped, emptied(query), query)
    embeddings = model.embed_uint8(images)
    logits = model.paired_scores(embeddings, np.broadcast_to(answer, embeddings.shape))
    return logits.astype(np.float64).reshape(2, -1)


def _telling(gaps: Doubles) -> NDArray[np.bool_]:
    """Pairs whose score falls enough when the query is wiped out."""
    kept = (gaps > 0) & (gaps >= LEAST_GAP * np.median(gaps)) if len(gaps) else np.zeros(0, np.bool_)
    if not kept.any():
        raise DataError("deletion test: no pair's score falls when its query is wiped out", "give more pairs")
    return kept


def _with_ends(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
