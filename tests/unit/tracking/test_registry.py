import numpy as np
import pytest

from twinfolio.evaluation.significance import paired_permutation_test
from twinfolio.tracking.registry import Scope, promote, register_model
from twinfolio.tracking.run_context import RunPlan, start_stage_run

DATA, OTHER_DATA = Scope("data", "blocks"), Scope("other data", "blocks")
QUERIES = [f"q{i:02}" for i in range(20)]
LOW, HIGH = dict.fromkeys(QUERIES, 0.5), dict.fromkeys(QUERIES, 0.8)
HARDLY_HIGHER = {**LOW, "q00": 0.9}


@pytest.fixture
def run(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = RunPlan("evaluate", "k", "data", "p", "e", {}, {}, {}, tmp_path / "work" / "run.json")
    return start_stage_run(plan, store, tmp_path)


@pytest.fixture
def enter(run, tmp_path):
    """Register a bare version (without a model) of a run of its own and promote it."""

    def call(values, scope=DATA, groups=None):
        if not run.client.search_registered_models("name = 'twin'"):
            run.client.create_registered_model("twin")
        experiment = run.client.get_run(run.run_id).info.experiment_id
        source = run.client.create_run(experiment)
        version = run.client.create_model_version("twin", source.info.artifact_uri, source.info.run_id).version
        run.client.set_model_version_tag("twin", version, "scope", scope.key)
        arguments = {"per_query_ap": values, "groups": groups or {}, "scope": scope, "root": tmp_path}
        return promote(run, "twin", str(version), test=paired_permutation_test, **arguments)

    return call


def aliases(run):
    return {alias: str(version) for alias, version in run.client.get_registered_model("twin").aliases.items()}


def test_the_first_model_is_champion_without_a_test(run, enter):
    result = enter(LOW)
    assert (result.alias, result.moved, result.p) == ("champion", True, None)
    assert aliases(run) == {"champion": "1"}
    assert result.in_words() == "alias champion goes to it, the first of this data and split"


def test_a_better_model_takes_the_alias(run, enter):
    enter(LOW)
    result = enter(HIGH)
    assert result.in_words().startswith("alias champion moves to it: validation mAP +0.3000 against version 1, p = 0.0")
    assert result.moved
    assert result.previous == "1"
    assert result.difference == pytest.approx(0.3)
    assert result.p < 0.05
    assert aliases(run) == {"champion": "2"}


@pytest.mark.parametrize("values", [HARDLY_HIGHER, LOW, dict.fromkeys(QUERIES, 0.1)])
def test_a_model_that_is_not_surely_better_does_not(run, enter, values):
    enter(LOW)
    result = enter(values)
    assert not result.moved
    assert result.in_words().startswith("alias champion stays: ")
    assert aliases(run) == {"champion": "1"}


def test_the_test_goes_by_groups(run, enter):
    enter(LOW)
    assert not enter(HIGH, groups=dict.fromkeys(QUERIES, "one page")).moved


def test_a_model_of_other_data_never_moves_the_champion_but_has_an_alias_of_its_own(run, enter):
    enter(HIGH)
    assert enter(LOW, OTHER_DATA).moved
    own = f"champion-{OTHER_DATA.key[:8]}"
    assert aliases(run) == {"champion": "1", own: "2"}
    assert enter(HIGH, OTHER_DATA).moved
    assert not enter(LOW, OTHER_DATA).moved
    assert aliases(run) == {"champion": "1", own: "3"}


def test_another_split_of_the_same_data_is_another_scope():
    assert Scope("data", "random").key != DATA.key


def test_models_without_a_query_in_common_are_not_compared(run, enter):
    enter(LOW)
    result = enter({"another": 1.0})
    assert (result.moved, result.p) == (False, None)


def test_a_folder_without_a_net_is_registered_by_what_serves_it(run, tmp_path):
    import json

    import mlflow

    from twinfolio.descriptors.encoder import Encoder, EncoderSpec
    from twinfolio.retrieval.recipe import Recipe

    folder, encoder = tmp_path / "model", Encoder(EncoderSpec("phash"))
    encoder.save(folder)
    Recipe().save(folder)
    rendering = {"size": 32, "fit": "pad", "channels": 3, "tiles": 1, "tile_above": 3.0}
    for name, value in (("rendering", rendering), ("classes", ["a", "b"])):
        (folder / f"{name}.json").write_text(json.dumps(value))
    arguments = {"image_shape": (32, 32, 3), "tags": {"system": "phash"}, "root": tmp_path}
    version = register_model(run, folder, "twin", scope=DATA, **arguments)
    assert register_model(run, folder, "twin", scope=DATA, **arguments) == version
    loaded = mlflow.pyfunc.load_model(f"models:/twin/{version}")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(loaded.predict(images), encoder(images))


def test_a_model_is_registered_once_and_loads_with_its_signature(run, tmp_path):
    import mlflow

    from twinfolio.models.bundle import load_model, save_model
    from twinfolio.models.embedder import Embedder
    from twinfolio.models.trunks import create_trunk

    trunk, info = create_trunk("test_resnet", "none", 3)
    embedder = Embedder(trunk, info, pooling="avg", embedding=8, normalise=True, size=None)
    config = {"kind": "siamese", "classes": ["a", "b"]}
    save_model(tmp_path / "model", embedder=embedder, head=None, class_layer=None, config=config)
    arguments = {"image_shape": (32, 32, 3), "tags": {"pretrained": "false"}, "root": tmp_path}
    version = register_model(run, tmp_path / "model", "twin", scope=DATA, **arguments)
    assert register_model(run, tmp_path / "model", "twin", scope=DATA, **arguments) == version == "1"
    assert run.client.get_model_version("twin", version).tags["pretrained"] == "false"
    assert run.client.get_model_version("twin", version).run_id == run.run_id

    loaded = mlflow.pyfunc.load_model(f"models:/twin/{version}")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(loaded.predict(images), load_model(tmp_path / "model").embed_uint8(images))
    with pytest.raises(mlflow.exceptions.MlflowException, match="schema"):
        loaded.predict(images.astype(np.float64))
    assert not list(tmp_path.rglob("*.pkl"))
    assert not (tmp_path / "mlruns").exists()
