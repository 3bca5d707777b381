"""The report of ``studies/ma_oneshot``: Tables 4 and 5 of Ma et al. beside ours, and which models really differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.evaluation.bootstrap import wilson_interval
from twinfolio.evaluation.oneshot import crossed_interval, oneshot_report
from twinfolio.evaluation.significance import paired_difference, paired_permutation_test
from twinfolio.evaluation.trials import Trials
from twinfolio.reporting.lu import holm
from twinfolio.reporting.ma_paper import MODELS_4, OTHERS, TABLE_4, TABLE_5, TRIALS
from twinfolio.reporting.plots import finish, new_figure, save
from twinfolio.reporting.report import Chapter, Headline, chance, write_report
from twinfolio.reporting.tables import write_table
from twinfolio.reporting.trial_sheet import write_trial_sheet

SETS = {
    "runs": "the 20 runs",
    "paper": "40 trials an alphabet",
    "many": "all trials",
}
"""Sets of trials, and what a reader calls them."""


@dataclass(frozen=True)
class Answers:
    """A model's answers, a row a seed.

    Attributes:
        credit: Set of trials -> (seeds, T).
        families: Set of trials -> (T,).
        facts: Facts of each seed's training, and what the model costs.
        scores: (T, N) of the first seed on the 20 runs.
    """

    credit: dict[str, NDArray[np.float64]]
    families: dict[str, NDArray[np.str_]]
    facts: list[dict[str, Any]]
    scores: NDArray[np.float64]

    def accuracy(self, trials: str) -> tuple[float, float, float, float]:
        """Mean, SD over seeds (NaN for one), and the ends of the interval over families and seeds."""
        of = self.credit[trials]
        spread = float(of.mean(axis=1).std(ddof=1)) if len(of) > 1 else float("nan")
        return float(of.mean()), spread, *crossed_interval(of, self.families[trials])


def gather(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Answers]:
    """Answers by model, from those of each training.

    Args:
        found: ``TRUNK-RECIPE-SEED`` -> ``facts`` and ``credit``, with ``<set>_families`` beside each set and
            ``runs_scores``.
    """
    models: dict[str, list[Mapping[str, Any]]] = {}
    for training, answers in found.items():
        models.setdefault(training.rsplit("-", 1)[0], []).append(answers)
    return {
        model: Answers(
            {name: np.stack([one["credit"][name] for one in seeds]) for name in SETS},
            {name: seeds[0]["credit"][f"{name}_families"] for name in SETS},
            [dict(one["facts"]) for one in seeds],
            seeds[0]["credit"]["runs_scores"],
        )
        for model, seeds in models.items()
    }


def write_tables(
    found: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
    runs: tuple[NDArray[np.uint8], Trials],
    report_dir: Path,
) -> dict[str, float | int]:
    """Write ``report.html``, ``models.csv``, ``alphabets.csv``, ``differences.csv``, ``accuracy.png``, ``trials.png``.

    Args:
        found: See ``gather``.
        about: Where the drawings come from.
        runs: Images (M, H, W) and trials of the 20 runs.
        report_dir: Where they go.

    Returns:
        The numbers for ``metrics.json``.
    """
    models = gather(found)
    of_models, of_alphabets, between = model_table(models), alphabet_table(models), differences(models)
    for name, table in (("models", of_models), ("alphabets", of_alphabets), ("differences", between)):
        write_table(report_dir / f"{name}.csv", table)
    accuracy_figure(report_dir / "accuracy.png", models, official=about["complete"])
    best = max(models, key=lambda model: models[model].accuracy("runs")[0])
    write_trial_sheet(report_dir / "trials.png", *runs, models[best].scores)
    whose = "Omniglot's" if about["complete"] else "not Omniglot's: no published number compares"
    subtitle = (
        f"{about['evaluation']['classes']} characters of {len(about['evaluation']['alphabets'])} alphabets, {whose}; "
        f"settings and stopping chosen on {', '.join(about['validation'])}"
        f"{', then learned too by our recipe' if about['refit'] else ''}; evaluation scored {about['test_uses']} x."
    )
    headlines = [
        Headline(model, f"{mean:.1%}", f"{low:.1%} to {high:.1%} over runs and seeds")
        for model, (mean, _, low, high) in ((model, of.accuracy("runs")) for model, of in models.items())
    ]
    notes = [f"{model}: pretrained: false" for model, of in models.items() if not of.facts[0]["pretrained"]]
    chapters = [
        Chapter(
            "Models (the paper's Table 5)",
            [*_PARAGRAPHS_5, _looks(about["views"]), "; ".join(notes)],
            tables=[("", shown_models(of_models))],
        ),
        Chapter(
            "Accuracy on the 20 runs", figures=[("20-way one-shot, each model's interval", report_dir / "accuracy.png")]
        ),
        Chapter("Trials of the 20 runs", figures=[(_shown_trials(best, models[best]), report_dir / "trials.png")]),
        Chapter("Alphabets (the paper's Table 4)", tables=[("Accuracy over all trials of an alphabet", of_alphabets)]),
        Chapter(
            "Which models really differ",
            [verdict(between)],
            tables=[] if between.empty else [("Paired over all trials", between)],
        ),
    ]
    write_report(report_dir / "report.html", "One-shot characters", subtitle, headlines, chapters)
    return _metrics(models)


_PARAGRAPHS_5 = (
    "A trial asks which of 20 characters of one alphabet a drawing shows; one other drawing shows each. Chance is 5 %.",
    "Models named -paper follow the paper's recipe on 105 x 105 pixels, models named -ours this project's. The paper's "
    "rates are of 800 trials and one training.",
)


def _looks(views: int) -> str:
    """How often our recipe looks at an image, which the table's milliseconds do not count."""
    if views == 1:
        return "Every model looks once at an image."
    return (
        f"Models named -ours look {views} times at an image of the evaluation side, once as it is and else moved as in "
        "training, and average the embeddings; milliseconds and MACs are of one look."
    )


def _shown_trials(model: str, of: Answers) -> str:
    """What the sheet of trials shows."""
    return (
        f"Trials of {model}, first seed, {of.credit['runs'][0].mean():.1%} right: first wrong answers, then right. "
        "Left the drawing asked about, then the most similar of the 20 with their scores; green: the same character."
    )


def model_table(models: Mapping[str, Answers]) -> pd.DataFrame:
    """A row a model: accuracies with their spread and intervals, training and cost; the paper's rows not run, too."""
    rows = []
    for model, of in models.items():
        row: dict[str, Any] = {"model": model, "seeds": len(of.facts)}
        for trials in SETS:
            mean, spread, low, high = of.accuracy(trials)
            row |= {trials: mean, f"{trials}_sd": spread, f"{trials}_low": low, f"{trials}_high": high}
        for name in ("val/oneshot/accuracy", "steps_to_best", "seconds_to_best", "train_steps", "train_seconds",
                     "ms_per_image"):  # fmt: skip
            row[name] = float(np.mean([facts.get(name, np.nan) for facts in of.facts]))
        rows.append(row | {name: of.facts[0][name] for name in ("parameters", "macs")} | _printed(model.split("-")[0]))
    trunks = {model.split("-")[0] for model in models}
    rows += [{"model": f"{trunk}: not run", "seeds": 0, **_printed(trunk)} for trunk in TABLE_5 if trunk not in trunks]
    return pd.DataFrame(rows)


def _printed(trunk: str) -> dict[str, float]:
    """The paper's row of a trunk."""
    if trunk not in TABLE_5:
        return {}
    row = TABLE_5[trunk]
    low, high = wilson_interval(row.accuracy * TRIALS, TRIALS)
    return {"printed": row.accuracy, "printed_low": low, "printed_high": high, "printed_iteration": row.iteration,
            "printed_validation": row.validation}  # fmt: skip


def shown_models(table: pd.DataFrame) -> pd.DataFrame:
    """The table of models as text."""

    def rate(row: Mapping[Any, Any], name: str) -> str:
        if np.isnan(row.get(name, np.nan)):
            return ""
        return f"{row[name]:.1%} ({row[f'{name}_low']:.1%} to {row[f'{name}_high']:.1%})"

    def number(row: Mapping[Any, Any], name: str, form: str) -> str:
        value = row.get(name, np.nan)
        return "" if value != value else format(value, form)

    return pd.DataFrame(
        {
            "model": row["model"],
            "seeds": row["seeds"] or "",
            **{words: rate(row, name) for name, words in SETS.items()},
            "SD over seeds, 20 runs": number(row, "runs_sd", ".2%"),
            "printed": rate(row, "printed"),
            "validation": number(row, "val/oneshot/accuracy", ".1%"),
            "steps to best": number(row, "steps_to_best", ",.0f"),
            "printed steps": number(row, "printed_iteration", ",.0f"),
            "cap": number(row, "train_steps", ",.0f"),
            "minutes to best": number({"m": row.get("seconds_to_best", np.nan) / 60}, "m", ".1f"),
            "parameters": number(row, "parameters", ",.0f"),
            "MACs (M)": number({"m": row.get("macs", np.nan) / 1e6}, "m", ",.1f"),
            "ms a look": number(row, "ms_per_image", ".2f"),
        }
        for row in table.to_dict("records")
    )


def alphabet_table(models: Mapping[str, Answers]) -> pd.DataFrame:
    """A row an alphabet: each model's accuracy over all trials with Wilson's interval, and the paper's three."""
    reports = {model: oneshot_report(of.credit["many"].mean(0), of.families["many"]) for model, of in models.items()}
    alphabets = sorted({name for report in reports.values() for name in report.families})
    rows = []
    for name in alphabets:
        row: dict[str, Any] = {"alphabet": name}
        for model, report in reports.items():
            one = report.families[name]
            row[model] = f"{one.accuracy:.3f} ({one.interval.low:.3f} to {one.interval.high:.3f})"
        printed = TABLE_4.get(name, (np.nan,) * len(MODELS_4))
        rows.append(row | {f"{model}, printed": value for model, value in zip(MODELS_4, printed, strict=True)})
    return pd.DataFrame(rows)


def differences(models: Mapping[str, Answers]) -> pd.DataFrame:
    """Every pair of models on all trials, averaged over seeds and paired; alphabets drawn anew; Holm's correction."""
    rows: list[dict[str, Any]] = []
    for a, b in combinations(models, 2):
        x, y = (models[name].credit["many"].mean(axis=0) for name in (a, b))
        families = models[a].families["many"]
        difference, low, high = paired_difference(x, y, families)
        rows.append({"a": a, "b": b, "difference": difference, "difference_low": low, "difference_high": high,
                     "p": paired_permutation_test(x, y, families)})  # fmt: skip
    table = pd.DataFrame(rows, columns=["a", "b", "difference", "difference_low", "difference_high", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy(np.float64)))


def verdict(between: pd.DataFrame) -> str:
    """Which models differ beyond chance, in a sentence or two."""
    if between.empty:
        return "One model: nothing to compare."
    really = between[between["p_holm"] < 0.05]
    if really.empty:
        return "No two models differ beyond chance (paired over alphabets, Holm at 5 %)."
    said = [
        f"{row['a']} {'above' if row['difference'] > 0 else 'below'} {row['b']} by {abs(row['difference']):.1%} "
        f"({chance(row['p_holm'])})"
        for row in really.to_dict("records")
    ]
    return f"Beyond chance (paired over alphabets, Holm at 5 %): {'; '.join(said)}."


def accuracy_figure(path: Path, models: Mapping[str, Answers], official: bool) -> None:
    """Each model's accuracy on the 20 runs with its interval, and what is published of them."""
    figure = new_figure(7, 1.6 + 0.4 * len(models))
    axes = figure.subplots()
    names: Sequence[str] = list(models)
    for place, name in enumerate(names):
        mean, _, low, high = models[name].accuracy("runs")
        ends = [[mean - low], [high - mean]] if low == low else None
        axes.errorbar([mean], [place], xerr=ends, fmt="o", color="#0072B2", capsize=4)
    for name, value in OTHERS.items() if official else ():
        axes.axvline(value, color="#999999", linewidth=1, linestyle="--")
        axes.annotate(name, (value, len(names) - 0.45), rotation=60, fontsize=8, color="#555555")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    finish(axes, "accuracy", "")
    save(figure, path)


def _metrics(models: Mapping[str, Answers]) -> dict[str, float | int]:
    metrics: dict[str, float | int] = {}
    for model, of in models.items():
        for trials in SETS:
            mean, spread, low, high = of.accuracy(trials)
            values = {"accuracy": mean, "accuracy_low": low, "accuracy_high": high, "sd": spread}
            metrics |= {f"test/{trials}/{model}/{name}": value for name, value in values.items() if value == value}
        metrics[f"test/{model}/pretrained"] = int(of.facts[0]["pretrained"])
    return metrics
