"""A new photo to its ten most similar images: the share of each step when warm, and the seconds of a cold query.

Warm: one process, model and gallery loaded, a photo of 12 megapixels from file to answer; medians. Cold: ``twinfolio
query`` as a person starts it, best of three, beside the bare import of torch, torchvision, timm and faiss.
``python benchmarks/end_to_end.py [--model FOLDER] [--photo FILE...]``; the default model is ``outputs/evaluate/model``.
Where there is none, it makes one of the default trunk (ImageNet's weights; projection and head not trained) with a
gallery of 8,638 embeddings drawn around those of sample pages: its answers mean nothing, its times are those of a real
one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _bench import ROOT, best_time, finish

COLD_BAR = 4.0
MODEL, GALLERY, PAGES, K = ROOT / "outputs/evaluate/model", 8638, 24, 10
WIDTH, HEIGHT = 3000, 4000
HEAVY = "import torch, torchvision, timm, faiss"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="model folder")
    parser.add_argument("--photo", type=Path, nargs="+", help="image files; default: a sample page of 12 megapixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        photos = options.photo or [write_photo(Path(scratch))]
        trained = (options.model / "embedder.onnx").is_file()
        model = options.model if trained else write_model(Path(scratch))
        cold = best_time(lambda: run("-m", "twinfolio.cli", "query", *map(str, photos[:1]), "--model", str(model)), 3)
        heavy = best_time(lambda: run("-c", HEAVY), 1)
        steps, images = warm(model, photos)
    total = sum(steps.values())
    shares = {name: seconds / total for name, seconds in steps.items()}
    said = ", ".join(f"{name} {1e3 * seconds:.1f} ms ({shares[name]:.0%})" for name, seconds in steps.items())
    print(f"warm: {1e3 * total:.1f} ms a photo among {images} images: {said}")
    print(f"cold twinfolio query: {cold:.2f} s (bar {COLD_BAR:g} s); {HEAVY} alone: {heavy:.2f} s")
    sides = {f"{name}_ms": 1e3 * seconds for name, seconds in steps.items()}
    sides |= {f"{name}_share": share for name, share in shares.items()}
    sides |= {"warm_ms": 1e3 * total, "gallery_images": images, "heavy_imports_s": heavy}
    sides |= {"model": "as given" if trained else "ImageNet trunk, not trained"}
    finish("end_to_end", cold, "s", COLD_BAR, cold < COLD_BAR, sides)


def warm(model: Path, photos: list[Path], repeats: int = 9) -> tuple[dict[str, float], int]:
    """Median seconds of each step, and the size of the gallery."""
    from twinfolio.serving.answers import Searcher
    from twinfolio.serving.archive import prepare
    from twinfolio.serving.certainty import load_certainty
    from twinfolio.serving.gallery import read_gallery
    from twinfolio.serving.loading import load_program
    from twinfolio.serving.reading import content_hash, read_rows

    program = load_program(model)
    gallery = read_gallery(program)
    searcher = Searcher(gallery, prepare(gallery, program), load_certainty(model))
    times: dict[str, list[float]] = {"decode": [], "embed": [], "rank": []}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        times[step].append(time.perf_counter() - started)
        return result

    for turn in range(1 + repeats):
        for photo in photos:
            content, rows = timed("decode", lambda file=photo: (content_hash(file), read_rows(file, program.rendering)))
            vectors = timed("embed", lambda pixels=rows: program.embed_views(pixels))
            reply = timed("rank", lambda tiles=vectors, own=content: searcher.ask(tiles, K, own))
            if len(reply.answers) != min(K, reply.available):
                raise RuntimeError(f"{len(reply.answers)} answers of {reply.available}")
        if not turn:  # first calls prepare kernels
            times = {step: [] for step in times}
    return {step: float(np.median(seconds)) for step, seconds in times.items()}, len(searcher.ids)


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def write_photo(scratch: Path) -> Path:
    """A sample page at the size of a telephone's photo."""
    from PIL import Image

    from twinfolio.sample.generate import write_sample

    write_sample(scratch / "data", seed=0, manuscripts=2, pages=(PAGES // 2, PAGES // 2), processes=1)
    page = Image.open(next((scratch / "data").rglob("*.jpg")))
    page.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(scratch / "photo.jpg", quality=90)
    return scratch / "photo.jpg"


def write_model(scratch: Path) -> Path:
    """A model folder as the stage ``evaluate`` writes it, of the default trunk; see the head of this file."""
    import pandas as pd

    from twinfolio.assessment.calibration import Calibration
    from twinfolio.assessment.model_folder import write_model_folder
    from twinfolio.assessment.searched import SearchSetting
    from twinfolio.data.store import StoreInfo
    from twinfolio.evaluation.calibration import Calibrator
    from twinfolio.evaluation.conformal import Conformal
    from twinfolio.models.bundle import load_model, save_model
    from twinfolio.models.embedder import build_class_layer, build_siamese
    from twinfolio.retrieval.recipe import Recipe
    from twinfolio.serving.loading import load_program
    from twinfolio.serving.reading import embed_all

    embedder, head = build_siamese("tf_efficientnet_lite0", weights="imagenet", head="distance", distance="cosine")
    layer = build_class_layer(embedder, 2)
    save_model(scratch / "bundle", embedder=embedder.eval(), head=head, class_layer=layer, config={"kind": "siamese"})
    width = load_model(scratch / "bundle").config["embedding"]
    names = [f"page {n:05}" for n in range(GALLERY)]
    table = pd.DataFrame({"image_id": names, "tile": 0, "label": [f"hand {n % 100}" for n in range(GALLERY)]})
    info = StoreInfo(3, ["a", "b"], {}, "none", "pad", False, "pages", 224, 3.0, 6)
    folder, empty = scratch / "outputs/evaluate/model", np.zeros((GALLERY, width), np.float32)
    odds = Calibration(Calibrator("logistic", (1.0, 0.0)), 0.5, {}, None, 0.0, 0.05, Conformal(0.5, 0.9, 1))
    setting = SearchSetting(Recipe(), 0.0, odds)
    write_model_folder(folder, bundle=scratch / "bundle", info=info, setting=setting, embeddings=empty, gallery=table)
    if not (scratch / "data").exists():
        write_photo(scratch)
    program, files = load_program(folder), sorted((scratch / "data").rglob("*.jpg"))
    pages = [one.vectors for one in embed_all(files, program.rendering, program.embed_views)]
    draws, known = np.random.default_rng(0), np.concatenate(pages)
    vectors = known[draws.integers(len(known), size=GALLERY)] + 0.02 * draws.normal(size=(GALLERY, width))
    np.save(folder / "embeddings.npy", vectors.astype(np.float32))
    return folder


if __name__ == "__main__":
    main()
