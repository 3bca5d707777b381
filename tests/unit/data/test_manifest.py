import subprocess
import sys

import pandas as pd
import pytest

from twinfolio.data.manifest import COLUMNS, image_ids, read_manifest, validate, write_manifest
from twinfolio.errors import DataError


def _manifest(**columns):
    rows = {
        "image_id": ["001/a", "NA/b, c", 'null/"d"'],
        "path": ["001/a.jpg", "NA/b, c.jpg", 'null/"d".jpg'],
        "label": ["001", "NA", "null"],
        "split": ["train", "val", "test"],
        "group": ["001/p1", "NA/p1", "null/p1"],
        "width": [10, 20, 30],
        "height": [1, 2, 3],
        "sha256": ["aa", "1e5", "00"],
        "cluster": ["001/a", "NA/b, c", 'null/"d"'],
        "within_group": [0, 1, 0],
    }
    return pd.DataFrame(rows | columns)


def test_a_manifest_comes_back_as_it_was_written_with_text_as_text(tmp_path):
    write_manifest(_manifest(), tmp_path / "new" / "manifest.csv")
    back = read_manifest(tmp_path / "new" / "manifest.csv")
    assert tuple(back.columns) == COLUMNS
    assert back.to_dict("list") == _manifest().to_dict("list")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["manifest.csv"]


def test_a_class_may_be_unknown_as_a_whole(tmp_path):
    unknown = _manifest(split=["train", "unknown", "test"], within_group=[0, 0, 0])
    write_manifest(unknown, tmp_path / "manifest.csv")
    assert read_manifest(tmp_path / "manifest.csv")["split"].tolist() == ["train", "unknown", "test"]


def test_the_order_of_rows_and_columns_does_not_change_the_file(tmp_path):
    write_manifest(_manifest(), tmp_path / "a.csv")
    write_manifest(_manifest().iloc[[2, 0, 1], ::-1], tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"split": ["train", "val", "dev"]}, "split is not one of"),
        ({"image_id": ["x", "x", "y"]}, "image_id occurs twice"),
        ({"group": ["001/p1", "", "null/p1"]}, "a field is empty"),
        ({"label": ["001", "NA", "other"]}, "label is not the first folder"),
        ({"within_group": [1, 1, 0]}, "within_group is set outside val"),
        ({"within_group": [0, 2, 0]}, "within_group is not 0 or 1"),
        (
            {
                "path": ["001/a.jpg", "001/b.jpg", 'null/"d".jpg'],
                "label": ["001", "001", "null"],
                "split": ["train", "unknown", "test"],
                "within_group": [0, 0, 0],
            },
            "its class is both known and unknown",
        ),
        ({"cluster": ["001/a", "001/a", 'null/"d"']}, "its duplicate cluster crosses splits"),
    ],
)
def test_what_is_wrong_is_named(columns, message):
    validate(_manifest())
    with pytest.raises(DataError, match=message):
        validate(_manifest(**columns), "manifest.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a CSV file"),
        ("a,b\n1,2\n", "columns are a, b"),
        (",".join(COLUMNS) + "\n" + "x," * 5 + "wide,1,x,x,0\n", "wide"),
    ],
)
def test_a_file_that_is_no_manifest_is_an_error_of_one_line(tmp_path, text, message):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path / "manifest.csv")


def test_a_missing_manifest_says_which_stage_makes_it(tmp_path):
    with pytest.raises(DataError, match="run the split stage first"):
        read_manifest(tmp_path / "manifest.csv")


def test_an_image_id_keeps_the_ending_only_where_two_would_collide():
    paths = ["a/x.jpg", "a/x.png", "a/y.v2.jpg", "a/y.jpg", "a.b/z.jpg"]
    assert image_ids(paths) == ["a/x.jpg", "a/x.png", "a/y.v2", "a/y", "a.b/z"]
    assert image_ids(["a/x.jpg.jpg", "a/x.jpg"]) == ["a/x.jpg.jpg", "a/x"]


def test_the_split_imports_nothing_heavy():
    heavy = "{'torch', 'mlflow', 'cv2', 'sklearn', 'matplotlib', 'albumentations', 'scipy'}"
    script = f"import sys, twinfolio.data.building as _; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
