"""Stage ``judged`` of ``studies/jimenez_szabo``: judged images -> arrays, bits of key points, a split and its pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from joblib import cpu_count

from _judged import ABOUT, SET, read
from _stage import KEYPOINTS, Stage, run_stage
from twinfolio.data.judged_set import write_judged_set
from twinfolio.data.judged_split import draw_pairs, split_queries
from twinfolio.descriptors.local import Extractor, cache_key, concatenated, extract
from twinfolio.errors import DataError
from twinfolio.reporting.tables import write_json
from twinfolio.retrieval.cache import EmbeddingCache


def main(stage: Stage) -> None:
    params = stage.params.judged
    found, places = read(params)
    judged = found.judged
    split = split_queries(judged.sim, places, params.fractions, params.seed)
    pairs = draw_pairs(judged.sim, split, params.seed)
    extractor = Extractor("orb", enlarge=params.enlarge)
    features = extract(
        np.concatenate([found.queries, found.maps]), extractor,
        workers=cpu_count(), cache=EmbeddingCache(KEYPOINTS, cache_key(extractor)), progress="orb",
    )  # fmt: skip
    if features.without == len(features):
        raise DataError(f"{params.source}: none of {len(features)} images has a key point", "raise judged.enlarge")
    bits = concatenated(features, params.key_points).reshape(len(features), params.key_points, -1).astype(np.uint8)
    data_hash = write_judged_set(SET, found, bits, split, places, pairs)
    about = {
        "source": Path(params.source).name,
        "data_hash": data_hash,
        "size": list(found.queries.shape[1:3]),
        "queries": {str(name): int(count) for name, count in zip(*np.unique(split, return_counts=True), strict=True)},
        "places": len(np.unique(places)),
        "maps": len(judged.maps),
        "answers_per_query": float(judged.sim[~judged.without_relevant].sum(axis=1).mean()),
        "pairs": {str(name): len(own) for name, own in pairs.groupby("split")},
        "graded": judged.fov is not None,
        "without_key_points": features.without,
        "key_points_median": float(np.median(features.counts)),
        "left_out": dict(found.left_out),
    }
    write_json(ABOUT, about)


if __name__ == "__main__":
    run_stage("judged", main, inputs=[])
