"""What the README says exists: its make targets, its params keys, its files."""

import re
from pathlib import Path

import pytest

from twinfolio.params import Params

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_make_target_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", README, re.MULTILINE))
    assert {"repro", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("key", sorted(set(re.findall(r"-S ([\w.]+)=", README))))
def test_every_params_key_named_exists(key):
    section, *rest = key.split(".")
    model = Params.model_fields[section].annotation
    for part in rest:
        assert part in model.model_fields
        model = model.model_fields[part].annotation


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_every_file_linked_exists(link):
    assert (ROOT / link).exists()


def test_the_first_commands_are_the_two_promised():
    block = re.search(r"```\n(.*?)```", README, re.DOTALL).group(1)
    assert [line.split("#")[0].strip() for line in block.strip().splitlines()] == ["make repro", "make test"]
