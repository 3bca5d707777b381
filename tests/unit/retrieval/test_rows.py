import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.retrieval.rows import COLUMNS, Rows

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[TEXT] * len(COLUMNS)), max_size=6))
def test_what_is_written_is_read_and_text_stays_text(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    Rows.of(records).write(path)
    back = Rows.read(path)
    assert list(zip(*(getattr(back, name) for name in COLUMNS), strict=True)) == records
    assert len(back) == len(records)


def test_rows_are_taken_joined_and_counted_by_image():
    rows = Rows.of([(f"leaf {i // 2}", str(i), "001", "", "", "", "") for i in range(6)])
    assert rows.n_images == 3
    joined = rows[np.array([4, 5])] + rows[np.array([True, *[False] * 5])]
    assert joined.image_id.tolist() == ["leaf 2", "leaf 2", "leaf 0"]


def test_a_column_that_is_missing_is_empty_and_others_are_passed_over(tmp_path):
    (tmp_path / "g.csv").write_text("split,image_id,label\ntrain,a,NA\n")
    rows = Rows.read(tmp_path / "g.csv")
    assert (rows.image_id[0], rows.label[0], rows.content[0]) == ("a", "NA", "")


@pytest.mark.parametrize("text", ["", "name\na\n", "image_id,label\na\n"])
def test_what_is_no_such_table_is_an_error(tmp_path, text):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(ValueError, match="not a table"):
        Rows.read(tmp_path / "g.csv")
