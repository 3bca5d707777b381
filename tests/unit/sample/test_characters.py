import numpy as np

from twinfolio.sample.characters import drawn_alphabets, drawn_runs


def test_alphabets_have_omniglots_shape_and_names():
    sides = drawn_alphabets(background=2, evaluation=1, characters=20, seed=0)
    found = sides["background"]
    assert found.images.shape == (2 * 20 * 20, 105, 105)
    assert set(np.unique(found.images)) == {0, 255}
    assert found.names[0] == "Background_01/character01/0001_01"
    assert found.names[-1] == "Background_02/character20/0040_20"
    assert sides["evaluation"].names[0] == "Evaluation_01/character01/0041_01"
    ink = (found.images > 0).mean(axis=(1, 2))
    assert 0.01 < ink.mean() < 0.15
    assert (ink > 0).all()


def test_the_same_seed_draws_the_same():
    one, two, other = (drawn_alphabets(1, 1, 4, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one["background"].images, two["background"].images)
    assert (one["background"].images != other["background"].images).any()


def test_drawings_of_a_character_are_alike_and_never_equal():
    found = drawn_alphabets(1, 1, 20, seed=0)["background"]
    small = found.images.reshape(20, 20, 15, 7, 15, 7).mean((3, 5)).reshape(20, 20, -1)
    small /= np.linalg.norm(small, axis=2, keepdims=True)
    alike = np.einsum("cid,kjd->ckij", small, small).mean((2, 3))
    assert np.diag(alike).mean() > alike[~np.eye(20, dtype=bool)].mean() + 0.1
    assert len({image.tobytes() for image in found.images}) == 400


def test_a_run_shows_20_characters_by_one_drawer_and_asks_by_another():
    evaluation = drawn_alphabets(1, 2, 22, seed=0)["evaluation"]
    runs = drawn_runs(evaluation, seed=0)
    assert runs.images.shape == (800, 105, 105)
    assert runs.support.shape == (400, 20, 1)
    name_of = {image.tobytes(): name for image, name in zip(evaluation.images, evaluation.names, strict=True)}
    for run in range(20):
        rows = slice(20 * run, 20 * run + 20)
        shown = [name_of[runs.images[row].tobytes()] for row in runs.support[20 * run, :, 0]]
        asked = [name_of[runs.images[row].tobytes()] for row in runs.queries[rows]]
        assert len({name.split("/")[0] for name in shown + asked}) == 1
        assert len({name[-2:] for name in shown}) == len({name[-2:] for name in asked}) == 1
        assert shown[0][-2:] != asked[0][-2:]
        answered = [shown[answer] for answer in runs.answers[rows]]
        assert [name[:-2] for name in answered] == [name[:-2] for name in asked]
        assert len({name[:-2] for name in asked}) == 20
