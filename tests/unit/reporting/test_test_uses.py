from twinfolio.reporting.test_uses import append_test_use, count_test_uses


def test_every_scoring_adds_one_line_and_data_sets_are_counted_apart(tmp_path):
    path = tmp_path / "reports" / "test_uses.csv"
    assert count_test_uses(path, "d1") == 0
    assert append_test_use(path, "d1", "p1", "c1") == 1
    assert append_test_use(path, "d1", "p1", "c1") == 2
    assert append_test_use(path, "d2", "p1", "c1") == 1
    assert path.read_text() == "data_hash,params_hash,commit\nd1,p1,c1\nd1,p1,c1\nd2,p1,c1\n"
