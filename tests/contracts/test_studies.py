"""A study's pipeline is the root's with its own stages after it: copies that must not drift, and params that parse."""

from pathlib import Path

import pytest
import yaml

from tests.contracts import test_stage_dependencies as dependencies
from twinfolio.params.file import load_params

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.parent for path in (ROOT / "studies").glob("*/dvc.yaml"))
BASE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
COPIED = [study for study in STUDIES if "augment" in yaml.safe_load((study / "dvc.yaml").read_text())["stages"]]


def pipeline(study: Path) -> dict:
    return yaml.safe_load((study / "dvc.yaml").read_text())


def test_the_paper_of_khayyat_is_a_study():
    assert set(BASE["stages"]) <= set(pipeline(ROOT / "studies/khayyat")["stages"])


@pytest.mark.parametrize("study", COPIED, ids=lambda study: study.name)
def test_a_shared_stage_is_the_roots_word_for_word(study):
    for stage, spec in pipeline(study)["stages"].items():
        assert spec == BASE["stages"].get(stage, spec), (
            f"copy stage {stage} of the root's dvc.yaml to studies/{study.name}"
        )


@pytest.mark.parametrize("study", COPIED, ids=lambda study: study.name)
@pytest.mark.parametrize("part", ["vars", "plots"])
def test_vars_and_plots_are_the_roots(study, part):
    assert pipeline(study)[part] == BASE[part]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_every_script_and_module_a_study_names_is_there(study):
    for spec in pipeline(study)["stages"].values():
        named = [text.removeprefix("${root}/") for text in spec["deps"] if text.startswith("${root}/")]
        assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_no_stage_depends_on_a_pipeline_file_which_dvc_refuses(study):
    for spec in pipeline(study)["stages"].values():
        assert not [dep for dep in spec["deps"] if dep.endswith(("dvc.yaml", ".dvc", "dvc.lock"))]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_no_own_stage_depends_on_a_run_file_or_a_timing(study):
    for spec in pipeline(study)["stages"].values():
        assert not [dep for dep in spec["deps"] if dep.endswith(("run.json", "timing.json"))]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_an_own_stage_declares_exactly_the_modules_it_imports(study, monkeypatch):
    monkeypatch.setattr(dependencies, "STAGES", pipeline(study)["stages"])
    for stage in set(dependencies.STAGES) - set(BASE["stages"]):
        imported, declared = dependencies.imported_by(dependencies.script_of(stage)), dependencies.declared_by(stage)
        assert not [module for module in imported ^ declared if dependencies.has_code(module)], stage


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_a_study_has_its_params_and_its_account(study):
    load_params(study / "params.yaml")
    assert (study / "README.md").exists()


@pytest.mark.parametrize("name", ["params.yaml", "params_2cores.yaml"])
def test_the_papers_nets_are_what_its_tables_say(name):
    params = load_params(ROOT / "studies/khayyat" / name)
    siamese, scratch = params.siamese, params.scratch
    assert params.split.protocol == "random"
    assert params.classify.trunk == siamese.trunk == "vgg19"
    assert (siamese.head, siamese.pooling, siamese.embedding, siamese.normalise) == ("fusion", "avgmax", None, False)
    assert siamese.trunk_lr > 0
    assert (siamese.class_weight, scratch.class_weight) == (0, 0)
    assert (scratch.trunk, scratch.size) == ("khayyat_scratch", (150, 100))
    assert (scratch.head, scratch.embedding) == ("weighted", 256)
    assert scratch.epochs == 10


def test_the_full_configuration_is_at_the_papers_size():
    params = load_params(ROOT / "studies/khayyat/params.yaml")
    assert params.augment.store.size == 224
    assert {params.classify.weights, params.siamese.weights} == {"imagenet"}
    assert params.classify.epochs == params.siamese.epochs == 10


def test_the_two_configurations_name_the_same_keys():
    """So that a reader can lay them side by side."""
    texts = [(ROOT / "studies/khayyat" / name).read_text() for name in ("params.yaml", "params_2cores.yaml")]
    first, second = ({section: set(keys) for section, keys in yaml.safe_load(text).items()} for text in texts)
    assert first == second
