"""A search on tiny data: killed and interrupted workers, pruned trials, tracked children, a Pareto front."""

import json
import os
import re
import signal
import subprocess
import time

import pandas as pd
import pytest
import yaml

from tests.pipeline.clones import ENV, run

pytestmark = pytest.mark.slow

SEARCH = ("python", "pipelines/search.py")
EPOCHS = 8


@pytest.fixture(scope="module")
def searched(new_clone):
    """A clone whose pipeline came as far as the classifier: what trials start from."""
    clone = new_clone("search")
    run("dvc", "repro", "classify", cwd=clone)
    return clone


def configure(clone, study, **search):
    """Set section ``search``; a trial of the classifier lasts long enough to be killed."""
    params = yaml.safe_load((clone / "params.yaml").read_text())
    # without a warm start, so that low rates give poor trials
    plain = {"normalise": False, "pair_weight": 0, "label_smoothing": 0.05}
    params["classify"] |= {"epochs": EPOCHS, "patience": EPOCHS, **plain}
    defaults = {
        "study": study,
        "target": "classify",
        "objectives": {"val/classification/macro_f1": "maximize"},
        "space": {"classify.lr": {"log": [1.0e-4, 1.0e-2]}},
        "sampler": "random",
        "heartbeat_s": 1,
    }
    params["search"] = defaults | search
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def stop_in_a_trial(clone, study, how):
    """Start a search, and stop it with a signal once a trial has a checkpoint."""
    process = subprocess.Popen(
        SEARCH,
        cwd=clone,
        env=ENV,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    deadline = time.monotonic() + 200
    while not list((clone / ".twinfolio/search" / study).glob("trial-*/work/classify/last.ckpt")):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.02)
    os.killpg(process.pid, how)
    printed, _ = process.communicate(timeout=60)
    return process.returncode, printed


def trials_of(clone):
    return pd.read_csv(clone / "reports/search/trials.csv")


def children_of(clone, study):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    run_id = json.loads((clone / "outputs/search/run.json").read_text())["run_id"]
    experiment = client.get_run(run_id).info.experiment_id
    return client.get_run(run_id), client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")


def left_of_trials(clone, study):
    """Large files that trials left behind."""
    folder = clone / ".twinfolio/search" / study
    return [path for path in folder.glob("trial-*/*") if path.name in ("outputs", "work")]


@pytest.fixture(scope="module")
def pruned(searched):
    """The clone after a search by two workers that prune; its best params lie in ``outputs/search``."""
    configure(
        searched,
        "asha",
        space={"classify.lr": {"categorical": [1.0e-9, 1.0e-8, 1.0e-2, 2.0e-2, 5.0e-3, 1.0e-7]}},
        sampler="grid",
        trials=None,
        pruner="asha",
        factor=2,
        jobs=2,
    )
    run(*SEARCH, cwd=searched)
    return searched


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_stopped_search_goes_on_with_the_trials_checkpoint(searched, how, code):
    study = f"stopped{how.value}"
    configure(searched, study, trials=2)
    returned, printed = stop_in_a_trial(searched, study, how)
    assert returned == code, printed[-3000:]
    done = run(*SEARCH, cwd=searched)
    epochs = [int(number) for number in re.findall(rf"epoch (\d+) of {EPOCHS}:", done.stdout + done.stderr)]
    assert 1 in epochs  # of the trial that had not begun
    assert len(epochs) < 2 * EPOCHS  # of the other only what was missing
    assert set(range(1, EPOCHS + 1)) <= set(epochs)
    table = trials_of(searched)
    assert table["state"].tolist() == ["COMPLETE"] * 2
    assert table["cell"].tolist() == [0, 1]
    assert table["classify.lr"].nunique() == 2
    parent, children = children_of(searched, study)
    assert parent.info.status == "FINISHED"
    assert [child.info.status for child in children] == ["FINISHED"] * 2  # no third run for the second attempt
    assert not left_of_trials(searched, study)


def test_workers_share_the_trials_prune_what_is_poor_and_leave_children_in_mlflow(pruned):
    table = trials_of(pruned)
    states = table["state"].value_counts().to_dict()
    assert sum(states.values()) == len(table) == 6
    assert states.get("PRUNED", 0) >= 1
    assert states["COMPLETE"] >= 1
    assert (table.loc[table["state"] == "PRUNED", "epochs"] < EPOCHS).all()
    assert not left_of_trials(pruned, "asha")
    parent, children = children_of(pruned, "asha")
    ended = {child.data.tags["twinfolio.trial_state"]: child.info.status for child in children}
    assert ended == {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
    best = table.loc[table["val/classification/macro_f1"].where(table["state"] == "COMPLETE").idxmax()]
    assert (
        yaml.safe_load((pruned / "outputs/search/best_params.yaml").read_text())["classify"]["lr"]
        == best["classify.lr"]
    )
    assert float(parent.data.tags["best.classify.lr"]) == best["classify.lr"]
    finished = [child for child in children if child.info.status == "FINISHED"]
    assert all("val/classification/macro_f1" in child.data.metrics for child in finished)
    assert all("classify.lr" in child.data.params for child in children)


def test_the_verdict_compares_the_best_params_with_the_own_ones_on_test(pruned):
    params = yaml.safe_load((pruned / "params.yaml").read_text())
    params["search"]["verdict_seeds"] = 1
    (pruned / "params.yaml").write_text(yaml.safe_dump(params))
    run("twinfolio", "search", "--verdict", cwd=pruned)
    metrics = json.loads((pruned / "reports/search_verdict/metrics.json").read_text())
    for split in ("val", "test"):
        own, best, gap = (metrics[f"{split}/verdict/{name}"] for name in ("own", "best", "difference"))
        assert best - own == pytest.approx(gap, abs=2e-6)
        assert 0 < metrics[f"{split}/verdict/p"] <= 1
    assert metrics["test_uses"] == 1
    assert len((pruned / "reports/test_uses.csv").read_text().splitlines()) == 2
    assert "On test" in (pruned / "reports/search_verdict/report.html").read_text()


def test_the_best_params_feed_back_as_an_experiment(pruned):
    run("git", "commit", "-qam", "params", cwd=pruned)
    flags = (pruned / "outputs/search/best_params.flags").read_text().strip()
    run("bash", "-c", f"dvc exp run --queue {flags} classify", cwd=pruned)
    assert "Queued" in run("dvc", "exp", "show", "--csv", cwd=pruned).stdout


def test_two_objectives_leave_a_pareto_front(searched):
    configure(
        searched,
        "front",
        target="train_siamese@l2",
        space={"siamese.embedding": {"categorical": [4, 32]}},
        objectives={"val/retrieval/mAP": "maximize", "n_parameters": "minimize"},
        sampler="grid",
        trials=None,
    )
    run(*SEARCH, cwd=searched)
    table = trials_of(searched)
    assert table["state"].tolist() == ["COMPLETE"] * 2
    small, large = table.set_index("siamese.embedding")["n_parameters"].loc[[4, 32]]
    assert small < large
    assert (searched / "reports/search/figures/pareto.png").exists()


def test_a_changed_space_is_one_line_and_loses_nothing(searched):
    before = (searched / "reports/search/trials.csv").read_bytes()
    configure(searched, "asha", space={"classify.lr": {"log": [1.0e-5, 1.0e-2]}})
    done = run(*SEARCH, cwd=searched, check=False)
    assert done.returncode == 2
    assert "search.space: study asha searches another one" in done.stderr
    assert "Traceback" not in done.stderr
    assert (searched / "reports/search/trials.csv").read_bytes() == before


def test_the_study_of_lu_runs_from_one_command(new_clone):
    clone = new_clone("lu")
    params = yaml.safe_load((clone / "studies/lu_grid/params.yaml").read_text())
    params["lu_grid"] |= {
        "grids": ["cls10-grey", "fc2-otsu"],
        "depths": [1, 2],
        "kernels": [8],
        "seeds": [0, 1],
        "curves": ["fc2-otsu"],
        "iterations": [3, 5],
    }
    params["search"]["jobs"] = 1
    for section in ("classify", "siamese"):
        params[section]["epochs"] = 1
    (clone / "lu.yaml").write_text(yaml.safe_dump(params))
    run("python", "pipelines/repro.py", "--study", "lu_grid", "--params", "lu.yaml", cwd=clone)
    reports = clone / "workspaces/lu_grid/reports"
    cells = pd.read_csv(reports / "lu_tables/cells.csv")
    assert cells.groupby("grid").size().to_dict() == {"cls10-grey": 2, "fc2-otsu": 2}
    assert set(cells["seeds"]) == {2}
    assert cells.set_index(["grid", "depth"])["n_parameters"].loc[("cls10-grey", 1)] == 15_786
    curves = pd.read_csv(reports / "lu_curves/curves.csv")
    assert curves.groupby("run").size().to_dict() == {3: 3, 5: 5}
    assert (curves["loss"] > 0).all()
    assert (reports / "lu_tables/embeddings.png").exists()
    assert "| 2 | 8 |" in (reports / "lu_tables/tables.md").read_text()
