import time
from dataclasses import replace

import pytest

from twinfolio.errors import TrackingError
from twinfolio.tracking.run_context import RunPlan, flatten, reopen_run, start_stage_run


@pytest.fixture
def plan(tmp_path):
    return RunPlan(
        name="classify",
        key="key",
        pipeline="medieval",
        pipeline_key="0123456789",
        experiment="e",
        params={"classify.lr": 0.1},
        all_params={"classify.lr": 0.1, "siamese.lr": 0.2},
        tags={"twinfolio.git_commit": "abc"},
        state_file=tmp_path / "work" / "run.json",
    )


@pytest.fixture
def start(store, tmp_path):
    return lambda plan: start_stage_run(plan, store, tmp_path)


def test_stage_runs_of_one_pipeline_share_a_parent(start, plan, tmp_path):
    first = start(plan)
    second = start(replace(plan, name="evaluate", state_file=tmp_path / "other" / "run.json"))
    other = start(replace(plan, pipeline_key="other", state_file=tmp_path / "third" / "run.json"))
    assert first.run_id != second.run_id
    assert first.parent_run_id == second.parent_run_id != other.parent_run_id
    run = first.client.get_run(second.run_id)
    assert run.data.tags["mlflow.parentRunId"] == first.parent_run_id
    assert run.data.tags["twinfolio.git_commit"] == "abc"
    assert first.client.get_run(first.parent_run_id).info.run_name == "medieval 01234567"
    assert first.client.get_run(first.parent_run_id).data.params == {"classify.lr": "0.1", "siamese.lr": "0.2"}


def test_a_run_that_was_ended_continues_where_the_work_dir_names_it(start, plan):
    first = start(plan)
    first.end("KILLED")
    second = start(plan)
    assert (second.run_id, second.resumed, first.resumed) == (first.run_id, True, False)
    assert first.client.get_run(first.run_id).info.status == "RUNNING"
    assert first.client.get_run(first.parent_run_id).info.status == "RUNNING"


def test_params_that_drift_go_to_a_tag_because_mlflow_forbids_to_change_them(start, plan):
    start(plan)
    run = start(replace(plan, params={"classify.lr": 0.5, "classify.new": 1}))
    data = run.client.get_run(run.run_id).data
    assert data.params == {"classify.lr": "0.1", "classify.new": "1"}
    assert data.tags["twinfolio.params_drift"] == '{"classify.lr": "0.5"}'


def test_a_work_dir_that_names_a_run_the_store_does_not_have_starts_anew(start, plan):
    plan.state_file.parent.mkdir()
    plan.state_file.write_text('{"run_id": "0123456789abcdef0123456789abcdef"}')
    assert not start(plan).resumed
    plan.state_file.write_text("cut of")
    assert not start(plan).resumed


def test_a_run_deleted_by_hand_starts_anew(start, plan):
    first = start(plan)
    first.client.delete_run(first.run_id)
    assert start(plan).run_id != first.run_id


def test_a_pipeline_runs_only_while_one_of_its_stages_does(start, plan):
    run = start(plan)
    statuses = [run.client.get_run(run.parent_run_id).info.status]
    for status in ("FINISHED", "FAILED"):
        run.end(status)
        statuses.append(run.client.get_run(run.parent_run_id).info.status)
        start(plan)
        statuses.append(run.client.get_run(run.parent_run_id).info.status)
    assert statuses == ["RUNNING", "FINISHED", "RUNNING", "FAILED", "RUNNING"]


def test_metrics_that_are_no_numbers_are_skipped_and_at_signs_spelled_out(start, plan):
    run = start(plan)
    run.log_metrics({"test/retrieval/P@10": 0.5, "n": 3, "none": None, "text": "a"})
    assert run.client.get_run(run.run_id).data.metrics == {"test/retrieval/P_at_10": 0.5, "n": 3}


def test_more_params_and_metrics_than_one_call_takes_are_all_written(start, plan):
    run = start(replace(plan, params={f"p{i}": i for i in range(230)}))
    run.log_metrics({f"m{i}": i for i in range(1100)})
    data = run.client.get_run(run.run_id).data
    assert (len(data.params), len(data.metrics)) == (230, 1100)


def test_files_reach_the_run_and_a_folder_that_is_not_there_is_no_error(start, plan, tmp_path):
    run = start(plan)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "a.csv").write_text("1")
    run.log_folder(tmp_path / "report")
    run.log_folder(tmp_path / "nothing")
    run.log_file(tmp_path / "report" / "a.csv", parent=True)
    for run_id in (run.run_id, run.parent_run_id):
        assert [a.path for a in run.client.list_artifacts(run_id)] == ["a.csv"]


def test_system_metrics_are_sampled_into_the_stages_run(start, plan, monkeypatch):
    monkeypatch.setattr("twinfolio.tracking.run_context._SAMPLING_SECONDS", 0.1)
    run = start(plan)
    with run.system_metrics():
        time.sleep(0.5)
    names = run.client.get_run(run.run_id).data.metrics
    assert "system/cpu_utilization_percentage" in names
    assert "system/system_memory_usage_percentage" in names


def test_lightnings_logger_writes_metrics_but_neither_params_nor_the_end(start, plan):
    run = start(plan)
    logger = run.lightning_logger()
    logger.log_hyperparams({"classify.lr": 9})  # would raise: params are immutable
    logger.log_metrics({"val/loss": 1.0}, step=3)
    logger.finalize("success")
    found = run.client.get_run(run.run_id)
    assert found.info.status == "RUNNING"
    assert found.data.params == {"classify.lr": "0.1"}
    assert run.client.get_metric_history(run.run_id, "val/loss")[0].step == 3


def statuses(run, *run_ids):
    return [run.client.get_run(run_id).info.status for run_id in run_ids]


def test_a_trials_run_is_a_child_of_the_searchs_with_its_values(start, plan, tmp_path):
    search = start(plan)
    one, two = (search.child(f"trial-{i}", {"classify.lr": i}, tmp_path / f"{i}" / "run.json") for i in (1, 2))
    assert len({search.run_id, search.parent_run_id, one.run_id, two.run_id}) == 4
    found = search.client.get_run(two.run_id)
    assert found.data.tags["mlflow.parentRunId"] == two.parent_run_id == search.run_id
    assert (found.info.run_name, found.data.params) == ("trial-2", {"classify.lr": "2"})
    assert found.info.experiment_id == search.client.get_run(search.run_id).info.experiment_id


def test_a_trials_run_that_was_left_behind_is_taken_up_again(start, plan, tmp_path):
    search, state = start(plan), tmp_path / "trial" / "run.json"
    first = search.child("trial", {"classify.lr": 1}, state)
    first.end("KILLED", state="INTERRUPTED")
    second = search.child("trial", {"classify.lr": 1}, state)
    assert second.run_id == first.run_id
    assert statuses(search, second.run_id) == ["RUNNING"]
    search.client.delete_run(first.run_id)
    assert search.child("trial", {"classify.lr": 1}, state).run_id != first.run_id


@pytest.mark.parametrize(("status", "state"), [("FINISHED", "COMPLETE"), ("KILLED", "PRUNED"), ("FAILED", "FAILED")])
def test_a_trials_run_ends_with_its_state_and_the_search_goes_on(start, plan, tmp_path, status, state):
    search = start(plan)
    trial = search.child("trial", {}, tmp_path / "trial" / "run.json")
    trial.log_metrics({"val/m": 0.5})
    trial.end(status, state=state)
    assert statuses(search, trial.run_id, search.run_id, search.parent_run_id) == [status, "RUNNING", "RUNNING"]
    data = search.client.get_run(trial.run_id).data
    assert (data.tags["twinfolio.trial_state"], data.metrics) == (state, {"val/m": 0.5})


def test_another_process_reopens_a_run_by_its_id(start, plan, store, tmp_path):
    search = start(plan)
    found = reopen_run(search.run_id, store, tmp_path)
    names = ("uri", "run_id", "parent_run_id", "experiment")
    assert [getattr(found, name) for name in names] == [getattr(search, name) for name in names]
    found.log_metrics({"val/m": 0.5})
    assert search.client.get_run(search.run_id).data.metrics == {"val/m": 0.5}
    trial = found.child("trial", {}, tmp_path / "trial" / "run.json")
    assert search.client.get_run(trial.run_id).data.tags["mlflow.parentRunId"] == search.run_id


def test_a_run_the_store_does_not_have_cannot_be_reopened(start, plan, store, tmp_path):
    start(plan)
    with pytest.raises(TrackingError, match=r"^MLflow store sqlite:///mlflow\.db: ") as caught:
        reopen_run("0123456789abcdef0123456789abcdef", store, tmp_path)
    assert "\n" not in str(caught.value)


def test_flatten_joins_keys_with_dots():
    assert flatten({"a": {"b": {"c": 1}}, "d": [1, 2]}) == {"a.b.c": 1, "d": [1, 2]}
