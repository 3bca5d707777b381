import numpy as np
import pytest
from PIL import Image

from twinfolio.assessment.deletion import Faithfulness, faithfulness_table
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.match_pairs import MappedPair, MatchPair
from twinfolio.reporting.match_maps import match_chapter, plot_faithfulness, plot_match_maps
from twinfolio.reporting.report import write_report

SHARES = np.linspace(0, 1, 5)


def mapped(seed, right=True, channels=3):
    generator = np.random.default_rng(seed)
    query, answer = generator.integers(0, 255, (2, 32, 32, channels), dtype=np.uint8)
    maps = {kind: tuple(generator.normal(size=(2, 4, 4)).astype(np.float32)) for kind in ("exact split", "Grad-CAM")}
    return MappedPair(MatchPair(query, answer, "q", "a", "g", right), maps)


def draw_maps(path, shift=0):
    plot_match_maps(path, [mapped(shift, right=False, channels=1)])


def faithfulness(shift=0, left_out=0):
    curves = {kind: np.linspace(1, 0, 5)[None] ** (1 + i + shift) for i, kind in enumerate(("exact split", "random"))}
    back = {kind: values[:, ::-1] for kind, values in curves.items()}
    return Faithfulness(SHARES, curves, back, np.array(["g"]), left_out, {})


def draw_curves(path, shift=0):
    plot_faithfulness(path, faithfulness(shift))


@pytest.mark.parametrize("draw", [draw_maps, draw_curves])
def test_figures_are_the_same_bytes_for_the_same_numbers_and_others_for_others(draw, tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    draw(tmp_path / "c.png", 1)
    first, second, third = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == second != third
    assert len(np.unique(np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_a_pair_is_a_row(tmp_path):
    for n in (1, 2):
        plot_match_maps(tmp_path / f"{n}.png", [mapped(i) for i in range(n)])
    one, two = (Image.open(tmp_path / f"{n}.png") for n in (1, 2))
    assert one.width == two.width
    assert one.height < two.height


def test_the_chapter_shows_table_and_figures_and_says_what_was_left_out(tmp_path):
    for left_out in (0, 3):
        found = faithfulness(left_out=left_out)
        chapter = match_chapter(tmp_path, [mapped(0)], found, faithfulness_table(found, Resampling(20, 0)))
        write_report(tmp_path / "report.html", "title", "", [], [chapter])
        page = (tmp_path / "report.html").read_text()
        assert page.count("data:image/png") == 2
        assert "<td>exact split</td>" in page
        assert ("3 pairs say nothing" in page) == (left_out == 3)
    assert (tmp_path / "faithfulness.csv").read_text().startswith("map,deletion,deletion_low,deletion_high")
