"""The contact sheet: each query with its first answers, right ones framed green, wrong ones red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

RIGHT, WRONG, QUERY = "#009E73", "#D55E00", "#333333"
"""Frames: the green and red of Okabe and Ito; wrong answers are also struck with a corner mark."""

_GAP, _FRAME, _CAPTION = 8, 4, 34


@dataclass(frozen=True)
class SheetCell:
    """One picture of the sheet.

    Attributes:
        image: uint8 (H, W, 3) or (H, W, 1).
        caption: Up to two lines below the picture (class, score).
        right: Whether the answer is right; None for the query itself.
    """

    image: np.ndarray
    caption: str
    right: bool | None


def write_sheet(path: Path, rows: Sequence[Sequence[SheetCell]], cell: int = 128) -> None:
    """Write the sheet: a row a query, the query first.

    Args:
        path: The PNG to write.
        rows: The cells; rows may differ in length.
        cell: Side of a picture, in pixels.
    """
    from PIL import Image, ImageDraw

    columns = max((len(row) for row in rows), default=1)
    width = columns * (cell + _GAP) + 3 * _GAP
    height = len(rows) * (cell + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, max(height, cell)), "white")
    draw, font = ImageDraw.Draw(sheet), _font(11)
    for i, row in enumerate(rows):
        for j, item in enumerate(row):
            # the query stands a little apart from its answers
            left, top = _GAP + j * (cell + _GAP) + (_GAP if j else 0), _GAP + i * (cell + _CAPTION + _GAP)
            sheet.paste(_framed(item, cell), (left, top))
            _mark(draw, item.right, left, top, cell)
            _write_caption(draw, font, item.caption, left, top + cell + 2, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    sheet.save(part, format="PNG")
    part.replace(path)


def _framed(item: SheetCell, cell: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """The picture scaled into its frame."""
    from PIL import Image

    colour = {None: QUERY, True: RIGHT, False: WRONG}[item.right]
    frame = Image.new("RGB", (cell, cell), colour)
    pixels = item.image if item.image.shape[-1] == 3 else np.repeat(item.image, 3, axis=-1)
    inner = cell - 2 * _FRAME
    frame.paste(Image.fromarray(np.ascontiguousarray(pixels)).resize((inner, inner), Image.Resampling.LANCZOS),
                (_FRAME, _FRAME))  # fmt: skip
    return frame


def _mark(draw: ImageDraw, right: bool | None, left: int, top: int, cell: int) -> None:
    """A corner sign beside the colour: a tick or a cross."""
    if right is None:
        return
    x, y, side = left + cell - 18, top, 18
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=RIGHT if right else WRONG)
    if right:
        draw.line([(x + 4, y + 9), (x + 8, y + 13), (x + 14, y + 5)], fill="white", width=2)
    else:
        draw.line([(x + 5, y + 5), (x + 13, y + 13)], fill="white", width=2)
        draw.line([(x + 13, y + 5), (x + 5, y + 13)], fill="white", width=2)


def _write_caption(draw: ImageDraw, font: FreeTypeFont, caption: str, left: int, top: int, cell: int) -> None:
    """Up to two lines, each cut to the width of the picture."""
    for i, line in enumerate(caption.splitlines()[:2]):
        text = line
        while len(text) > 1 and draw.textlength(text, font=font) > cell:
            text = f"{text[:-2]}…" if text.endswith("…") else f"{text[:-1]}…"
        draw.text((left, top + 15 * i), text, fill="black", font=font)


def _font(size: int) -> FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: class names may be in any script."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
