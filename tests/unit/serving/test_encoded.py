"""A classical system's folder behind the same commands as a model's."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from twinfolio.cli import main
from twinfolio.descriptors.encoder import Encoder, EncoderSpec
from twinfolio.errors import ModelError
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.whitening import fit_whitening
from twinfolio.sample.planted import plant
from twinfolio.sample.scenes import draw_views
from twinfolio.serving.loading import load_program

MATCHED = (EncoderSpec("rootsift", words=4, most=60, matched=30), Recipe(matched=Matched(points=30, candidates=4)))
SPECS = {
    "plain": (EncoderSpec("rootsift", words=4, most=60), Recipe()),
    "matched": MATCHED,
    "whitened, matched": MATCHED,
    "hash": (EncoderSpec("phash"), Recipe()),
}


@pytest.fixture(scope="module")
def views():
    return draw_views(scenes=3, views=4, side=96, seed=1).images


@pytest.fixture(params=SPECS)
def folder(request, tmp_path, views, monkeypatch):
    """``model/`` and ``data/``: a folder a street; commands run there."""
    monkeypatch.chdir(tmp_path)
    spec, recipe = SPECS[request.param]
    model = tmp_path / "model"
    encoder = Encoder.fit(spec, views)
    if request.param.startswith("whitened"):
        recipe = replace(recipe, whitening=fit_whitening(recipe.vectors_of(encoder(views)), 6))
    encoder.save(model)
    recipe.save(model)
    rendering = {"size": 96, "fit": "pad", "channels": 3, "tiles": 1, "tile_above": 3.0}
    (model / "rendering.json").write_text(json.dumps(rendering))
    (model / "classes.json").write_text(json.dumps(["street0", "street1", "street2"]))
    for at, image in enumerate(views):
        path = tmp_path / "data" / f"street{at // 4}" / f"{at % 4}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return model


def test_rows_are_the_encoders(folder, views):
    program = load_program(folder)
    encoder = Encoder.load(folder)
    np.testing.assert_array_equal(program.embed_views(views), encoder(views))
    assert program.classes == ["street0", "street1", "street2"]
    assert len(program.fingerprint) == 64


def test_index_and_query_take_it_as_they_take_a_model(folder, capsys):
    assert main(["index", "build", "data", "--model", "model"]) == 0
    assert capsys.readouterr().out.startswith("index: 12 images, 12 embedded now")
    assert main(["query", "data/street1/2.png", "--index", "index", "--model", "model", "--json", "--keep-self"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answers"][0]["path"].endswith("data/street1/2.png")
    scores = [answer["score"] for answer in found["answers"]]
    assert scores == sorted(scores, reverse=True)


def test_the_page_draws_the_key_points_that_two_images_share(folder, tmp_path, capsys):
    main(["index", "build", "data", "--model", "model"])
    assert main(["query", "data/street1/2.png", "--index", "index", "--model", "model", "--html", "page.html"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count("key points match") == (0 if load_program(folder).encoder.bags is None else 10)


def test_an_image_shares_its_key_points_with_itself(folder, views):
    program = load_program(folder)
    if program.encoder.bags is None:
        assert program.match_points(views[0], views[0]) is None
        return
    own, others = program.match_points(views[0], views[0])
    assert len(own) > 20
    np.testing.assert_array_equal(own, others)


def test_the_same_images_in_the_gallery_have_their_own_index(folder, views, capsys):
    np.save(folder / "embeddings.npy", load_program(folder).embed(views))
    rows = {"image_id": [f"street{i // 4}/{i % 4}.png" for i in range(12)]}
    frame = pd.DataFrame(rows)
    columns = {"tile": 0, "split": "train", "group": frame.image_id, "cluster": frame.image_id, "path": frame.image_id}
    frame.assign(label=frame.image_id.str[:7], content="", **columns).to_csv(folder / "gallery.csv", index=False)
    assert main(["query", "data/street0/0.png", "--model", "model", "--images", "data", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["image_id"] == "street0/0.png"


def test_it_knows_no_classes(folder, capsys):
    assert main(["classify", "data/street0/0.png", "--model", "model"]) == 2
    assert "a classical system has no class layer" in capsys.readouterr().err


def test_an_approximate_index_does_not_follow_key_points(folder, capsys):
    status = main(["index", "build", "data", "--model", "model", "--backend", "hnsw"])
    matched = load_program(folder).recipe.matched is not None
    assert status == (2 if matched else 0)
    assert ("no approximate index follows a matched key points head" in capsys.readouterr().err) == matched


def test_one_shot_trials_are_scored_as_a_query_is(folder, views, capsys):
    program = load_program(folder)
    rows = program.embed(views)
    gallery = PreparedGallery(program.recipe, rows, np.arange(len(rows)), program.scorer)
    for query in range(3):
        images, scores = gallery.search(rows[query : query + 1], 4)  # as many as a re-ranking has candidates
        np.testing.assert_allclose(program.pairwise(rows[query : query + 1], rows)[0][images], scores, atol=1e-5)
    assert main(["oneshot", "data", "--ways", "2", "--trials", "20", "--model", "model", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 20


def test_key_points_are_not_averaged(folder, capsys):
    status = main(["oneshot", "data", "--ways", "2", "--support", "embedding", "--model", "model"])
    matched = load_program(folder).recipe.matched is not None
    assert status == (2 if matched else 0)
    assert ("choose --support score" in capsys.readouterr().err) == matched


def test_another_setting_is_another_fingerprint(folder):
    before = load_program(folder).fingerprint
    rendering = json.loads((folder / "rendering.json").read_text()) | {"fit": "crop"}
    (folder / "rendering.json").write_text(json.dumps(rendering))
    assert load_program(folder).fingerprint != before


@pytest.mark.parametrize("name", ["rendering.json", "classes.json", "encoder.json"])
def test_a_folder_that_is_not_whole_is_one_line(folder, name):
    (folder / name).write_text("{")
    with pytest.raises(ModelError) as caught:
        load_program(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_copies_are_found_by_its_vectors_as_they_are(folder, views, tmp_path, capsys):
    Image.fromarray(plant(views[5], "rotated")).save(tmp_path / "data" / "street1" / "copy.png")
    assert main(["duplicates", "data", "--model", "model", "--json", "--similarity", "0.8"]) == 0
    clusters = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    near = [one["images"] for one in clusters if one["kind"] == "near by embedding"]
    if load_program(folder).encoder.bags is not None:
        assert near == [["data/street1/1.png", "data/street1/copy.png"]]
