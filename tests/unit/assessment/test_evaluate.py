import numpy as np
import pytest

from tests.unit.assessment.conftest import cosine_head, make_ready_of, setting_of
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.evaluate import evaluate_systems
from twinfolio.assessment.few_shot import TrialPlan
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import open_scene
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.errors import DataError
from twinfolio.evaluation.verification import confusion_at

HOW = Resampling(n=100, seed=0)


@pytest.fixture
def compared(whole_store, systems, tmp_path):
    return compare_systems(systems, ["l1", "cosine"], whole_store, tmp_path / "e", PairSettings(), HOW)


@pytest.fixture
def evaluate(whole_store, systems, tmp_path, compared):
    setting = setting_of(make_ready_of(systems[1], whole_store, compared, tmp_path / "e"))
    embeddings = {system.name: tmp_path / "e" / f"{system.name}.npz" for system in systems}

    def run(champion="cosine", thresholds=None):
        return evaluate_systems(
            systems,
            open_scene(whole_store, embeddings, 5, 5, HOW),
            champion=champion,
            build=cosine_head,
            thresholds=compared.thresholds if thresholds is None else thresholds,
            search=setting,
            sheet_queries=4,
            trials=TrialPlan(ways=20, shots=1, trials=40, seed=0),
        )

    return run


def test_the_given_champion_stays_the_champion_though_another_is_better_on_test(evaluate):
    evaluation = evaluate(champion="l1")
    values = {name: tested.judgement.retrieval_values["mAP"] for name, tested in evaluation.tested.items()}
    assert values["cosine"] > values["l1"]
    assert evaluation.champion == "l1"


def test_verification_uses_the_threshold_it_was_given(evaluate, compared):
    odd = {name: value + 0.123 for name, value in compared.thresholds.items()}
    for thresholds in (compared.thresholds, odd):
        evaluation = evaluate(thresholds=thresholds)
        for name, tested in evaluation.tested.items():
            judged = tested.judgement
            counts = confusion_at(judged.pair_scores, evaluation.scene.pairs["label"], thresholds[name])
            assert [judged.verification_values[k] for k in ("tp", "fp", "fn", "tn")] == [
                counts.tp,
                counts.fp,
                counts.fn,
                counts.tn,
            ]


def test_a_system_without_a_validation_threshold_is_named(evaluate):
    with pytest.raises(DataError, match="threshold for l1"):
        evaluate(thresholds={"cosine": 0.0})


def test_the_gallery_is_train_and_validation(evaluate):
    evaluation = evaluate()
    assert evaluation.tested["cosine"].judgement.retrieval_values["n_gallery"] == 4 * 3 * 3 + 4 * 2 * 3
    assert len(evaluation.searched.gallery_vectors) == (3 * 9 + 2 * 9) + (3 * 6 + 2 * 6)


def test_leave_one_out_runs_inside_test_without_the_own_group(evaluate):
    inside = evaluate().tested["cosine"].inside
    assert inside["n_queries"] == 24
    assert inside["n_gallery"] == 24


def test_class_layers_are_averaged_over_tiles_and_scored(evaluate):
    evaluation = evaluate()
    assert evaluation.tested["l1"].layer is None
    layer = evaluation.tested["cosine"].layer
    assert layer.values["accuracy"] == pytest.approx(0.25)
    assert layer.report.confusion[:, 1].tolist() == [6, 6, 6, 6]


def test_each_system_but_the_champion_is_tested_against_it_in_pairs(evaluate):
    tested = evaluate().tested
    assert tested["cosine"].against is None
    lead = tested["l1"].against
    champion, other = (tested[name].judgement.retrieval_values["mAP"] for name in ("cosine", "l1"))
    assert lead.difference == pytest.approx(champion - other)
    assert lead.low > 0
    assert lead.p < 0.1


def test_the_sheet_shows_queries_with_eight_ranked_answers(evaluate):
    sheet = evaluate().sheet
    assert len(sheet) == 4
    for row in sheet:
        assert len(row) == 9
        assert row[0].right is None
        scores = [answer.score for answer in row[1:]]
        assert scores == sorted(scores, reverse=True)
        assert all(answer.right == (answer.label == row[0].label) for answer in row[1:])


def test_two_evaluations_give_the_same_numbers(evaluate):
    first, second = evaluate(), evaluate()
    for name in first.tested:
        assert first.tested[name].judgement.retrieval_values == second.tested[name].judgement.retrieval_values
        a, b = (run.tested[name].judgement.answers for run in (first, second))
        np.testing.assert_array_equal(a.scores, b.scores)
    assert first.searched.check.values == second.searched.check.values
