"""What ``dvc.yaml`` declares is what the stage scripts import: no stale results, no needless reruns."""

import ast
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

# The edge: it names, logs and tracks results without shaping them. Params reach DVC by their values.
EDGE = (
    "twinfolio",
    "twinfolio.errors",
    "twinfolio.exit_codes",
    "twinfolio.logging",
    "twinfolio.params",
    "twinfolio.tracking",
    "twinfolio.urls",
    "twinfolio.workspace",
)
EDGE_SCRIPTS = {f"pipelines/_{name}.py" for name in ("stage", "sections", "training", "systems", "registration")}


def is_edge(module: str) -> bool:
    return module in EDGE or module.startswith(("twinfolio.params.", "twinfolio.tracking."))


def script_of(stage: str) -> str:
    words = STAGES[stage]["cmd"].split()
    return next(word for word in words if word.endswith(".py")).removeprefix("${root}/")


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("twinfolio")


def imported_by(script: str) -> set[str]:
    """Every module of the package that the script can reach: by way of other scripts, and lazily imported ones too."""
    direct = {module for one in scripts_of(script) for module in named_in(one) if module in graph().modules}
    reached = direct | {upper for module in direct for upper in graph().find_upstream_modules(module)}
    return {module for module in reached if not is_edge(module)}


def scripts_of(script: str) -> set[str]:
    """The script and those it imports; not what hands params on or registers results, which is edge."""
    found, waiting = set(), [script]
    while waiting:
        one = waiting.pop()
        found.add(one)
        local = {f"pipelines/{module}.py" for module in named_in(one) if (ROOT / f"pipelines/{module}.py").exists()}
        waiting += local - found - EDGE_SCRIPTS
    return found


@cache
def named_in(script: str) -> set[str]:
    """What its import statements name: modules, and modules taken from packages."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / script).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & graph().modules
            names |= inside or {node.module}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def declared_by(stage: str) -> set[str]:
    """Modules under the stage's source deps (a folder stands for all modules in it)."""
    declared = set()
    for dep in STAGES[stage]["deps"]:
        path = dep.removeprefix("${root}/")
        if path.startswith("src/"):
            dotted = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
            inside = {module for module in graph().modules if module == dotted or module.startswith(f"{dotted}.")}
            assert inside, f"{stage}: {dep} is no module of the package"
            declared |= inside
    return declared


def has_code(module: str) -> bool:
    path = ROOT / "src" / module.replace(".", "/") / "__init__.py"
    return not path.exists() or len(ast.parse(path.read_text()).body) > 1


@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_module_is_a_declared_dependency(stage):
    missing = {m for m in imported_by(script_of(stage)) - declared_by(stage) if has_code(m)}
    assert not missing, f"{stage}: add to deps: {sorted(missing)}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_declared_module_is_imported(stage):
    needless = {m for m in declared_by(stage) - imported_by(script_of(stage)) if has_code(m)}
    assert not needless, f"{stage}: a change there would rerun it for nothing: {sorted(needless)}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_its_own_script(stage):
    assert "${root}/" + script_of(stage) in STAGES[stage]["deps"]


def test_only_evaluate_reads_the_test_split_and_no_training_the_unknown_classes():
    allowed = {"evaluate": {"outputs/store"}, "calibrate": {"outputs/store/unknown"}}
    held_out = {"outputs/store", "outputs/store/test", "outputs/store/unknown"}
    for stage, spec in STAGES.items():
        assert held_out & set(spec["deps"]) <= allowed.get(stage, set()), f"{stage} reads what is held out"


def test_no_stage_depends_on_a_run_file_or_a_timing():
    for spec in STAGES.values():
        assert not [dep for dep in spec["deps"] if dep.endswith(("run.json", "timing.json"))]
