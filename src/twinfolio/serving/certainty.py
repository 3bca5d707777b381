"""What the model folder knows of its own scores: how probable, from where on, and how sure (``calibration.json``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from twinfolio.errors import ModelError
from twinfolio.evaluation.calibration import Calibrator
from twinfolio.evaluation.conformal import Conformal
from twinfolio.serving.program import CALIBRATION


@dataclass(frozen=True)
class Unknown:
    """When a query shows none of the known classes.

    Attributes:
        threshold: The best score of such a query lies below this.
        false_match_rate: Share of unknown queries that pass it all the same.
        classes: Classes held out of training that this rests on; 0: known ones, so that more of new classes pass.
    """

    threshold: float
    false_match_rate: float
    classes: int


@dataclass(frozen=True)
class Certainty:
    """Everything that was fitted on validation; None for what was not.

    Attributes:
        pairs: From the score of two images to the probability that they are of one class.
        temperature: Of the class logits.
        unknown: When a query shows none of the known classes.
        conformal: When a class belongs into the set that is promised to hold the right one.
    """

    pairs: Calibrator | None = None
    temperature: float | None = None
    unknown: Unknown | None = None
    conformal: Conformal | None = None


def load_certainty(folder: Path) -> Certainty:
    """Read ``calibration.json`` of a model folder; without the file nothing is calibrated.

    Raises:
        ModelError: The file is damaged.
    """
    path = folder / CALIBRATION
    if not path.is_file():
        return Certainty()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        classes, unknown, conformal = (values.get(key) for key in ("classes", "unknown", "conformal"))
        return Certainty(
            pairs=Calibrator.from_json(values["pairs"]) if values.get("pairs") else None,
            temperature=float(classes["temperature"]) if classes else None,
            unknown=Unknown(**unknown) if unknown else None,
            conformal=Conformal(conformal["cut"], conformal["coverage"], conformal["n"]) if conformal else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{path}: damaged ({error})", "run the stage evaluate again") from None
