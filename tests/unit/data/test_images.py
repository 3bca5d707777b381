import pickle
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from twinfolio.data import images
from twinfolio.data.images import ImageFacts, UnreadableImageError, decode, probe, probe_all


def test_colours_come_back_in_rgb_order(tmp_path):
    Image.new("RGB", (4, 3), (255, 0, 10)).save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png")
    assert pixels.shape == (3, 4, 3)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == [255, 0, 10]


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = decode(tmp_path / "a.jpg")[4, 4].astype(int)
    assert red > 240
    assert green < 15
    assert blue < 15


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled_and_not_clipped(tmp_path, suffix):
    levels = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / f"a.{suffix}")
    assert decode(tmp_path / f"a.{suffix}")[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0, np.nan]], np.float32), [0, 128, 255, 0]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0, 50000, 100000]], np.int32), [0, 128, 255]),
        (np.array([[-5, 0, 65535]], np.int32), [0, 0, 255]),
    ],
)
def test_deep_tiffs_are_scaled_by_the_smallest_range_that_holds_them(tmp_path, values, expected):
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert decode(tmp_path / "a.tif")[0, :, 0].tolist() == expected


def test_palette_becomes_rgb(tmp_path):
    Image.new("RGB", (5, 5), (200, 30, 60)).quantize(4).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png")[2, 2].tolist() == [200, 30, 60]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(tmp_path, mode):
    clear = (0, 0, 0, 0) if mode == "RGBA" else (0, 0)
    Image.new(mode, (5, 5), clear).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png").min() == 255


def test_transparent_palette_entry_is_laid_on_white(tmp_path):
    image = Image.new("P", (5, 5), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    pixels = decode(tmp_path / "a.png")
    assert pixels[2, 2].tolist() == [255, 255, 255]
    assert pixels[0, 0].tolist() == [40, 50, 60]


def test_grey_and_bilevel_have_three_channels(tmp_path):
    Image.new("L", (5, 4), 77).save(tmp_path / "grey.png")
    Image.new("1", (5, 4), 1).save(tmp_path / "bilevel.png")
    assert np.unique(decode(tmp_path / "grey.png")).tolist() == [77]
    assert np.unique(decode(tmp_path / "bilevel.png")).tolist() == [255]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("target", [None, 8])
def test_exif_rotation_is_applied(tmp_path, suffix, target):
    image = Image.new("RGB", (80, 40), "black")
    image.paste("white", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    pixels = decode(tmp_path / f"a.{suffix}", target)
    height, width, _ = pixels.shape
    assert height == 2 * width
    assert pixels[: height // 4].mean() > 250
    assert pixels[-height // 4 :].mean() < 5
    facts = probe(tmp_path / f"a.{suffix}")
    assert (facts.width, facts.height) == (40, 80)


def test_broken_exif_does_not_cost_the_image(tmp_path):
    Image.new("RGB", (20, 10), "white").save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0garbage")
    assert decode(tmp_path / "a.jpg").shape == (10, 20, 3)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=100)
    red, _, blue = decode(tmp_path / f"a.{suffix}")[5, 5]
    assert red > 240
    assert blue < 15


def test_a_large_jpeg_is_decoded_at_reduced_scale_but_never_below_the_target(tmp_path, texture):
    texture(0, 640, 480).save(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg").shape == (480, 640, 3)
    for target in (50, 60, 61, 120, 240, 241, 480, 600):
        shorter = min(decode(tmp_path / "a.jpg", target).shape[:2])
        assert shorter >= min(target, 480)
        assert shorter < 2 * target or shorter == 60  # libjpeg's smallest scale is 1/8
    reduced = Image.fromarray(decode(tmp_path / "a.jpg", 60))
    whole = Image.fromarray(decode(tmp_path / "a.jpg")).resize(reduced.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(reduced, dtype=float) - np.asarray(whole, dtype=float)).mean() < 4


def _bad_files(folder, image):
    image.save(folder / "good.jpg", quality=90)
    image.save(folder / "good.png")
    whole = (folder / "good.jpg").read_bytes()
    png = bytearray((folder / "good.png").read_bytes())
    png[60:90] = bytes(30)
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no image\n")
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "truncated.png").write_bytes((folder / "good.png").read_bytes()[:2000])
    (folder / "corrupt.png").write_bytes(bytes(png))
    return {
        "zero.jpg": "empty file",
        "text.jpg": "not an image",
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
        "corrupt.png": "corrupt",
        "absent.jpg": "no such file",
    }


@pytest.mark.parametrize("target", [None, 8])
def test_bad_files_are_unreadable_for_a_short_reason(tmp_path, texture, target):
    for name, reason in _bad_files(tmp_path, texture(0)).items():
        with pytest.raises(UnreadableImageError, match=re.escape(name)) as caught:
            decode(tmp_path / name, target)
        assert caught.value.reason.startswith(reason)
        assert "\n" not in str(caught.value)


def test_an_unreadable_image_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(UnreadableImageError(Path("a.jpg"), "truncated")))
    assert (error.path, error.reason) == (Path("a.jpg"), "truncated")
    assert str(error) == "a.jpg: truncated; replace or remove the file"


def test_what_only_decodes_whole_has_a_lower_limit_than_jpeg(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_WHOLE_PIXELS", 99)
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImageError, match="too large: 10 x 10 pixels"):
        decode(tmp_path / "a.png")
    assert decode(tmp_path / "a.jpg").shape == (10, 10, 3)


def test_the_pixel_hash_sees_pixels_and_size_and_nothing_else(tmp_path, texture):
    image = texture(0)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "a.bmp")
    Image.new("RGB", (4, 8)).save(tmp_path / "tall.png")
    Image.new("RGB", (8, 4)).save(tmp_path / "wide.png")
    one, other = probe(tmp_path / "a.png"), probe(tmp_path / "a.bmp")
    assert one.pixel_hash == other.pixel_hash
    assert one.sha256 != other.sha256
    assert probe(tmp_path / "tall.png").pixel_hash != probe(tmp_path / "wide.png").pixel_hash
    image.putpixel((3, 3), (1, 2, 3))
    image.save(tmp_path / "b.png")
    assert probe(tmp_path / "b.png").pixel_hash != one.pixel_hash


def test_the_perceptual_hash_is_that_of_imagehash(tmp_path, texture):
    for seed in range(10):
        texture(seed, 90, 70).save(tmp_path / "a.png")
        assert probe(tmp_path / "a.png").perceptual_hash == str(imagehash.phash(Image.open(tmp_path / "a.png")))


def test_many_files_are_probed_in_order_whatever_the_number_of_processes(tmp_path, texture, monkeypatch, capsys):
    paths = []
    for seed in range(6):
        paths.append(tmp_path / f"{seed}.png")
        texture(seed).save(paths[-1])
    paths.insert(2, tmp_path / "zero.png")
    paths[2].write_bytes(b"")
    alone = probe_all(paths, workers=1)
    monkeypatch.setattr(images, "_SHARE", 1)
    assert probe_all(paths, workers=2) == alone
    assert alone[2] == "empty file"
    assert [isinstance(facts, ImageFacts) for facts in alone].count(True) == 6
    assert "reading images: 100%" in capsys.readouterr().err


def test_no_files_are_probed_to_nothing():
    assert probe_all([]) == []


def _huge_jpeg(path, side):
    """A constant-colour RGB JPEG, put together from one row of blocks: no array of its size ever exists."""
    stream = BytesIO()
    Image.new("RGB", (side, 16), (180, 120, 60)).save(stream, "JPEG", subsampling="4:2:0", restart_marker_rows=1)
    strip = stream.getvalue()
    frame = strip.index(b"\xff\xc0")
    scan = strip.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(strip[scan + 2 : scan + 4], "big")
    head, row = strip[:start], strip[start:-2]
    head = head[: frame + 5] + side.to_bytes(2, "big") + head[frame + 7 :]
    rows = side // 16
    body = b"".join(row + bytes([0xFF, 0xD0 + index % 8]) for index in range(rows - 1)) + row
    path.write_bytes(head + body + b"\xff\xd9")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_a_jpeg_of_20000_pixels_squared_stays_under_1_gib(tmp_path):
    _huge_jpeg(tmp_path / "huge.jpg", 20_000)
    script = f"""
from pathlib import Path
from twinfolio.data.images import decode, probe
path = Path({str(tmp_path / "huge.jpg")!r})
facts, pixels = probe(path), decode(path, 224)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(facts.width, facts.height, *pixels.shape, *pixels[1200, 1200], peak)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *shape, red, green, blue, peak = map(int, done.stdout.split())
    assert shape == [20_000, 20_000, 2500, 2500, 3]
    assert np.abs(np.array([red, green, blue]) - (180, 120, 60)).max() < 5
    assert peak < 2**20  # KiB


def test_the_huge_jpeg_of_the_memory_test_is_a_true_jpeg(tmp_path):
    _huge_jpeg(tmp_path / "small.jpg", 160)
    pixels = decode(tmp_path / "small.jpg")
    assert pixels.shape == (160, 160, 3)
    assert np.abs(pixels.astype(int) - (180, 120, 60)).max() < 5
