import csv
import io
import json

import pytest

from tests.unit.cli.conftest import paint


@pytest.fixture
def letters(here):
    """Two alphabets of four letters, each letter written four times, in the colours the model tells apart."""
    for place in range(8):
        for writer in range(4):
            family, letter = ("greek", "norse")[place // 4], f"letter{place}"
            paint(here / "letters" / family / letter / f"w{writer}.png", 100 * place + writer, place % 3)
    return here / "letters"


def test_accuracy_is_told_by_family_and_over_all(run, letters):
    status, output, errors = run("oneshot", letters, "--families", "--ways", 3, "--trials", 40, "--json")
    found = json.loads(output)
    assert (status, errors, found["ways"], found["trials"], found["classes_trained_on"]) == (0, "", 3, 80, 0)
    assert list(found["families"]) == ["greek", "norse"]
    assert found["accuracy"] == pytest.approx(sum(one["accuracy"] for one in found["families"].values()) / 2)
    # three colours among four letters: two of a colour can be told apart by noise alone
    assert 0.5 < found["low"] < found["accuracy"] < found["high"] <= 1


def test_the_same_is_told_as_text_and_as_a_table(run, letters):
    words = ("oneshot", letters, "--families", "--ways", 3, "--trials", 40)
    whole = json.loads(run(*words, "--json")[1])["accuracy"]
    table = list(csv.DictReader(io.StringIO(run(*words, "--csv")[1])))
    assert [row["family"] for row in table] == ["greek", "norse", ""]
    assert float(table[-1]["accuracy"]) == whole
    lines = run(*words)[1].splitlines()
    assert lines[0].startswith("3-way 1-shot, chance 33.3%")
    assert lines[3].split()[0] == f"{whole:.1%}"
    assert lines[4].endswith("families drawn anew")


def test_a_folder_of_classes_is_one_family_and_known_classes_are_said(run):
    status, output, errors = run("oneshot", "data", "--ways", 3, "--shots", 2, "--trials", 30)
    assert status == 0
    assert "3 of these classes were trained on, such as alif" in errors
    assert output.splitlines()[1].endswith("all 30 trials")
    assert len(output.splitlines()) == 2


def test_frozen_trials_give_the_same_answer(run, here, letters):
    words = ("oneshot", letters, "--families", "--across", "--ways", 8, "--trials", 25, "--episodes", here / "e.csv")
    first = run(*words, "--json")
    frozen = (here / "e.csv").read_bytes()
    second = run(*words, "--seed", 9, "--json")
    assert first[1] == second[1]
    assert (here / "e.csv").read_bytes() == frozen
    assert "written" in first[2]
    assert second[2] == ""
    (letters / "greek" / "letter0" / "w0.png").unlink()
    assert "letter0/w0.png is not among these" in run(*words)[2]


def test_a_copy_never_answers_for_its_original(run, here):
    for letter in ("a", "b"):
        first = paint(here / "twins" / letter / "1.png", ord(letter))
        (here / "twins" / letter / "2.png").write_bytes(first.read_bytes())
    status, _, errors = run("oneshot", here / "twins", "--ways", 2)
    assert status == 2
    assert "of another page or group" in errors


def test_a_pattern_keeps_pages_apart(run, letters):
    words = ("oneshot", letters, "--families", "--ways", 3, "--trials", 5, "--json")
    assert run(*words, "--group-pattern", r"w\d")[0] == 0
    assert "no class shows 1 images besides" in run(*words, "--group-pattern", r"letter\d")[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["letters"], "letters: 2 classes with 1 or more images... ask"),
        (["letters", "--families"], "greek: 4 classes with 1 or more images, 20-way trials need 20"),
        (["letters", "--families", "--ways", "3", "--shots", "4"], "no class shows 4 images"),
        (["nowhere"], "nowhere: no such folder"),
        (["data", "--families"], "no image lies at FAMILY/CLASS/IMAGE"),
        (["letters", "--ways", "0"], "--ways 0: must be at least 1"),
    ],
)
def test_bad_input_is_one_line(run, letters, words, said):
    status, output, errors = run("oneshot", *words)
    assert (status, output) == (2, "")
    assert said.partition("... ")[0].removeprefix("letters: ") in errors


def test_too_few_classes_are_told_before_any_image_is_embedded(run, letters, monkeypatch):
    monkeypatch.setattr("twinfolio.serving.oneshot.embed_collection", None)
    status, _, errors = run("oneshot", letters, "--families")
    assert status == 2
    assert "20-way trials need 20" in errors


def test_an_image_that_cannot_be_read_is_told_and_left_out(run, letters):
    (letters / "greek" / "letter0" / "w9.png").write_bytes(b"no image")
    status, output, errors = run("oneshot", letters, "--families", "--ways", 3, "--trials", 5, "--csv")
    assert status == 0
    assert "w9.png" in errors
    assert output.count("\n") == 4
