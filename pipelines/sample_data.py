"""Write the synthetic manuscripts: ``python pipelines/sample_data.py [--out data]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from twinfolio.exit_codes import exit_code
from twinfolio.logging import set_up_logging
from twinfolio.params.file import load_params
from twinfolio.sample.generate import write_sample


def main() -> None:
    """Read section ``sample`` of ``params.yaml`` and write the sample."""
    parser = argparse.ArgumentParser(description="write the synthetic manuscripts that params.yaml describes")
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder to make (default: data)")
    out = parser.parse_args().out
    set_up_logging("sample_data")
    params = load_params().sample
    pages = (params.pages_min, params.pages_max)
    write_sample(out, seed=params.seed, manuscripts=params.manuscripts, pages=pages)


if __name__ == "__main__":
    sys.exit(exit_code(main))
