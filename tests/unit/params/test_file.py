import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinfolio.errors import ParamsError
from twinfolio.params import Params
from twinfolio.params.file import check_value, load_params, parse_params, patched


def line_of(raw) -> str:
    with pytest.raises(ParamsError) as caught:
        parse_params(raw)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_an_empty_file_means_the_defaults():
    assert parse_params({}) == Params()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"siamese": {"margin": -0.2}}, ["params.yaml: siamese.margin = -0.2", "greater than 0"]),
        ({"siamese": {"epochs": "ten"}}, ["siamese.epochs = 'ten'", "integer"]),
        ({"siamese": {"epochs": 2.5}}, ["siamese.epochs = 2.5", "integer"]),
        ({"siamese": {"margn": 1}}, ["siamese.margn: unknown key", "margin"]),
        ({"siamese": {"augmentation": {"crp": 1}}}, ["siamese.augmentation.crp: unknown key", "crop"]),
        ({"training": {}}, ["training: unknown key", "classify", "siamese"]),
        ({"split": {"protocol": "blocked"}}, ["split.protocol = 'blocked'", "'random' or 'blocks'"]),
        ({"split": {"fractions": [0.5, 0.5]}}, ["split.fractions"]),
        ({"split": {"fractions": [0.5, 0.5, 0.5]}}, ["fractions", "1.5"]),
        ({"split": {"group_pattern": "p", "groups_file": "g.csv"}}, ["group_pattern", "groups_file"]),
        ({"split": {"unknown_classes": -1}}, ["split.unknown_classes: -1 is neither", "list of class folders"]),
        ({"split": {"unknown_classes": "a"}}, ["split.unknown_classes: 'a' is neither", "a number of classes"]),
        ({"split": {"unknown_classes": ["a", 7]}}, ["split.unknown_classes: ['a', 7]", "digits in quotes"]),
        ({"split": {"unknown_classes": True}}, ["split.unknown_classes: True is neither"]),
        ({"sample": {"pages_min": 9, "pages_max": 3}}, ["pages_min = 9", "pages_max = 3"]),
        ({"trainer": {"devices": 0}}, ["devices = 0"]),
        ({"siamese": {"head": "fusion", "loss": "contrastive"}}, ["fusion", "contrastive"]),
        ({"siamese": {"pairs": "episodes"}}, ["episodes", "supcon"]),
        ({"calibrate": {"neighbours": {"methods": ["magic"]}}}, ["calibrate.neighbours.methods", "magic", "whitening"]),
        ({"calibrate": {"neighbours": {"latency_ms": 0.0}}}, ["calibrate.neighbours.latency_ms = 0.0"]),
        ({"calibrate": {"false_match_rate": 0.0}}, ["calibrate.false_match_rate = 0.0"]),
        ({"calibrate": {"coverage": 1.0}}, ["calibrate.coverage = 1.0"]),
        ({"calibrate": {"folds": 1}}, ["calibrate.folds = 1"]),
        ({"calibrate": {"bootstrap": 50}}, ["calibrate.bootstrap = 50"]),
        ({"compare": {"neighbours": {}}}, ["compare.neighbours"]),
        ({"calibrate": {"neighbours": {"dims": []}}}, ["calibrate.neighbours.dims"]),
        ({"calibrate": {"neighbours": {"crop": [1.5]}}}, ["calibrate.neighbours.crop"]),
        (
            {"classify": {"augmentation": {"crop": 512}}},
            ["classify.augmentation.crop = 512", "augment.store.size = 224"],
        ),
        ({"split": 3}, ["split = 3"]),
        ([1], ["params.yaml"]),
    ],
)
def test_a_bad_file_gets_one_line_with_key_value_and_what_is_allowed(raw, words):
    line = line_of(raw)
    for word in words:
        assert word in line


def test_a_missing_file_and_broken_yaml_get_one_line(tmp_path):
    with pytest.raises(ParamsError, match="no such file"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("split: [")
    with pytest.raises(ParamsError, match="not YAML"):
        load_params(tmp_path / "params.yaml")


def test_every_field_says_what_it_is():
    for section in (field.annotation for field in Params.model_fields.values()):
        for name, field in section.model_fields.items():
            inherited = any(
                name in base.model_fields and base.model_fields[name].description
                for base in section.__mro__[1:-1]
                if hasattr(base, "model_fields")
            )
            assert field.description or inherited, f"{section.__name__}.{name}"


@pytest.mark.parametrize("written", ["1e-05", "1.0e-05", "1E-5", "1.e-5", "0.00001"])
def test_numbers_may_be_written_as_dvc_writes_them(tmp_path, written):
    (tmp_path / "params.yaml").write_text(f"siamese:\n  lr: {written}\n")
    assert load_params(tmp_path / "params.yaml").siamese.lr == 1e-5


def test_a_value_is_refused_for_its_own_key_alone():
    # goes with other losses
    check_value({"siamese": {"head": "fusion", "loss": "contrastive"}}, "siamese.head", "here")
    check_value({"siamese": {"head": "distnce"}}, "siamese.loss", "here")
    with pytest.raises(ParamsError, match=r"^here: siamese\.head = 'distnce': must be 'distance'"):
        check_value({"siamese": {"head": "distnce"}}, "siamese.head", "here")
    with pytest.raises(ParamsError, match=r"^here: siamese\.augmentation\.scale\.1 = 'a'"):
        check_value({"siamese": {"augmentation": {"scale": [0.5, "a"]}}}, "siamese.augmentation.scale", "here")


names = st.text("abc", min_size=1, max_size=2)
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)


@given(st.dictionaries(names, trees, max_size=4), st.lists(names, min_size=1, max_size=3), st.integers())
def test_a_patch_sets_its_key_and_changes_nothing_else_nor_the_original(params, path, value):
    before = repr(params)
    out = patched(params, {".".join(path): value})
    assert repr(params) == before
    here = out
    for name in path:
        here = here[name]
    assert here == value
    assert {key: out[key] for key in out if key != path[0]} == {key: params[key] for key in params if key != path[0]}
