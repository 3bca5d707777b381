import numpy as np
import pytest
import torch

from twinfolio.evaluation.oneshot import trial_credit, trial_scores
from twinfolio.evaluation.trials import draw_trials
from twinfolio.models import tasks
from twinfolio.models.heads import build_head
from twinfolio.models.orb_siamese import OrbSiamese
from twinfolio.models.tasks import JudgedTask, OneShotTask, RetrievalTask, head_scores, mean_value

PAGES = np.array(["p1", "p2"])


def test_average_precision_leaves_out_excluded_pairs_and_averages_tiles():
    relevant = np.array([[True, False, True], [False, False, False]])
    excluded = np.array([[True, False, False], [False, False, False]])
    task = RetrievalTask(np.array([0, 0, 1]), np.array([0, 1, 2, 2]), relevant, excluded, PAGES)
    # gallery image 2 has two tiles: 0.9 and 0.3 average 0.6, below gallery image 1 at 0.7
    scores = np.array([[9.0, 0.7, 0.9, 0.3], [9.0, 0.7, 0.9, 0.3], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    values = task.average_precisions(scores)
    assert values[0] == pytest.approx(0.5)
    assert np.isnan(values[1])
    assert mean_value(values) == pytest.approx(0.5)


def test_no_query_with_anything_to_find_gives_zero():
    assert mean_value(np.array([np.nan, np.nan])) == 0.0


def test_retrieval_scores_come_from_the_head():
    eye, head = np.eye(3, dtype=bool), build_head("distance", "l2", 8)
    task = RetrievalTask(np.arange(3), np.arange(3), eye, np.zeros((3, 3), dtype=bool), np.array(["a", "b", "c"]))
    gallery = torch.nn.functional.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    assert task.values(head, [gallery, gallery]).tolist() == [1.0, 1.0, 1.0]
    assert task.values(head, [gallery, gallery.flip(0)]).mean() < 1


@pytest.mark.parametrize("kind", ["distance", "weighted", "fusion"])
@pytest.mark.parametrize("shots", [1, 2])
def test_trials_are_scored_by_the_head_in_blocks_as_they_are_one_by_one(kind, shots, monkeypatch):
    torch.manual_seed(0)
    labels = np.repeat(np.arange(12), 5)
    embeddings, head = torch.randn(60, 6), build_head(kind, "l1", 6).eval()
    trials = draw_trials(labels, ["all"] * 60, np.arange(60), ways=5, shots=shots, per_family=40, seed=0)
    monkeypatch.setattr(tasks, "_NUMBERS", 200)

    def pairwise(queries, shown):
        with torch.inference_mode():
            return head.pairwise(torch.from_numpy(queries), torch.from_numpy(shown)).numpy()

    expected = trial_scores(trials, embeddings.numpy(), pairwise)
    np.testing.assert_allclose(head_scores(head, embeddings, trials), expected, atol=1e-4)
    task = OneShotTask(trials)
    np.testing.assert_array_equal(task.values(head, [embeddings]), trial_credit(expected, trials.answers))
    assert task.groups.tolist() == trials.queries.astype(str).tolist()
    halves = draw_trials(labels, np.repeat(["a", "b"], 30), np.arange(60), ways=5, per_family=2, seed=0)
    assert OneShotTask(halves).groups.tolist() == ["a", "a", "b", "b"]


def test_judged_pairs_are_valued_by_their_squared_error():
    torch.manual_seed(0)
    twin, images = OrbSiamese(1).eval(), torch.rand(4, 10)
    pairs, targets = np.array([[0, 2], [1, 3], [0, 3]]), np.array([1.0, 0.0, 0.4], np.float32)
    values = JudgedTask(pairs, targets, np.array(["a", "b", "a"])).values(twin, [images])
    for value, (a, b), target in zip(values, pairs, targets, strict=True):
        said = float(twin.paired(images[a : a + 1], images[b : b + 1]).detach())
        assert value == pytest.approx(1 - (said - target) ** 2, abs=1e-6)
