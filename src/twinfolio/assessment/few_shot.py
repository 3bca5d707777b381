"""N-way K-shot trials of the champion: on classes it has learned, and on those held out of all training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.images import ImageSet, originals
from twinfolio.assessment.scene import Scene
from twinfolio.assessment.systems import System, pairwise_scores
from twinfolio.data.linked import linked
from twinfolio.data.manifest import UNKNOWN
from twinfolio.errors import DataError
from twinfolio.evaluation.bootstrap import Interval, bootstrap_interval, bootstrap_share
from twinfolio.evaluation.oneshot import trial_credit, trial_scores
from twinfolio.evaluation.trials import Trials, draw_trials

LEARNED, NEW = "learned", "new"


@dataclass(frozen=True)
class TrialPlan:
    """Which trials are asked.

    Attributes:
        ways: Classes a trial, at most; fewer where there are fewer.
        shots: Images that show each class.
        trials: Trials on either side.
        seed: Of the draw.
    """

    ways: int
    shots: int
    trials: int
    seed: int


@dataclass(frozen=True)
class FewShot:
    """Trials among one side's classes.

    Attributes:
        side: ``learned`` or ``new``.
        ids: Name of each image that trials number.
        trials: As drawn; None where none could be.
        accuracy: Mean credit; NaN without trials.
        interval: Of the bootstrap over the queries' groups: many trials ask about few images.
        reason: Why there are none.
    """

    side: str
    ids: list[str]
    trials: Trials | None = None
    accuracy: float = float("nan")
    interval: Interval = field(default=Interval(float("nan"), float("nan")))
    reason: str = ""


def few_shot(system: System, scene: Scene, test_vectors: np.ndarray, plan: TrialPlan) -> list[FewShot]:
    """Ask trials among test images of learned classes and, where classes were held out, among images of these.

    A query and the images that show its class are never of one group or duplicate cluster. No threshold is read, so
    that all held-out classes are asked about, those whose images set the threshold for unknown images too.

    Args:
        system: The champion.
        scene: Test.
        test_vectors: float32 (R, D), the test rows.
        plan: Which trials.
    """
    sides = [_ask(LEARNED, system, scene.queries, test_vectors, plan, scene)]
    if UNKNOWN in scene.stores:
        strange = originals(scene.stores[UNKNOWN])
        vectors = embed_originals(system, scene.stores[UNKNOWN].images, strange, UNKNOWN)
        sides.append(_ask(NEW, system, strange, vectors, plan, scene))
    return sides


def _ask(side: str, system: System, images: ImageSet, vectors: np.ndarray, plan: TrialPlan, scene: Scene) -> FewShot:
    items = images.items
    kin = linked(items.groups, items.clusters)
    ids = [str(name) for name in items.ids]
    enough = int((np.unique(items.labels, return_counts=True)[1] >= plan.shots).sum())
    try:
        trials = draw_trials(
            items.labels,
            [side] * len(items),
            kin,
            ways=max(2, min(plan.ways, enough)),
            shots=plan.shots,
            per_family=plan.trials,
            seed=plan.seed,
        )
    except DataError as error:
        return FewShot(side, ids, reason=str(error))
    tiles = [vectors[images.row_image == image] for image in range(len(images))]
    credit = trial_credit(trial_scores(trials, tiles, pairwise_scores(system)), trials.answers)
    how = scene.resampling
    interval_of = bootstrap_share if np.isin(credit, (0, 1)).all() else bootstrap_interval  # ties share a trial
    interval = interval_of(credit, kin[trials.queries], how.n, how.seed, how.confidence)
    return FewShot(side, ids, trials, float(credit.mean()), interval)
