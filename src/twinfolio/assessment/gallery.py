"""What a folder that can be searched says of its images: the rows of its gallery, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from twinfolio.assessment.images import ImageSet
from twinfolio.data.store import StoreInfo

GALLERY_COLUMNS = ("image_id", "tile", "split", "label", "group", "cluster", "path", "content")


def gallery_table(parts: Mapping[str, ImageSet], names: Sequence[str], manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``gallery.csv``: train's, then validation's.

    Args:
        parts: Split -> its original images.
        names: Of the classes.
        manifest: Knows each image's path and content.
    """
    files, classes = manifest.set_index("image_id"), np.array(names, dtype=object)
    frames = []
    for split in ("train", "val"):
        of = parts[split]
        image, items = of.row_image, of.items
        columns = {
            "image_id": items.ids,
            "label": classes[items.labels],
            "group": items.groups,
            "cluster": items.clusters,
            "path": files["path"].reindex(items.ids).to_numpy(),
            "content": files["sha256"].reindex(items.ids).to_numpy(),
        }
        frame = pd.DataFrame({name: values[image] for name, values in columns.items()})
        frames.append(frame.assign(tile=of.row_tile, split=split))
    return pd.concat(frames, ignore_index=True)[list(GALLERY_COLUMNS)]


def rendering_facts(info: StoreInfo) -> dict[str, Any]:
    """What ``Rendering`` needs to make rows like the store's."""
    return {name: getattr(info, name) for name in ("size", "fit", "channels", "tiles", "tile_above")}
