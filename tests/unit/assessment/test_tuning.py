import json

import numpy as np
import pandas as pd
import pytest

from twinfolio.assessment.classical import load_classical, save_classical
from twinfolio.assessment.gallery import gallery_table
from twinfolio.assessment.systems import system_scores
from twinfolio.assessment.tuning import Grid, open_workbench, tune
from twinfolio.data.store import read_info
from twinfolio.descriptors.local import Extractor, extract
from twinfolio.descriptors.vocabulary import Vocabulary
from twinfolio.errors import DataError, ParamsError
from twinfolio.evaluation.retrieval_protocol import retrieval_protocol
from twinfolio.reporting.classical import write_tuning
from twinfolio.sample.scenes import draw_views

SMALL = Grid(most=(40,), bow_words=(8, 24), bow_distances=("l1", "cosine"), vlad_words=(4,), whiten=(0, 6), matched=20)


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """A class a street: five views in train, two in validation, every view a page of its own."""
    root = tmp_path_factory.mktemp("streets")
    views = draw_views(scenes=4, views=7, side=96, seed=3)
    for split, places in (("train", range(5)), ("val", range(5, 7))):
        kept = np.flatnonzero(np.isin(np.arange(28) % 7, places))
        (root / split).mkdir()
        np.save(root / split / "images.npy", views.images[kept])
        np.save(root / split / "labels.npy", views.scenes[kept])
        ids = [f"street{views.scenes[i]}/{i % 7}" for i in kept]
        labels = [name.split("/")[0] for name in ids]
        frame = pd.DataFrame({"image_id": ids, "copy": 0, "tile": 0, "label": labels, "group": ids})
        frame.assign(cluster=ids, within_group=0).to_csv(root / split / "index.csv", index=False)
    info = {
        "channels": 3, "classes": [f"street{i}" for i in range(4)], "counts": {}, "data_hash": "d", "fit": "pad",
        "has_groups": False, "policy": "none", "size": 96, "tile_above": 3.0, "tiles": 1,
    }  # fmt: skip
    (root / "store.json").write_text(json.dumps(info))
    return root


@pytest.fixture(scope="module")
def bench(streets, tmp_path_factory):
    return open_workbench(streets, cache=tmp_path_factory.mktemp("cache") / "keypoints.sqlite")


@pytest.mark.parametrize(
    ("name", "settings"), [("bow_orb", 4), ("vlad_rootsift", 2), ("vlad_surf_matched", 3), ("dhash", 1)]
)
def test_the_setting_with_the_highest_validation_map_is_kept(name, settings, bench):
    tuned = tune(name, SMALL, bench)
    assert len(tuned.tried) == settings
    assert tuned.best.setting.spec.name == name
    own = [value for setting, value in tuned.tried if setting.spec.name == name]
    assert tuned.best.val_map == max(own)
    assert (tuned.best.setting, tuned.best.val_map) in tuned.tried


def test_words_are_those_of_train_alone(bench):
    tuned = tune("vlad_rootsift", SMALL, bench)
    train = extract(np.stack(list(bench.images["train"])), Extractor("rootsift", 40))
    expected = Vocabulary.fit(train, 4).words
    np.testing.assert_array_equal(tuned.best.encoder.bags.vocabulary.words, expected)


@pytest.mark.parametrize("name", ["bow_rootsift", "vlad_rootsift", "vlad_rootsift_matched", "phash"])
def test_a_saved_system_ranks_validation_as_it_did_when_it_was_chosen(name, bench, streets, tmp_path):
    tuned = tune(name, SMALL, bench)
    info = read_info(streets)
    files = pd.DataFrame({"image_id": np.concatenate([part.items.ids for part in bench.parts.values()])})
    gallery = gallery_table(bench.parts, info.classes, files.assign(path=files["image_id"] + ".png", sha256=""))
    best = tuned.best
    save_classical(tmp_path, best.encoder, best.recipe, info, list(best.vectors.values()), gallery)
    system = load_classical(tmp_path)
    assert system.name == name
    vectors = {split: system.embed(np.stack(list(images))) for split, images in bench.images.items()}
    val, train = bench.parts["val"], bench.parts["train"]
    scores = system_scores(system, vectors["val"], val, vectors["train"], train)
    values = retrieval_protocol(scores, val.items, train.items).metrics.per_query["mAP"]
    assert values.mean() == pytest.approx(best.val_map)
    np.testing.assert_array_equal(np.load(tmp_path / "embeddings.npy"), np.concatenate([*vectors.values()]))


def test_every_setting_is_a_row_and_the_kept_one_is_marked(bench, tmp_path):
    tuned = {name: tune(name, SMALL, bench) for name in ("bow_orb", "phash")}
    write_tuning(tuned, tmp_path)
    table = pd.read_csv(tmp_path / "tuning.csv")
    assert table.groupby("system").size().to_dict() == {"bow_orb": 4, "phash": 1}
    assert table.groupby("system")["kept"].sum().to_dict() == {"bow_orb": 1, "phash": 1}
    kept = table[table["kept"] == 1].set_index("system")["val_mAP"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["val/classical_bow_orb/mAP"] == kept["bow_orb"]
    assert metrics["val/classical_phash/bytes_per_image"] == 64 * 4
    assert metrics["train/classical_bow_orb/without_key_points"] == tuned["bow_orb"].without["train"]


def test_systems_that_are_not_known_and_too_many_words_are_one_line(bench):
    with pytest.raises(ParamsError, match="no classical system is called 'bow_sift'"):
        tune("bow_sift", SMALL, bench)
    with pytest.raises(DataError, match=r"100000 visual words from .* key points"):
        tune("bow_orb", Grid(bow_words=(100_000,)), bench)


@pytest.fixture
def fits(monkeypatch):
    """Vocabularies found, by their number of words."""
    found, fit = [], Vocabulary.fit

    def counted(features, words, seed=0):
        found.append(words)
        return fit(features, words, seed)

    monkeypatch.setattr(Vocabulary, "fit", counted)
    return found


def test_words_are_found_once_for_all_settings_that_share_them(streets, fits):
    grid = Grid(bow_words=(4, 8), bow_distances=("l1", "cosine"), vlad_words=(4,), weights=(0.1, 0.2), matched=20)
    bench = open_workbench(streets)
    for name in ("bow_rootsift", "bow_rootsift_matched", "vlad_rootsift"):
        tune(name, grid, bench)
    assert fits == [4, 8]


def test_key_points_looked_for_otherwise_have_words_of_their_own(streets, fits):
    tune("bow_rootsift", Grid(enlarge=(1.0, 2.0), bow_words=(4,)), open_workbench(streets))
    assert fits == [4, 4]


def test_shared_words_give_the_vectors_of_words_found_alone(streets):
    grid = Grid(bow_words=(4,), bow_distances=("l1",), vlad_words=(4,))
    bench = open_workbench(streets)
    tune("vlad_rootsift", grid, bench)
    shared, alone = (tune("bow_rootsift", grid, one).best for one in (bench, open_workbench(streets)))
    np.testing.assert_array_equal(shared.vectors["val"], alone.vectors["val"])
