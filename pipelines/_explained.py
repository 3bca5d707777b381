"""Where the champion's answers come from, as ``evaluate`` asks its model."""

from __future__ import annotations

from _stage import Stage
from _systems import FINAL
from twinfolio.assessment.evaluate import Evaluation
from twinfolio.assessment.explanation import Explanation, explain_answers
from twinfolio.assessment.systems import pick_device
from twinfolio.models.bundle import CONFIG_FILE, load_model


def explain(stage: Stage, evaluation: Evaluation) -> Explanation | None:
    """Explain the champion's first answers, and record what that took; None where nothing can be explained.

    Only a single net is asked: no score of key points, or of systems joined, is traced back to places.
    """
    params = stage.params.evaluate
    if not (FINAL / "model" / CONFIG_FILE).is_file():
        return None
    model = load_model(FINAL / "model", pick_device(stage.params.trainer.accelerator))
    answers = evaluation.tested[evaluation.champion].judgement.answers
    explanation = explain_answers(model, answers, evaluation.scene, params.explained_pairs, params.seed)
    if explanation is not None:
        stage.record(**{f"explain_{kind}_s": seconds for kind, seconds in explanation.found.seconds.items()})
    return explanation
