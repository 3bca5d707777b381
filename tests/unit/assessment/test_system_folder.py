import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.unit.assessment import kinds
from twinfolio.assessment.model_folder import load_model_folder
from twinfolio.assessment.system_folder import head_builder, load_system
from twinfolio.assessment.systems import pairwise_scores
from twinfolio.cli import main
from twinfolio.errors import ModelError
from twinfolio.serving.loading import load_program


def test_a_head_is_read_without_torch(tmp_path):
    save_file(
        {"head.log_scale": np.zeros((), np.float32), "head.offset": np.full((), 2, np.float32),
         "embedder.w": np.zeros(3, np.float32)},
        tmp_path / "model.safetensors",
    )  # fmt: skip
    (tmp_path / "model.json").write_text(json.dumps({"head": "distance", "distance": "l2"}))
    scorer = head_builder(tmp_path)(np.array([[0, 3], [0, 0]], np.float32))
    assert scorer.pairwise(np.zeros((1, 2), np.float32)).tolist() == [[-1, 2]]


def test_a_model_without_a_head_is_refused(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps({"head": None, "distance": None}))
    with pytest.raises(ModelError, match="no head"):
        head_builder(tmp_path)


def test_an_empty_folder_is_no_system(tmp_path):
    with pytest.raises(ModelError):
        load_system(tmp_path, "champion")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Name -> (system, its files, its model folder)."""
    root = tmp_path_factory.mktemp("kinds")
    found = {}
    for name, system in kinds.systems_in(root / "trained").items():
        kinds.write_kind(system, root / "champion" / name, root / "model" / name, ["Name groups."])
        found[name] = (system, root / "champion" / name, root / "model" / name)
    return found


@pytest.mark.parametrize("name", kinds.KINDS)
class TestEveryKind:
    def test_what_is_loaded_embeds_scores_and_classifies_as_what_was_saved(self, made, name):
        system, files, _ = made[name]
        images = kinds.pictures()
        loaded, vectors = load_system(files, name), system.embed(images)
        assert (loaded.name, loaded.pretrained, loaded.unit) == (name, system.pretrained, system.unit)
        np.testing.assert_allclose(loaded.embed(images), vectors, atol=1e-6)
        scores = loaded.scores(vectors, vectors)
        np.testing.assert_allclose(scores, system.scores(vectors, vectors), atol=1e-5)
        np.testing.assert_allclose(scores, head_builder(files)(vectors).pairwise(vectors), atol=1e-4)
        assert (loaded.search is None) == (system.search is None)
        if system.classify is not None:
            np.testing.assert_allclose(loaded.classify(vectors), system.classify(vectors), atol=1e-6)

    def test_the_program_does_without_torch_what_the_system_does_with_it(self, made, name):
        system, _, folder = made[name]
        images, program = kinds.pictures(), load_program(folder)
        vectors = program.embed(images)
        np.testing.assert_allclose(vectors, system.embed(images), atol=1e-5)
        np.testing.assert_allclose(
            program.pairwise(vectors, vectors), pairwise_scores(system)(vectors, vectors), atol=2e-4
        )
        if system.classify is None:
            with pytest.raises(ModelError, match="no class layer"):
                program.probabilities(vectors)
        else:
            np.testing.assert_allclose(program.probabilities(vectors), system.classify(vectors), atol=1e-4)

    def test_a_model_folder_can_be_queried_and_says_its_notes(self, made, name, tmp_path, capsys):
        folder = made[name][2]
        path = tmp_path / "query.png"
        Image.fromarray(kinds.pictures()[5]).save(path)
        assert main(["query", str(path), "--model", str(folder), "-k", "3", "--json"]) == 0
        said = capsys.readouterr()
        answers = json.loads(said.out)["answers"]
        assert answers[0]["image_id"] == "street1/1"
        assert len(answers) == 3
        assert "twinfolio: Name groups.\n" in said.err
        assert main(["query", str(path), "--model", str(folder), "--html", str(tmp_path / "found.html")]) == 0
        assert (tmp_path / "found.html").stat().st_size > 0

    def test_a_model_folder_loads_whole(self, made, name):
        loaded = load_model_folder(made[name][2])
        assert len(loaded.embeddings) == len(kinds.pictures())
        np.testing.assert_allclose(loaded.system.embed(kinds.pictures()), loaded.embeddings, atol=1e-6)

    def test_every_other_folder_has_another_fingerprint(self, made, name):
        prints = {key: load_program(folder).fingerprint for key, (_, _, folder) in made.items()}
        assert list(prints.values()).count(prints[name]) == 1
