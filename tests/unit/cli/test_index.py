import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

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


def test_an_approximate_index_tells_its_recall_and_gives_the_same_answers(run):
    status, output, _ = run("index", "build", "data", "--backend", "hnsw")
    assert status == 0
    assert output.splitlines()[1] == "index: hnsw finds 1.000 of the 10 nearest that exact search finds"
    fast = json.loads(run("query", "data/ta/p1.png", "--index", "index", "--json", "-k", 4)[1])
    run("index", "remove", "data/alif/*")
    run("index", "add", "data")
    assert "backend   hnsw" in run("index", "info")[1]
    again = json.loads(run("query", "data/ta/p1.png", "--index", "index", "--json", "-k", 4)[1])
    run("index", "build", "data", "--index", "plain")
    exact = json.loads(run("query", "data/ta/p1.png", "--index", "plain", "--json", "-k", 4)[1])
    assert fast["answers"] == again["answers"] == exact["answers"]


def test_an_approximate_index_that_cannot_be_is_one_line(run, here, workspace):
    status, _, errors = run("index", "build", "data", "--backend", "ivfpq")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "choose exact" in errors
    other = here / "weighted"
    other.mkdir()
    for path in (workspace / "outputs/evaluate/model").iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    config = json.loads((other / "model.json").read_text()) | {"head": "weighted"}
    (other / "model.json").write_text(json.dumps(config))
    for arguments in (["data"], []):
        status, _, errors = run("index", "build", *arguments, "--backend", "hnsw", "--model", other)
        assert (status, "no approximate index follows a weighted head" in errors) == (2, True)


def start(*arguments):
    """The tool as a process of its own, the package from this checkout."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    command = [sys.executable, "-m", "twinfolio.cli", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_command_killed_at_any_moment_leaves_an_index_that_serves(run, here):
    for number in range(300):
        paint(here / "more" / f"{number:03}.png", 1000 + number)
    run("index", "build", "data")
    started = time.perf_counter()
    assert start("index", "add", "more", "--cache", "whole.sqlite").wait() == 0
    seconds = time.perf_counter() - started
    for share in np.linspace(0.1, 0.99, 10):
        run("index", "build", "data")
        worker = start("index", "add", "more", "--cache", f"{share}.sqlite")
        time.sleep(share * seconds)
        worker.kill()
        worker.communicate()
        status, output, errors = run("query", "data/ta/p1.png", "--index", "index", "--json")
        assert (status, errors) == (0, "")
        assert json.loads(output)["answers"][0]["label"] == "ta"
    assert run("index", "add", "more")[0] == 0
    assert "images    312" in run("index", "info")[1]


@pytest.mark.slow
def test_two_commands_that_write_at_once_both_get_in(run, here):
    run("index", "build", "data")
    for name in ("one", "two"):
        for number in range(40):
            paint(here / name / f"{number:03}.png", number + len(name))
    workers = [start("index", "add", name) for name in ("one", "two")]
    for worker in workers:
        assert (worker.communicate()[1], worker.returncode) == ("", 0)
    assert dict(line.split(None, 1) for line in run("index", "info")[1].splitlines())["images"] == "92"
