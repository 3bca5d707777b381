import json
import re

import pandas as pd
import pytest
from PIL import Image

from tests.unit.assessment import conftest as tiny
from twinfolio.assessment.champion import Champion
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.evaluate import evaluate_systems
from twinfolio.assessment.few_shot import TrialPlan
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import open_scene
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.evaluation.verification import check_identity
from twinfolio.reporting.evaluation import Circumstances, _explained, write_evaluation
from twinfolio.reporting.leak_study import HEADLINES, TABLED
from twinfolio.reporting.results import CALIBRATION, LEAK, UNKNOWN


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluation")
    for split, pages in (("train", range(3)), ("val", range(3, 5)), ("test", range(5, 7))):
        tiny.write_split(root / "store" / split, pages, lent=("ba",) if split == "val" else (), seed=len(split))
    tiny.write_info(root / "store")
    how, systems = Resampling(n=100), tiny.make_systems()
    compared = compare_systems(systems, ["l1", "cosine"], root / "store", root / "e", PairSettings(), how)
    setting = tiny.setting_of(tiny.make_ready_of(systems[1], root / "store", compared, root / "e"))
    tiny.write_unknown(root / "store")
    embeddings = {system.name: root / "e" / f"{system.name}.npz" for system in systems}
    evaluation = evaluate_systems(
        systems,
        open_scene(root / "store", embeddings, 5, 5, how),
        champion="cosine",
        build=tiny.cosine_head,
        thresholds=compared.thresholds,
        search=setting,
        sheet_queries=2,
        trials=TrialPlan(ways=20, shots=1, trials=40, seed=0),
    )
    champion = Champion(
        "cosine", "distance", ["l1"], "cosine", 0.9, "cosine", True, "l1", 0.9, 0.8765, compared.thresholds, "f1",
        ["No trained system beats paper colour."],
    )  # fmt: skip
    for place in ("a", "b"):
        write_evaluation(evaluation, None, Circumstances(champion, "random", 3), root / place)
    return root


def metrics_of(report):
    return json.loads((report / "a" / "metrics.json").read_text())


def test_two_writings_agree_byte_by_byte(report):
    first, second = (
        {p.name: p.read_bytes() for p in (report / place).rglob("*") if p.is_file()} for place in ("a", "b")
    )
    assert first == second
    assert {"systems.csv", "per_class.csv", "curves.csv", "pairs.csv", "sheet.png", "report.html"} <= set(first)


@pytest.mark.parametrize(
    "key",
    [
        "retrieval/mAP",
        "leak_gap/mAP_included",
        "leak_gap/mAP_gap",
        "search/mAP",
        "calibration/ece",
        "calibration/ece_answers",
        "calibration/ece_before",
        "calibration/ece_balanced",
        "calibration/ece_classes",
        "calibration/coverage",
        "calibration/set_size",
        "unknown/auroc",
        "unknown/false_match_rate",
        "unknown/known_accepted",
        "unknown/known_identified",
        "leak_gap/mAP_excluded",
        "leak_gap/P@1_gap",
        "search/mAP_gain",
        "retrieval/P@1",
        "retrieval/r_precision",
        "retrieval/MRR",
        "retrieval/macro_mAP",
        "classification_champion/macro_f1",
        "classification_nearest/accuracy",
        "verification/accuracy",
        "verification/eer",
        "leave_one_out/mAP",
        "retrieval_colour_histogram/mAP",
        "verification_l1/f1",
    ],
)
def test_every_headline_has_its_interval(report, key):
    metrics = metrics_of(report)
    assert metrics[f"test/{key}_low"] <= metrics[f"test/{key}"] <= metrics[f"test/{key}_high"]


@pytest.mark.parametrize("key", sorted(TABLED.values()))
def test_every_number_of_the_leak_study_exists(report, key):
    if not key.startswith("test/classification/"):  # of the classifier, which is none of these systems
        assert key in metrics_of(report)


def test_results_copy_only_keys_that_evaluation_writes(report):
    metrics = metrics_of(report)
    shown = [key for _, key in (*LEAK, *CALIBRATION, *UNKNOWN)]
    assert [key for key in shown if key not in metrics] == []


def test_per_query_rows_have_the_columns_the_leak_study_resamples(report):
    table, metrics = pd.read_csv(report / "a" / "per_query.csv"), metrics_of(report)
    assert {"query", "label", "group", "AP", "P@1", "AP_l1", "AP_cosine", "P@1_colour_histogram"} <= set(table)
    assert len(table) == 24
    assert table["AP"].mean() == pytest.approx(metrics["test/retrieval/mAP"], abs=1e-5)
    assert table["P@1"].mean() == pytest.approx(metrics["test/retrieval/P@1"], abs=1e-5)
    assert set(HEADLINES.values()) - set(table) == {"classified"}  # of the classifier


def test_leak_gap_and_bins_are_tables_of_their_own(report):
    leaks = pd.read_csv(report / "a" / "leak_gap.csv")
    assert leaks["system"].tolist() == ["l1", "cosine", "colour_histogram"]
    assert set(pd.read_csv(report / "a" / "calibration.csv")["pairs"]) >= {"ece", "ece_answers", "ece_balanced"}


@pytest.mark.parametrize("name", ["systems", "reliability", "roc_pr", "cmc", "per_class", "sheet"])
def test_every_figure_opens(report, name):
    assert min(Image.open(report / "a" / "figures" / f"{name}.png").size) > 100


def test_chapters_follow_each_other_and_say_that_nothing_could_be_explained(report):
    html = (report / "a" / "report.html").read_text()
    headings = re.findall("<h2>(.*?)</h2>", html)
    assert headings == [
        "What these numbers rest on",
        "Systems side by side",
        "Retrieval",
        "Leak gap: the own page in the archive",
        "Better neighbours without training",
        "Verification",
        "Calibration and unknown classes",
        "N-way K-shot trials",
        "Why these two match",
        "Classification",
    ]
    assert "nothing to explain" in html
    assert "12 images of 2 classes were held out of training" in html
    assert (report / "a" / "faithfulness.csv").read_text() == "kind\n"


def test_what_the_champion_s_user_should_know_is_said_first(report):
    html = (report / "a" / "report.html").read_text()
    assert html.index("No trained system beats paper colour.") < html.index("<h2>")
    assert "preferred over l1, which are as good there" in html


@pytest.mark.parametrize(
    ("kind", "said"), [("joined", "joins several systems"), ("classical", "is a classical system")]
)
def test_the_report_says_why_a_champion_of_several_parts_is_not_explained(kind, said, tmp_path):
    assert said in _explained(None, kind, tmp_path).notes[0]


def test_verification_numbers_follow_from_the_printed_counts(report):
    for _, row in pd.read_csv(report / "a" / "verification.csv").iterrows():
        keys = ("tp", "fp", "fn", "tn", "accuracy", "precision", "recall", "f1", "specificity", "balanced_accuracy")
        check_identity({key: row[key] for key in keys})


def test_systems_are_one_table_with_paired_tests_against_the_champion(report):
    table = pd.read_csv(report / "a" / "systems.csv").set_index("system")
    assert list(table.index) == ["l1", "cosine", "colour_histogram"]
    assert table.loc["cosine", ["champion_lead", "p"]].isna().all()
    assert table.loc["l1", "champion_lead"] == pytest.approx(
        table.loc["cosine", "mAP"] - table.loc["l1", "mAP"], abs=2e-6
    )
    assert table["pretrained"].fillna("").astype(str).str.lower().tolist() == ["false", "true", ""]


def test_per_class_rows_are_the_classes_with_test_images(report):
    table = pd.read_csv(report / "a" / "per_class.csv")
    assert table["class"].tolist() == ["alif", "ba", "ta", "tha"]
    assert table["images"].tolist() == [6, 6, 6, 6]


def test_the_report_says_what_the_numbers_rest_on(report):
    html = (report / "a" / "report.html").read_text()
    for text in (
        "d" * 64,
        "3 times",
        "4 classes",
        "a tie with l1",
        "Random split",
        "validation images were lent",
        "without them 0.876",
        "true",
    ):
        assert text in html
    assert html.index("retrieval mAP") < html.index("What these numbers rest on") < html.index("<h2>Retrieval")
