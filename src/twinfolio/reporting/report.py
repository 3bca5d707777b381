"""A report as one self-contained HTML page: tables, figures inside the file, plain CSS, no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_CSS = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: #1b1b1b; max-width: 70rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; margin-bottom: .2rem; }
h2 { margin-top: 2.4rem; border-bottom: 1px solid #ccc; padding-bottom: .2rem; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.cards li { border: 1px solid #ccc; border-radius: .5rem; padding: .6rem 1rem; min-width: 11rem; }
.cards b { display: block; font-size: 1.7rem; line-height: 1.2; }
.cards span { display: block; color: #555; font-size: .85rem; }
.note { border-left: 4px solid #E69F00; background: #fff8ea; padding: .5rem .9rem; margin: .8rem 0; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; margin: .8rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e3e3e3; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #999; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; }
details summary { cursor: pointer; color: #0072B2; }
"""


@dataclass(frozen=True)
class Headline:
    """One number of the top row: what it is, the value, what stands below it (its interval)."""

    name: str
    value: str
    below: str = ""


@dataclass(frozen=True)
class Chapter:
    """A part of the page.

    Attributes:
        heading: Its title.
        paragraphs: Plain text.
        notes: Cautions, set off by colour.
        tables: (caption, table) in order; a table with more than 20 rows is folded.
        figures: (caption, PNG file) in order.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    notes: Sequence[str] = ()
    tables: Sequence[tuple[str, pd.DataFrame]] = ()
    figures: Sequence[tuple[str, Path]] = field(default=())


def headline(name: str, value: float, low: float, high: float) -> Headline:
    """A number with its interval; the ends are left out where there is none."""
    return Headline(name, f"{value:.3f}", "" if low != low else f"{low:.3f} to {high:.3f}")


def chance(p: float) -> str:
    """A test's p in words."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def brief(table: pd.DataFrame) -> pd.DataFrame:
    """A table for the page: value and interval in one cell; every column is in the CSV."""
    import pandas as pd

    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        if column.endswith(("_low", "_high")) or column.startswith(
            ("R@", "macro_R@", "macro_cmc@", "macro_P@", "cmc@")
        ):
            continue
        if f"{column}_low" in table:
            ends = zip(table[column], table[f"{column}_low"], table[f"{column}_high"], strict=True)
            shown[column] = [_with_interval(*cell) for cell in ends]
        elif column == "p":
            shown[column] = ["< 0.001" if value < 0.001 else value for value in table[column]]
        else:
            shown[column] = table[column]
    return shown


def _with_interval(value: float, low: float, high: float) -> str:
    """One cell; nothing where there is no value, no ends where there is no interval."""
    if value != value:
        return ""
    if low != low:
        return f"{value:.3f}"
    # a dash before a minus sign would not be read
    return f"{value:.3f} ({low:.3f} to {high:.3f})" if low < 0 else f"{value:.3f} ({low:.3f}–{high:.3f})"  # noqa: RUF001


def write_report(
    path: Path,
    title: str,
    subtitle: str,
    headlines: Sequence[Headline],
    chapters: Sequence[Chapter],
    notes: Sequence[str] = (),
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        title: Shown at the top and as the window's title.
        subtitle: One line below it.
        headlines: The numbers that come first.
        chapters: The rest, in order.
        notes: Cautions before the first chapter.
    """
    cards = "".join(
        f"<li>{escape(h.name)}<b>{escape(h.value)}</b><span>{escape(h.below)}</span></li>" for h in headlines
    )
    body = [f"<h1>{escape(title)}</h1>", f"<p>{escape(subtitle)}</p>", f'<ul class="cards">{cards}</ul>']
    body += [_note(text) for text in notes]
    body += [_chapter(chapter) for chapter in chapters]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(page, encoding="utf-8")
    part.replace(path)


def _chapter(chapter: Chapter) -> str:
    """One chapter as HTML."""
    parts = [f"<h2>{escape(chapter.heading)}</h2>"]
    parts += [f"<p>{escape(text)}</p>" for text in chapter.paragraphs]
    parts += [_note(text) for text in chapter.notes]
    parts += [_table(caption, table) for caption, table in chapter.tables]
    parts += [_figure(caption, png) for caption, png in chapter.figures]
    return "\n".join(parts)


def _note(text: str) -> str:
    """A caution, set off by colour."""
    return f'<p class="note">{escape(text)}</p>'


def _table(caption: str, table: pd.DataFrame) -> str:
    """A table; a long one is folded."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    html = f'<div class="table"><table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>'
    if len(table) > 20:
        return f"<details><summary>{escape(caption)} ({len(table)} rows)</summary>{html}</details>"
    return f"<p>{escape(caption)}</p>{html}"


def _cell(value: object) -> str:
    """Numbers with three digits, nothing for what is missing."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}"
    return "" if value is None else str(value)


def _figure(caption: str, png: Path) -> str:
    """The picture's bytes inside the page."""
    data = base64.b64encode(png.read_bytes()).decode("ascii")
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
