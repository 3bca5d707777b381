"""``twinfolio duplicates``: images of a folder that show the same picture."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinfolio.cli.options import add_cache, add_format, between, complain, nothing_read, with_bar
from twinfolio.errors import DataError

if TYPE_CHECKING:
    from twinfolio.reporting.duplicates_page import Shown
    from twinfolio.serving.duplicates import ByEmbedding, Cluster, Findings

COLUMNS = ("cluster", "kind", "a", "b", "labels", "cosine")
BITS, MOST_BITS, WHITENED, PLAIN = 4, 16, 0.75, 0.35
_EPILOG = (
    "Equal bytes, equal pixels and near perceptual hashes are what the stage split keeps together (near ones within a "
    "class). A model finds turned and faded copies that hashes miss, and also images that only look alike: look at the "
    "page. Images that cannot be read are listed on standard error; the exit status is 2 where none could be read."
)
_SAID = {"bytes": "same bytes as", "pixels": "same pixels as", "near": "near by hash to"}


def add_parser(commands: Any) -> None:
    """Add the command."""
    text = "clusters of images that show the same picture: exact, near by hash, near by a model's embedding"
    parser = commands.add_parser("duplicates", help=text, description=text, epilog=_EPILOG)
    parser.set_defaults(run=_duplicates)
    parser.add_argument("folder", type=Path, help="of images or of class folders")
    parser.add_argument("--bits", type=int, default=BITS, help=f"most bits two near hashes differ in (default {BITS})")
    parser.add_argument("--model", type=Path, help="model folder that compares images, too (default: hashes alone)")
    similarity = f"least cosine, with --model (default {WHITENED}, of a classical system {PLAIN})"
    parser.add_argument("--similarity", type=float, metavar="TAU", help=similarity)
    parser.add_argument("--html", type=Path, help="write a page with pictures, too")
    add_format(parser, json="JSON, a line a cluster")
    add_cache(parser)


def _duplicates(options: argparse.Namespace) -> None:
    from twinfolio.serving.duplicates import find_clusters

    between("--bits", options.bits, 0, MOST_BITS)
    model = _model(options)
    found = find_clusters(options.folder, options.bits, model, bar=sys.stderr.isatty())
    for path, reason in found.left_out:
        complain(f"{options.folder / path}: {reason}")
    if not found.images:
        raise nothing_read(len(found.left_out), [str(options.folder)])
    if options.html is not None:
        _write_page(options, found)
    show = _print_json if options.json else _print_csv if options.csv else _print_text
    show(options.folder, found)


def _model(options: argparse.Namespace) -> ByEmbedding | None:
    """How a model compares, where one is named.

    Raises:
        DataError: A similarity without a model.
    """
    if options.model is None:
        if options.similarity is not None:
            raise DataError("--similarity: no model compares images", "name one with --model")
        return None
    from twinfolio.retrieval.cache import EmbeddingCache
    from twinfolio.serving.duplicates import ByEmbedding
    from twinfolio.serving.encoded import EncodedProgram
    from twinfolio.serving.gallery import read_gallery
    from twinfolio.serving.loading import load_program

    program = load_program(options.model)
    plain = isinstance(program, EncodedProgram)
    least = (PLAIN if plain else WHITENED) if options.similarity is None else options.similarity
    between("--similarity", least, 0, 1)
    gallery = None if plain else read_gallery(program).vectors
    return ByEmbedding(program, gallery, EmbeddingCache(options.cache, program.fingerprint), least, with_bar)


def _print_json(folder: Path, found: Findings) -> None:
    for number, cluster in enumerate(found.clusters, start=1):
        links = [{name: record[name] for name in ("kind", "a", "b", "cosine")} for record in _records(folder, cluster)]
        images = [str(folder / path) for path in cluster.members]
        facts = {"cluster": number, "kind": cluster.kind, "labels": cluster.labels, "images": images, "links": links}
        print(json.dumps(facts, ensure_ascii=False))


def _print_csv(folder: Path, found: Findings) -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, cluster in enumerate(found.clusters, start=1):
        writer.writerows({"cluster": number, **record} for record in _records(folder, cluster))


def _print_text(folder: Path, found: Findings) -> None:
    print(_summary(found))
    for number, cluster in enumerate(found.clusters, start=1):
        print("; ".join(filter(None, [f"\n{number}  {_title(cluster)}", _warning(cluster)])))
        for path in cluster.members:
            print("  ".join(filter(None, [f"   {folder / path}", _said(folder, cluster, path)])))


def _records(folder: Path, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """A record a link, as in ``split``'s table of duplicates."""
    for link in cluster.links:
        cosine = None if link.cosine is None else round(link.cosine, 6)
        ends = {"a": str(folder / link.a), "b": str(folder / link.b)}
        yield {"kind": link.kind, **ends, "labels": " | ".join(link.labels), "cosine": cosine}


def _summary(found: Findings) -> str:
    kinds = Counter(cluster.kind for cluster in found.clusters)
    each = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    counts = f"{found.images} images, {len(found.clusters)} clusters of duplicates"
    return f"{counts}: {each}" if each else counts


def _title(cluster: Cluster) -> str:
    return f"{cluster.kind}, {len(cluster.members)} images"


def _warning(cluster: Cluster) -> str:
    """That its images are of several classes; empty where they are not."""
    return f"labels differ: {' | '.join(cluster.labels)}" if len(cluster.labels) > 1 else ""


def _said(folder: Path, cluster: Cluster, path: str) -> str:
    """What links an image to earlier ones, in words."""
    links = [link for link in cluster.links if link.b == path]
    ways = [_SAID.get(link.kind) or f"cosine {link.cosine:.3f} with" for link in links]
    return ", ".join(f"{way} {folder / link.a}" for way, link in zip(ways, links, strict=True))


def _write_page(options: argparse.Namespace, found: Findings) -> None:
    from twinfolio.reporting.duplicates_page import write_duplicates_page

    titles = [f"{number}  {_title(cluster)}" for number, cluster in enumerate(found.clusters, start=1)]
    subtitle = f"{options.folder}: {_summary(found)}"
    write_duplicates_page(options.html, subtitle, titles, _shown(options.folder, found, titles))
    complain(f"{options.html}: written")


def _shown(folder: Path, found: Findings, titles: list[str]) -> Iterator[Shown]:
    """Clusters with their pictures, opened one cluster at a time."""
    from twinfolio.cli.page import open_picture
    from twinfolio.data.sources.folder import class_of
    from twinfolio.reporting.duplicates_page import Member, Shown

    for title, cluster in zip(titles, found.clusters, strict=True):
        members = [
            Member(str(folder / path), class_of(path), _said(folder, cluster, path), open_picture(folder / path))
            for path in cluster.members
        ]
        yield Shown(title, _warning(cluster), members)
