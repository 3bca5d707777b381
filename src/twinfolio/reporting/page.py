"""A self-contained HTML page of pictures: all inside the file, no script, light and dark."""

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

from twinfolio.reporting.tables import replacing

Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""
SIDE = 320
"""Longest side of a picture in a list."""
_QUALITY = 80


@dataclass(frozen=True)
class Contents:
    """The list at the top of a page.

    Attributes:
        noun: What its sections are, in the plural.
        names: One a section; the list is left out where there is one alone.
    """

    noun: str
    names: Sequence[str]


def write_page(path: Path, title: str, subtitle: str, contents: Contents, sections: Iterable[str]) -> None:
    """Write the page; sections are taken one at a time, so that many pictures stay out of memory.

    Args:
        path: The HTML file; what is there is replaced when all is written.
        title: Shown at the top and as the window's title.
        subtitle: One line below it.
        contents: Of the sections.
        sections: HTML, the n-th with the id ``anchor(n)``.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(_head(title, subtitle, contents))
        for section in sections:
            file.write(section)
        file.write("</main></body></html>\n")


def anchor(number: int) -> str:
    """The id of a section, counted from 1."""
    return f"q{number}"


def _head(title: str, subtitle: str, contents: Contents) -> str:
    style = resources.files("twinfolio.reporting").joinpath("page.css").read_text(encoding="utf-8")
    names = list(enumerate(contents.names, start=1))
    links = "".join(f'<li><a href="#{anchor(number)}">{escape(name)}</a></li>' for number, name in names)
    summary = f"{len(names)} {escape(contents.noun)}"
    listed = f"<details class=contents><summary>{summary}</summary><ol>{links}</ol></details>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n<body><main>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p>{listed if len(names) > 1 else ''}</header>\n"
    )


def card(picture: str, rank: int, label: str, below: str) -> str:
    """One picture of a list.

    Args:
        picture: Its tag.
        rank: Its number, from 1.
        label: Its class; empty where it has none.
        below: HTML under it.
    """
    heading = escape(label) if label else "<i>no class</i>"
    return f"<li><figure>{picture}<b class=rank>{rank}</b></figure>\n<h3>{heading}</h3>{below}</li>\n"


def picture_tag(picture: Picture | None, text: str, side: int) -> str:
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
