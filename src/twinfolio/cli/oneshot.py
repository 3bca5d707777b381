"""``twinfolio oneshot``: how often the model tells apart N classes that are new to it, from K images of each."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinfolio.cli.options import add_format, add_model, at_least_one, complain

if TYPE_CHECKING:
    from twinfolio.evaluation.oneshot import Accuracy, OneShotReport
    from twinfolio.evaluation.trials import Trials
    from twinfolio.serving.oneshot import Collection


def add_parser(commands: Any) -> None:
    """Add the command."""
    text = "accuracy of N-way K-shot trials on classes the model has not been trained on"
    parser = commands.add_parser("oneshot", help=text, description=text)
    parser.set_defaults(run=_oneshot)
    parser.add_argument("folder", type=Path, help="folder of class folders")
    parser.add_argument("--families", action="store_true", help="class folders lie in family folders (alphabets)")
    parser.add_argument("--across", action="store_true", help="trials mix the classes of all families")
    parser.add_argument("--ways", type=int, default=20, metavar="N", help="classes a trial (default 20)")
    parser.add_argument("--shots", type=int, default=1, metavar="K", help="images that show each (default 1)")
    parser.add_argument("--trials", type=int, default=400, help="trials a family (default 400)")
    parser.add_argument("--support", choices=("score", "embedding"), default="score", help="what K images average")
    parser.add_argument("--group-pattern", metavar="REGEX", help="page or writer in the path: no query meets its own")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--episodes", type=Path, metavar="CSV", help="trials to run again; drawn and written if new")
    add_format(parser, json="JSON, one object")
    add_model(parser)


def _oneshot(options: argparse.Namespace) -> None:
    from twinfolio.evaluation.oneshot import oneshot_report
    from twinfolio.evaluation.trials import write_trials
    from twinfolio.serving.loading import load_program
    from twinfolio.serving.oneshot import credit_of, embed_collection, group_images, known_classes, list_collection

    at_least_one("--shots", options.shots)
    at_least_one("--trials", options.trials)
    at_least_one("--ways", options.ways)
    program = load_program(options.model)
    collection = list_collection(options.folder, options.families, complain)
    _trials(options, collection, collection.names)  # too few classes are told before the images are embedded
    embedded = embed_collection(options.folder, collection, program, complain)
    collection = embedded.collection
    known = known_classes(collection, program)
    if known:
        complain(f"{len(known)} of these classes were trained on, such as {known[0]}: they are not new to the model")
    trials = _trials(options, collection, group_images(options.folder, collection, options.group_pattern))
    if options.episodes is not None and not options.episodes.exists():
        write_trials(trials, collection.names, options.episodes)
        complain(f"{options.episodes}: written")
    report = oneshot_report(credit_of(trials, embedded, program, options.support), trials.families, options.seed)
    show = _print_json if options.json else _print_csv if options.csv else _print_text
    show(trials, report, len(known))


def _trials(options: argparse.Namespace, collection: Collection, groups: Sequence[str]) -> Trials:
    """Those of the file where there is one, else drawn."""
    from twinfolio.evaluation.trials import draw_trials, read_trials
    from twinfolio.serving.oneshot import WHOLE

    if options.episodes is not None and options.episodes.exists():
        return read_trials(options.episodes, collection.names)
    return draw_trials(
        collection.classes,
        [WHOLE] * len(collection.names) if options.across else collection.families,
        groups,
        ways=options.ways,
        shots=options.shots,
        per_family=options.trials,
        seed=options.seed,
    )


def _facts(one: Accuracy) -> dict[str, float]:
    low, high = one.interval
    return {"trials": one.trials, "accuracy": one.accuracy, "low": low, "high": high}


def _print_json(trials: Trials, report: OneShotReport, known: int) -> None:
    families = {name: _facts(one) for name, one in report.families.items()}
    facts = {"ways": trials.ways, "shots": trials.shots, "classes_trained_on": known, **_facts(report.whole)}
    print(json.dumps(facts | {"families": families}, ensure_ascii=False))


def _print_csv(trials: Trials, report: OneShotReport, known: int) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["family", "trials", "accuracy", "low", "high"])
    for name, one in [*report.families.items(), ("", report.whole)]:
        writer.writerow([name, *_facts(one).values()])


def _print_text(trials: Trials, report: OneShotReport, known: int) -> None:
    print(f"{trials.ways}-way {trials.shots}-shot, chance {1 / trials.ways:.1%}, intervals by Wilson, 95 %")
    several = report.families.items() if len(report.families) > 1 else ()
    for name, one in [*several, (f"all {report.whole.trials} trials", report.whole)]:
        print(f"{one.accuracy:7.1%}  ({one.interval.low:.1%} to {one.interval.high:.1%})  {name}")
    low, high = report.over_families
    if several:
        print(f"         ({low:.1%} to {high:.1%})  the same, families drawn anew")
