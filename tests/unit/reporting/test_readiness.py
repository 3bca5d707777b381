import json
from types import SimpleNamespace

import pytest

from tests.unit.assessment import conftest as tiny
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.reporting.readiness import write_readiness


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The readiness, and the root where it was written twice."""
    root = tmp_path_factory.mktemp("ready")
    for split, pages in (("train", range(3)), ("val", range(3, 5))):
        tiny.write_split(root / "store" / split, pages, seed=len(split))
    tiny.write_info(root / "store")
    cosine = tiny.make_systems()[1]
    compared = compare_systems([cosine], ["cosine"], root / "store", root / "e", PairSettings(), Resampling(n=100))
    ready = tiny.make_ready_of(cosine, root / "store", compared, root / "e")
    for place in ("a", "b"):
        write_readiness(ready, root / place / "out", root / place / "report")
    return ready, root


def test_two_writings_agree_byte_by_byte(written):
    _, root = written
    first, second = (
        {p.relative_to(root / place).as_posix(): p.read_bytes() for p in (root / place).rglob("*") if p.is_file()}
        for place in ("a", "b")
    )
    assert first == second
    assert {"out/calibration.json", "out/threshold.json", "out/neighbours.json"} <= set(first)
    assert {"report/metrics.json", "report/neighbours.csv", "report/report.html"} <= set(first)


def test_metrics_hold_the_ablation_and_every_fit(written):
    ready, root = written
    metrics = json.loads((root / "a" / "report" / "metrics.json").read_text())
    fits = ready.calibration
    expected = {"prior": fits.prior, "unknown_threshold": fits.unknown, "conformal_cut": fits.conformal.cut}
    expected |= {"temperature": fits.temperature, **{f"log_loss_{name}": loss for name, loss in fits.losses.items()}}
    found = {key: value for key, value in metrics.items() if key.startswith("val/calibration/")}
    assert found == pytest.approx({f"val/calibration/{key}": value for key, value in expected.items()}, abs=1e-6)
    assert all(key.startswith("val/") and key.count("/") == 2 for key in metrics)
    assert any(key.startswith("val/neighbours") for key in metrics)


def test_the_threshold_names_the_recipe_it_belongs_to(written):
    ready, root = written
    values = json.loads((root / "a" / "out" / "threshold.json").read_text())
    assert values == {"threshold": ready.threshold, "recipe": ready.ablation.kept.recipe.name}


def test_the_report_says_what_was_promised_and_that_test_was_not_opened(written):
    ready, root = written
    html = (root / "a" / "report" / "report.html").read_text()
    fits = ready.calibration
    for text in (
        "test was not opened",
        f"by an {fits.pairs.method} curve",
        f"below {fits.unknown:.3f} is of none of the known classes",
        "at most 5% of the images of validation, each with its own (trained) class left out",
        "the promise is 90% of new pages",
        f"logits are divided by {fits.temperature:.3f}",
    ):
        assert text in html


def test_without_a_class_layer_no_temperature_is_written(written):
    ready, root = written
    fits = SimpleNamespace(**vars(ready.calibration) | {"temperature": None}, to_json=dict)
    write_readiness(
        SimpleNamespace(**vars(ready) | {"calibration": fits}), root / "none" / "out", root / "none" / "report"
    )
    assert "temperature" not in (root / "none" / "report" / "metrics.json").read_text()
    assert "logits are divided" not in (root / "none" / "report" / "report.html").read_text()
