"""``make repro``: provide the data, run ``dvc repro`` in its workspace, and say what took how long.

make repro                      # data/, or the sample where there is none
make repro DATA=FOLDER          # any folder of class folders; results in workspaces/<its name>/
make repro DATA=FOLDER PARAMS=studies/real/medieval.yaml NAME=medieval
make repro STUDY=khayyat [DATA=FOLDER]      # a pipeline of studies/, on the sample where no folder is named
make repro STUDY=lu_grid        # a study that brings its own images
make repro STUDY=ma_oneshot NAME=short SET="siamese.epochs=1 omniglot.trials=100"   # single keys of its params changed
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from twinfolio.exit_codes import exit_code
from twinfolio.logging import set_up_logging
from twinfolio.workspace import choose_workspace, newest_report, stage_times

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of class folders")
    parser.add_argument("--params", type=Path, help="params file for it")
    parser.add_argument("--name", help="name of its workspace")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="single keys of its params")
    parser.add_argument("--study", help="folder of studies/ whose pipeline to run")
    options = parser.parse_args()
    set_up_logging("repro")
    started = time.monotonic()
    workspace = choose_workspace(ROOT, options.data, options.params, options.name, options.study, options.set)
    code = subprocess.run(["dvc", "repro"], cwd=workspace, check=False).returncode
    if code == 0:
        for stage, seconds, mebibytes in stage_times(workspace):
            print(f"{stage:<28} {seconds:7.1f} s {mebibytes:7.0f} MiB")
        print(f"{time.monotonic() - started:.0f} s in all; report: {newest_report(workspace)}")
    sys.exit(code)


if __name__ == "__main__":
    sys.exit(exit_code(main))
