"""``params.yaml`` as frozen, strict sections: one class a section, a docstring a key.

``data.py``, ``training.py`` and ``assessment.py`` hold the sections; ``file.py`` reads and writes the file.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from twinfolio.params.assessment import CalibrateParams, CompareParams, EvaluateParams, TrainParams
from twinfolio.params.classical import ClassicalParams
from twinfolio.params.data import AugmentParams, SampleParams, SplitParams
from twinfolio.params.digits import DigitsParams
from twinfolio.params.judged import JimenezSzaboParams, JudgedParams
from twinfolio.params.lu_grid import LuGridParams
from twinfolio.params.mtasher_msad import MtasherMsadParams
from twinfolio.params.oneshot import MaOneshotParams, OmniglotParams
from twinfolio.params.search import SearchParams
from twinfolio.params.section import Section
from twinfolio.params.training import ClassifyParams, ScratchParams, SiameseParams, TrainerParams


class TrackingParams(Section):
    """MLflow."""

    experiment: str = "twinfolio"
    """Name of the experiment."""
    register_as: str = "twinfolio"
    """Name in the model registry."""
    system_metrics: bool = True
    """Sample processor, memory and GPU while a stage runs."""


class Params(Section):
    """The whole of ``params.yaml``; a section left out has its defaults."""

    sample: SampleParams = SampleParams()
    split: SplitParams = SplitParams()
    augment: AugmentParams = AugmentParams()
    classify: ClassifyParams = ClassifyParams()
    siamese: SiameseParams = SiameseParams()
    scratch: ScratchParams = ScratchParams()
    train: TrainParams = TrainParams()
    classical: ClassicalParams = ClassicalParams()
    compare: CompareParams = CompareParams()
    calibrate: CalibrateParams = CalibrateParams()
    evaluate: EvaluateParams = EvaluateParams()
    search: SearchParams = SearchParams()
    digits: DigitsParams = DigitsParams()
    lu_grid: LuGridParams = LuGridParams()
    omniglot: OmniglotParams = OmniglotParams()
    ma_oneshot: MaOneshotParams = MaOneshotParams()
    judged: JudgedParams = JudgedParams()
    jimenez_szabo: JimenezSzaboParams = JimenezSzaboParams()
    mtasher_msad: MtasherMsadParams = MtasherMsadParams()
    trainer: TrainerParams = TrainerParams()
    tracking: TrackingParams = TrackingParams()

    @model_validator(mode="after")
    def _crops_fit_the_store(self) -> Self:
        for name in ("classify", "siamese", "scratch"):
            crop = getattr(self, name).augmentation.crop
            if crop is not None and crop > self.augment.store.size:
                raise ValueError(
                    f"{name}.augmentation.crop = {crop} is above augment.store.size = {self.augment.store.size}"
                )
        return self

    @model_validator(mode="after")
    def _key_points_are_kept(self) -> Self:
        for name in self.jimenez_szabo.trainings:
            seen = name.split("-")[0].removeprefix("orb")
            if seen.isdigit() and int(seen) > self.judged.key_points:
                kept = self.judged.key_points
                raise ValueError(f"jimenez_szabo.trainings = {name} sees more than judged.key_points = {kept}")
        return self
