import json

import numpy as np

from tests.unit.cli.conftest import paint


def test_a_flat_a_nested_and_a_class_folder_are_all_indexed(run, here):
    paint(here / "flat" / "a.png", 1)
    paint(here / "nested" / "x" / "y" / "b.png", 2)
    paint(here / "nested" / "c.png", 3)
    (here / "nested" / "x" / "bad.jpg").write_text("no image")
    status, output, errors = run("index", "build", "flat")
    assert status == 0
    assert output.startswith("index: 1 images, 1 embedded now, 0 left out, ")
    status, output, errors = run("index", "add", "nested")
    assert output.startswith("index: 2 images added, 0 replaced, 2 embedded now, 1 left out, ")
    assert errors == "twinfolio: left out: nested/x/bad.jpg: not an image\n"
    run("index", "export", "out")
    assert (here / "out/left_out.csv").read_text() == "path,reason\nnested/x/bad.jpg,not an image\n"
    table = (here / "out/rows.csv").read_text()
    for start in ("flat/a.png,0,,", "nested/x/y/b.png,0,x,", "nested/c.png,0,,"):
        assert f"\n{start}" in table
    assert np.load(here / "out/vectors.npy").shape == (3, 8)


def test_building_again_embeds_nothing(run):
    run("index", "build", "data")
    assert run("index", "build", "data")[1].startswith("index: 12 images, 0 embedded now")


def test_the_models_gallery_is_the_default_of_build(run):
    status, output, _ = run("index", "build")
    assert (status, output[:38]) == (0, "index: 12 images, 0 embedded now, 0 le")
    found = json.loads(run("query", "data/ta/p1.png", "--index", "index", "--json")[1])
    assert found["answers"][0]["label"] == "ta"
    assert found["answers"][0]["path"].endswith("data/ta/" + found["answers"][0]["image_id"][3:] + ".png")


def test_info_remove_and_add_tell_what_they_did(run):
    run("index", "build", "data")
    assert run("index", "remove", "data/ta/*")[1] == "index: 4 images removed\n"
    facts = dict(line.split(None, 1) for line in run("index", "info")[1].splitlines())
    assert (facts["images"], facts["classes"], facts["backend"]) == ("8", "2", "exact")
    assert run("index", "add", "data")[1].startswith("index: 4 images added, 8 replaced, 0 embedded now")


def test_an_index_of_another_model_is_one_line(run, here, workspace):
    run("index", "build", "data")
    other = here / "other"
    other.mkdir()
    for path in (workspace / "outputs/evaluate/model").iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    rendering = json.loads((other / "rendering.json").read_text()) | {"fit": "crop"}
    (other / "rendering.json").write_text(json.dumps(rendering))
    status, output, errors = run("query", "data/ta/p1.png", "--index", "index", "--model", other)
    assert (status, output, len(errors.splitlines())) == (2, "", 1)
    assert "this index was made by model" in errors


def test_a_damaged_index_is_one_line(run, here):
    run("index", "build", "data")
    vectors = next((here / "index").glob("g*/vectors.npy"))
    vectors.write_bytes(vectors.read_bytes()[:-4])
    status, output, errors = run("query", "data/ta/p1.png", "--index", "index")
    assert (status, output, len(errors.splitlines())) == (2, "", 1)
    assert "vectors.npy: damaged; build the index again" in errors


def test_an_export_onto_the_index_is_refused(run):
    run("index", "build", "data")
    assert run("index", "export", "index")[0] == 2
    assert run("index", "info")[0] == 0
