"""``twinfolio classify``: the class of an image, with its probability."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import Any

from twinfolio.cli.options import add_format, add_images, add_model, at_least_one, complain, embedded


def add_parser(commands: Any) -> None:
    """Add the command."""
    text = "class and calibrated probability of images"
    parser = commands.add_parser("classify", help=text, description=text)
    parser.set_defaults(run=_classify)
    add_images(parser)
    parser.add_argument("-n", "--top", type=int, default=3, help="classes an image (default 3)")
    add_format(parser)
    add_model(parser)


def _classify(options: argparse.Namespace) -> None:
    from twinfolio.reporting.query_page import as_percent
    from twinfolio.serving.certainty import load_certainty
    from twinfolio.serving.classes import most_probable
    from twinfolio.serving.loading import load_program

    top, program = at_least_one("--top", options.top), load_program(options.model)
    temperature = load_certainty(program.folder).temperature
    if temperature is None:
        complain(f"{program.folder}: probabilities are not calibrated (no calibration.json)")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if options.csv:
        writer.writerow(["image", "rank", "label", "probability"])
    for one in embedded(options.image, program.rendering, program.embed):
        found = most_probable(program, one.vectors, temperature, top)
        if options.json:
            classes = [{"label": label, "probability": round(share, 6)} for label, share in found]
            facts = {"image": str(one.path), "calibrated": temperature is not None, "classes": classes}
            print(json.dumps(facts, ensure_ascii=False))
        elif options.csv:
            writer.writerows([one.path, rank, label, round(p, 6)] for rank, (label, p) in enumerate(found, start=1))
        else:
            print(one.path)
            for label, share in found:
                print(f"{as_percent(share):>9}  {label}")
