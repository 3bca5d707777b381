"""``twinfolio``: the model as a tool for people. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from twinfolio.exit_codes import exit_code
from twinfolio.logging import set_up_logging

MODEL, INDEX = Path("outputs/evaluate/model"), Path("index")
CACHE = Path(".twinfolio/embeddings.sqlite")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 2 an error the user can mend."""
    options = _parser().parse_args(arguments)
    set_up_logging("twinfolio")
    run: Callable[[argparse.Namespace], None] = options.run
    return exit_code(lambda: run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="twinfolio", description="Find the images most like this one.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    index = commands.add_parser("index", help="build and change a searchable index").add_subparsers(required=True)
    for name, help_text in (("build", "a new index of a folder"), ("add", "a folder to an index")):
        command = _command(index, name, help_text, _build if name == "build" else _add)
        command.add_argument("folder", type=Path, help="of images or of class folders")
        command.add_argument("--group-pattern", help="regular expression that finds the page in a path")
        _model_option(command)
    command = _command(index, "remove", "images from an index", _remove)
    command.add_argument("pattern", nargs="+", help="image id; * and ? as in a shell")
    _command(index, "info", "what an index holds", _info)
    command = _command(index, "export", "vectors and rows as .npy and .csv", _export)
    command.add_argument("target", type=Path, help="folder for the two files")
    query = _command(commands, "query", "images most like these", _query)
    query.add_argument("image", nargs="+", type=Path)
    query.add_argument("-k", type=int, default=10, help="answers an image (default 10)")
    query.add_argument("--keep-self", action="store_true", help="a query that is in the index may find itself")
    query.add_argument("--json", action="store_true", help="as JSON, a line a query")
    query.add_argument("--csv", action="store_true", help="as CSV")
    _model_option(query)
    return parser


def _command(group: Any, name: str, text: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    parser.add_argument("--index", type=Path, default=INDEX, help=f"folder of the index (default {INDEX})")
    return parser


def _model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=MODEL, help=f"model folder (default {MODEL})")


def _embedded(options: argparse.Namespace) -> Any:
    from twinfolio.retrieval.cache import EmbeddingCache
    from twinfolio.serving.archive import embed_folder
    from twinfolio.serving.program import load_program

    program = load_program(options.model)
    cache = EmbeddingCache(CACHE, program.fingerprint)
    embedded = embed_folder(options.folder, program, cache, group_pattern=options.group_pattern, progress=_with_bar)
    for path, reason in embedded.left_out:
        print(f"left out: {path}: {reason}", file=sys.stderr)
    return program, embedded


def _with_bar(positions: Iterable[int], total: int) -> Iterable[int]:
    from tqdm import tqdm

    return tqdm(positions, total=total, desc="embedding", unit="image", disable=not total)


def _build(options: argparse.Namespace) -> None:
    from twinfolio.serving.archive import build

    program, embedded = _embedded(options)
    build(options.index, embedded, program)
    images = embedded.rows["image_id"].nunique()
    print(f"{options.index}: {images} images, {embedded.computed} embedded now, {len(embedded.left_out)} left out")


def _add(options: argparse.Namespace) -> None:
    from twinfolio.serving.archive import add

    program, embedded = _embedded(options)
    new, replaced = add(options.index, embedded, program)
    print(f"{options.index}: {new} images added, {replaced} replaced, {len(embedded.left_out)} left out")


def _remove(options: argparse.Namespace) -> None:
    from twinfolio.serving.archive import remove

    print(f"{options.index}: {remove(options.index, options.pattern)} images removed")


def _info(options: argparse.Namespace) -> None:
    from twinfolio.retrieval.index import read_index
    from twinfolio.serving.archive import summary

    for name, value in summary(read_index(options.index)).items():
        print(f"{name:<8} {value}")


def _export(options: argparse.Namespace) -> None:
    import shutil

    from twinfolio.retrieval.index import ROWS, VECTORS, read_index

    index = read_index(options.index)
    options.target.mkdir(parents=True, exist_ok=True)
    for name in (VECTORS, ROWS):
        shutil.copyfile(index.folder / name, options.target / name)
    print(f"{options.target}: {len(index)} rows")


def _query(options: argparse.Namespace) -> None:
    from twinfolio.retrieval.index import read_index
    from twinfolio.serving.answers import Searcher
    from twinfolio.serving.program import load_program
    from twinfolio.serving.reading import content_hash, read_rows

    program = load_program(options.model)
    index = read_index(options.index, program.fingerprint)
    searcher = Searcher(index, program.scorer(index.vectors))
    for number, path in enumerate(options.image):
        vectors = program.embed(read_rows(path, program.rendering))
        answers = searcher.ask(vectors, options.k, None if options.keep_self else content_hash(path))
        records = [{"rank": rank, **vars(answer)} for rank, answer in enumerate(answers, start=1)]
        if options.json:
            print(json.dumps({"query": str(path), "answers": records}, ensure_ascii=False))
        elif options.csv:
            _print_csv(str(path), records, header=number == 0)
        else:
            print(path)
            for record in records:
                print(f"{record['rank']:>4}  {record['score']:8.3f}  {record['label']:<30}  {record['image_id']}")


def _print_csv(query: str, records: list[dict[str, Any]], *, header: bool) -> None:
    import csv

    writer = csv.DictWriter(sys.stdout, ["query", "rank", "image_id", "label", "score"], lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({"query": query, **record} for record in records)


if __name__ == "__main__":
    sys.exit(main())
