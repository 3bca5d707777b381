"""The report of ``studies/jimenez_szabo``: systems that rank judged maps, and twins that learned the judgments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.assessment.examples import choose_queries
from twinfolio.assessment.judged import JudgedTest
from twinfolio.evaluation.significance import sign_test
from twinfolio.reporting.jimenez_szabo_paper import DOUBTS, READING, SIGN_TEST
from twinfolio.reporting.jimenez_szabo_tables import (
    BASELINE,
    MEASURES,
    Answered,
    beside_paper,
    difference_table,
    pair_table,
    ranking_table,
)
from twinfolio.reporting.plots import PALETTE, finish, interval_panels, new_figure, plot_intervals, save
from twinfolio.reporting.report import Chapter, Headline, brief, chance, write_report
from twinfolio.reporting.sheet import SheetCell, write_sheet
from twinfolio.reporting.tables import write_table

_QUERIES, _ANSWERS = 6, 6
"""Of the contact sheet."""
_BINS = [place / 40 for place in range(41)]


def write_judged(
    answers: Mapping[str, Answered],
    test: JudgedTest,
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    about: Mapping[str, Any],
    report_dir: Path,
) -> dict[str, float | int | None]:
    """Write ``report.html``, four tables and three figures.

    Args:
        answers: By system.
        test: What the test queries were judged.
        pictures: (Q, H, W, 3) test queries and (M, H, W, 3) maps.
        about: What the stage ``judged`` counted, and ``test_uses``.
        report_dir: Where they go.

    Returns:
        The numbers for ``metrics.json``.
    """
    best = max(answers, key=lambda name: answers[name].val_map)
    tables = {
        "systems": ranking_table(answers, test),
        "pairs": pair_table(answers, test),
        "differences": difference_table(answers, test, best),
    }
    tables["paper"] = beside_paper(answers, test, tables["pairs"])
    for name, table in tables.items():
        write_table(report_dir / f"{name}.csv", table)
    figures = {name: report_dir / f"{name}.png" for name in ("recall", "scores", "answers")}
    recalls = {name: name for name in MEASURES if name.startswith("recall")}
    plot_intervals(figures["recall"], interval_panels(tables["systems"].set_index("system"), recalls), highlight=best)
    score_figure(figures["scores"], answers, test)
    write_answers(figures["answers"], answers[best].scores, test.sim, pictures)
    said = verdict(tables["differences"], best, len(np.unique(test.places)))
    texts = _archive(about, test), paper_sign_test(answers, test), said
    chapters = _chapters(tables, figures, best, _notes(answers, about), texts)
    headlines = _headlines(tables["systems"], best)
    write_report(report_dir / "report.html", "Judged images", _subtitle(about), headlines, chapters)
    return _metrics(tables["systems"], tables["pairs"], answers, about)


def _chapters(
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Path],
    best: str,
    notes: Sequence[str],
    texts: tuple[str, str, str],
) -> list[Chapter]:
    """The page, from what is written beside it; ``texts`` say what was ranked, what the paper's test says, and ours."""
    ranked, tested, differ = texts
    return [
        Chapter(
            "Rankings", [ranked, f"Orange: {best}, the best on validation."], notes,
            tables=[("Best on validation first; recall@K: one of K is right", shown_systems(tables["systems"]))],
            figures=[("Recall at 1, 5 and 10 with intervals over places", figures["recall"])],
        ),
        Chapter("The paper's tables beside ours", [READING, tested], tables=[("", tables["paper"])]),
        Chapter(
            "Similarities of pairs", _PAIRS, tables=[("", brief(tables["pairs"]))],
            figures=[("What the twins say of pairs judged similar and of others", figures["scores"])],
        ),
        Chapter(
            "Which systems really differ", [differ],
            tables=[(f"mAP against {best}; wins, losses and ties of P@10", brief(tables["differences"]))],
        ),
        Chapter("First answers", figures=[(_sheet(best), figures["answers"])]),
        Chapter("What in the paper cannot be", DOUBTS),
    ]  # fmt: skip


_PAIRS = (
    "As many pairs judged similar as others, of test queries alone. Each twin is held against what it learned, sim (0 "
    "or 1) or fov (the share of the view in common); Brier score and AUROC against sim.",
    "A system that always says the mean of its training pairs stands below: what does not beat it has learned nothing. "
    "A spread (the SD of what is said) near 0 is a collapsed output.",
)


def _subtitle(about: Mapping[str, Any]) -> str:
    split = about["queries"]
    return (
        f"{about['source']}: {split['test']} test queries against {about['maps']} maps, "
        f"{about['answers_per_query']:.1f} right a query; {split['train']} queries to learn from, {split['val']} to "
        f"choose by; test scored {about['test_uses']} x."
    )


def _headlines(systems: pd.DataFrame, best: str) -> list[Headline]:
    row = systems[systems["system"] == best].to_dict("records")[0]
    names = [name for name in MEASURES if name.startswith("recall")]
    return [
        Headline(f"{best}: {name}", f"{row[name]:.1%}", f"{row[f'{name}_low']:.1%} to {row[f'{name}_high']:.1%}")
        for name in names
    ]


def _archive(about: Mapping[str, Any], test: JudgedTest) -> str:
    """What is ranked, and what was never learned."""
    return (
        f"Every system ranks all {about['maps']} maps for {len(test.places)} test queries at "
        f"{len(np.unique(test.places))} places. The archive is one for all, as in the paper; but no test query, and no "
        "map that answers one, was in a training pair or a vocabulary. Vocabularies and twins are fitted on train, "
        "settings chosen on validation."
    )


def _notes(answers: Mapping[str, Answered], about: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the numbers."""
    trunks = {name: one.pretrained for name, one in answers.items() if one.pretrained is not None}
    notes = ["; ".join(f"{name}: pretrained: {str(said).lower()}" for name, said in trunks.items())] if trunks else []
    left = {
        "queries that no map answers": about["queries"].get("unanswered", 0),
        "queries too near to a query held out": about["queries"].get("gap", 0),
        "images that cannot be read": len(about["left_out"]),
    }
    counted = [f"{what}: {count}" for what, count in left.items() if count]
    if counted:
        notes.append(f"Left out: {'; '.join(counted)}.")
    if about["without_key_points"]:
        notes.append(f"Images without an ORB key point, whose bits are zeros: {about['without_key_points']}.")
    return notes


def shown_systems(systems: pd.DataFrame) -> pd.DataFrame:
    """The table of systems for the page: recall with intervals, the other measures without."""
    recalls = [name for name in MEASURES if name.startswith("recall")]
    ends = [f"{name}{end}" for name in recalls for end in ("", "_low", "_high")]
    others = [name for name in MEASURES if name not in recalls]
    return brief(systems[["system", "val_mAP", *ends, *others]]).assign(setting=systems["setting"].to_numpy())


def paper_sign_test(answers: Mapping[str, Answered], test: JudgedTest) -> str:
    """The paper's own test of its twin against its baseline, and the same of ours."""
    wins, losses, ties = SIGN_TEST
    said = [f"Sign test of P@10 against {BASELINE}: the paper's twin {wins} wins, {losses} losses, {ties} ties (p = 1)"]
    if BASELINE in answers:
        base = test.ranking(answers[BASELINE].scores).metrics.per_query["P@10"]
        for name, one in answers.items():
            if one.target is not None:
                p, *counts = sign_test(test.ranking(one.scores).metrics.per_query["P@10"], base)
                said.append(f"{name} {counts[0]}, {counts[1]}, {counts[2]} ({chance(p)})")
    return "; ".join(said) + "."


def verdict(between: pd.DataFrame, best: str, places: int) -> str:
    """Which systems differ from the best on validation beyond chance, where so many places can show it at all."""
    if between.empty:
        return "One system: nothing to compare."
    if 2 / 2**places * len(between) >= 0.05:
        return f"{places} test places are too few: no p can be low enough to tell {len(between)} systems from {best}."
    worse = between[(between["p_holm"] < 0.05) & (between["difference"] < 0)]["system"]
    better = between[(between["p_holm"] < 0.05) & (between["difference"] > 0)]["system"]
    equal = between[between["p_holm"] >= 0.05]["system"]
    parts = [
        f"{words} {best}: {', '.join(names)}"
        for words, names in (("below", worse), ("above", better), ("not told apart from", equal))
        if len(names)
    ]
    return f"By mAP, permutations of places with Holm's correction at 5 %: {'; '.join(parts)}."


def score_figure(path: Path, answers: Mapping[str, Answered], test: JudgedTest) -> None:
    """Histograms of what each twin says of pairs judged similar and of others: a collapsed output is one spike."""
    twins = {name: one for name, one in answers.items() if one.target is not None}
    queries, maps = test.pairs.T
    relevant = test.sim[queries, maps]
    figure = new_figure(3.2 * min(len(twins), 3), 2.4 * -(-len(twins) // 3))
    for place, (name, one) in enumerate(twins.items(), start=1):
        axes = figure.add_subplot(-(-len(twins) // 3), min(len(twins), 3), place)
        said = one.scores[queries, maps]
        for of, words, colour in ((relevant, "similar", PALETTE[0]), (~relevant, "not", PALETTE[1])):
            axes.hist(said[of], bins=_BINS, color=colour, alpha=0.6, label=words)
        axes.set_title(name, fontsize=10)
        finish(axes, "similarity", "pairs" if place % 3 == 1 else "")
        axes.legend(fontsize=8, frameon=False)
    save(figure, path)


def write_answers(
    path: Path, scores: NDArray[np.float64], sim: NDArray[np.bool_], pictures: Sequence[NDArray[np.uint8]]
) -> None:
    """The contact sheet of a few queries with their first answers, half of them answered rightly."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :_ANSWERS]
    queries, maps = pictures
    rows = [
        [SheetCell(_square(queries[q]), "query", None)]
        + [SheetCell(_square(maps[m]), f"{scores[q, m]:.3f}", bool(sim[q, m])) for m in order[q]]
        for q in choose_queries(sim[np.arange(len(sim)), order[:, 0]], _QUERIES)
    ]
    write_sheet(path, rows)


def _square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture on white, whatever its sides are."""
    side = max(image.shape[:2])
    out = np.full((side, side, 3), 255, np.uint8)
    top, left = ((side - length) // 2 for length in image.shape[:2])
    out[top : top + image.shape[0], left : left + image.shape[1]] = image
    return out


def _sheet(best: str) -> str:
    return f"{best}: left the query, then the maps it ranks first with their scores; green: judged similar."


def _metrics(
    systems: pd.DataFrame, pairs: pd.DataFrame, answers: Mapping[str, Answered], about: Mapping[str, Any]
) -> dict[str, float | int | None]:
    """Everything with its interval, and what was left out."""
    metrics: dict[str, float | int | None] = {
        f"test/left_out/{name}": about["queries"].get(name, 0) for name in ("unanswered", "gap")
    }
    for family, table in (("ranking", systems), ("pairs", pairs)):
        for row in table.to_dict("records"):
            numbers = {name: value for name, value in row.items() if isinstance(value, float) and name != "val_mAP"}
            metrics |= {f"test/{family}/{row['system']}/{name}": value for name, value in numbers.items()}
    metrics |= {f"val/ranking/{name}/mAP": one.val_map for name, one in answers.items()}
    return metrics
