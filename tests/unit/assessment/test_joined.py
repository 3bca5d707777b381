import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.assessment.conftest import mean_colour, nearest_class_colour
from twinfolio.assessment.advice import notes_of
from twinfolio.assessment.champion import FILE, champion_json, read_champion
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.joined import combinations_tried, join_parts, joined_system, members_of, part_of
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.systems import System
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.evaluation.baselines import cosine_scores
from twinfolio.retrieval.joined import Join
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import distance_scorer, unit_rows

HOW = Resampling(n=100)
DISTANCES = ("l1", "l2", "cosine")


def test_a_few_combinations_are_tried_of_the_systems_that_are_there():
    assert combinations_tried(DISTANCES, "l2", "vlad", ["classifier", "frozen_trunk"]) == [
        ("l2", "classifier", "vlad"),
        ("l2", "vlad"),
        ("classifier", "vlad"),
        ("frozen_trunk", "vlad"),
        DISTANCES,
    ]
    assert combinations_tried(DISTANCES, "l2", None, ["classifier", "frozen_trunk"]) == [DISTANCES]
    assert combinations_tried(["l1"], "l1", "vlad", []) == [("l1", "vlad")]
    assert combinations_tried(["l1"], "l1", None, ["classifier"]) == []


def channel(name, seen, **others):
    """A system that sees the mean of one channel alone, as an angle."""

    def embed(images):
        mean = mean_colour(images)[:, seen]
        return np.stack([mean, np.full_like(mean, 60)], axis=1)

    return System(name, embed, cosine_scores, **others)


@pytest.fixture
def partial():
    """Each sees a part of what tells the classes apart."""
    return [
        channel("l1", 0, pretrained=False, unit=True, classify=nearest_class_colour),
        channel("frozen_trunk", 2, pretrained=True),
        channel("vlad", 2),
        System("colour_histogram", mean_colour, cosine_scores),
    ]


@pytest.fixture
def compare(store_root, tmp_path):
    def run(systems, others):
        return compare_systems(systems, ["l1"], store_root, tmp_path / "e", PairSettings(), HOW, others)

    return run


OTHERS = {"frozen_trunk": "frozen_trunk", "vlad": "classical"}


def test_joined_systems_are_judged_and_the_better_one_is_the_champion(compare, partial, tmp_path):
    comparison = compare(partial, OTHERS)
    kinds = {one.name: (one.kind, one.members) for one in comparison.candidates}
    assert kinds == {
        "l1": ("distance", 1), "frozen_trunk": ("frozen_trunk", 1), "vlad": ("classical", 1),
        "l1+vlad": ("joined", 2), "frozen_trunk+vlad": ("joined", 2),
    }  # fmt: skip
    values = {name: judged.retrieval_values["mAP"] for name, judged in comparison.judged.items()}
    assert values["l1+vlad"] > max(values["l1"], values["vlad"]) + 0.01
    assert comparison.champion == "l1+vlad"
    assert comparison.distance == "l1"
    assert set(comparison.thresholds) == {*kinds, "colour_histogram"}
    assert set(kinds) <= set(comparison.per_query())
    # of joined systems the champion's embeddings alone are kept
    kept = {path.stem for path in (tmp_path / "e").iterdir()}
    assert kept == {"l1", "frozen_trunk", "vlad", "colour_histogram", "l1+vlad"}
    assert comparison.winner.classify is not None
    assert set(comparison.leaks) == {"l1", "l1+vlad"}


def test_of_classical_systems_one_that_ranks_by_vectors_alone_is_joined(compare, partial):
    matched = (Recipe(matched=Matched(points=1, width=1, candidates=0)), distance_scorer("cosine"))

    def with_points(images):
        vectors = partial[2].embed(images)
        return np.hstack([vectors, np.ones((len(vectors), 3), np.float32)])

    reranked = replace(partial[2], name="vlad_matched", embed=with_points, search=matched)
    comparison = compare([*partial, reranked], OTHERS | {"vlad_matched": "classical"})
    assert comparison.champion == "l1+vlad"
    alone = compare([partial[0], reranked], {"vlad_matched": "classical"})
    assert alone.champion == "l1+vlad_matched"
    left, right = (one.judged[one.champion].average_precision for one in (comparison, alone))
    np.testing.assert_allclose(left, right)


def test_the_file_says_what_was_chosen_and_why(compare, partial, tmp_path):
    comparison = compare(partial, OTHERS)
    (tmp_path / FILE).write_text(json.dumps(champion_json(comparison, "f1", ["A note."])))
    champion = read_champion(tmp_path)
    assert (champion.system, champion.kind, champion.distance) == ("l1+vlad", "joined", "l1")
    assert champion.best_map == pytest.approx(comparison.judged[champion.best].retrieval_values["mAP"])
    assert champion.preferred_over == list(comparison.choice.preferred_over)
    assert champion.notes == ["A note."]
    assert not champion.retrainable


def test_baselines_that_are_no_candidates_are_never_the_champion(compare, partial):
    comparison = compare(partial, OTHERS)
    assert comparison.judged["colour_histogram"].retrieval_values["mAP"] > 0
    assert "colour_histogram" not in [one.name for one in comparison.candidates]


def test_it_is_said_where_training_brings_nothing(compare, partial):
    twins = [partial[0], replace(partial[0], name="frozen_trunk", classify=None), partial[3]]
    (note,) = notes_of(compare(twins, {"frozen_trunk": "frozen_trunk"}))
    assert "(frozen_trunk) or the colour histogram" in note
    better = [System("l1", mean_colour, cosine_scores), channel("frozen_trunk", 2)]
    assert notes_of(compare(better, {"frozen_trunk": "frozen_trunk"})) == []


def test_a_gain_that_a_classical_member_brings_is_no_gain_of_training(compare, partial):
    poor = channel("l1", 1, pretrained=False)
    systems = [poor, replace(poor, name="frozen_trunk"), replace(partial[3], name="vlad")]
    comparison = compare(systems, OTHERS)
    assert comparison.versus("l1+vlad", "frozen_trunk").low > 0
    (note,) = notes_of(comparison)
    assert "(frozen_trunk)" in note


def test_weights_follow_the_spread_of_the_scores():
    generator = np.random.default_rng(0)
    wide, narrow = generator.normal(size=(40, 4)), generator.normal(size=(40, 4)) + 6
    parts = [
        part_of(System(name, mean_colour, cosine_scores), {"train": rows.astype(np.float32), "val": rows[:9]})
        for name, rows in (("wide", wide), ("narrow", narrow))
    ]
    system, vectors = join_parts(parts)
    assert (system.name, members_of(system.name)) == ("wide+narrow", ["wide", "narrow"])
    own = np.linalg.norm(vectors["train"][:, :4], axis=1) ** 2
    assert (own < 0.2).all()  # its scores differ most
    np.testing.assert_allclose(own * parts[0].spread, (1 - own) * parts[1].spread, rtol=1e-4)
    np.testing.assert_allclose(system.scores(vectors["val"], vectors["train"]).max(1), 1, atol=1e-5)


def test_the_class_layer_is_of_the_first_member_that_reads_unit_vectors():
    seen = []

    def layer(vectors):
        seen.append(vectors)
        return nearest_class_colour(vectors)

    long = System("long", mean_colour, cosine_scores, nearest_class_colour)
    unit = System("unit", lambda images: unit_rows(mean_colour(images)), cosine_scores, layer, unit=True)
    system = joined_system("long+unit", Join(("long", "unit"), (0.3, 0.7), (3, 3)), [long, unit])
    images = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), dtype=np.uint8)
    assert system.classify(system.embed(images)).shape == (5, 4)
    np.testing.assert_allclose(seen[0], unit.embed(images), atol=1e-5)
    assert joined_system("long", Join(("long",), (1.0,), (3,)), [long]).classify is None


def test_a_system_without_files_cannot_be_kept(tmp_path):
    system = joined_system("a", Join(("a",), (1.0,), (3,)), [System("a", mean_colour, cosine_scores)])
    with pytest.raises(ValueError, match="cannot be saved"):
        system.save(tmp_path)
