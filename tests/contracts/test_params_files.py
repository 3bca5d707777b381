"""Every params file in the repository parses against the real schema."""

from pathlib import Path

import pytest
import yaml

from twinfolio.params import Params
from twinfolio.params.file import load_params

ROOT = Path(__file__).parents[2]
SHIPPED = [
    ROOT / "params.yaml",
    *sorted((ROOT / "studies").glob("**/*.yaml")),
    *sorted((ROOT / "tests").glob("**/params*.yaml")),
]
SHIPPED = [path for path in SHIPPED if path.name not in ("dvc.yaml", "workspace.yaml") and ".dvc" not in path.parts]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_shipped_params_file_parses(path):
    load_params(path)


def test_every_stage_names_sections_that_exist():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage, spec in stages.items():
        unknown = {key.split(".")[0] for key in spec.get("params", [])} - set(Params.model_fields)
        assert not unknown, f"{stage}: {unknown}"


@pytest.mark.parametrize("name", ["params.yaml", "tests/pipeline/params.yaml"])
def test_the_params_files_of_the_root_hold_every_key_that_its_pipeline_names(name):
    written = yaml.safe_load((ROOT / name).read_text())
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values():
        for key in stage.get("params", []):
            part = written
            for word in key.split("."):
                assert word in part, f"{name}: {key} is missing, and DVC would stop there"
                part = part[word]
