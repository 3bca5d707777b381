"""Stage ``digits`` of ``studies/lu_grid``: a source of digits -> two stores, with grey and with binarised ink."""

from __future__ import annotations

from _lu import INKS, digits_source
from _stage import Stage, run_stage
from twinfolio.data.sources.digits import digits_store


def main(stage: Stage) -> None:
    digits = stage.params.digits
    source = digits_source(digits.source)
    for ink in INKS:
        digits_store(stage.output_dir / ink, source, ink == "otsu", digits.val, digits.test, digits.seed)


if __name__ == "__main__":
    run_stage("digits", main, inputs=[])
