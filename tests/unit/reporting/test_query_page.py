import re
from html.parser import HTMLParser

import numpy as np
import pytest

from twinfolio.reporting.query_page import Found, Maps, Match, as_percent, write_query_page

EVIL = "<script>alert('1')</script> & \"quoted\".jpg"
VOID = {"meta", "img"}


class Balanced(HTMLParser):
    """Fails where a tag is not closed, and keeps texts and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.addresses, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def picture(height=900, width=600, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def page(tmp_path, *found):
    path = tmp_path / "deep" / "page.html"
    write_query_page(path, "Title & more", f"index {EVIL}", [one.name for one in found], found)
    text = path.read_text()
    parsed = Balanced()
    parsed.feed(text)
    assert parsed.open == []
    return text, parsed


def whole(**changes):
    match = Match(
        EVIL,
        EVIL,
        1.23456,
        0.97,
        f"/images/{EVIL}",
        picture(),
        Maps(picture(9, 9), picture(9, 9), f"orange: for {EVIL}"),
    )
    facts = {
        "name": EVIL, "picture": picture(), "known": True, "verdict": "one of the known classes",
        "classes": [(EVIL, 0.97), ("other", 0.4)], "promise": "one of these 2, 90 %", "matches": [match],
    }  # fmt: skip
    return Found(**facts | changes)


def test_everything_is_on_the_page_and_nothing_runs(tmp_path):
    text, parsed = page(tmp_path, whole())
    said = " ".join(parsed.text)
    for words in ("Title & more", EVIL, "one of these 2, 90 %", "97.0 %", "score 1.235", "Where the match comes from"):
        assert words in said
    assert "script" not in parsed.tags
    assert len(re.findall("<img ", text)) == 4


def test_the_page_needs_no_other_file_and_pictures_are_small(tmp_path):
    text, parsed = page(tmp_path, whole())
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in parsed.addresses)
    assert not re.search(r"url\(|@import|http", text)
    widths = [tuple(map(int, pair)) for pair in re.findall(r'width="(\d+)" height="(\d+)"', text)]
    assert max(max(pair) for pair in widths) <= 560
    assert (213, 320) in widths


def test_a_missing_picture_an_unknown_class_and_no_calibration_are_said(tmp_path):
    match = Match("leaf", "", 0.5)
    found = whole(known=None, verdict="not calibrated", classes=(), promise="", matches=[match])
    text, parsed = page(tmp_path, found)
    said = " ".join(parsed.text)
    assert "image file not found" in said
    assert "no class" in said
    assert "Where the match" not in said
    assert "class=bar" not in text


def test_the_verdict_has_its_colour(tmp_path):
    for known, state in ((True, "known"), (False, "unknown"), (None, "open")):
        assert f'class="verdict {state}"' in page(tmp_path, whole(known=known))[0]


def test_several_queries_are_listed_and_linked(tmp_path):
    text, parsed = page(tmp_path, whole(name="first"), whole(name="second"))
    assert "2 queries" in text
    for address in (address for address in parsed.addresses if address.startswith("#")):
        assert f'id="{address[1:]}"' in text


def test_a_page_that_fails_leaves_the_old_one(tmp_path):
    page(tmp_path, whole(name="old"))

    def failing():
        yield whole()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_query_page(tmp_path / "deep" / "page.html", "t", "s", ["a"], failing())
    assert "old" in (tmp_path / "deep" / "page.html").read_text()


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "< 0.1 %"), (0.5, "50.0 %"), (0.001, "0.1 %"), (0.9994, "> 99.9 %"), (1.0, "> 99.9 %")]
)
def test_a_probability_is_never_nought_nor_one(share, text):
    assert as_percent(share) == text
