"""Everything ``evaluate`` writes for people: metrics, tables, curves, figures, the contact sheet and the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.champion import Champion
from twinfolio.assessment.choice import Kind
from twinfolio.assessment.evaluate import Evaluation
from twinfolio.assessment.explanation import Explanation
from twinfolio.assessment.systems import REFIT
from twinfolio.reporting import evaluation_tables as tables
from twinfolio.reporting.calibration import check_chapter, write_check
from twinfolio.reporting.comparison import within_group_notes
from twinfolio.reporting.curves import Curve, curve_table, pair_curves
from twinfolio.reporting.few_shot import few_shot_chapter
from twinfolio.reporting.leak import leak_chapter, leak_table
from twinfolio.reporting.match_maps import match_chapter
from twinfolio.reporting.plots import (
    interval_panels,
    plot_cmc,
    plot_confusion,
    plot_intervals,
    plot_per_class,
    plot_roc_and_pr,
)
from twinfolio.reporting.report import Chapter, Headline, brief, chance, headline, write_report
from twinfolio.reporting.sheet import SheetCell, write_sheet
from twinfolio.reporting.tables import write_metrics, write_table

_PANELS = {"retrieval mAP": "mAP", "precision at 1": "P@1", "verification accuracy": "accuracy", "pair AP": "pair_ap"}


@dataclass(frozen=True)
class Circumstances:
    """What a reader must know beside the numbers.

    Attributes:
        champion: What validation chose.
        protocol: ``random`` or ``blocks``.
        test_uses: How often this data's test split was scored, this time included.
        confidence: Coverage of the intervals.
    """

    champion: Champion
    protocol: str
    test_uses: int
    confidence: float = 0.95


def write_evaluation(
    evaluation: Evaluation, explanation: Explanation | None, circumstances: Circumstances, report_dir: Path
) -> None:
    """Write all files of the report folder.

    Args:
        evaluation: The result.
        explanation: Of the champion's first answers; None where there is none.
        circumstances: See there.
        report_dir: ``reports/evaluate``.
    """
    write_metrics(report_dir / "metrics.json", tables.evaluation_metrics(evaluation))
    written = {
        "systems": tables.systems_table(evaluation),
        "retrieval": tables.retrieval_table(evaluation),
        "verification": tables.verification_table(evaluation),
        "classification": tables.classification_table(evaluation),
        "per_class": tables.per_class_table(evaluation),
        "leak_gap": leak_table({name: tested.leak for name, tested in evaluation.tested.items()}),
        "per_query": tables.per_query_table(evaluation),
    }
    for name, table in written.items():
        write_table(report_dir / f"{name}.csv", table)
    write_table(report_dir / "pairs.csv", evaluation.scene.pairs)
    write_check(evaluation.searched.check, report_dir)
    _write_figures(evaluation, written, report_dir)
    _write_report(evaluation, explanation, circumstances, written, report_dir)


def _write_figures(evaluation: Evaluation, written: dict[str, pd.DataFrame], report_dir: Path) -> None:
    panels = interval_panels(written["systems"].set_index("system"), _PANELS)
    plot_intervals(report_dir / "figures" / "systems.png", panels, evaluation.champion)
    _write_curves(evaluation, report_dir)
    _write_confusion(evaluation, report_dir)
    per_class = written["per_class"]
    series = {title: per_class[column].to_numpy(dtype=float) for title, column in
              (("classifier F1", "f1"), ("champion's retrieval mAP", "mAP")) if column in per_class}  # fmt: skip
    plot_per_class(report_dir / "figures" / "per_class.png", per_class["class"].tolist(), series)
    write_sheet(report_dir / "figures" / "sheet.png", sheet_cells(evaluation))


def _write_curves(evaluation: Evaluation, report_dir: Path) -> None:
    labels = evaluation.scene.pairs["label"].to_numpy().astype(bool)
    roc, pr = pair_curves({name: tested.judgement.pair_scores for name, tested in evaluation.tested.items()}, labels)
    cmc = {name: tested.judgement.retrieval.metrics.cmc for name, tested in evaluation.tested.items()}
    ranked: dict[str, Curve] = {name: (np.arange(1, len(shares) + 1), shares) for name, shares in cmc.items()}
    write_table(report_dir / "curves.csv", curve_table({"roc": roc, "pr": pr, "cmc": ranked}))
    plot_roc_and_pr(report_dir / "figures" / "roc_pr.png", roc, pr, float(labels.mean()))
    plot_cmc(report_dir / "figures" / "cmc.png", {name: shares[:20] for name, shares in cmc.items()})


def _write_confusion(evaluation: Evaluation, report_dir: Path) -> None:
    """The classifier's matrix, as CSV and figure."""
    classifier = evaluation.tested.get("classifier")
    if classifier is None or classifier.layer is None:
        return
    counts = classifier.layer.report.confusion
    write_table(report_dir / "confusion.csv", tables.confusion_table(counts, evaluation.info.classes))
    # columns of classes without test images stay: images may be given to them
    plot_confusion(report_dir / "figures" / "confusion.png", counts, evaluation.info.classes)


def sheet_cells(evaluation: Evaluation) -> list[list[SheetCell]]:
    """The contact sheet's cells, with class and score as captions."""
    classes = evaluation.info.classes
    return [
        [
            SheetCell(
                one.image, f"{classes[one.label]}\n{'query' if one.score is None else f'{one.score:.2f}'}", one.right
            )
            for one in row
        ]
        for row in evaluation.sheet
    ]


def _write_report(
    evaluation: Evaluation,
    explanation: Explanation | None,
    circumstances: Circumstances,
    written: dict[str, pd.DataFrame],
    report_dir: Path,
) -> None:
    chapters = [
        _facts(evaluation, circumstances),
        Chapter(
            "Systems side by side",
            ["One protocol and one set of images and pairs for all. champion_lead is the champion's AP minus the "
             "system's, paired by query; its interval and p resample and exchange whole groups."],
            tables=[("Systems", brief(written["systems"]))],
            figures=[("The champion is drawn in the second colour", report_dir / "figures" / "systems.png")],
        ),
        Chapter(
            "Retrieval",
            ["Gallery: train and validation. Queries without another group's image of their class are left out and "
             "counted (n_queries_without_relevant). Inside test: leave-one-out over classes with two "
             "groups there."],
            tables=[("Retrieval", brief(written["retrieval"]))],
            figures=[("First answers of some queries: green frame and tick right, red frame and cross wrong",
                      report_dir / "figures" / "sheet.png"),
                     ("Queries answered within the first k", report_dir / "figures" / "cmc.png")],
        ),
        leak_chapter({name: tested.leak for name, tested in evaluation.tested.items()}, evaluation.champion,
                     has_groups=evaluation.info.has_groups, archive="train, validation and test"),
        _search(evaluation),
        Chapter("Verification", [_pair_text(evaluation)], tables=[("Verification", brief(written["verification"]))],
                figures=[("ROC and precision-recall", report_dir / "figures" / "roc_pr.png")]),
        check_chapter(evaluation.searched, report_dir),
        few_shot_chapter(evaluation.few_shot, report_dir),
        _explained(explanation, circumstances.champion.kind, report_dir),
        _classification(evaluation, written, report_dir),
    ]  # fmt: skip
    refit = ", trained again on train and validation" if evaluation.champion == REFIT else ""
    title = f"Twinfolio: evaluation on test, champion {circumstances.champion.system}{refit}"
    images, classes = len(evaluation.queries), evaluation.n_test_classes
    subtitle = f"{images} test images of {classes} classes; split: {circumstances.protocol}."
    notes = circumstances.champion.notes
    write_report(report_dir / "report.html", title, subtitle, _headlines(evaluation), chapters, notes)


def _headlines(evaluation: Evaluation) -> list[Headline]:
    """The numbers that come first, with their intervals."""
    best, classifier = evaluation.tested[evaluation.champion], evaluation.tested.get("classifier")
    retrieved = best.judgement.retrieval_values
    values = {"retrieval mAP": (retrieved, "mAP"), "precision at 1": (retrieved, "P@1")}
    if classifier is not None and classifier.layer is not None:
        values["classification macro F1"] = (classifier.layer.values, "macro_f1")
    values["verification accuracy"] = (best.judgement.verification_values, "accuracy")
    heads = [headline(name, v[key], v[f"{key}_low"], v[f"{key}_high"]) for name, (v, key) in values.items()]
    return [*heads, Headline("pretrained", str(best.judgement.pretrained).lower(), "ImageNet weights in the trunk")]


def _facts(evaluation: Evaluation, circumstances: Circumstances) -> Chapter:
    """What the numbers rest on."""
    champion = circumstances.champion
    val = evaluation.scene.parts["val"]
    picked = f"Champion: {champion.system}, picked by validation retrieval mAP ({champion.val_map:.4f})"
    if champion.preferred_over:
        picked += f", preferred over {', '.join(champion.preferred_over)}, which are as good there"
    n_classes = len(evaluation.info.classes)
    rows = [
        f"{picked}. {_distances_text(champion)}",
        f"Macro means run over the {evaluation.n_test_classes} classes with test images, of {n_classes}.",
        f"Intervals: {circumstances.confidence:.0%}, the bootstrap draws "
        f"{'groups (pages, folios)' if evaluation.info.has_groups else 'images'} of the queries.",
        f"Thresholds maximise {champion.criterion} on validation; nothing was chosen on test. This data's test "
        f"split has been scored {circumstances.test_uses} time{'s' if circumstances.test_uses != 1 else ''} in this "
        "workspace (reports/test_uses.csv).",
        f"Data hash {evaluation.info.data_hash}; store {evaluation.info.size} px, fit {evaluation.info.fit}.",
        _weights_text(evaluation),
    ]
    if evaluation.champion == REFIT:
        rows.append(
            f"Refit: {REFIT} is {champion.system} trained again on train and validation, with settings, epochs and "
            "thresholds fixed before (train.refit: true); all other systems were trained on train alone."
        )
    notes = within_group_notes(int(val.within_group.sum()), len(val), champion.val_map, champion.val_map_unseen)
    if circumstances.protocol == "random":
        notes.append(
            "Random split: pages of one manuscript that resemble each other lie on both sides; numbers flatter."
        )
    return Chapter("What these numbers rest on", rows, notes)


def _distances_text(champion: Champion) -> str:
    """Which distance was best on validation."""
    text = f"Of the distances {champion.distance} was best"
    return f"{text}, a tie with {champion.runner_up}." if champion.tie else f"{text}."


def _weights_text(evaluation: Evaluation) -> str:
    """Which trunks were pretrained."""
    known = {name: tested.judgement.pretrained for name, tested in evaluation.tested.items()}
    parts = [f"{name} {str(value).lower()}" for name, value in known.items() if value is not None]
    return f"Pretrained: {', '.join(parts)}."


def _pair_text(evaluation: Evaluation) -> str:
    """How the pairs were made."""
    counts = evaluation.scene.pair_counts
    return (
        f"{counts.positives} positive and {counts.negatives} negative pairs of {counts.queries} test images with "
        f"archive images, never of one group or duplicate cluster; "
        f"{counts.queries_without_positive} images have no positive."
    )


def _explained(explanation: Explanation | None, kind: Kind, report_dir: Path) -> Chapter:
    """Why answers match, or why nothing is said of it."""
    if explanation is None:
        write_table(report_dir / "faithfulness.csv", pd.DataFrame(columns=["kind"]))
        reasons: dict[Kind, str] = {
            "joined": "The champion joins several systems: its scores are not traced back to places in the images.",
            "classical": "The champion is a classical system: its scores are not traced back to places in the images.",
        }
        reason = reasons.get(kind, "No score depends on what stands in the query: nothing to explain.")
        return Chapter("Why these two match", notes=[reason])
    return match_chapter(report_dir, explanation.drawn, explanation.found, explanation.table)


def _search(evaluation: Evaluation) -> Chapter:
    """The neighbours that validation kept, on test."""
    searched, champion = evaluation.searched, evaluation.tested[evaluation.champion].judgement
    recipe, gain = searched.setting.recipe, searched.gain
    kept = f"{recipe.name} ({recipe.setting})" if recipe.setting else "the plain ranking"
    table = pd.DataFrame(
        [
            {"system": name, **{f"{key}{end}": judged.retrieval_values[f"{key}{end}"]
                                for key in ("mAP", "P@1", "P@10") for end in tables.ENDS}}
            for name, judged in ((evaluation.champion, champion), (f"{evaluation.champion}, as searched",
                                                                   searched.judgement))
        ]
    )  # fmt: skip
    text = (
        f"Kept by validation within the latency budget: {kept}. On test it changes the champion's mAP by "
        f"{gain.difference:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}, {chance(gain.p)}). The ablation of all methods "
        "is in the report of calibrate. The model folder, and everything below about probabilities, use it."
    )
    return Chapter("Better neighbours without training", [text], tables=[("As searched", brief(table))])


def _classification(evaluation: Evaluation, written: dict[str, pd.DataFrame], report_dir: Path) -> Chapter:
    """Class layers and nearest images."""
    figures = [("Per class", report_dir / "figures" / "per_class.png")]
    if (report_dir / "figures" / "confusion.png").exists():
        figures.append(("Confusion of the classifier", report_dir / "figures" / "confusion.png"))
    text = f"Macro means run over {evaluation.n_test_classes} classes."
    shown = [("Classification", brief(written["classification"])), ("Per class", written["per_class"])]
    return Chapter("Classification", [text], tables=shown, figures=figures)
