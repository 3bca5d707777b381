import json

import numpy as np
import pandas as pd
import pytest

from twinfolio.evaluation.trials import Trials
from twinfolio.reporting.ma import alphabet_table, differences, gather, model_table, shown_models, verdict, write_tables
from twinfolio.reporting.ma_paper import MODELS_4, TABLE_4, TABLE_5, TRIALS

ABOUT = {
    "complete": True, "validation": ["Greek"], "test_uses": 1, "refit": False, "views": 1,
    "evaluation": {"classes": 46, "alphabets": ["Angelic", "Tibetan"]},
}  # fmt: skip


RUNS = (
    np.random.default_rng(0).integers(0, 256, (40, 12, 12)).astype(np.uint8),
    Trials(np.repeat([f"run{run:02d}" for run in range(1, 21)], 20), np.arange(400) % 20, np.arange(400) % 20,
           np.tile(np.arange(20, 40)[:, None], (400, 1, 1))),
)  # fmt: skip


def answers(rate, seed):
    """Answers of a model that is right at a rate."""
    generator = np.random.default_rng(seed)
    sizes = {"runs": 400, "paper": 80, "many": 800}
    credit = {name: (generator.random(size) < rate).astype(float) for name, size in sizes.items()}
    credit["runs_families"] = np.repeat([f"run{run:02d}" for run in range(1, 21)], 20)
    credit |= {f"{name}_families": np.repeat(["Angelic", "Tibetan"], sizes[name] // 2) for name in ("paper", "many")}
    credit["runs_scores"] = generator.random((400, 20))
    facts = {
        "val/oneshot/accuracy": 0.9, "steps_to_best": 500, "seconds_to_best": 120.0, "train_steps": 600,
        "train_seconds": 150.0, "ms_per_image": 1.5, "parameters": 1000, "macs": 2_000_000, "pretrained": 0,
    }  # fmt: skip
    return {"facts": facts, "credit": credit}


@pytest.fixture
def found():
    return {
        "small-ours-0": answers(0.95, 0), "small-ours-1": answers(0.95, 1), "small-ours-2": answers(0.95, 2),
        "sircnn-paper-0": answers(0.6, 3),
    }  # fmt: skip


def test_the_papers_means_are_those_it_prints():
    means = np.mean(list(TABLE_4.values()), axis=0)
    assert means == pytest.approx([0.60875, 0.743625, 0.75125])  # systems.md 5.4
    assert len(TABLE_4) == 20
    trunks = {"Siamese": "koch", "ResNext101": "resnext101", "SiRCNN": "sircnn"}
    for column, model in enumerate(MODELS_4):
        assert TABLE_5[trunks[model]].accuracy == pytest.approx(means[column], abs=2e-4)
        misprints = {"ResNext101": 1}.get(model, 0)
        assert sum(value * 40 % 1 > 1e-9 for value in np.array(list(TABLE_4.values()))[:, column]) == misprints
    assert [
        trunk for trunk, row in TABLE_5.items() if abs(row.accuracy * TRIALS - round(row.accuracy * TRIALS)) > 1e-6
    ] == ["resnet50"]


def test_a_models_seeds_are_averaged_and_have_a_spread(found):
    table = model_table(gather(found)).set_index("model")
    own = table.loc["small-ours"]
    rates = [found[f"small-ours-{seed}"]["credit"]["runs"].mean() for seed in range(3)]
    assert own["runs"] == pytest.approx(np.mean(rates))
    assert own["runs_sd"] == pytest.approx(np.std(rates, ddof=1))
    assert own["runs_low"] < own["runs"] < own["runs_high"]
    assert np.isnan(own["printed"])
    paper = table.loc["sircnn-paper"]
    assert np.isnan(paper["runs_sd"])
    assert (paper["printed"], paper["printed_iteration"]) == (0.75125, 38_000)


def test_models_of_the_paper_that_were_not_run_say_so(found):
    shown = shown_models(model_table(gather(found)))
    missing = shown[shown["model"].str.endswith("not run")]
    assert len(missing) == 7
    assert (missing["the 20 runs"] == "").all()
    assert missing["printed"].str.contains("%").all()
    assert shown["steps to best"].iloc[0] == "500"
    assert shown["minutes to best"].iloc[0] == "2.0"


def test_alphabets_stand_beside_the_papers(found):
    table = alphabet_table(gather(found)).set_index("alphabet")
    assert list(table.index) == ["Angelic", "Tibetan"]
    assert table.loc["Tibetan", "SiRCNN, printed"] == 0.9
    mean = found["sircnn-paper-0"]["credit"]["many"][:400].mean()
    assert table.loc["Angelic", "sircnn-paper"].startswith(f"{mean:.3f} (")


def test_models_are_compared_on_the_same_trials(found):
    models = gather(found | {"koch-paper-0": found["sircnn-paper-0"]})
    between = differences(models).set_index(["a", "b"])
    assert between.loc[("sircnn-paper", "koch-paper"), "difference"] == 0
    assert between.loc[("small-ours", "sircnn-paper"), "difference"] > 0.3
    # two alphabets cannot show a difference beyond chance, however large it is
    assert verdict(between.reset_index()).startswith("No two models differ")
    surer = between.reset_index().assign(p_holm=0.01)
    assert "small-ours above sircnn-paper by" in verdict(surer)


def test_one_model_is_compared_with_none(found):
    only = gather({"small-ours-0": found["small-ours-0"]})
    assert verdict(differences(only)) == "One model: nothing to compare."


def test_the_report_is_written_whole(found, tmp_path):
    metrics = write_tables(found, ABOUT, RUNS, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Omniglot&#x27;s" in page or "Omniglot's" in page
    assert "koch: not run" in page
    rate = found["small-ours-0"]["credit"]["runs"].mean()
    assert f"Trials of small-ours, first seed, {rate:.1%} right" in page
    assert "small-ours: pretrained: false; sircnn-paper: pretrained: false" in page
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "models.csv", "alphabets.csv", "differences.csv", "accuracy.png", "trials.png",
    }  # fmt: skip
    assert metrics["test/runs/small-ours/accuracy"] > 0.9
    assert metrics["test/small-ours/pretrained"] == 0
    json.dumps(metrics, allow_nan=False)
    assert len(pd.read_csv(tmp_path / "models.csv")) == 9


def test_other_characters_compare_with_no_published_number(found, tmp_path):
    write_tables(found, ABOUT | {"complete": False}, RUNS, tmp_path)
    assert "no published number compares" in (tmp_path / "report.html").read_text()


def test_the_page_says_what_was_learned_besides_and_how_often_an_image_is_looked_at(found, tmp_path):
    write_tables(found, ABOUT, RUNS, tmp_path)
    assert "Every model looks once" in (tmp_path / "report.html").read_text()
    write_tables(found, ABOUT | {"refit": True, "views": 17}, RUNS, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Greek, then learned too by our recipe" in page
    assert "look 17 times" in page


def test_the_spread_over_seeds_is_shown_where_there_are_some(found):
    shown = shown_models(model_table(gather(found))).set_index("model")["SD over seeds, 20 runs"]
    assert shown["small-ours"].endswith("%")
    assert shown["sircnn-paper"] == ""
