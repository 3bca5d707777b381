"""A whole model folder, with an ONNX program small enough to be written by hand, over twelve small images."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from twinfolio.cli import main
from twinfolio.retrieval.recipe import Recipe

CLASSES = ["alif", "ba", "ta"]


def paint(path, seed, label=0):
    """A patch of one class: its own colour, with noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 25, (40, 40, 3))
    colour = np.eye(3)[label] * 150 + 50
    Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """``data/``, its class folders, and ``outputs/evaluate/model``."""
    from twinfolio.serving.loading import load_program
    from twinfolio.serving.reading import read_rows

    root = tmp_path_factory.mktemp("workspace")
    paths = [
        paint(root / "data" / label / f"p{page}.png", 10 * place + page, place)
        for place, label in enumerate(CLASSES)
        for page in range(4)
    ]
    model = root / "outputs" / "evaluate" / "model"
    model.mkdir(parents=True)
    write_program(model)
    write_gallery(model, paths, root / "data")
    program = load_program(model)
    vectors = program.embed(np.concatenate([read_rows(path, program.rendering) for path in paths]))
    np.save(model / "embeddings.npy", vectors)
    write_calibration(model)
    return root


def write_program(model):
    """A linear map of the mean colour as ONNX, with a distance head and a class layer."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from safetensors.numpy import save_file

    draws = np.random.default_rng(0)
    weight = draws.normal(size=(3, 8)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
            helper.make_node("MatMul", ["means", "weight"], ["embeddings"]),
            helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Conv", ["cells", "kernel"], ["places"]),
        ],
        "embedder",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [
            helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 8]),
            helper.make_tensor_value_info("places", TensorProto.FLOAT, ["n", 8, 4, 4]),
        ],
        [
            numpy_helper.from_array(np.array([2, 3]), "axes"),
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.ascontiguousarray(weight.T)[..., None, None], "kernel"),
        ],
    )
    program = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(program, model / "embedder.onnx")
    tensors = {
        "head.log_scale": np.float32([0.0]).reshape(()), "head.offset": np.float32([2.0]).reshape(()),
        "class_layer.weight": draws.normal(size=(3, 8)).astype(np.float32), "class_layer.bias": np.zeros(3, np.float32),
    }  # fmt: skip
    save_file(tensors, model / "model.safetensors")
    facts = {
        "model": {"head": "distance", "distance": "l2", "class_layer": [3, 1.0], "normalise": False},
        "classes": CLASSES,
        "rendering": {"size": 32, "fit": "pad", "channels": 3, "tiles": 6, "tile_above": 3.0},
    }  # fmt: skip
    for name, value in facts.items():
        (model / f"{name}.json").write_text(json.dumps(value))


def write_gallery(model, paths, data):
    """``gallery.csv`` as the stage writes it; two pages a class."""
    lines = ["image_id,tile,split,label,group,cluster,content,path"]
    for path in paths:
        name, label = path.relative_to(data).as_posix(), path.parent.name
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        page = f"{label}/{'ab'[int(path.stem[1]) // 2]}"
        lines.append(f"{name.removesuffix('.png')},0,train,{label},{page},{name},{content},{name}")
    (model / "gallery.csv").write_text("\n".join(lines) + "\n")


def write_calibration(model):
    values = {
        "pairs": {"method": "logistic", "scores": [2.0, -3.0], "probabilities": []},
        "classes": {"temperature": 2.0},
        "unknown": {"threshold": 1.5, "false_match_rate": 0.05, "classes": 2},
        "conformal": {"cut": 0.4, "coverage": 0.9, "n": 12},
    }
    (model / "calibration.json").write_text(json.dumps(values))
    if not (model / "neighbours.json").exists():
        Recipe().save(model)


@pytest.fixture
def here(workspace, tmp_path, monkeypatch):
    """An empty current folder that sees the workspace's data and model."""
    (tmp_path / "outputs").symlink_to(workspace / "outputs")
    (tmp_path / "data").symlink_to(workspace / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def run(here, capsys):
    """``run("query", path)``: (exit status, standard output, standard error)."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            status = error.code
        return status, *capsys.readouterr()

    return run
