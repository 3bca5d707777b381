"""What a query found, as one self-contained HTML page: pictures inside the file, no script, light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""
_SIDE, _QUERY_SIDE, _MAP_SIDE, _QUALITY = 320, 560, 320, 80


@dataclass(frozen=True)
class Maps:
    """Where a score comes from.

    Attributes:
        query: The query with its map.
        answer: The image that was found with its map.
        legend: What the colours mean, in words.
    """

    query: Picture
    answer: Picture
    legend: str


@dataclass(frozen=True)
class Match:
    """One image that was found.

    Attributes:
        name: Its id in the index.
        label: Its class; empty where it has none.
        score: The model's score.
        probability: That both are of one class; None where the model is not calibrated.
        path: Its file as text; empty where it is not known.
        picture: None where the file is not there.
        maps: Where the score comes from; None without.
    """

    name: str
    label: str
    score: float
    probability: float | None = None
    path: str = ""
    picture: Picture | None = None
    maps: Maps | None = None


@dataclass(frozen=True)
class Found:
    """A query and what it found.

    Attributes:
        name: The query's path.
        picture: The query.
        known: Whether it shows a known class; None where the model has no threshold for that.
        verdict: The verdict in words.
        classes: Class and probability, the set that is promised to hold the right class; empty without one.
        promise: What is promised of the set, in words.
        matches: Best first.
    """

    name: str
    picture: Picture | None
    known: bool | None
    verdict: str
    classes: Sequence[tuple[str, float]] = ()
    promise: str = ""
    matches: Sequence[Match] = ()


def write_query_page(path: Path, title: str, subtitle: str, names: Sequence[str], found: Iterable[Found]) -> None:
    """Write the page; results are taken one at a time, so that a large batch stays out of memory.

    Args:
        path: The HTML file; what is there is replaced when all is written.
        title: Shown at the top and as the window's title.
        subtitle: One line below it.
        names: Of the queries, for the list at the top.
        found: The results, in the order of ``names``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(_head(title, subtitle, names))
        for number, one in enumerate(found, start=1):
            file.write(_section(one, number))
        file.write("</main></body></html>\n")
    part.replace(path)


def _head(title: str, subtitle: str, names: Sequence[str]) -> str:
    style = resources.files("twinfolio.reporting").joinpath("query_page.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#q{n}">{escape(name)}</a></li>' for n, name in enumerate(names, start=1))
    listed = f"<details class=contents><summary>{len(names)} queries</summary><ol>{links}</ol></details>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n<body><main>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p>{listed if len(names) > 1 else ''}</header>\n"
    )


def _section(found: Found, number: int) -> str:
    state = {None: "open", True: "known", False: "unknown"}[found.known]
    classes = "".join(f"<li><span>{escape(name)}</span>{_bar(share)}</li>" for name, share in found.classes)
    promised = f'<p class=promise>{escape(found.promise)}</p><ul class="classes">{classes}</ul>' if classes else ""
    cards = "".join(_card(match, rank) for rank, match in enumerate(found.matches, start=1))
    return (
        f'<section id="q{number}">\n<div class=query><figure>{_picture(found.picture, found.name, _QUERY_SIDE)}'
        f"</figure><div><h2>{escape(found.name)}</h2>"
        f'<p class="verdict {state}">{escape(found.verdict)}</p>{promised}</div></div>\n'
        f"<ol class=matches>{cards}</ol>\n</section>\n"
    )


def _card(match: Match, rank: int) -> str:
    certain = "" if match.probability is None else _bar(match.probability)
    label = escape(match.label) if match.label else "<i>no class</i>"
    return (
        f"<li><figure>{_picture(match.picture, match.name, _SIDE)}<b class=rank>{rank}</b></figure>\n"
        f"<h3>{label}</h3>{certain}<p class=score>score {match.score:.3f}</p>"
        f"<p class=path>{escape(match.path or match.name)}</p>{_maps(match)}</li>\n"
    )


def _maps(match: Match) -> str:
    if match.maps is None:
        return ""
    pair = "".join(
        f"<figure>{_picture(picture, text, _MAP_SIDE)}<figcaption>{text}</figcaption></figure>"
        for picture, text in ((match.maps.query, "query"), (match.maps.answer, "this image"))
    )
    legend = f"<p class=score>{escape(match.maps.legend)}</p>"
    return f"<details><summary>Where the match comes from</summary><div class=maps>{pair}</div>{legend}</details>"


def _bar(share: float) -> str:
    """A probability as a bar with its number."""
    percent = as_percent(share)
    return (
        f'<span class=bar role=img aria-label="{escape(percent)}"><i style="width:{100 * share:.1f}%"></i></span>'
        f"<span class=percent>{escape(percent)}</span>"
    )


def as_percent(share: float) -> str:
    """A probability for people: never 0 or 100 %, which no finite sample supports."""
    if share < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def _picture(picture: Picture | None, text: str, side: int) -> str:
    """The picture, no larger than it is shown, as JPEG inside the page."""
    if picture is None:
        return "<div class=missing>image file not found</div>"
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img alt="{escape(text)}" {size} src="data:image/jpeg;base64,{data}">'
