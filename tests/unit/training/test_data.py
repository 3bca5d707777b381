import json

import numpy as np

from tests.unit.training.tiny_store import write_store
from twinfolio.assessment.embeddings import GALLERY
from twinfolio.data.store import Store, read_info
from twinfolio.training.data import gallery_rows, open_rows


def test_training_and_the_gallery_never_open_the_unknown_classes(tmp_path, monkeypatch):
    root = write_store(tmp_path)
    info = json.loads((root / "store.json").read_text()) | {"unknown_classes": ["z"]}
    (root / "store.json").write_text(json.dumps(info))
    (root / "unknown").mkdir()  # holds nothing that could be opened
    opened, real = [], Store.open
    monkeypatch.setattr(Store, "open", lambda folder: opened.append(folder.name) or real(folder))
    for refit in (False, True):
        train, val = open_rows(root, refit)
        gallery = gallery_rows(train, 6, seed=0)
        assert max(np.concatenate([part.labels for part in (train, val, gallery)])) < len(read_info(root).classes)
    assert set(opened) == {"train", "val"} == set(GALLERY)
