import pytest

from twinfolio.reporting.verdict import verdict, write_verdict


def metrics(difference, low, high, p):
    found = {"test_uses": 2}
    for split in ("val", "test"):
        for name, value in (("own", 0.5), ("best", 0.5 + difference)):
            found |= {f"{split}/verdict/{name}{end}": value for end in ("", "_low", "_high")}
        found |= {f"{split}/verdict/difference": difference, f"{split}/verdict/p": p}
        found |= {f"{split}/verdict/difference_low": low, f"{split}/verdict/difference_high": high}
    return found


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.1, 0.02, 0.2, 0.01), "On test the search's best is better: +0.100 (+0.020 to +0.200, p = 0.010)."),
        ((-0.1, -0.2, -0.02, 0.0001), "On test the search's best is worse: -0.100 (-0.200 to -0.020, p < 0.001)."),
        ((0.1, -0.02, 0.2, 0.2), "On test the two cannot be told apart: +0.100 (-0.020 to +0.200, p = 0.200)."),
        (
            (0.1, float("nan"), float("nan"), 1.0),
            "On test the two cannot be told apart: +0.100 (p = 1.000).",
        ),
    ],
)
def test_the_verdict_says_no_more_than_the_interval_allows(numbers, words):
    assert verdict(metrics(*numbers)) == words


def test_the_page_has_both_sides_on_both_splits_the_params_and_the_uses_of_test(tmp_path):
    write_verdict(metrics(0.1, 0.02, 0.2, 0.01), {"siamese.loss": "bce", "siamese.lr": 0.01}, 3, tmp_path)
    html = (tmp_path / "report.html").read_text()
    for text in (
        "siamese.loss",
        "0.01",
        "3 models",
        "so far: 2",
        "0.600",
        "is better",
        "validation",
        "the search&#x27;s best",
    ):
        assert text.lower() in html.lower(), text
