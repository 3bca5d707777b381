"""``twinfolio index``: searchable folders of embeddings."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinfolio.cli.options import add_cache, add_model, complain, with_bar
from twinfolio.errors import DataError

if TYPE_CHECKING:
    from twinfolio.serving.folder import Embedded
    from twinfolio.serving.program import Program

INDEX = Path("index")
BACKENDS = ("exact", "hnsw", "ivfpq")


def add_parser(commands: Any) -> None:
    """Add the command with its five sub-commands."""
    text = "build and change a searchable index"
    group = commands.add_parser("index", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    build = _command(group, "build", "a new index of a folder, or of the model's own gallery", _build)
    build.add_argument("folder", type=Path, nargs="?", help="of images or of class folders; none: the model's gallery")
    build.add_argument("--backend", choices=BACKENDS, default="exact", help="what searches it (default exact)")
    build.add_argument("--images", type=Path, help="folder that the images of the model's gallery lie in")
    more = _command(group, "add", "a folder to an index; images of the same name are replaced", _add)
    more.add_argument("folder", type=Path, help="of images or of class folders")
    for parser in (build, more):
        parser.add_argument("--name", help="what ids begin with (default: the folder's name)")
        parser.add_argument("--group-pattern", help="regular expression that finds the page in a path")
        add_cache(parser)
        add_model(parser)
    remove = _command(group, "remove", "images from an index", _remove)
    remove.add_argument("pattern", nargs="+", help="image id; * and ? as in a shell")
    add_model(remove)
    _command(group, "info", "what an index holds", _info)
    export = _command(group, "export", "vectors and rows as .npy and .csv", _export)
    export.add_argument("target", type=Path, help="folder for the files")


def _command(group: Any, name: str, text: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    parser.add_argument("--index", type=Path, default=INDEX, help=f"folder of the index (default {INDEX})")
    return parser


def _embed(options: argparse.Namespace, program: Program) -> Embedded:
    from twinfolio.retrieval.cache import EmbeddingCache
    from twinfolio.serving.folder import embed_folder

    embedded = embed_folder(
        options.folder,
        program,
        EmbeddingCache(options.cache, program.fingerprint),
        source=options.name,
        group_pattern=options.group_pattern,
        progress=with_bar,
    )
    for path, reason in embedded.left_out.items():
        complain(f"left out: {path}: {reason}")
    return embedded


def _build(options: argparse.Namespace) -> None:
    from twinfolio.retrieval.index import read_index
    from twinfolio.serving.archive import build, build_from_gallery, recall
    from twinfolio.serving.gallery import read_gallery
    from twinfolio.serving.loading import load_program

    started, program = time.perf_counter(), load_program(options.model)
    if options.folder is None:
        gallery = read_gallery(program, options.images)
        build_from_gallery(options.index, gallery, program, options.backend)
        images, computed, left_out = gallery.rows.n_images, 0, 0
    else:
        embedded = _embed(options, program)
        build(options.index, embedded, program, options.backend)
        images, computed, left_out = embedded.rows.n_images, embedded.computed, len(embedded.left_out)
    seconds = time.perf_counter() - started
    print(f"{options.index}: {images} images, {computed} embedded now, {left_out} left out, {seconds:.1f} s")
    if options.backend != "exact":
        share = recall(read_index(options.index, program.fingerprint), program)
        print(f"{options.index}: {options.backend} finds {share:.3f} of the 10 nearest that exact search finds")


def _add(options: argparse.Namespace) -> None:
    from twinfolio.serving.archive import add
    from twinfolio.serving.loading import load_program

    started, program = time.perf_counter(), load_program(options.model)
    embedded = _embed(options, program)
    new, replaced = add(options.index, embedded, program)
    counts = f"{new} images added, {replaced} replaced, {embedded.computed} embedded now"
    print(f"{options.index}: {counts}, {len(embedded.left_out)} left out, {time.perf_counter() - started:.1f} s")


def _remove(options: argparse.Namespace) -> None:
    from twinfolio.serving.archive import remove
    from twinfolio.serving.loading import load_program

    removed = remove(options.index, options.pattern, load_program(options.model))
    print(f"{options.index}: {removed} images removed")


def _info(options: argparse.Namespace) -> None:
    from twinfolio.retrieval.index import read_index
    from twinfolio.serving.archive import summary

    for name, value in summary(read_index(options.index)).items():
        print(f"{name:<8}  {value}")


def _export(options: argparse.Namespace) -> None:
    from twinfolio.retrieval.index import export_index, read_index

    index = read_index(options.index)
    if options.target.resolve() == options.index.resolve():
        raise DataError(f"{options.target}: is the index itself", "name another folder")
    export_index(index, options.target)
    print(f"{options.target}: {len(index)} rows")
