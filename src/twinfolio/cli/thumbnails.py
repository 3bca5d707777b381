"""A strip of pictures in the terminal: kitty's, iTerm2's or sixel graphics where it has them, else half blocks.

Protocols: sw.kovidgoyal.net/kitty/graphics-protocol, iterm2.com/documentation-images.html, DEC STD 070 (sixel).
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from twinfolio.data.images import UnreadableImageError, decode

Protocol = Literal["kitty", "iterm", "sixel", "blocks"]
_COLUMNS, _ROWS, _GAP = 16, 8, 2
_CELL = {"blocks": (1, 2), "sixel": (10, 20), "kitty": (10, 20), "iterm": (10, 20)}
"""Pixels of a character cell: two half blocks, or what is usual."""
_CHUNK = 4096


def choose_protocol(wish: str, environment: Mapping[str, str] = os.environ, tty: bool | None = None) -> Protocol | None:
    """How this terminal shows pictures; None: not at all.

    Args:
        wish: ``auto`` shows them where standard output is a terminal with 24-bit colour, ``always``, ``never``.
        environment: The process's.
        tty: Whether standard output is a terminal; None: look.
    """
    if wish == "never" or (wish == "auto" and not (sys.stdout.isatty() if tty is None else tty)):
        return None
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "TMUX" not in environment and not term.startswith("screen"):  # those two swallow graphics
        if "KITTY_WINDOW_ID" in environment or term in ("xterm-kitty", "xterm-ghostty"):
            return "kitty"
        if program in ("iTerm.app", "WezTerm", "mintty"):
            return "iterm"
        if term.startswith(("foot", "mlterm", "contour", "yaft")):
            return "sixel"
    colours = environment.get("COLORTERM", "") in ("truecolor", "24bit")
    return "blocks" if wish == "always" or colours else None


def show_strip(files: Sequence[Path | None], protocol: Protocol) -> None:
    """Print pictures side by side, as many a line as fit, with ``query`` and ranks below.

    Args:
        files: The query, then its answers; None or an unreadable file leaves its place empty.
        protocol: How.
    """
    fit = max(1, (shutil.get_terminal_size().columns + _GAP) // (_COLUMNS + _GAP))
    for start in range(0, len(files), fit):
        part = files[start : start + fit]
        strip, columns = _strip(part, protocol), len(part) * (_COLUMNS + _GAP) - _GAP
        sys.stdout.write(_ENCODERS[protocol](strip, columns, _ROWS))
        names = ["query" if start + place == 0 else str(start + place) for place in range(len(part))]
        print((" " * _GAP).join(f"{name:^{_COLUMNS}}" for name in names).rstrip())


def _strip(files: Sequence[Path | None], protocol: Protocol) -> Image.Image:
    width, height = _CELL[protocol]
    side, step = (_COLUMNS * width, _ROWS * height), (_COLUMNS + _GAP) * width
    strip = Image.new("RGB", (len(files) * step - _GAP * width, side[1]))
    for place, file in enumerate(files):
        try:
            picture = Image.fromarray(decode(file, max(side))) if file is not None else None
        except UnreadableImageError:
            picture = None
        if picture is not None:
            picture.thumbnail(side, Image.Resampling.LANCZOS)
            left = place * step + (side[0] - picture.width) // 2
            strip.paste(picture, (left, (side[1] - picture.height) // 2))
    return strip


def half_blocks(image: Image.Image, columns: int, rows: int) -> str:
    """Two pixels a character: the upper as the colour of a half block, the lower as its ground."""
    pixels = np.asarray(image.resize((columns, 2 * rows), Image.Resampling.BOX))
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{a};{b};{c};48;2;{d};{e};{f}m\u2580"
            for (a, b, c), (d, e, f) in zip(upper.tolist(), lower.tolist(), strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m\n")
    return "".join(lines)


def kitty(image: Image.Image, columns: int, rows: int) -> str:
    """PNG in base64, in chunks; shown over the given cells."""
    data = _png(image)
    parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    keys = [f"a=T,f=100,c={columns},r={rows},"] + [""] * (len(parts) - 1)
    last = len(parts) - 1
    return "".join(
        f"\x1b_G{key}m={int(place < last)};{part}\x1b\\"
        for place, (key, part) in enumerate(zip(keys, parts, strict=True))
    ) + "\n"  # fmt: skip


def iterm(image: Image.Image, columns: int, rows: int) -> str:
    """PNG in base64, shown over the given cells."""
    keys = f"inline=1;width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File={keys}:{_png(image)}\x07\n"


def sixel(image: Image.Image, columns: int, rows: int) -> str:
    """Bands of six lines; in each band every colour once, as runs of one character."""
    paletted = image.quantize(64)
    palette = np.array(paletted.getpalette() or []).reshape(-1, 3)
    pixels = np.asarray(paletted)
    pixels = np.pad(pixels, ((0, -len(pixels) % 6), (0, 0)), mode="edge")
    out = [f'\x1bPq"1;1;{pixels.shape[1]};{pixels.shape[0]}']
    out += [
        f"#{n};2;{r * 100 // 255};{g * 100 // 255};{b * 100 // 255}" for n, (r, g, b) in enumerate(palette.tolist())
    ]
    weights = 1 << np.arange(6)[:, None]
    for band in pixels.reshape(-1, 6, pixels.shape[1]):
        for colour in np.unique(band):
            out.append(f"#{colour}{_runs(((band == colour) * weights).sum(0) + 63)}$")
        out.append("-")
    return "".join(out) + "\x1b\\\n"


def _runs(codes: np.ndarray) -> str:
    """Characters with repeats written as ``!n``."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(starts, append=len(codes))
    return "".join(f"!{n}{chr(codes[at])}" for at, n in zip(starts, lengths, strict=True))


def _png(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


_ENCODERS = {"blocks": half_blocks, "kitty": kitty, "iterm": iterm, "sixel": sixel}
