"""``make results``: write ``docs/results.md`` from the reports of the root and of workspaces that have run.

make results WORKSPACES="medieval-blocks medieval-random arabic-blocks arabic-random"
"""

from __future__ import annotations

import sys
from pathlib import Path

from twinfolio.exit_codes import exit_code
from twinfolio.reporting.results import results_page

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    folders = {"sample": ROOT, **{name: ROOT / "workspaces" / name for name in sys.argv[1:]}}
    introduction = (ROOT / "docs" / "results_introduction.md").read_text(encoding="utf-8")
    (ROOT / "docs" / "results.md").write_text(results_page(folders, introduction), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(exit_code(main))
