"""``make results``: write ``docs/results.md`` from the reports of the root and of workspaces that have run.

make results WORKSPACES="medieval arabic leak_gap-arabic"

A workspace whose leak study has run (``leak_gap-arabic``) gives its table; the others give all of theirs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from twinfolio.exit_codes import exit_code
from twinfolio.reporting.results import results_page

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    named = {name: ROOT / "workspaces" / name for name in sys.argv[1:]}
    studies = {name: folder for name, folder in named.items() if (folder / "reports/leak_gap/table.csv").exists()}
    folders = {"sample": ROOT, **{name: folder for name, folder in named.items() if name not in studies}}
    introduction = (ROOT / "docs" / "results_introduction.md").read_text(encoding="utf-8")
    (ROOT / "docs" / "results.md").write_text(results_page(folders, introduction, studies), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(exit_code(main))
