import optuna
import pytest

from twinfolio.errors import ParamsError
from twinfolio.search.space import parse_space

SPACE = {
    "siamese.lr": {"log": [1e-4, 1e-2]},
    "siamese.margin": {"float": [0.2, 1.0], "step": 0.4},
    "siamese.embedding": {"int": [64, 256], "step": 64},
    "siamese.hidden": {"categorical": [[], [1024, 1024]]},
    "siamese.activation": {"categorical": [None, "sigmoid"]},
}


def draws(raw, n=50):
    space = parse_space(raw)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    return space, [space.suggest(study.ask()) for _ in range(n)], study


def test_values_are_what_params_would_hold_and_lie_between_the_bounds():
    _, found, _ = draws(SPACE)
    for values in found:
        assert 1e-4 <= values["siamese.lr"] <= 1e-2
        assert round(values["siamese.margin"], 6) in (0.2, 0.6, 1.0)
        assert values["siamese.embedding"] in (64, 128, 192, 256)
        assert values["siamese.hidden"] in ([], [1024, 1024])
        assert values["siamese.activation"] in (None, "sigmoid")
    for key in SPACE:
        assert len({str(values[key]) for values in found}) > 1


def test_the_ends_of_a_dimension_are_of_the_type_that_is_drawn():
    ends = {one.key: one.ends() for one in parse_space(SPACE | {"a.b": {"float": [1, 2]}}).dimensions}
    assert ends["siamese.embedding"] == (64, 256)
    assert ends["siamese.hidden"] == ([], [1024, 1024])
    assert [type(end) for end in ends["a.b"]] == [float, float]


def test_a_finished_trial_gives_its_values_back():
    space, found, study = draws(SPACE)
    for trial, values in zip(study.trials, found, strict=True):
        assert space.values_of(trial.params) == values


def test_a_grid_has_every_combination_once_and_the_last_key_changes_fastest():
    space = parse_space({"a.depth": {"int": [1, 3]}, "a.seed": {"categorical": [7, 8]}})
    assert space.grid() == [{"a.depth": depth, "a.seed": seed} for depth in (1, 2, 3) for seed in (7, 8)]
    stepped = parse_space({"a.x": {"float": [0.0, 0.3], "step": 0.1}})
    assert [point["a.x"] for point in stepped.grid()] == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "search.space is empty"),
        ({"a.b": {"int": [3, 1]}}, r"search.space.a.b: bounds 3 and 1 are reversed; write \[1, 3\]"),
        ({"a.b": {"log": [0, 1]}}, "a logarithmic scale starts above 0, not at 0"),
        ({"a.b": {"int": [1]}}, r"search.space.a.b.int = \[1\]: must be two numbers"),
        ({"a.b": {"int": [1.5, 2]}}, "must be two numbers"),
        ({"a.b": {"float": "01"}}, "must be a list"),
        ({"a.b": {"categorical": []}}, "must be different choices"),
        ({"a.b": {"categorical": [1, 1]}}, "must be different choices"),
        ({"a.b": {"uniform": [0, 1]}}, "not one kind of bounds"),
        ({"a.b": {"int": [0, 1], "float": [0, 1]}}, "not one kind of bounds"),
        ({"a.b": [0, 1]}, "not one kind of bounds"),
        ({"a.b": {"log": [1, 2], "step": 1}}, "only int and float have one"),
        ({"a.b": {"int": [1, 2], "step": 0}}, "must be above 0"),
    ],
)
def test_bad_bounds_get_one_line_that_names_the_key(raw, words):
    with pytest.raises(ParamsError, match=words) as raised:
        parse_space(raw)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("bounds", [{"log": [0.1, 1]}, {"float": [0, 1]}])
def test_an_endless_dimension_is_no_grid(bounds):
    with pytest.raises(ParamsError, match="finitely many values"):
        parse_space({"a.b": bounds}).grid()
