"""The eight grids of Lu's study as searches, from the params the study comes with."""

import importlib
from pathlib import Path

import pytest

from twinfolio.params.file import load_params, patched
from twinfolio.search.space import parse_space

STUDY = Path(__file__).resolve().parents[3] / "studies" / "lu_grid"
INKS = ("grey", "otsu")
ACCURACY, RETRIEVAL = {"val/classification/accuracy": "maximize"}, {"val/retrieval/mAP": "maximize"}


@pytest.fixture
def module(stage_module):
    return importlib.import_module("lu_grid")


@pytest.fixture
def params():
    return load_params(STUDY / "params.yaml")


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A workspace whose stage ``digits`` has run."""
    for ink in INKS:
        (tmp_path / "outputs" / "digits" / ink).mkdir(parents=True)
        (tmp_path / "outputs" / "digits" / ink / "store.json").write_text(ink)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_study_asks_for_every_grid_there_is(module, params):
    assert params.lu_grid.grids == module.GRIDS
    assert len(set(module.GRIDS)) == 8


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize(
    ("head", "target", "objectives"),
    [
        ("cls10", "classify", ACCURACY),
        ("fc2", "train_siamese@l2", RETRIEVAL),
        ("full", "train_siamese@l2", RETRIEVAL),
        ("mlp", "train_siamese@l2", RETRIEVAL),
    ],
)
def test_a_grid_is_a_search_of_all_its_points_for_its_heads_target(module, params, head, target, objectives, ink):
    search = module.grid_params(params, head, ink).search
    assert (search.study, search.target, search.objectives) == (f"{head}-{ink}", target, objectives)
    assert (search.sampler, search.trials, search.pruner) == ("grid", None, "none")
    assert (search.jobs, search.seed) == (params.search.jobs, params.search.seed)


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize(("head", "section"), [("cls10", "classify"), ("fc2", "siamese"), ("full", "siamese")])
def test_nine_nets_are_trained_with_three_seeds_each(module, params, head, section, ink):
    points = parse_space(module.grid_params(params, head, ink).search.space).grid()
    names = [f"{section}.{name}" for name in ("trunk_options.depth", "trunk_options.kernels", "seed")]
    found = [tuple(point[name] for name in names) for point in points]
    assert sorted(found) == [
        (depth, kernels, seed) for depth in (1, 2, 3) for kernels in (8, 16, 32) for seed in range(3)
    ]
    assert all(len(point) == 3 for point in points)


@pytest.mark.parametrize("ink", INKS)
def test_a_net_without_convolutions_is_one_cell_of_three_seeds(module, params, ink):
    points = parse_space(module.grid_params(params, "mlp", ink).search.space).grid()
    assert points == [{"siamese.seed": seed} for seed in range(3)]


@pytest.mark.parametrize(
    ("head", "trunk", "hidden"),
    [("fc2", "lu_conv", ()), ("full", "lu_conv", (1024, 1024)), ("mlp", "lu_pixels", (1024, 1024))],
)
def test_siamese_heads_differ_in_trunk_and_hidden_layers_alone(module, params, head, trunk, hidden):
    siamese = module.grid_params(params, head, "otsu").siamese
    options = {} if head == "mlp" else params.siamese.trunk_options
    changes = {"trunk": trunk, "hidden": hidden, "trunk_options": options}
    assert siamese == params.siamese.model_copy(update=changes)


@pytest.mark.parametrize("head", ["cls10", "fc2", "full", "mlp"])
def test_what_is_no_matter_of_the_head_is_the_studys(module, params, head):
    found = module.grid_params(params, head, "grey")
    assert found.model_copy(update={"search": params.search, "siamese": params.siamese}) == params
    assert found.classify.trunk == "lu_conv"


def test_a_smaller_grid_is_searched_where_params_ask_for_one(module, params):
    raw = patched(params.model_dump(), {"lu_grid.depths": (2,), "lu_grid.kernels": (4, 8), "lu_grid.seeds": (7,)})
    search = module.grid_params(type(params).model_validate(raw), "fc2", "grey").search
    points = parse_space(search.space).grid()
    assert [(point["siamese.trunk_options.kernels"], point["siamese.seed"]) for point in points] == [(4, 7), (8, 7)]


@pytest.mark.parametrize("ink", INKS)
def test_a_grids_home_sees_the_store_of_its_ink_and_holds_its_params(module, params, digits, ink):
    own = module.grid_params(params, "full", ink)
    home = module.make_home(Path("work"), own, ink)
    assert home == digits / "work"
    assert (home / "outputs" / "store").is_symlink()
    assert (home / "outputs" / "store" / "store.json").read_text() == ink
    assert load_params(home / "params.yaml") == own


def test_a_home_is_found_again(module, params, digits):
    first = module.make_home(Path("work"), params, "otsu")
    (first / "study.db").write_text("trials")
    assert module.make_home(Path("work"), params, "otsu") == first
    assert (first / "study.db").exists()
    assert (first / "outputs" / "store" / "store.json").read_text() == "otsu"


@pytest.mark.parametrize("head", ["cls10", "fc2", "full", "mlp"])
def test_the_store_is_all_that_a_grids_trials_start_from(module, params, digits, head):
    own = module.grid_params(params, head, "grey")
    search = module.GridSearch(module.make_home(Path("work"), own, "grey"), own)
    assert search.trials.stages == ("classify" if head == "cls10" else "train_siamese",)
    assert search.trials.item == (None if head == "cls10" else "l2")
    assert search.plan.most_epochs == 20
