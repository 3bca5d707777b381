import base64
import re

import pandas as pd

from twinfolio.reporting.report import Chapter, brief, headline, write_report

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def page(tmp_path, **chapter):
    write_report(
        tmp_path / "r.html", "T <1>", "sub", [headline("mAP", 0.91234, 0.9, 0.92)], [Chapter("One", **chapter)]
    )
    return (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_outside_itself(tmp_path):
    (tmp_path / "f.png").write_bytes(PNG)
    html = page(tmp_path, figures=[("a figure", tmp_path / "f.png")])
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "<script" not in html
    assert base64.b64encode(PNG).decode() in html


def test_headlines_come_first_and_carry_their_interval(tmp_path):
    html = page(tmp_path, paragraphs=["later"])
    assert html.index("0.912") < html.index("0.900 to 0.920") < html.index("later")


def test_a_headline_without_an_interval_claims_none():
    assert headline("mAP", 0.5, float("nan"), float("nan")).below == ""


def test_text_of_users_is_escaped(tmp_path):
    table = pd.DataFrame({"class": ["<script>alert(1)</script>"], "n": [3], "f1": [0.5], "none": [float("nan")]})
    html = page(tmp_path, notes=["a & b"], tables=[("t", table)])
    assert "<script>" not in html
    assert "a &amp; b" in html
    assert "T &lt;1&gt;" in html
    assert "<td>3</td><td>0.500</td><td></td>" in html


def test_long_tables_are_folded_and_short_ones_are_not(tmp_path):
    assert "<details>" in page(tmp_path, tables=[("t", pd.DataFrame({"a": range(21)}))])
    assert "<details>" not in page(tmp_path, tables=[("t", pd.DataFrame({"a": range(20)}))])


def test_brief_tables_join_a_value_with_its_interval_and_hide_what_is_missing():
    nan = float("nan")
    table = pd.DataFrame(
        {
            "system": ["a", "b", "c"],
            "x": [0.5, 0.25, nan],
            "x_low": [0.4, nan, nan],
            "x_high": [0.6, nan, nan],
            "p": [1e-5, 0.5, nan],
        }
    )
    shown = brief(table)
    assert list(shown.columns) == ["system", "x", "p"]
    assert shown["x"].tolist() == ["0.500 (0.400\u20130.600)", "0.250", ""]
    assert shown["p"].iloc[0] == "< 0.001"
