"""Words, hands and the ink they leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinfolio.sample.faces import FACES, render_word
from twinfolio.sample.pen import draw_strokes
from twinfolio.sample.scribes import draw_manuscripts
from twinfolio.sample.words import COMMON, OTHERS, TATWEEL, draw_word
from twinfolio.sample.writing import INK, write_sheet


@pytest.fixture(scope="module")
def manuscript():
    return draw_manuscripts(0, 2, (1, 1))[0]


def ink_of(manuscript, **traits):
    changed = replace(manuscript, hand=replace(manuscript.hand, dot_drop=0.0, **traits))
    return write_sheet(changed, 96, 96, np.random.default_rng(3))[0]


def test_the_vocabulary_is_about_three_hundred_different_arabic_words():
    words = COMMON + OTHERS
    assert 300 <= len(words) == len(set(words))
    assert all("\u0620" <= letter <= "\u064a" for word in words for letter in word)


def test_kashida_lengthens_words_only_where_letters_join():
    rng = np.random.default_rng(0)
    words = [draw_word(rng, kashida=1.0) for _ in range(300)]
    assert sum(TATWEEL in word for word in words) > 100
    assert not any(word.startswith(TATWEEL) or word.endswith(TATWEEL) for word in words)
    assert not any(before + TATWEEL in word for word in words for before in "اأإدذرزو")


@pytest.mark.parametrize("face", range(len(FACES)))
def test_dots_are_taken_off_a_word_in_every_face(face):
    dotted, plain = render_word("نار", face, 72, False), render_word("دار", face, 72, False)
    assert len(dotted.dots) == 1
    assert plain.dots == ()
    assert dotted.dots[0][1] < 0
    assert plain.body.any()


@pytest.mark.parametrize("face", range(len(FACES)))
def test_two_dots_side_by_side_are_a_pair(face):
    assert [pair for _, _, pair in render_word("قلم", face, 72, False).dots] == [True]


@pytest.mark.parametrize("trait", ["slant", "ascender", "descender", "breadth", "tilt", "dot_size", "dot_long", "gap"])
def test_each_trait_changes_the_ink(manuscript, trait):
    now = getattr(manuscript.hand, trait)
    assert (ink_of(manuscript) != ink_of(manuscript, **{trait: now + 0.15})).any()


def test_a_bolder_weight_leaves_more_ink(manuscript):
    layer = np.ascontiguousarray(ink_of(manuscript)[:, :, INK])
    covers = [
        draw_strokes(layer, replace(manuscript.hand, weight=weight), 80.0, np.random.default_rng(0)).sum()
        for weight in (0.35, 0.45, 0.55)
    ]
    assert covers[0] > covers[1] > covers[2] > 0


def test_a_point_is_bent_to_where_the_ink_goes(manuscript):
    from twinfolio.sample.faces import Word
    from twinfolio.sample.writing import _bend, _bend_point

    body = np.zeros((120, 160), dtype=np.uint8)
    body[20:23, 40:43] = 255
    word = Word(body, left=-150, top=-90, advance=150.0, dots=())
    bent, left, top = _bend(word, manuscript.hand, 80, 0.08)
    rows, columns = np.nonzero(bent > 64)
    x, y = _bend_point(41 - 150, 21 - 90, manuscript.hand, 80, 0.08)
    assert abs(columns.mean() + left - x) < 3
    assert abs(rows.mean() + top - y) < 3
