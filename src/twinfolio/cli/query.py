"""``twinfolio query``: the images most like these."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinfolio.cli.options import add_format, add_images, add_model, at_least_one, complain, embedded

if TYPE_CHECKING:
    from twinfolio.cli.results import Result
    from twinfolio.serving.answers import Searcher
    from twinfolio.serving.program import Program

COLUMNS = ("query", "rank", "image_id", "path", "label", "score", "probability", "known", "classes")


def add_parser(commands: Any) -> None:
    """Add the command."""
    text = "images most like these"
    parser = commands.add_parser("query", help=text, description=text)
    parser.set_defaults(run=_query)
    add_images(parser)
    parser.add_argument("-k", type=int, default=10, help="answers an image (default 10)")
    parser.add_argument("--index", type=Path, help="folder of an index (default: the model's own gallery)")
    parser.add_argument("--images", type=Path, help="folder to look in for the gallery's image files")
    parser.add_argument("--keep-self", action="store_true", help="a query that is in the index may find itself")
    parser.add_argument("--exclude-group", action="store_true", help="nor may it find its own page (where it is known)")
    parser.add_argument("--html", type=Path, help="write a page with pictures, too")
    parser.add_argument("--thumbnails", choices=("auto", "always", "never"), default="auto", help="in the terminal")
    add_format(parser)
    add_model(parser)


def _query(options: argparse.Namespace) -> None:
    from twinfolio.serving.loading import load_program

    k, program = at_least_one("-k", options.k), load_program(options.model)
    for note in program.notes:
        complain(note)
    searcher = _searcher(options, program)
    results = _results(options, program, searcher, k)
    if options.html is not None:
        results = _with_page(options, program, searcher, results)
    show = _print_json if options.json else _print_csv if options.csv else _print_text
    show(options, searcher, results)


def _searcher(options: argparse.Namespace, program: Program) -> Searcher:
    from twinfolio.retrieval.index import read_index
    from twinfolio.serving.answers import Searcher
    from twinfolio.serving.archive import prepare
    from twinfolio.serving.certainty import load_certainty
    from twinfolio.serving.gallery import read_gallery

    own = options.index is None
    index = read_gallery(program, options.images) if own else read_index(options.index, program.fingerprint)
    certainty = load_certainty(program.folder)
    if certainty.pairs is None:
        complain(f"{program.folder}: not calibrated (no calibration.json): scores only")
    if not options.keep_self and not any(index.rows.content):
        complain(f"{index.name}: holds no content hashes: a query that is in it finds itself")
    return Searcher(index, prepare(index, program), certainty)


def _results(options: argparse.Namespace, program: Program, searcher: Searcher, k: int) -> Iterator[Result]:
    from twinfolio.cli.results import Result
    from twinfolio.serving.reading import content_hash

    for one in embedded(options.image, program.rendering, program.embed_views):
        content = content_hash(one.path)
        reply = searcher.ask(one.vectors, k, content, keep_self=options.keep_self, exclude_group=options.exclude_group)
        if reply.available < k:
            complain(f"{one.path}: -k {k}, but there are only {reply.available} images to find")
        yield Result(one.path, reply, [searcher.index.file(answer.path, options.images) for answer in reply.answers])


def _with_page(
    options: argparse.Namespace, program: Program, searcher: Searcher, results: Iterator[Result]
) -> Iterator[Result]:
    from twinfolio.cli.maps import explainer
    from twinfolio.cli.page import write_page

    whole = list(results)
    write_page(options.html, whole, searcher, program, explainer(program))
    complain(f"{options.html}: written")
    return iter(whole)


def _print_json(options: argparse.Namespace, searcher: Searcher, results: Iterator[Result]) -> None:
    for result in results:
        print(json.dumps(result.as_json(searcher.certainty), ensure_ascii=False))


def _print_csv(options: argparse.Namespace, searcher: Searcher, results: Iterator[Result]) -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerows(result.as_records())


def _print_text(options: argparse.Namespace, searcher: Searcher, results: Iterator[Result]) -> None:
    from twinfolio.cli.thumbnails import choose_protocol, show_strip

    protocol = choose_protocol(options.thumbnails)
    for result in results:
        print(result.query)
        if protocol is not None:
            show_strip([result.query, *result.files], protocol)
        for line in result.as_lines(searcher.certainty):
            print(line)
