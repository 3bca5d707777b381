"""The report of ``studies/mtasher_msad``: nets against SIFT, SURF, ORB and hashes, the paper's table beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.planted import Planted
from twinfolio.assessment.rivals import Choices, Outcome
from twinfolio.assessment.scene import Scene
from twinfolio.assessment.search_cost import SearchCost
from twinfolio.evaluation.arrays import Flags
from twinfolio.reporting.evaluation_tables import ENDS
from twinfolio.reporting.lu import holm
from twinfolio.reporting.mtasher_paper import NOTES
from twinfolio.reporting.mtasher_tables import (
    PLANTED,
    RETRIEVED,
    VERIFIED,
    cost_table,
    kind_table,
    paper_table,
    study_metrics,
    system_table,
)
from twinfolio.reporting.plots import interval_panels, plot_intervals
from twinfolio.reporting.report import Chapter, Headline, brief, chance, headline, write_report
from twinfolio.reporting.sheet import SheetCell, write_sheet
from twinfolio.reporting.tables import write_metrics, write_table

SHEET_ROWS = 5
"""Originals on the sheet of copies."""


@dataclass(frozen=True)
class Circumstances:
    """How the numbers came about.

    Attributes:
        trunk: Of the nets.
        size: Of the store's rows, in pixels.
        protocol: Of the split.
        uses: How often test was scored.
        tuned: Name of the fine-tuned net.
    """

    trunk: str
    size: int
    protocol: str
    uses: int
    tuned: str


@dataclass(frozen=True)
class Study:
    """What test says, and how the numbers came about.

    Attributes:
        outcomes: System -> what it did on test.
        planted: The copies of test images.
        scene: Test.
        choices: What validation chose.
        tests: See ``rivals.contrasts``.
        costs: System -> cost.
        circumstances: How the numbers came about.
    """

    outcomes: Mapping[str, Outcome]
    planted: Planted
    scene: Scene
    choices: Choices
    tests: pd.DataFrame
    costs: Mapping[str, SearchCost]
    circumstances: Circumstances

    def found(self, name: str) -> Flags:
        """Copies (Q,) whose original a system finds at its threshold."""
        return self.outcomes[name].planted.found(self.outcomes[name].threshold)

    def tables(self) -> dict[str, pd.DataFrame]:
        """File name -> table; ``times`` is no result of a seed."""
        kinds = [kind_table(self.outcomes, measure).assign(measure=measure) for measure in ("recall", "recall@1")]
        return {
            "systems": system_table(self.outcomes),
            "planted": pd.concat(kinds),
            "tests": self.tests.assign(p_holm=holm(self.tests["p"].to_numpy(np.float64))),
            "paper": paper_table(self.outcomes),
            "times": cost_table(self.costs),
        }

    def metrics(self) -> dict[str, float]:
        """Keys ``test/<family>_<system>/<metric>``, and ``test/<system>/bytes_per_image``."""
        judged = {name: one.judgement for name, one in self.outcomes.items()}
        planted = {name: one.planted_values for name, one in self.outcomes.items()}
        kept = {f"test/{name}/bytes_per_image": cost.bytes_per_image for name, cost in self.costs.items()}
        return study_metrics("test", judged, planted) | kept


def write_study(study: Study, report_dir: Path) -> None:
    """Write ``report.html``, ``figures``, ``metrics.json`` and the tables.

    Args:
        study: What is written.
        report_dir: The stage's.
    """
    tables, figures = study.tables(), report_dir / "figures"
    for name, table in tables.items():
        write_table(report_dir / f"{name}.csv", table)
    write_metrics(report_dir / "metrics.json", study.metrics())
    _write_figures(study, tables["systems"], figures)
    chapters = [
        _tests_chapter(study, tables["tests"]),
        _paper_chapter(tables["paper"]),
        _systems_chapter(study, tables["systems"], figures / "systems.png"),
        _planted_chapter(study, tables["systems"], tables["planted"], figures / "copies.png"),
        _cost_chapter(tables["times"]),
    ]
    title = "Nets against classical descriptors"
    write_report(report_dir / "report.html", title, _subtitle(study), _heads(study), chapters)


def _write_figures(study: Study, systems: pd.DataFrame, folder: Path) -> None:
    panels = {"retrieval mAP": "mAP", "verification F1": "f1", "F1 over planted copies": "planted_f1"}
    intervals = interval_panels(systems.set_index("system"), panels)
    plot_intervals(folder / "systems.png", intervals, study.circumstances.tuned)
    write_sheet(folder / "copies.png", _sheet(study))


def _sheet(study: Study) -> list[list[SheetCell]]:
    """Originals with their copies, those first of which the fine-tuned net finds fewest."""
    planted, other = study.planted, study.choices.best_planted
    found, by_other = study.found(study.circumstances.tuned), study.found(other)
    originals = list(dict.fromkeys(planted.originals.tolist()))
    missed = {one: int((~found[planted.originals == one]).sum()) for one in originals}
    rows = []
    store, queries = study.scene.stores["test"], study.scene.queries
    for original in sorted(originals, key=lambda one: -missed[one])[:SHEET_ROWS]:
        row = queries.first_row(int(np.flatnonzero(queries.items.ids == original)[0]))
        cells = [SheetCell(np.asarray(store.images[row]), f"{original}\noriginal", None)]
        for copy in np.flatnonzero(planted.originals == original):
            caption = f"{planted.kinds[copy]}\n{other}: {'found' if by_other[copy] else 'missed'}"
            image = planted.images[planted.copies.first_row(int(copy))]
            cells.append(SheetCell(image, caption, bool(found[copy])))
        rows.append(cells)
    return rows


def _subtitle(study: Study) -> str:
    how, scene = study.circumstances, study.scene
    return (
        f"{len(scene.queries)} test images of {len(np.unique(scene.queries.items.labels))} classes against "
        f"{len(scene.gallery)}; {how.trunk}, {how.size} px, split: {how.protocol}; thresholds and the best classical "
        f"system from validation; test scored {how.uses} x."
    )


def _heads(study: Study) -> list[Headline]:
    choices, tuned = study.choices, study.circumstances.tuned
    heads = []
    for name in dict.fromkeys((tuned, choices.best_retrieval)):
        values = study.outcomes[name].judgement.retrieval_values
        heads.append(headline(f"{name}: retrieval mAP", *(values[f"mAP{end}"] for end in ENDS)))
    for name in dict.fromkeys((tuned, choices.best_planted)):
        values = study.outcomes[name].planted_values
        heads.append(headline(f"{name}: F1, planted copies", *(values[f"f1{end}"] for end in ENDS)))
    return heads


def _paper_chapter(table: pd.DataFrame) -> Chapter:
    return Chapter(
        "The paper's table beside ours",
        [
            "Of the paper's rows, F1, the share of positives and the accuracy of always saying no follow from the "
            "printed accuracy, precision and recall. Ours are of two lists of pairs, the same for all systems: as many "
            "pairs of one class as of two, and every planted copy with every image of its gallery, where accuracy is "
            "near 1 for whatever mostly says no. always_no is the accuracy of calling no pair similar, prevalence the "
            "share of positives."
        ],
        NOTES,
        [("Other images than the paper's, which names none: no row of ours is to equal one of its rows", brief(table))],
    )


def _systems_chapter(study: Study, systems: pd.DataFrame, figure: Path) -> Chapter:
    nets = {name: one.judgement.pretrained for name, one in study.outcomes.items()}
    random = [f"{name}: pretrained: false, its trunk started from random weights" for name, of in nets.items()
              if of is False]  # fmt: skip
    verified = _columns(systems, ["pretrained", *VERIFIED], ["always_no", "prevalence"])
    return Chapter(
        "Same class or not: verification and retrieval",
        [
            "Pairs are of a test image with an image of train or validation, never of one group or duplicate cluster; "
            "the threshold maximises F1 on validation. Intervals draw groups."
        ],
        random,
        [("Verification", brief(verified)), ("Retrieval", brief(_columns(systems, [*RETRIEVED])))],
        [("Values with their intervals", figure)],
    )


def _planted_chapter(study: Study, systems: pd.DataFrame, kinds: pd.DataFrame, figure: Path) -> Chapter:
    tuned, other = study.circumstances.tuned, study.choices.best_planted
    values = study.outcomes[tuned].planted_values
    table = _columns(systems, [f"planted_{name}" for name in PLANTED], ["planted_always_no"])
    table.columns = table.columns.str.removeprefix("planted_")
    by_kind = {measure: part.drop(columns="measure") for measure, part in kinds.groupby("measure")}
    return Chapter(
        "The same image or not: planted near-duplicates",
        [
            f"{int(values['n_copies'])} copies of test images (resized to 70 % and back, cropped to 90 %, JPEG "
            "quality 30, rotated by 3 degrees, faded) look for their originals among "
            f"{int(values['n_gallery'])} images of train and test. One pair in {1 / values['prevalence']:,.0f} is "
            "right. The threshold maximises F1 over copies of validation images. recall@1: the original comes first; "
            "a tie of n counts 1 / n."
        ],
        tables=[
            ("All kinds", brief(table)),
            ("Recall at the threshold, by kind", brief(by_kind["recall"])),
            ("Original in the first place, by kind", brief(by_kind["recall@1"])),
        ],
        figures=[
            (
                f"Green: {tuned} finds the original at its threshold; below, whether {other} does. The hardest for "
                f"{tuned} first.",
                figure,
            )
        ],
    )


def _tests_chapter(study: Study, tests: pd.DataFrame) -> Chapter:
    shown = tests.assign(p=tests["p_holm"]).drop(columns="p_holm")
    return Chapter(
        "Which differences are beyond chance",
        [
            f"{study.circumstances.tuned} against the classical systems that validation found best and against the "
            "same net as it comes.",
            _verdict(tests),
        ],
        tables=[("Paired, whole groups drawn and exchanged; p by permutation, corrected for all rows", brief(shown))],
    )


def _verdict(tests: pd.DataFrame) -> str:
    """What stands after Holm's correction, in a sentence or two."""
    really = tests[tests["p_holm"] < 0.05]
    if really.empty:
        return "No difference is beyond chance (Holm at 5 %)."
    said = [
        f"{row['a']} {'above' if row['difference'] > 0 else 'below'} {row['b']} in {row['measure']} by "
        f"{abs(row['difference']):.3f} ({chance(row['p_holm'])})"
        for row in really.to_dict("records")
    ]
    return f"Beyond chance (Holm at 5 %): {'; '.join(said)}."


def _cost_chapter(table: pd.DataFrame) -> Chapter:
    return Chapter(
        "What it costs",
        [
            "Measured one after another in one process: extraction from pixels to vector in a batch of images, "
            "without a cache; a query from its vector to ten answers. Bytes are those of the float32 vectors that are "
            "searched; the 64 bits of a hash would pack into 8 bytes."
        ],
        tables=[("", table)],
    )


def _columns(table: pd.DataFrame, with_interval: Sequence[str], others: Sequence[str] = ()) -> pd.DataFrame:
    """Some columns with their intervals, after the system's name."""
    wanted = [f"{name}{end}" for name in with_interval for end in ENDS if f"{name}{end}" in table]
    return table[["system", *wanted, *others]].copy()
