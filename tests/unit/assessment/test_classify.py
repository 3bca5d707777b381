import numpy as np

from twinfolio.assessment.classify import classified, nearest_votes
from twinfolio.assessment.judgement import Resampling
from twinfolio.evaluation.retrieval_protocol import Items
from twinfolio.retrieval.ranking import rank


def test_votes_follow_the_majority_and_the_nearer_image_breaks_ties():
    labels = np.array([0, 1, 1, 0, 2])
    scores = np.array([[5.0, 4, 3, 2, 1], [1, 5, 2, 4, 3]])
    one, four = (nearest_votes(rank(scores), labels, 3, k).argmax(axis=1) for k in (1, 4))
    assert one.tolist() == [0, 1]
    assert four.tolist() == [0, 1]
    assert nearest_votes(rank(scores), labels, 3, 3).argmax(axis=1).tolist() == [1, 1]


def test_bonuses_never_outweigh_a_vote():
    labels = np.array([0, 1, 1, 2, 3, 4, 5])
    scores = -np.arange(7.0)[None]
    assert nearest_votes(rank(scores), labels, 6, 7).argmax() == 1


def test_empty_places_do_not_vote():
    excluded = np.array([[False, True, True]])
    votes = nearest_votes(rank(np.array([[1.0, 5, 5]]), excluded), np.array([2, 0, 0]), 3, 3)
    assert votes.argmax() == 2
    assert votes[0, 0] == 0


def test_macro_means_run_over_classes_with_images():
    names = np.array(["a", "b", "c", "d"])
    items = Items(names, np.array([0, 0, 1, 1]), names, names)
    result = classified(np.eye(5)[[0, 0, 1, 4]], items, Resampling(n=100))
    assert result.values["n_classes"] == 2
    assert result.values["macro_recall"] == 0.75
