import json

import numpy as np
import pandas as pd
import pytest

from twinfolio.assessment.tuning import Setting, Tried, Tuned
from twinfolio.descriptors.encoder import Encoder, EncoderSpec
from twinfolio.reporting.classical import at_the_end, read_tuning, write_tuning
from twinfolio.retrieval.recipe import Recipe


def tuned(values, kept, settings, without):
    best = Tried(settings[kept], Encoder(settings[kept].spec), Recipe(), {"val": np.zeros((2, 8))}, values[kept])
    return Tuned(best, list(zip(settings, values, strict=True)), without)


@pytest.fixture
def written(tmp_path):
    bags = [Setting(EncoderSpec("orb", "bow", words=words, distance="l1")) for words in (64, 256)]
    both = {
        "bow_orb": tuned([0.4, 0.5], 1, bags, {"train": 3, "val": 1}),
        "phash": tuned([0.125], 0, [Setting(EncoderSpec("phash"))], {}),
    }
    write_tuning(both, tmp_path)
    return tmp_path


def test_what_is_written_is_read_as_it_was(written):
    table = read_tuning(written / "tuning.csv")
    assert table["system"].tolist() == ["bow_orb", "bow_orb", "phash"]
    assert table["words"].tolist() == [64, 256, pd.NA]
    assert table["kept"].tolist() == [0, 1, 1]
    assert table["val_mAP"].tolist() == [0.4, 0.5, 0.125]
    metrics = json.loads((written / "metrics.json").read_text())
    assert metrics["val/classical_bow_orb/mAP"] == 0.5
    assert metrics["val/classical_phash/bytes_per_image"] == 32
    assert metrics["train/classical_bow_orb/without_key_points"] == 3


def test_the_page_shows_kept_settings_and_warns_of_the_end_of_a_list(written):
    page = (written / "report.html").read_text()
    assert "bow_orb is best at an end of what was tried, words = 256" in page
    assert "phash is best" not in page
    assert "test was not opened" in page


@pytest.mark.parametrize(("kept", "said"), [(16, "words = 16"), (64, None), (256, "words = 256")])
def test_a_best_value_within_the_list_is_no_end(kept, said):
    rows = [("vlad_orb", words, 0.5, 0 if words == kept else 64, int(words == kept)) for words in (16, 64, 256)]
    table = pd.DataFrame(rows, columns=["system", "words", "power", "whiten", "kept"])
    for name in ("most", "enlarge", "distance", "weight"):
        table[name] = np.nan
    expected = [] if said is None else [
        f"vlad_orb is best at an end of what was tried, {said}: a longer list may help."
    ]  # fmt: skip
    assert at_the_end(table) == expected


def test_no_system_leaves_empty_tables(tmp_path):
    write_tuning({}, tmp_path)
    assert len(read_tuning(tmp_path / "tuning.csv")) == 0
    assert (tmp_path / "report.html").exists()
