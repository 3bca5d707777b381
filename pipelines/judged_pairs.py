"""Stage ``judged_pairs --training TWIN-TARGET-SEED`` of ``studies/jimenez_szabo``: one twin on judged pairs."""

from __future__ import annotations

from dataclasses import replace

from _judged import SET, Training
from _stage import Stage, run_stage
from _training import recipe, write_course
from twinfolio.data.judged_set import open_judged_set


def main(stage: Stage) -> None:
    from twinfolio.models.twin_folder import save_twin
    from twinfolio.training.pairs import train_pairs

    training, judged = Training.named(str(stage.item)), open_judged_set(SET)
    own = replace(stage, params=training.params(stage.params))
    trained = train_pairs(
        judged, training.store(judged), training.target, training.builder(own.params),
        stage.params.jimenez_szabo.batch_size, recipe(own, own.params.siamese),
    )  # fmt: skip
    if trained is not None:
        save_twin(stage.output_dir / "model", trained.twin)
        write_course(stage, trained)


if __name__ == "__main__":
    run_stage("judged_pairs", main, inputs=[str(SET)], item_option="--training", choices=None)
