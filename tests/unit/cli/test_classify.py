import csv
import io
import json

import numpy as np
import pytest


def test_probabilities_are_those_of_the_class_layer_over_the_temperature(run, workspace):
    from twinfolio.serving.loading import load_program
    from twinfolio.serving.reading import read_rows

    status, output, errors = run("classify", "data/ba/p0.png", "--json", "-n", 3)
    found = json.loads(output)
    program = load_program(workspace / "outputs/evaluate/model")
    (plain,) = program.probabilities(program.embed(read_rows(workspace / "data/ba/p0.png", program.rendering)))
    wanted = plain**0.5 / (plain**0.5).sum()  # the softmax at temperature 2
    got = {one["label"]: one["probability"] for one in found["classes"]}
    assert (status, errors, found["calibrated"]) == (0, "", True)
    assert [got[label] for label in ("alif", "ba", "ta")] == pytest.approx(wanted, abs=2e-6)
    assert list(got.values()) == sorted(got.values(), reverse=True)


def test_several_images_give_a_table_or_lines(run):
    table = list(csv.DictReader(io.StringIO(run("classify", "data", "--csv", "-n", 2)[1])))
    assert len(table) == 24
    assert [row["rank"] for row in table[:2]] == ["1", "2"]
    lines = run("classify", "data/ba", "-n", 1)[1].splitlines()
    assert lines[::2] == [f"data/ba/p{page}.png" for page in range(4)]
    assert all(line.split()[-1] in ("alif", "ba", "ta") and "%" in line for line in lines[1::2])


def test_more_classes_than_there_are_gives_all(run):
    assert len(json.loads(run("classify", "data/ba/p0.png", "--json", "-n", 99)[1])["classes"]) == 3


def test_a_model_without_a_class_layer_is_one_line(run, here, workspace):
    model = here / "plain"
    model.mkdir()
    for path in (workspace / "outputs/evaluate/model").iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    config = json.loads((model / "model.json").read_text()) | {"class_layer": None}
    (model / "model.json").write_text(json.dumps(config))
    status, output, errors = run("classify", "data/ba/p0.png", "--model", model)
    assert (status, output) == (2, "")
    assert "no class layer" in errors


def test_probabilities_over_tiles_are_averaged(workspace):
    from twinfolio.serving.classes import most_probable
    from twinfolio.serving.loading import load_program

    program = load_program(workspace / "outputs/evaluate/model")
    vectors = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    got = dict(most_probable(program, vectors, 1.5, 3))
    wanted = program.probabilities(vectors).mean(0) ** (1 / 1.5)  # as the pipeline fits and judges it
    assert [got[name] for name in program.classes] == pytest.approx(wanted / wanted.sum())
