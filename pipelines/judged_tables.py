"""Stage ``judged_tables`` of ``studies/jimenez_szabo``: every system set on validation, then test, once -> tables."""

from __future__ import annotations

import numpy as np

from _judged import ABOUT, SET
from _judged_systems import TWINS, contenders
from _stage import Stage, run_stage
from _test_use import count_use, uses_so_far
from twinfolio.assessment.judged import embed_maps, judged_test, mean_ap, scores_of
from twinfolio.data.judged_set import open_judged_set
from twinfolio.reporting.jimenez_szabo import write_judged
from twinfolio.reporting.jimenez_szabo_tables import Answered
from twinfolio.reporting.tables import read_json, write_metrics


def main(stage: Stage) -> None:
    judged, about = open_judged_set(SET), read_json(ABOUT)
    found = {one.system.name: one for one in contenders(stage, judged)}
    archive = {name: embed_maps(one, judged) for name, one in found.items()}
    sim = judged.sim[judged.queries("val")]
    val = {name: mean_ap(scores_of(one, judged, "val", archive[name]), sim) for name, one in found.items()}
    answers = stage.work_dir / "answers"
    if not answers.exists():  # counted before the first answer; a killed stage opens test no second time
        count_use(stage, about["data_hash"])
        answers.mkdir()
    said: dict[str, Answered] = {}
    for name, one in found.items():
        kept = answers / f"{name}.npy"
        if not kept.exists():
            np.save(kept, scores_of(one, judged, "test", archive[name]))
        said[name] = Answered(np.load(kept), val[name], one.target, one.setting, one.system.pretrained)
    images = judged.images.images
    pictures = (np.asarray(images[judged.queries("test")]), np.asarray(images[judged.maps]))
    about |= {"test_uses": uses_so_far(about["data_hash"])}
    metrics = write_judged(
        said, judged_test(judged, stage.params.jimenez_szabo.bootstrap), pictures, about, stage.report_dir
    )
    write_metrics(stage.report_dir / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage("judged_tables", main, inputs=[str(SET), str(ABOUT), str(TWINS)])
