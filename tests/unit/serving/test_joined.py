import json

import numpy as np
import pytest

from tests.unit.assessment import kinds
from twinfolio.cli import main
from twinfolio.errors import ModelError
from twinfolio.retrieval.joined import JSON
from twinfolio.retrieval.scorers import unit_rows
from twinfolio.serving.loading import load_program

NAME = kinds.KINDS[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("joined")
    kinds.write_kind(kinds.systems_in(root / "trained")[NAME], root / "champion", root / "model")
    return root / "model"


@pytest.fixture
def program(folder):
    return load_program(folder)


def test_the_members_vectors_stand_side_by_side_each_at_the_root_of_its_weight(program):
    images = kinds.pictures()
    vectors = program.embed(images)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    first, weight = program.members[0], program.join.weights[0]
    np.testing.assert_allclose(
        vectors[:, : program.join.widths[0]], np.sqrt(weight) * unit_rows(first.embed(images)), atol=1e-6
    )


def test_classes_are_those_of_the_first_member_with_a_class_layer(program):
    images = kinds.pictures()
    expected = program.members[0].probabilities(program.members[0].embed(images))
    np.testing.assert_allclose(program.probabilities(program.embed(images)), expected, atol=1e-4)


def test_no_map_is_drawn(program):
    assert program.split is None
    assert program.match_maps(*kinds.pictures()[:2]) is None


def test_the_fingerprint_follows_the_weights(folder, program, tmp_path):
    before = program.fingerprint
    text = (folder / JSON).read_text()
    raw = json.loads(text)
    raw["members"][0]["weight"] += 0.01
    try:
        (folder / JSON).write_text(json.dumps(raw))
        assert load_program(folder).fingerprint != before
    finally:
        (folder / JSON).write_text(text)


def test_a_folder_that_lacks_a_file_is_refused(folder, program):
    path = folder / "rendering.json"
    text = path.read_text()
    path.unlink()
    try:
        with pytest.raises(ModelError, match="not a whole folder"):
            load_program(folder)
    finally:
        path.write_text(text)


def test_indexes_are_built_and_asked_exactly_and_approximately(folder, tmp_path, capsys):
    from PIL import Image

    for place, image in enumerate(kinds.pictures()):
        path = tmp_path / "new" / f"street{place // 4}" / f"{place % 4}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    model = ["--model", str(folder)]
    cache = ["--cache", str(tmp_path / "cache.sqlite")]
    query = str(tmp_path / "new/street1/1.png")
    found = []
    for backend in ("exact", "hnsw"):
        index = str(tmp_path / backend)
        assert (
            main(["index", "build", str(tmp_path / "new"), "--index", index, "--backend", backend, *model, *cache]) == 0
        )
        capsys.readouterr()
        assert main(["query", query, "--index", index, "-k", "3", "--json", *model]) == 0
        found.append([one["image_id"] for one in json.loads(capsys.readouterr().out)["answers"]])
    assert found[0] == found[1]
    assert main(["classify", query, "--json", *model]) == 0
    assert main(["duplicates", str(tmp_path / "new"), *model, *cache]) == 0
    assert main(["oneshot", str(tmp_path / "new"), "--ways", "2", *model]) == 0
