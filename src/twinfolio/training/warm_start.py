"""Initial weights from the start's own features: a class layer of class means, a projection of principal axes.

Training then begins from a model that already classifies and ranks about as its start's features do, and not from
random layers, whose first steps pull a good trunk apart (Kumar et al. 2022).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from twinfolio.data.datamodule import StoreRows
from twinfolio.models.embedder import ClassLayer, Embedder
from twinfolio.training.data import gallery_rows
from twinfolio.training.fit import predict

MOST_IMAGES, IMAGES_A_CLASS = 500, 3
"""Most train images that the initial weights are computed from, or that many a class, where that is more."""


def first_features(embedder: Embedder, rows: StoreRows, seed: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Embeddings (n, D) of originals of train, balanced over classes, and their labels (n,).

    Args:
        embedder: On the processor, where it is left.
        rows: Train rows.
        seed: Of the choice, where there are more images than are taken.
    """
    most = max(MOST_IMAGES, IMAGES_A_CLASS * len(np.unique(rows.labels)))
    chosen, training = gallery_rows(rows, most, seed), embedder.training
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    features = torch.from_numpy(predict(embedder.to(device).eval(), chosen, device))
    embedder.cpu().train(training)
    return features, chosen.labels


def start_from_class_means(layer: ClassLayer, embeddings: Tensor, labels: NDArray[np.int64]) -> None:
    """Let a class layer begin as a nearest-class-mean classifier (Mensink et al. 2013) of unit embeddings.

    The weight of a class is the direction from the mean of all classes to its own mean; a class without images keeps
    its random weight.

    Args:
        layer: On embeddings of length 1.
        embeddings: (n, D).
        labels: (n,).
    """
    places = torch.from_numpy(labels)
    present = torch.from_numpy(np.unique(labels))
    means = torch.stack([embeddings[places == label].mean(0) for label in present])
    centre = means.mean(0)
    directions = F.normalize(means - centre, dim=1)
    with torch.no_grad():
        layer.weight[present] = directions
        layer.bias[present] = -layer.gain * (directions @ centre)


def can_start_warm(embedder: Embedder) -> bool:
    """Whether an embedder is its trunk's pooled features, at most projected, on the unit sphere."""
    return embedder.normalise and embedder.activation is None and not embedder.hidden


def warm_start(
    embedder: Embedder, layer: ClassLayer | None, known: ClassLayer | None, rows: StoreRows, seed: int
) -> None:
    """Let a Siamese model begin with the ranking and the classes of its trunk's pooled features.

    Args:
        embedder: With its trunk's weights already there, normalised, with at most one linear layer after the pooling.
        layer: The class layer on its embeddings, or None.
        known: A class layer of the same classes on the unit pooled features (the classifier's); None: the classes'
            means take its place.
        rows: Train rows.
        seed: Of the choice of train images.
    """
    axes = None
    if embedder.embedding is not None:
        features, _ = first_features(_pooled(embedder), rows, seed)
        axes = start_from_axes(cast("nn.Linear", embedder.projection), features)
    if layer is None:
        return
    if known is None or known.out_features != layer.out_features:
        start_from_class_means(layer, *first_features(embedder, rows, seed))
        return
    weight = known.weight.detach()
    with torch.no_grad():
        layer.weight.copy_(weight if axes is None else weight @ axes.T)
        layer.bias.copy_(known.bias)


def _pooled(embedder: Embedder) -> Embedder:
    """The same trunk without the projection: unit pooled features."""
    return Embedder(embedder.trunk, embedder.info, pooling=embedder.pooling, normalise=True, size=embedder.size)


def start_from_axes(projection: nn.Linear, features: Tensor) -> Tensor:
    """Let a projection begin as the principal axes of features, so that cosines stay about what they are.

    The axes are those of the uncentred features (their right singular vectors); where there are fewer than the
    projection is wide, orthogonal directions fill it up. The bias is 0.

    Args:
        projection: From D to d values.
        features: (n, D).

    Returns:
        The axes (d, D), orthonormal rows.
    """
    width, wide = projection.out_features, projection.in_features
    if width > wide:
        return projection.weight.detach()
    axes = torch.linalg.svd(features.double(), full_matrices=False)[2][:width]
    if len(axes) < width:
        # the Q of a QR decomposition keeps the span of the first columns: the axes, up to their signs, stay
        axes = torch.linalg.qr(torch.cat([axes, projection.weight.detach().double()])[:width].T)[0].T
    with torch.no_grad():
        projection.weight.copy_(axes)
        projection.bias.zero_()
    return projection.weight.detach()
