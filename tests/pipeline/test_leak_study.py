"""The leak study on tiny data: a pipeline for each split protocol, one table, and nothing trained twice."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml

from tests.pipeline.clones import run
from twinfolio.reporting.leak_study import TABLED

pytestmark = pytest.mark.slow

PROTOCOLS = ("blocks", "random")


def reproduce(clone):
    command = ("python", "pipelines/repro.py", "--study", "leak_gap", "--data", "pages", "--params", "study.yaml")
    done = run(*command, cwd=clone)
    return re.findall(r"Running stage '(\S+)'", done.stdout), done.stdout


@pytest.fixture(scope="module")
def studied(new_clone):
    """A clone after the study on the cheapest settings; its data lie beside the root's own."""
    clone = new_clone("leak")
    shutil.copytree(clone / "data", clone / "pages")
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["classify"]["epochs"] = params["siamese"]["epochs"] = params["evaluate"]["explained_pairs"] = 1
    params["calibrate"]["neighbours"]["methods"] = []
    (clone / "study.yaml").write_text(yaml.safe_dump(params))
    stages, printed = reproduce(clone)
    return clone, stages, printed


def test_each_protocol_runs_a_whole_pipeline_in_a_workspace_of_its_own(studied):
    clone, stages, _ = studied
    assert stages.count("classify") == stages.count("evaluate") == 2
    assert stages[-1] == "leak_gap"
    for protocol in PROTOCOLS:
        workspace = clone / "workspaces" / f"leak_gap-pages-{protocol}"
        assert yaml.safe_load((workspace / "params.yaml").read_text())["split"]["protocol"] == protocol
        assert (workspace / "data").resolve() == (clone / "pages").resolve()
        assert (workspace / "outputs/evaluate/model").is_dir()


def test_the_table_has_every_headline_of_both_pipelines(studied):
    clone, _, printed = studied
    study = clone / "workspaces" / "leak_gap-pages" / "reports" / "leak_gap"
    table = pd.read_csv(study / "table.csv", index_col="number")
    assert list(table.index) == list(TABLED)
    for protocol, column in zip(PROTOCOLS, ("by group", "at random"), strict=True):
        workspace = clone / "workspaces" / f"leak_gap-pages-{protocol}"
        metrics = json.loads((workspace / "reports/evaluate/metrics.json").read_text())
        assert table[column].to_dict() == pytest.approx({name: metrics[key] for name, key in TABLED.items()})
    assert table["gap"].to_numpy() == pytest.approx((table["at random"] - table["by group"]).to_numpy(), abs=2e-6)
    assert str(study / "report.html") in printed


def test_a_second_run_trains_nothing(studied):
    clone, _, _ = studied
    written = clone / "workspaces" / "leak_gap-pages" / "reports" / "leak_gap" / "metrics.json"
    before = written.stat().st_mtime_ns
    stages, _ = reproduce(clone)
    assert sorted(stages) == ["retrain@blocks", "retrain@random"]
    assert written.stat().st_mtime_ns == before
