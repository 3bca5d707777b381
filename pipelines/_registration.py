"""How ``evaluate`` hands its model folder to the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from _stage import ROOT, Stage
from twinfolio.assessment.champion import PER_QUERY, Champion
from twinfolio.evaluation.significance import paired_permutation_test
from twinfolio.reporting.test_uses import params_hash
from twinfolio.tracking.mlflow_store import store_root

if TYPE_CHECKING:
    from twinfolio.data.store import StoreInfo


def register(
    stage: Stage, folder: Path, info: StoreInfo, *, compared: Path, champion: Champion, pretrained: bool | None
) -> None:
    """Register the model folder and let it compete for the alias by validation's per-query AP.

    Args:
        stage: The stage; without an MLflow run (a rank other than zero) nothing happens.
        folder: The model folder.
        info: The store the model was made from.
        compared: Output folder of ``compare_distances``.
        champion: The choice made on validation.
        pretrained: Whether its trunks started from ImageNet weights; None without a trunk.
    """
    from twinfolio.tracking.registry import Scope, promote, register_model

    if stage.run is None:
        return
    queries = pd.read_csv(compared / PER_QUERY, dtype={"query": str, "group": str}, keep_default_na=False)
    average_precisions = pd.to_numeric(queries[champion.system]).set_axis(queries["query"]).dropna()
    scope = Scope(info.data_hash, params_hash(stage.params.split.model_dump(mode="json")))
    name, root = stage.params.tracking.register_as, store_root(ROOT)
    version = register_model(
        stage.run,
        folder,
        name,
        scope=scope,
        image_shape=(info.size, info.size, info.channels),
        tags={
            "pretrained": str(bool(pretrained)).lower(),
            "protocol": stage.params.split.protocol,
            "system": champion.system,
            "refit": str(stage.params.train.refit and champion.retrainable).lower(),
        }
        | ({"distance": champion.system} if champion.kind == "distance" else {}),
        root=root,
    )
    promote(
        stage.run,
        name,
        version,
        per_query_ap={str(query): float(value) for query, value in average_precisions.items()},
        groups=dict(zip(queries["query"], queries["group"], strict=True)),
        scope=scope,
        test=paired_permutation_test,
        root=root,
    )
