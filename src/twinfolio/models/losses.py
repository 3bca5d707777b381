"""Losses over all pairs of a batch, as functions of the matrix of its similarities, and over single pairs.

Similarities are on the measure of ``Head.similarity``: 1 for equal embeddings, the cosine, 1 - L2 or
1 - L1 / sqrt(D) on the unit sphere, so that a temperature or a margin means the same for each distance.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from twinfolio.errors import ModelError
from twinfolio.models.heads import Head

LOSSES = ("supcon", "bce", "contrastive", "multi_similarity")
"""Losses of ``pair_loss`` by name."""


class PairMasks(NamedTuple):
    """Which entries of a batch's (B, B) matrix are positive and which negative pairs; the rest take no part."""

    positive: Tensor
    negative: Tensor


def pair_masks(labels: Tensor, sources: Tensor | None = None) -> PairMasks:
    """Positive and negative pairs of a batch, without a row and itself and without two copies of one image.

    Args:
        labels: Class of each row (B,).
        sources: Number of the image each row stems from (B,); None: every row is an image of its own.
    """
    if sources is None:
        sources = torch.arange(len(labels), device=labels.device)
    different = sources[:, None] != sources
    same_class = labels[:, None] == labels
    return PairMasks(same_class & different, ~same_class & different)


def supcon(similarity: Tensor, masks: PairMasks, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, Eq. 2), mean over the rows that have a positive.

    Args:
        similarity: (B, B).
        masks: See ``pair_masks``.
        temperature: Divides the similarities.

    Returns:
        A scalar; 0 where the batch lacks positives or negatives.
    """
    from pytorch_metric_learning.losses import SupConLoss

    return _library_loss(SupConLoss, similarity, masks, temperature=temperature)


def multi_similarity(similarity: Tensor, masks: PairMasks) -> Tensor:
    """Multi-similarity loss (Wang et al. 2019, Eq. 15) with the library's alpha 2, beta 50, base .5; see ``supcon``."""
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    return _library_loss(MultiSimilarityLoss, similarity, masks)


def contrastive(similarity: Tensor, masks: PairMasks, margin: float) -> Tensor:
    """Contrastive loss, half d^2 for positives and half max(margin - d, 0)^2 for negatives, d = 1 - similarity.

    Positives and negatives weigh the same, as in a list with as many of each (Hadsell et al. 2006, Eq. 4).

    Args:
        similarity: (B, B).
        masks: See ``pair_masks``.
        margin: Distance from which negatives cost nothing.
    """
    pull, push = _contrastive_terms(similarity, margin)
    return 0.5 * (_mean_of(pull, masks.positive) + _mean_of(push, masks.negative))


def bce(logits: Tensor, masks: PairMasks) -> Tensor:
    """Binary cross-entropy on a head's logits (B, B), weighted so that positives and negatives count the same."""
    positive, negative = _mean_of(F.softplus(-logits), masks.positive), _mean_of(F.softplus(logits), masks.negative)
    return 0.5 * (positive + negative)


def bce_paired(logits: Tensor, same: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy over single pairs (Khayyat et al., section on learning strategy).

    Args:
        logits: A head's logits (N,).
        same: Whether the pair is of one class (N,).
        weights: Weight of each pair (N,), for instance its anchor's class weight; brought to mean 1.
    """
    return _weighted_mean(F.binary_cross_entropy_with_logits(logits, same.to(logits.dtype), reduction="none"), weights)


def contrastive_paired(similarity: Tensor, same: Tensor, margin: float, weights: Tensor | None = None) -> Tensor:
    """Contrastive loss over single pairs; ``similarity`` (N,) from ``Head.similarity``, the rest as ``bce_paired``."""
    pull, push = _contrastive_terms(similarity, margin)
    return _weighted_mean(torch.where(same.bool(), pull, push), weights)


def pair_loss(
    name: str,
    head: Head,
    embeddings: Tensor,
    labels: Tensor,
    sources: Tensor | None = None,
    *,
    temperature: float = 0.1,
    margin: float = 0.5,
) -> Tensor:
    """The loss ``name`` over all pairs of a batch, in float32; ``calibration_loss`` goes with it.

    Args:
        name: One of ``LOSSES``.
        head: Gives the logits.
        embeddings: (B, D).
        labels: Class of each row (B,).
        sources: Number of the image each row stems from (B,); see ``pair_masks``.
        temperature: See ``supcon``.
        margin: See ``contrastive``.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings, masks = embeddings.float(), pair_masks(labels, sources)
        logits = head.pairwise(embeddings, embeddings)
        return (
            bce(logits, masks)
            if name == "bce"
            else _ranking_loss(name, head.similarity(logits), masks, temperature, margin)
        )


def paired_loss(
    name: str, head: Head, x: Tensor, y: Tensor, same: Tensor, weights: Tensor | None = None, *, margin: float = 0.5
) -> Tensor:
    """The loss ``name`` (``bce`` or ``contrastive``) over single pairs of embeddings (N, D), in float32.

    Arguments as in ``bce_paired`` and ``pair_loss``.
    """
    with torch.autocast(x.device.type, enabled=False):
        logits = head.paired(x.float(), y.float())
        if name == "bce":
            return bce_paired(logits, same, weights)
        if name != "contrastive":
            raise ModelError(f"loss = {name!r} needs all pairs of a batch", "use bce or contrastive for single pairs")
        return contrastive_paired(head.similarity(logits), same, margin, weights)


def calibration_loss(head: Head, embeddings: Tensor, labels: Tensor) -> Tensor:
    """What makes a head's logits probabilities where the loss is not ``bce``, which does so by itself.

    Such losses shape the embeddings and leave a head's offset and scale alone: a cross-entropy on detached embeddings
    fits these and moves no embedding. Arguments as in ``pair_loss``.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        fixed = embeddings.detach().float()
        return bce(head.pairwise(fixed, fixed), pair_masks(labels))


def paired_calibration_loss(head: Head, x: Tensor, y: Tensor, same: Tensor, weights: Tensor | None = None) -> Tensor:
    """``calibration_loss`` over single pairs; arguments as in ``paired_loss``."""
    with torch.autocast(x.device.type, enabled=False):
        return bce_paired(head.paired(x.detach().float(), y.detach().float()), same, weights)


def _ranking_loss(name: str, similarity: Tensor, masks: PairMasks, temperature: float, margin: float) -> Tensor:
    if name == "supcon":
        return supcon(similarity, masks, temperature)
    if name == "multi_similarity":
        return multi_similarity(similarity, masks)
    if name == "contrastive":
        return contrastive(similarity, masks, margin)
    raise ModelError(f"loss = {name!r} is unknown", f"choose one of {', '.join(LOSSES)}")


def _contrastive_terms(similarity: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    distance = (1 - similarity).clamp_min(0)
    return 0.5 * distance.square(), 0.5 * F.relu(margin - distance).square()


def _mean_of(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the entries under the mask; 0 where there are none."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


def _weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean() if weights is None else (values * weights).sum() / weights.sum()


def _library_loss(loss: type[torch.nn.Module], similarity: Tensor, masks: PairMasks, **options: float) -> Tensor:
    """A loss of pytorch-metric-learning on a similarity matrix there already is, over the pairs of the masks."""
    from pytorch_metric_learning.distances import BaseDistance

    class Given(BaseDistance):  # type: ignore[misc]
        """The library's notion of a similarity (``is_inverted``), which is the given matrix."""

        def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
            return similarity

    function = loss(distance=Given(normalize_embeddings=False, is_inverted=True), **options)
    pairs = (*torch.where(masks.positive), *torch.where(masks.negative))
    value: Tensor = function(similarity, indices_tuple=pairs)
    return value
