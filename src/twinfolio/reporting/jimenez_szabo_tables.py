"""Tables of ``studies/jimenez_szabo``: rankings, similarities of pairs, paired tests, the paper's beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.assessment.judged import JudgedTest
from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.bootstrap import bootstrap_interval
from twinfolio.evaluation.judged import KS, TOLERANCES, judged_pairs
from twinfolio.evaluation.significance import paired_difference, paired_permutation_test, sign_test
from twinfolio.reporting.jimenez_szabo_paper import PRECISION, WITHIN
from twinfolio.reporting.lu import holm

RECALLS = (1, 5, 10)
MEASURES = {f"recall@{k}": f"cmc@{k}" for k in RECALLS} | {
    name: name for name in (*(f"P@{k}" for k in KS), "mAP", "nDCG@10")
}
"""What is shown -> the metric of a ranking: recall@K, in place recognition, is a right answer among the first K."""
BASELINE = "bow_orb"
"""The paper's."""


@dataclass(frozen=True)
class Answered:
    """What a system said of the test queries.

    Attributes:
        scores: (Q, M) with every map of the archive.
        val_map: mAP of validation queries.
        target: ``sim`` or ``fov`` where the scores are similarities that were trained to equal it.
        setting: What validation has set.
        pretrained: Whether its trunk started from ImageNet weights; None where there is none.
    """

    scores: Floats
    val_map: float
    target: str | None = None
    setting: str = ""
    pretrained: bool | None = None


def with_interval(
    name: str, value: float, values: Floats, test: JudgedTest, places: NDArray[np.int64]
) -> dict[str, float]:
    """A value with the ends of its interval over places."""
    low, high = bootstrap_interval(values, places, test.resamples)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def ranking_table(answers: Mapping[str, Answered], test: JudgedTest) -> pd.DataFrame:
    """A row a system, best on validation first: every measure with its interval."""
    rows = []
    for name in sorted(answers, key=lambda one: -answers[one].val_map):
        one = answers[name]
        row: dict[str, Any] = {"system": name, "val_mAP": one.val_map}
        values = test.ranking(one.scores).metrics.per_query
        for shown, measure in MEASURES.items():
            row |= with_interval(shown, float(values[measure].mean()), values[measure], test, test.places)
        rows.append(row | {"setting": one.setting, "pretrained": one.pretrained})
    return pd.DataFrame(rows)


def pair_table(answers: Mapping[str, Answered], test: JudgedTest) -> pd.DataFrame:
    """A row a twin, and one a target for a system that always says the mean: how near balanced pairs come to judgments.

    Shares within a range, MAE and Brier score have intervals over places.
    """
    queries, maps = test.pairs.T
    said: dict[str, tuple[str, Floats]] = {
        name: (one.target, one.scores[queries, maps]) for name, one in answers.items() if one.target is not None
    }
    for target, mean in test.constants.items():
        said[f"always_mean_{target}"] = (target, np.full(len(queries), mean))
    rows = []
    for name, (target, predicted) in said.items():
        truth, relevant = np.asarray(test.targets[target], np.float64)[queries, maps], test.sim[queries, maps]
        values = judged_pairs(predicted, truth, relevant)
        off = np.abs(predicted - truth)
        per_pair = {f"within_{t:g}": (off < t).astype(np.float64) for t in TOLERANCES}
        per_pair |= {"mae": off, "brier": (predicted - relevant) ** 2}
        row: dict[str, Any] = {"system": name, "target": target}
        for measure, value in values.items():
            row |= {measure: value}
            if measure in per_pair:
                row |= with_interval(measure, value, per_pair[measure], test, test.places[queries])
        rows.append(row)
    return pd.DataFrame(rows)


def difference_table(answers: Mapping[str, Answered], test: JudgedTest, best: str) -> pd.DataFrame:
    """Every system against the best on validation.

    The difference of mAP with its interval and the p of a permutation of places, Holm's over systems; and the paper's
    sign test, on P@10 over queries.
    """
    values = {name: test.ranking(one.scores).metrics.per_query for name, one in answers.items()}
    rows = []
    for name in (name for name in answers if name != best):
        ap, own_ap = values[best]["mAP"], values[name]["mAP"]
        difference, low, high = paired_difference(own_ap, ap, test.places, test.resamples)
        p, wins, losses, ties = sign_test(values[name]["P@10"], values[best]["P@10"])
        rows.append({
            "system": name, "against": best, "difference": difference, "difference_low": low, "difference_high": high,
            "p": paired_permutation_test(own_ap, ap, test.places), "wins": wins, "losses": losses, "ties": ties,
            "p_sign": p,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    return table if table.empty else table.assign(p_holm=holm(table["p"].to_numpy(np.float64)))


def beside_paper(answers: Mapping[str, Answered], test: JudgedTest, pairs: pd.DataFrame) -> pd.DataFrame:
    """The paper's two tables beside ours, as text: its twins on ``sim``, its baseline, and what it does not print."""
    shown = [name for name, one in answers.items() if one.target == "sim"]
    rankings = {name: test.ranking(answers[name].scores) for name in [*shown, BASELINE] if name in answers}
    first = next(iter(rankings.values()), None) or test.ranking(next(iter(answers.values())).scores)
    rows = []
    for k in KS:
        own = {name: f"{one.metrics.means()[f'P@{k}']:.1%}" for name, one in rankings.items()}
        rows.append(
            {"measure": f"P@{k}", "printed": f"{PRECISION[k]:.2%}"}
            | own
            | {"ceiling": f"{first.ceiling[k]:.1%}", "random": f"{first.chance[k]:.1%}"}
        )
    for tolerance, printed in WITHIN.items():
        within = dict(zip(pairs["system"], pairs[f"within_{tolerance:g}"], strict=True))
        own = {name: f"{within[name]:.1%}" for name in shown}
        rows.append({"measure": f"within {tolerance:g}", "printed": f"{printed:.1%}"} | own)
    return pd.DataFrame(rows).fillna("")
