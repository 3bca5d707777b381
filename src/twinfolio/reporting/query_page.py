"""What a query found, as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from twinfolio.reporting.page import SIDE, Contents, Picture, anchor, card, picture_tag, write_page

_QUERY_SIDE, _MAP_SIDE = 560, 320


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
    sections = (_section(one, number) for number, one in enumerate(found, start=1))
    write_page(path, title, subtitle, Contents("queries", names), sections)


def _section(found: Found, number: int) -> str:
    state = {None: "open", True: "known", False: "unknown"}[found.known]
    classes = "".join(f"<li><span>{escape(name)}</span>{_bar(share)}</li>" for name, share in found.classes)
    promised = f'<p class=promise>{escape(found.promise)}</p><ul class="classes">{classes}</ul>' if classes else ""
    cards = "".join(_card(match, rank) for rank, match in enumerate(found.matches, start=1))
    picture = picture_tag(found.picture, found.name, _QUERY_SIDE)
    return (
        f'<section id="{anchor(number)}">\n<div class=query><figure>{picture}</figure>\n'
        f"<div><h2>{escape(found.name)}</h2>"
        f'<p class="verdict {state}">{escape(found.verdict)}</p>{promised}</div></div>\n'
        f"<ol class=matches>{cards}</ol>\n</section>\n"
    )


def _card(match: Match, rank: int) -> str:
    certain = "" if match.probability is None else _bar(match.probability)
    texts = f"<p class=score>score {match.score:.3f}</p><p class=path>{escape(match.path or match.name)}</p>"
    return card(picture_tag(match.picture, match.name, SIDE), rank, match.label, f"{certain}{texts}{_maps(match)}")


def _maps(match: Match) -> str:
    if match.maps is None:
        return ""
    pair = "".join(
        f"<figure>{picture_tag(picture, text, _MAP_SIDE)}<figcaption>{text}</figcaption></figure>"
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
