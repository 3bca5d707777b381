import json

import numpy as np
import pandas as pd
import pytest

from twinfolio.reporting.tables import markdown_table, replacing, write_json, write_metrics, write_table


def test_the_same_numbers_in_another_order_give_the_same_bytes(tmp_path):
    write_metrics(tmp_path / "a.json", {"b": 1 / 3, "a": 2})
    write_metrics(tmp_path / "b.json", {"a": np.int64(2), "b": np.float32(1 / 3)})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 2,\n  "b": 0.333333\n}\n'


def test_numbers_that_are_not_finite_become_null_and_minus_zero_zero(tmp_path):
    write_json(
        tmp_path / "a.json", {"nan": float("nan"), "inf": np.inf, "zero": -1e-9, "list": (np.array([1.5]), None)}
    )
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"nan": None, "inf": None, "zero": 0.0, "list": [[1.5], None]}
    assert "-0" not in text


def test_numbers_to_compute_with_again_keep_every_digit(tmp_path):
    exact = float(np.nextafter(0.5, 1))
    write_json(tmp_path / "a.json", {"cut": np.float64(exact)}, digits=None)
    assert json.loads((tmp_path / "a.json").read_text()) == {"cut": exact}


@pytest.mark.parametrize("value", ["0.5", True, [1.0]])
def test_a_metric_is_a_number(tmp_path, value):
    with pytest.raises(TypeError, match="metric a"):
        write_metrics(tmp_path / "a.json", {"a": value})
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        assert temporary.suffix == ".txt"
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_value_without_a_json_form_leaves_no_file(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert not list(tmp_path.iterdir())


def test_tables_have_fixed_digits_and_no_index(tmp_path):
    write_table(tmp_path / "new" / "t.csv", pd.DataFrame({"class": ["é"], "f1": [2 / 3], "n": [3]}), digits=4)
    assert (tmp_path / "new" / "t.csv").read_bytes() == "class,f1,n\né,0.6667,3\n".encode()


def test_a_markdown_table_has_its_columns_a_rule_and_a_line_a_row():
    table = pd.DataFrame({"depth": [1, "none"], "ours (%)": ["97.50", ""]}, index=[7, 3])
    assert markdown_table(table) == "| depth | ours (%) |\n| --- | --- |\n| 1 | 97.50 |\n| none |  |"


def test_a_markdown_table_without_rows_is_its_head():
    assert markdown_table(pd.DataFrame(columns=["a"])) == "| a |\n| --- |"
