"""``dvc repro`` on tiny data: what it leaves behind, and what it does not do again."""

import json
import re
import sys

import pandas as pd
import pytest
import yaml

from tests.pipeline.clones import run

STAGES = [
    "split",
    "augment",
    "classify",
    "train_siamese/l1",
    "train_siamese/l2",
    "train_siamese/cosine",
    "train_scratch",
]
STAGES += ["classical", "compare_distances", "calibrate", "refit", "evaluate"]


def metrics_of(clone, stage: str) -> dict[str, float]:
    return json.loads((clone / "reports" / stage / "metrics.json").read_text())


def mlflow_runs(clone) -> pd.DataFrame:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    rows = [
        {
            "id": r.info.run_id,
            "name": r.info.run_name,
            "status": r.info.status,
            "parent": r.data.tags.get("mlflow.parentRunId"),
        }
        for r in client.search_runs(experiments, max_results=500)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_leaves_metrics_and_times(tiny, stage):
    assert metrics_of(tiny, stage)
    assert {"wall_s", "peak_memory_mib", "device"} <= set(
        json.loads((tiny / "reports" / stage / "timing.json").read_text())
    )


def test_headline_numbers_have_intervals(tiny):
    metrics = metrics_of(tiny, "evaluate")
    for key in ("test/retrieval/mAP", "test/classification/macro_f1", "test/verification/accuracy"):
        assert metrics[f"{key}_low"] <= metrics[key] <= metrics[f"{key}_high"]


def test_classical_systems_stand_beside_the_trained_ones_and_can_be_searched(tiny):
    names = {"bow_rootsift", "vlad_rootsift_matched", "phash"}
    for stage in ("compare_distances", "evaluate"):
        assert names <= set(pd.read_csv(tiny / "reports" / stage / "systems.csv")["system"])
    query = next((tiny / "data").rglob("*.jpg")).relative_to(tiny)
    for name in names:
        model = f"outputs/classical/systems/{name}"
        found = run(sys.executable, "-m", "twinfolio.cli", "query", str(query), "--model", model, "--json", cwd=tiny)
        assert len(json.loads(found.stdout)["answers"]) == 10


def test_metric_names_are_split_family_metric(tiny):
    for stage in ("classify", "evaluate"):
        named = [key for key in metrics_of(tiny, stage) if key.count("/")]
        assert named
        assert all(re.fullmatch(r"(train|val|test)/\w+/[\w@.]+", key) for key in named), named


def test_one_pipeline_run_holds_every_stage_run(tiny):
    runs = mlflow_runs(tiny)
    parents = runs[runs.parent.isna()]
    assert len(parents) == 1
    children = runs[runs.parent == parents.id.iloc[0]]
    assert len(children) == len(STAGES)
    assert set(runs.status) == {"FINISHED"}


def test_a_second_repro_does_nothing(tiny):
    before = mlflow_runs(tiny)
    done = run("dvc", "repro", cwd=tiny)
    assert "Running stage" not in done.stdout
    assert len(mlflow_runs(tiny)) == len(before)


def test_changing_siamese_reruns_no_classify(tiny):
    params = yaml.safe_load((tiny / "params.yaml").read_text())
    original = (tiny / "params.yaml").read_text()
    params["siamese"]["temperature"] = 0.2
    (tiny / "params.yaml").write_text(yaml.safe_dump(params))
    try:
        dry = run("dvc", "repro", "--dry", cwd=tiny).stdout
    finally:
        (tiny / "params.yaml").write_text(original)
    assert "Running stage 'train_siamese@l1'" in dry
    assert "Running stage 'classify'" not in dry
    assert "Running stage 'augment'" not in dry


def test_without_a_refit_the_champion_is_handed_on(tiny):
    final, validated = tiny / "outputs/refit/model", tiny / "outputs/compare_distances/champion"
    assert metrics_of(tiny, "refit") == {"refit": 0}
    names = {path.relative_to(validated) for path in validated.rglob("*") if path.is_file()}
    assert names
    assert names == {path.relative_to(final) for path in final.rglob("*") if path.is_file()}
    for name in names:
        assert (final / name).read_bytes() == (validated / name).read_bytes()
        if not name.name.startswith("neighbours"):  # a whitening is learned anew from train and validation
            assert (tiny / "outputs/evaluate/model" / name).read_bytes() == (final / name).read_bytes()


def test_the_champion_is_as_good_as_the_best_of_all_candidates(tiny):
    champion = json.loads((tiny / "outputs/compare_distances/champion.json").read_text())
    candidates = pd.read_csv(tiny / "reports/compare_distances/candidates.csv").set_index("system")
    assert {"l1", "l2", "cosine", "classifier", "frozen_trunk", "phash", "l1+l2+cosine"} <= set(candidates.index)
    assert "joined" in set(candidates["kind"])
    assert candidates.loc[champion["system"], "mAP"] >= candidates["mAP"].max() - 0.005 - 1e-6
    assert set(candidates.index) <= set(pd.read_csv(tiny / "outputs/compare_distances/per_query.csv"))
    assert champion["system"] in set(pd.read_csv(tiny / "reports/evaluate/systems.csv")["system"])


def test_the_finished_model_answers_and_says_what_training_did_not_bring(tiny):
    query = next((tiny / "data").rglob("*.jpg")).relative_to(tiny)
    found = run(sys.executable, "-m", "twinfolio.cli", "query", str(query), "--json", cwd=tiny)
    assert len(json.loads(found.stdout)["answers"]) == 10
    notes = json.loads((tiny / "outputs/compare_distances/champion.json").read_text())["notes"]
    assert json.loads((tiny / "outputs/evaluate/model/notes.json").read_text()) == notes
    for note in notes:
        assert note in found.stderr


def test_no_checkpoint_reaches_the_tracking_store(tiny):
    assert not list((tiny / "mlartifacts").rglob("*.ckpt"))
    assert not list((tiny / ".twinfolio").rglob("*.ckpt"))


def test_the_model_is_registered_once_as_champion(tiny):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tiny}/mlflow.db")
    versions = client.search_model_versions("name='twinfolio'")
    assert len(versions) == 1
    assert client.get_model_version_by_alias("twinfolio", "champion").version == versions[0].version


def test_metrics_and_plots_commands_work(tiny):
    assert "evaluate" in run("dvc", "metrics", "show", cwd=tiny).stdout
    run("dvc", "metrics", "diff", cwd=tiny)
    run("dvc", "plots", "show", cwd=tiny)
    assert (tiny / "dvc_plots" / "index.html").exists()


def test_test_was_touched_once(tiny):
    assert len(pd.read_csv(tiny / "reports" / "test_uses.csv")) == 1


def test_bad_params_stop_the_stage_with_one_line(tiny):
    original = (tiny / "params.yaml").read_text()
    (tiny / "params.yaml").write_text(original + "\nsplitt: {}\n")
    try:
        done = run("python", "pipelines/split.py", cwd=tiny, check=False)
    finally:
        (tiny / "params.yaml").write_text(original)
    assert done.returncode == 2
    assert "splitt: unknown key" in done.stderr
    assert "Traceback" not in done.stderr
