"""Every scoring of test is a line in the workspace's ``reports/test_uses.csv``, whichever stage opens it."""

from __future__ import annotations

from pathlib import Path

from _stage import ROOT, Stage
from twinfolio.reporting.test_uses import append_test_use, count_test_uses, params_hash
from twinfolio.tracking.identity import git_commit

USES = Path("reports/test_uses.csv")


def count_use(stage: Stage, data_hash: str) -> int:
    """Add a line; how often this data's test split has now been scored."""
    return append_test_use(USES, data_hash, params_hash(stage.params.model_dump(mode="json")), git_commit(ROOT))


def uses_so_far(data_hash: str) -> int:
    """How often this data's test split was scored."""
    return count_test_uses(USES, data_hash)
