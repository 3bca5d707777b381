"""The numbers of ``studies/mtasher_msad`` as tables and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from twinfolio.assessment.judgement import Judgement
from twinfolio.assessment.rivals import Outcome, Validated
from twinfolio.assessment.search_cost import SearchCost
from twinfolio.reporting.comparison import finite
from twinfolio.reporting.evaluation_tables import ENDS
from twinfolio.reporting.mtasher_paper import ROWS
from twinfolio.reporting.tables import write_metrics, write_table
from twinfolio.sample.planted import KINDS

VERIFIED = ("accuracy", "precision", "recall", "f1")
RETRIEVED = ("mAP", "P@1", "P@5", "P@10")
PLANTED = ("accuracy", "precision", "recall", "f1", "recall@1")


def with_ends(values: Mapping[str, float], names: Sequence[str], before: str = "") -> dict[str, float]:
    """Some values with their intervals, under their names with something before them."""
    return {f"{before}{name}{end}": values[f"{name}{end}"] for name in names for end in ENDS}


def always_no(values: Mapping[str, float]) -> float:
    """The accuracy of calling no pair similar."""
    return 1 - values["prevalence"]


def system_row(judged: Judgement, planted: Mapping[str, float]) -> dict[str, Any]:
    """All that is said of a system: verification, retrieval and planted copies."""
    verified = judged.verification_values
    pretrained = "" if judged.pretrained is None else str(judged.pretrained).lower()
    row: dict[str, Any] = {"system": judged.name, "pretrained": pretrained}
    row |= with_ends(verified, VERIFIED) | {"always_no": always_no(verified), "prevalence": verified["prevalence"]}
    row |= {"threshold": judged.threshold} | with_ends(judged.retrieval_values, RETRIEVED)
    row |= with_ends(planted, PLANTED, "planted_")
    return row | {
        "planted_always_no": always_no(planted),
        "planted_prevalence": planted["prevalence"],
        "planted_threshold": planted["threshold"],
    }


def system_table(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """A row a system."""
    return pd.DataFrame([system_row(one.judgement, one.planted_values) for one in outcomes.values()])


def kind_table(outcomes: Mapping[str, Outcome], measure: str) -> pd.DataFrame:
    """A row a system, a column a kind of copy.

    Args:
        outcomes: System -> outcome.
        measure: ``recall`` or ``recall@1``.
    """
    rows = []
    for name, one in outcomes.items():
        values = with_ends(one.planted_values, [f"{measure}_{kind}" for kind in KINDS])
        rows.append({"system": name} | {key.removeprefix(f"{measure}_"): value for key, value in values.items()})
    return pd.DataFrame(rows)


def cost_table(costs: Mapping[str, SearchCost]) -> pd.DataFrame:
    """A row a system."""
    return pd.DataFrame(
        {
            "system": name,
            "extraction, ms an image": cost.extraction_ms,
            "query, ms": cost.query_ms,
            "images asked": cost.n_gallery,
            "bytes an image": round(cost.bytes_per_image),
        }
        for name, cost in costs.items()
    )


def paper_table(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """The paper's rows with what follows from them, then our systems that stand for them, on pairs and on copies."""
    rows: list[dict[str, Any]] = []
    for printed in ROWS:
        values = {name: getattr(printed, name) for name in (*VERIFIED, "always_no", "prevalence")}
        rows.append({"": f"paper: {printed.name}", **values})
    for name in dict.fromkeys(name for printed in ROWS for name in printed.ours if name in outcomes):
        one = outcomes[name]
        for what, of in (("pairs", one.judgement.verification_values), ("copies", one.planted_values)):
            derived = {"always_no": always_no(of), "prevalence": of["prevalence"]}
            rows.append({"": f"{name}, {what}", **with_ends(of, VERIFIED), **derived})
    wanted = [f"{name}{end}" for name in VERIFIED for end in ENDS]
    return pd.DataFrame(rows, columns=["", *wanted, "always_no", "prevalence"])


def study_metrics(
    split: str, judged: Mapping[str, Judgement], planted: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Keys ``<split>/<family>_<system>/<metric>``, each with its interval.

    Args:
        split: ``val`` or ``test``.
        judged: System -> judgement.
        planted: System -> ``planted_report``.
    """
    metrics: dict[str, float] = {}
    for name, one in judged.items():
        verified, copies = one.verification_values, planted[name]
        kinds = [f"{measure}_{kind}" for measure in ("recall", "recall@1") for kind in KINDS]
        families = {
            "verification": with_ends(verified, VERIFIED) | {key: verified[key] for key in ("prevalence", "n_pairs")},
            "retrieval": with_ends(one.retrieval_values, RETRIEVED),
            "planted": with_ends(copies, [*PLANTED, *kinds]) | {key: copies[key] for key in ("prevalence", "n_copies")},
        }
        metrics |= {f"{split}/{family}_{name}/{key}": v for family, of in families.items() for key, v in of.items()}
        if one.pretrained is not None:
            metrics[f"{split}/{name}/pretrained"] = int(one.pretrained)
    return finite(metrics)


def write_validation(validated: Validated, report_dir: Path) -> None:
    """Write ``validation.csv``, a row a system, and ``metrics.json``.

    Args:
        validated: What validation says; its planted copies chose the threshold they are judged by.
        report_dir: The stage's.
    """
    judged, choices = validated.comparison.judged, validated.choices
    table = pd.DataFrame([system_row(one, validated.planted[name]) for name, one in judged.items()])
    for column, best in (("best_retrieval", choices.best_retrieval), ("best_planted", choices.best_planted)):
        table[column] = (table["system"] == best).astype(int)
    write_table(report_dir / "validation.csv", table)
    write_metrics(report_dir / "metrics.json", study_metrics("val", judged, validated.planted))
