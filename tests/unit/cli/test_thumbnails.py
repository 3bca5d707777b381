import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.unit.cli.conftest import paint
from twinfolio.cli.thumbnails import choose_protocol, half_blocks, iterm, kitty, show_strip, sixel

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 120, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("environment", "wish", "tty", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "auto", True, "kitty"),
        ({"KITTY_WINDOW_ID": "1", "TERM": "xterm"}, "auto", True, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "auto", True, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "always", False, "iterm"),
        ({"TERM": "foot"}, "auto", True, "sixel"),
        ({"COLORTERM": "truecolor"}, "auto", True, "blocks"),
        ({"KITTY_WINDOW_ID": "1", "TMUX": "x", "COLORTERM": "24bit"}, "auto", True, "blocks"),
        ({"TERM": "dumb"}, "auto", True, None),
        ({"TERM": "dumb"}, "always", True, "blocks"),
        ({"TERM": "xterm-kitty"}, "auto", False, None),
        ({"TERM": "xterm-kitty"}, "never", True, None),
    ],
)
def test_the_protocol_is_the_terminals(environment, wish, tty, protocol):
    assert choose_protocol(wish, environment, tty) == protocol


def test_half_blocks_carry_every_pixel_pair():
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 3), dtype=np.uint8)
    lines = half_blocks(Image.fromarray(pixels), 4, 3).splitlines()
    found = [[list(map(int, cell)) for cell in re.findall(r"38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m", line)]
             for line in lines]  # fmt: skip
    both = np.array(found, dtype=np.uint8).reshape(3, 4, 2, 3).transpose(0, 2, 1, 3).reshape(6, 4, 3)
    assert np.array_equal(both, pixels)


def test_kitty_gets_the_png_in_chunks_and_the_last_says_so():
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(PICTURE, 16, 8))
    keys = [key for key, _ in parts]
    assert keys[0] == "a=T,f=100,c=16,r=8,m=1"
    assert keys[1:] == ["m=1"] * (len(parts) - 2) + ["m=0"]
    assert all(len(part) <= 4096 for _, part in parts)
    back = Image.open(io.BytesIO(base64.b64decode("".join(part for _, part in parts))))
    assert np.array_equal(np.asarray(back), np.asarray(PICTURE))


def test_iterm_gets_the_png_over_the_cells():
    keys, data = re.fullmatch(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07\n", iterm(PICTURE, 16, 8)).groups()
    assert "inline=1;width=16;height=8" in keys
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == PICTURE.size


def decode_sixel(text):
    """A slow reader of what ``sixel`` writes."""
    width, height = map(int, re.match(r'\x1bPq"1;1;(\d+);(\d+)', text).groups())
    pixels, palette, x, y, colour = np.zeros((height, width, 3)), {}, 0, 0, 0
    for token in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|!\d+[?-~]|\$|-", text[text.index("#") :]):
        if token.startswith("#"):
            number, *rgb = token[1:].split(";")
            colour = int(number)
            if rgb:
                palette[colour] = np.array(rgb[1:], dtype=float) * 255 / 100
        elif token == "$":
            x = 0
        elif token == "-":
            x, y = 0, y + 6
        else:
            n, bits = int(token[1:-1]), ord(token[-1]) - 63
            for line in range(6):
                if bits >> line & 1:
                    pixels[y + line, x : x + n] = palette[colour]
            x += n
    return pixels


def test_sixel_reads_back_as_the_picture():
    flat = Image.new("RGB", (23, 13), (255, 0, 0))
    flat.paste((0, 0, 255), (5, 3, 15, 9))
    back = decode_sixel(sixel(flat, 16, 8))[:13]
    assert np.abs(back - np.asarray(flat)).max() <= 3


def test_a_strip_names_what_it_shows_and_wraps(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    files = [paint(tmp_path / f"{n}.png", n) for n in range(3)]
    show_strip([files[0], None, tmp_path / "gone.png", *files[1:]], "blocks")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[8::9]] == [["query", "1"], ["2", "3"], ["4"]]
    assert all(re.sub(r"\x1b\[[^m]*m", "", line) == "\u2580" * 34 for line in lines[:8])
