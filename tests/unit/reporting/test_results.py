import json
import shutil

import pytest

from twinfolio.errors import DataError
from twinfolio.reporting.results import CALIBRATION, LEAK, UNKNOWN, results_page

SYSTEMS = (
    "system,pretrained,mAP,mAP_low,mAP_high,P@1,P@1_low,P@1_high,accuracy,accuracy_low,accuracy_high,"
    "pair_ap,pair_ap_low,pair_ap_high,eer,eer_low,eer_high,nearest_accuracy,nearest_accuracy_low,nearest_accuracy_high,"
    "champion_lead,champion_lead_low,champion_lead_high,p\n"
    "l1,true,.9,.8,.95,1,1,1,.5,.4,.6,.5,.4,.6,.1,.05,.2,.9,.8,1,,,,\n"
    "colour_histogram,,.2,,,.3,.2,.4,.5,.4,.6,.5,.4,.6,.1,.05,.2,.3,.2,.4,.7,.6,.8,.0123\n"
)


NEIGHBOURS = (
    "method,setting,mAP,mAP_low,mAP_high,gain,gain_low,gain_high,p,P@1,P@1_low,P@1_high,extra_mib,within_budget,kept\n"
    "plain,,.9,.8,.95,,,,,.5,.4,.6,0,True,False\n"
    "whitening,dims = 8,.93,.9,.96,.03,.01,.05,.002,.6,.5,.7,0,True,True\n"
)


TUNING = (
    "system,most,enlarge,words,power,distance,whiten,weight,val_mAP,kept\n"
    "vlad_rootsift,500,1.0,64,0.5,cosine,0,,0.8,0\n"
    "vlad_rootsift,500,1.0,64,0.5,cosine,64,,0.81,1\n"
    "phash,,,,,hamming,,,0.2,1\n"
)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def workspace(tmp_path):
    counts = {"images": 10, "classes": 2, "groups": 5, "train": 6, "val": 2, "within_group": 1, "test": 2}
    write(tmp_path / "reports/split/metrics.json", counts | {"classes_with_test": 2})
    metrics = {"test/retrieval/mAP": 0.9, "test/retrieval/mAP_low": 0.8, "test/retrieval/mAP_high": 0.95}
    metrics |= {"test/calibration/ece_answers": 0.0312, "test/calibration/ece_answers_low": 0.01}
    metrics |= {"test/calibration/ece_answers_high": 0.05, "test/calibration/set_size": 1.5}
    metrics |= {"test/leak_gap/mAP_gap": 0.1, "test/leak_gap/mAP_gap_low": 0.05, "test/leak_gap/mAP_gap_high": 0.2}
    write(tmp_path / "reports/evaluate/metrics.json", metrics)
    write(tmp_path / "reports/evaluate/systems.csv", SYSTEMS)
    write(tmp_path / "outputs/compare_distances/champion.json", {"system": "l1", "preferred_over": ["l2"]})
    write(tmp_path / "reports/calibrate/neighbours.csv", NEIGHBOURS)
    timing = {"neighbours_plain_added_ms": 0.0, "neighbours_whitening_added_ms": 1.26}
    write(tmp_path / "reports/calibrate/timing.json", timing)
    write(tmp_path / "reports/classical/tuning.csv", TUNING)
    write(tmp_path / "outputs/store/store.json", {"data_hash": "abc"})
    write(tmp_path / "reports/test_uses.csv", "data_hash,params_hash,commit\nabc,1,x\nabc,2,x\nother,2,x\n")
    return tmp_path


def test_the_page_copies_values_with_their_intervals(workspace):
    page = results_page({"sample": workspace}, "Introduction.")
    assert "| sample | .900 (.800-.950) | - |" in page
    assert "| l1 | true | .900 (.800-.950) | 1.000 (1.000-1.000) |" in page
    assert "| colour_histogram | - | .200 |" in page
    assert "| .700 (.600-.800) | 0.0123 |" in page
    assert "| sample | - | - | .100 (.050-.200) |" in page
    assert "| plain | - | .900 (.800-.950) | - | .500 (.400-.600) | 0.0 |  |" in page
    assert "| whitening | dims = 8 | .930 (.900-.960) | .030 (.010-.050) | .600 (.500-.700) | 1.3 | yes |" in page


def test_the_page_says_what_classical_systems_were_set_to_and_among_how_many(workspace):
    page = results_page({"sample": workspace}, "")
    columns = "most | enlarge | words | power | distance | whiten | mAP | settings tried"
    assert f"| classical, on validation | {columns} |" in page
    assert "| vlad_rootsift | 500 | 1.0 | 64 | 0.5 | cosine | 64 | .810 | 2 |" in page
    assert "| phash | - | - | - | - | hamming | - | .200 | 1 |" in page


def test_a_workspace_without_classical_systems_has_no_table_of_them(workspace):
    write(workspace / "reports/classical/tuning.csv", TUNING.splitlines()[0] + "\n")
    page = results_page({"sample": workspace}, "")
    assert "classical, on validation" not in page
    assert "\n\n\n" not in page


def test_an_interval_below_zero_is_readable_and_no_zero_has_a_sign(workspace):
    gaps = {"test/leak_gap/mAP_gap": -0.0002, "test/leak_gap/mAP_gap_low": -0.03, "test/leak_gap/mAP_gap_high": -0.0001}
    write(workspace / "reports/evaluate/metrics.json", gaps)
    assert ".000 (-.030 to .000)" in results_page({"sample": workspace}, "")


def test_the_page_says_how_often_test_was_scored_and_that_the_champion_ties(workspace):
    page = results_page({"sample": workspace}, "Introduction.")
    assert "This test split was scored 2 times." in page
    assert "l1, preferred over l2, which are as good" in page


def test_leak_calibration_and_unknown_classes_have_a_table_each_with_a_row_a_workspace(workspace, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(workspace, other, ignore=shutil.ignore_patterns("other"))
    unknown = {"test/unknown/auroc": 0.97, "test/unknown/false_match_rate": 0.04}
    write(other / "reports/evaluate/metrics.json", unknown)
    page = results_page({"sample": workspace, "arabic": other}, "Introduction.")
    parts = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    assert list(parts) == ["Leak gap", "Calibration", "Unknown manuscripts", "sample", "arabic"]
    columns = {"Leak gap": LEAK, "Calibration": CALIBRATION, "Unknown manuscripts": UNKNOWN}
    for title, shown in columns.items():
        table = [line for line in parts[title].splitlines() if line.startswith("|")]
        assert table[0] == f"| data | {' | '.join(name for name, _ in shown)} |"
        assert [row.split(" | ")[0] for row in table[2:]] == ["| sample", "| arabic"]
        assert all(row.count(" | ") == len(shown) for row in table)
    assert "| sample | - | - | .031 (.010-.050) | - | - | - | 1.500 |" in parts["Calibration"]
    assert "| sample | - | - | - | - |" in parts["Unknown manuscripts"]
    assert "| arabic | .970 | .040 | - | - |" in parts["Unknown manuscripts"]


def test_a_workspace_that_has_not_run_is_named(tmp_path):
    with pytest.raises(DataError, match=r"metrics\.json: missing"):
        results_page({"sample": tmp_path}, "")
