"""Everything ``calibrate`` writes: the kept recipe, the fits, the ablation table and a report."""

from __future__ import annotations

from pathlib import Path

from twinfolio.assessment.readiness import Readiness
from twinfolio.reporting.ablation import ablation_chapter, ablation_metrics, write_ablation
from twinfolio.reporting.calibration import basis, curve
from twinfolio.reporting.report import Chapter, headline, write_report
from twinfolio.reporting.tables import write_json, write_metrics

CALIBRATION, THRESHOLD = "calibration.json", "threshold.json"
"""Names inside ``outputs/calibrate/search``; the recipe's own files lie beside them."""


def write_readiness(ready: Readiness, output_dir: Path, report_dir: Path) -> None:
    """Write all files of the stage.

    Args:
        ready: The result.
        output_dir: For what later stages read.
        report_dir: For what people read.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    write_ablation(ready.ablation, output_dir, report_dir)
    threshold = {"threshold": ready.threshold, "recipe": ready.ablation.kept.recipe.name}
    for name, values in ((CALIBRATION, ready.calibration.to_json()), (THRESHOLD, threshold)):
        write_json(output_dir / name, values, digits=None)
    fits = ready.calibration
    losses = {f"val/calibration/log_loss_{method}": loss for method, loss in fits.losses.items()}
    fitted = {"val/calibration/prior": fits.prior, "val/calibration/unknown_threshold": fits.unknown}
    fitted["val/calibration/conformal_cut"] = fits.conformal.cut
    if fits.temperature is not None:
        fitted["val/calibration/temperature"] = fits.temperature
    write_metrics(report_dir / "metrics.json", ablation_metrics(ready.ablation) | losses | fitted)
    kept = ready.ablation.kept.values
    write_report(
        report_dir / "report.html",
        f"Ready for search: {ready.champion}, {ready.ablation.kept.method}",
        "Validation and every second class held out of training; test was not opened.",
        [headline("retrieval mAP as searched", kept["mAP"], kept["mAP_low"], kept["mAP_high"])],
        [ablation_chapter(ready.ablation, report_dir), _fits(ready)],
    )


def _fits(ready: Readiness) -> Chapter:
    """What was fitted; how it holds is for test to say."""
    fits = ready.calibration
    losses = ", ".join(f"{method} {loss:.5f}" for method, loss in fits.losses.items())
    texts = [
        f"Scores become probabilities by {curve(fits.pairs.method)} over all admissible validation pairs, "
        f"{fits.prior:.4f} of them of one class (cross-fitted log loss: {losses}).",
        f"A query whose best score before re-ranking is below {fits.unknown:.3f} is of none of the known classes; "
        f"at most {fits.false_match_rate:.0%} of the images of {basis(fits)} pass it.",
        f"A class is in a query's set where its best image has at least probability {fits.conformal.cut:.3f}: the "
        f"promise is {fits.conformal.coverage:.0%} of new pages like the {fits.conformal.n} of validation.",
    ]
    if fits.temperature is not None:
        texts.append(f"Class logits are divided by {fits.temperature:.3f}.")
    return Chapter("Probabilities, sets and unknown classes", texts)
