"""Clusters of duplicates as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from twinfolio.reporting.page import SIDE, Contents, Picture, anchor, card, picture_tag, write_page


@dataclass(frozen=True)
class Member:
    """One image of a cluster.

    Attributes:
        path: Its file.
        label: Its class; empty where it has none.
        said: What links it, in words; empty for the first.
        picture: None where the file is not there.
    """

    path: str
    label: str
    said: str
    picture: Picture | None


@dataclass(frozen=True)
class Shown:
    """A cluster.

    Attributes:
        title: Its heading.
        warning: Set off by colour; empty for none.
        members: Its images.
    """

    title: str
    warning: str
    members: Sequence[Member]


def write_duplicates_page(path: Path, subtitle: str, titles: Sequence[str], clusters: Iterable[Shown]) -> None:
    """Write the page; clusters are taken one at a time.

    Args:
        path: The HTML file; what is there is replaced when all is written.
        subtitle: One line at the top.
        titles: Of the clusters, for the list at the top.
        clusters: In the order of ``titles``.
    """
    sections = (_section(one, number) for number, one in enumerate(clusters, start=1))
    write_page(path, "Duplicate images", subtitle, Contents("clusters", titles), sections)


def _section(shown: Shown, number: int) -> str:
    warning = f'<p class="verdict unknown">{escape(shown.warning)}</p>' if shown.warning else ""
    cards = "".join(_card(member, rank) for rank, member in enumerate(shown.members, start=1))
    return (
        f'<section id="{anchor(number)}">\n<h2>{escape(shown.title)}</h2>{warning}\n'
        f"<ol class=matches>{cards}</ol>\n</section>\n"
    )


def _card(member: Member, rank: int) -> str:
    said = f"<p class=score>{escape(member.said)}</p>" if member.said else ""
    below = f"{said}<p class=path>{escape(member.path)}</p>"
    return card(picture_tag(member.picture, member.path, SIDE), rank, member.label, below)
