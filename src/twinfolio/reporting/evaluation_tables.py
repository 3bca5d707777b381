"""The numbers of ``evaluate`` as metrics and tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from twinfolio.assessment.evaluate import Evaluation, Tested
from twinfolio.assessment.searched import NAME
from twinfolio.reporting.comparison import finite, metric_name, per_query_columns, worth_a_key
from twinfolio.reporting.few_shot import few_shot_metrics
from twinfolio.reporting.leak import leak_metrics

ENDS = ("", "_low", "_high")
_RETRIEVAL = ("mAP", "P@1", "P@5", "P@10", "r_precision", "MRR", "macro_mAP", "macro_P@1")
_VERIFICATION = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "pair_ap", "auroc", "eer")


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Keys ``test/<family>/<metric>``.

    The champion's families are ``retrieval``, ``verification``, ``leave_one_out``, ``classification_champion`` (its
    class layer) and ``classification_nearest`` (the nearest image's class); ``classification`` is the classifier's.
    Every other system has ``retrieval_<system>`` and ``verification_<system>``.
    """
    best = evaluation.tested[evaluation.champion]
    metrics = _family("retrieval", best.judgement.retrieval_values)
    metrics |= {f"test/{key}": value for key, value in leak_metrics(best.leak).items()}
    searched = evaluation.searched
    metrics |= _family(NAME, searched.judgement.retrieval_values, _RETRIEVAL)
    metrics |= _family(f"verification_{NAME}", searched.judgement.verification_values, _VERIFICATION)
    metrics |= {f"test/{NAME}/mAP_gain{end}": value for end, value in zip(ENDS, searched.gain, strict=False)}
    metrics |= _family("calibration", searched.check.values)
    metrics |= _family("unknown", searched.unknown or {})
    metrics |= {f"test/{key}": value for key, value in few_shot_metrics(evaluation.few_shot).items()}
    metrics |= _family("verification", best.judgement.verification_values)
    metrics |= _family("leave_one_out", best.inside or {})
    metrics |= _family("classification_nearest", best.nearest[1].values)
    for family, result in _class_layers(evaluation).items():
        metrics |= _family(family, result)
    for name, tested in evaluation.tested.items():
        if name != evaluation.champion:
            metrics |= _family(f"retrieval_{metric_name(name)}", tested.judgement.retrieval_values, _RETRIEVAL)
            metrics |= _family(f"verification_{metric_name(name)}", tested.judgement.verification_values, _VERIFICATION)
    return finite(metrics)


def systems_table(evaluation: Evaluation) -> pd.DataFrame:
    """A row a system: the main numbers with intervals, and the champion's lead with its paired test."""
    return pd.DataFrame([_system_row(name, tested) for name, tested in evaluation.tested.items()])


def retrieval_table(evaluation: Evaluation) -> pd.DataFrame:
    """A row a system and gallery; the own group is left out where nothing else is said."""
    rows = []
    for name, tested in evaluation.tested.items():
        protocols = {
            "train and validation": tested.judgement.retrieval_values,
            "all images, own group included": tested.leak.included,
            "all images, own group excluded": tested.leak.excluded,
            "inside test": tested.inside,
        }
        rows += [{"system": name, "gallery": key, **values} for key, values in protocols.items() if values is not None]
    table = pd.DataFrame(rows)
    return table.astype({column: int for column in table if str(column).startswith("n_")})


def per_query_table(evaluation: Evaluation) -> pd.DataFrame:
    """A row a test image: its AP and P@1 under every system, and whether it was classified rightly.

    ``AP`` and ``P@1`` are the champion's, ``classified`` the classifier's (1 or 0; empty without a class layer).
    """
    items = evaluation.queries.items
    best, classifier = evaluation.tested[evaluation.champion], evaluation.tested.get("classifier")
    table = pd.DataFrame(
        {
            "query": items.ids,
            "label": np.array(evaluation.info.classes, dtype=object)[items.labels],
            "group": items.groups,
            "AP": best.judgement.average_precision,
            "P@1": best.judgement.retrieval.metrics.per_query["P@1"],
        }
    )
    if classifier is not None and classifier.layer is not None:
        table["classified"] = (classifier.layer.said == items.labels).astype(int)
    return table.assign(**per_query_columns({name: tested.judgement for name, tested in evaluation.tested.items()}))


def verification_table(evaluation: Evaluation) -> pd.DataFrame:
    """A row a system: counts, everything derived from them, areas and the equal error rate."""
    rows = [{"system": name, **tested.judgement.verification_values} for name, tested in evaluation.tested.items()]
    table = pd.DataFrame(rows)
    counts = ["tp", "fp", "fn", "tn", "n_pairs"]
    return table.astype(dict.fromkeys(counts, int))


def classification_table(evaluation: Evaluation) -> pd.DataFrame:
    """A row a system and way to classify: its class layer, and the vote of the nearest images."""
    rows = []
    for name, tested in evaluation.tested.items():
        ways = {} if tested.layer is None else {"class layer": tested.layer}
        ways |= {f"{k} nearest": result for k, result in tested.nearest.items()}
        for way, result in ways.items():
            kept = {key: value for key, value in result.values.items() if not key.startswith("top5")}
            rows.append({"system": name, "by": way, **kept})
    return pd.DataFrame(rows).astype({"n_images": int, "n_classes": int})


def per_class_table(evaluation: Evaluation) -> pd.DataFrame:
    """Khayyat et al.'s Table 4 for us: the classifier per class, with the champion's retrieval beside it.

    Classes without test images are left out: they are in no macro mean.
    """
    classes = evaluation.info.classes
    named = [("", evaluation.tested.get("classifier")), ("champion_", evaluation.tested[evaluation.champion])]
    table = pd.DataFrame({"class": classes})
    for prefix, tested in named:
        layer = None if tested is None else tested.layer
        if layer is not None:
            own = layer.report.per_class(classes)
            for column in ("precision", "recall", "f1"):
                table[f"{prefix}{column}"] = own[column].to_numpy()
    table["images"] = np.bincount(evaluation.queries.items.labels, minlength=len(classes))
    retrieved = evaluation.tested[evaluation.champion].judgement.retrieval.per_class().set_index("label")
    for column in ("mAP", "P@1"):
        table[column] = retrieved[column].reindex(range(len(classes))).to_numpy()
    return table[table["images"] > 0].reset_index(drop=True)


def confusion_table(counts: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """A row a true class, a column a given class."""
    table = pd.DataFrame(counts, columns=classes)
    table.insert(0, "true", classes, allow_duplicates=True)
    return table


def _class_layers(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Family -> values of the class layers that exist."""
    named = {"classification": "classifier", "classification_champion": evaluation.champion}
    found = {family: evaluation.tested.get(name) for family, name in named.items()}
    return {
        family: tested.layer.values
        for family, tested in found.items()
        if tested is not None and tested.layer is not None
    }


def _family(family: str, values: Mapping[str, float], names: tuple[str, ...] | None = None) -> dict[str, float]:
    """Keys with their family before them; only the named metrics, each with its interval, where names are given."""
    kept = (
        worth_a_key(dict(values))
        if names is None
        else {f"{name}{end}": values[f"{name}{end}"] for name in names for end in ENDS}
    )
    return {f"test/{family}/{key}": value for key, value in kept.items()}


def _system_row(name: str, tested: Tested) -> dict[str, object]:
    """One line of ``systems.csv``."""
    judged = tested.judgement
    pretrained = "" if judged.pretrained is None else str(judged.pretrained).lower()
    row: dict[str, object] = {"system": name, "pretrained": pretrained}
    for key in ("mAP", "P@1"):
        row |= {f"{key}{end}": judged.retrieval_values[f"{key}{end}"] for end in ENDS}
    for key in ("accuracy", "f1", "pair_ap", "eer"):
        row |= {f"{key}{end}": judged.verification_values[f"{key}{end}"] for end in ENDS}
    row |= {f"nearest_accuracy{end}": tested.nearest[1].values[f"accuracy{end}"] for end in ENDS}
    against = tested.against
    nothing = float("nan")
    return row | {
        "champion_lead": nothing if against is None else against.difference,
        "champion_lead_low": nothing if against is None else against.low,
        "champion_lead_high": nothing if against is None else against.high,
        "p": nothing if against is None else against.p,
        "sign_p": nothing if against is None else against.sign_p,
        "wins": nothing if against is None else against.wins,
        "losses": nothing if against is None else against.losses,
    }
