import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import paint

SOURCE = Path(__file__).parents[3] / "src"


def answers(output):
    return [json.loads(line) for line in output.splitlines()]


def test_a_new_image_finds_its_class_in_the_models_own_gallery(run, here):
    query = paint(here / "new.png", 99, 1)
    status, output, errors = run("query", query, "--json", "-k", 4)
    (found,) = answers(output)
    assert (status, errors) == (0, "")
    assert {one["label"] for one in found["answers"]} == {"ba"}
    first = found["answers"][0]
    assert (first["rank"], Path(first["path"]).is_file(), 0 < first["probability"] < 1) == (1, True, True)
    assert (found["known"], found["coverage"]) == (True, 0.9)
    assert found["classes"][0]["label"] == "ba"
    scores = [one["score"] for one in found["answers"]]
    assert scores == sorted(scores, reverse=True)


def test_people_get_a_verdict_and_a_line_an_answer(run, here):
    status, output, _ = run("query", "data/ba/p1.png", "-k", 2)
    lines = output.splitlines()
    assert status == 0
    assert lines[0] == "data/ba/p1.png"
    assert "one of the known classes" in lines[1]
    assert ", 90 %: ba (" in lines[2]
    assert [line.split()[0] for line in lines[3:]] == ["1", "2"]
    assert all("data/ba/p" in line and " %" in line for line in lines[3:])


def test_an_image_unlike_all_is_none_of_the_known_classes(run, here, workspace):
    model = here / "strict"
    model.mkdir()
    for path in (workspace / "outputs/evaluate/model").iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    values = json.loads((model / "calibration.json").read_text())
    values["unknown"]["threshold"] = 1e6
    for classes, rate in ((2, "; 5 % of unknown images pass"), (0, "; 5 % or more of unknown images pass")):
        values["unknown"]["classes"] = classes
        (model / "calibration.json").write_text(json.dumps(values))
        _, output, _ = run("query", "data/ba/p1.png", "--model", model)
        assert "none of the known classes" in output
        assert rate in output
    assert "if it is of a known class after all" in output


def test_an_image_of_the_gallery_finds_itself_only_where_asked(run, here):
    def first(*options):
        return answers(run("query", "data/ta/p2.png", "--json", "-k", 12, *options)[1])[0]["answers"]

    assert first("--keep-self")[0]["image_id"] == "ta/p2"
    assert "ta/p2" not in {one["image_id"] for one in first()}
    assert {one["image_id"] for one in first()} - {one["image_id"] for one in first("--exclude-group")} == {"ta/p3"}


def test_files_folders_and_standard_input_are_one_batch(run, here, monkeypatch):
    paint(here / "more" / "deep" / "a.png", 5)
    monkeypatch.setattr("sys.stdin", io.StringIO("data/ba/p0.png\ndata/ta/p0.png\n"))
    status, output, _ = run("query", "data/alif/p0.png", "more", "-", "--csv", "-k", 2)
    table = list(csv.DictReader(io.StringIO(output)))
    assert status == 0
    queries = [row["query"] for row in table]
    assert queries[::2] == queries[1::2] == ["data/alif/p0.png", "more/deep/a.png", "data/ba/p0.png", "data/ta/p0.png"]
    assert [row["rank"] for row in table] == ["1", "2"] * 4
    assert {row["known"] for row in table} == {"True"}


def test_unreadable_images_are_listed_and_the_rest_served(run, here):
    (here / "broken.png").write_text("no image")
    status, output, errors = run("query", "gone.png", "data/ba/p0.png", "broken.png", "--json")
    assert (status, len(answers(output))) == (0, 1)
    assert errors.splitlines() == ["twinfolio: gone.png: no such file", "twinfolio: broken.png: not an image"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "broken.png"], "none of 1 images could be read"),
        (["classify", "broken.png"], "none of 1 images could be read"),
        (["query", "empty"], "no image in empty"),
        (["query", "data/ba/p0.png", "-k", "0"], "-k 0: must be at least 1"),
        (["query", "data/ba/p0.png", "--index", "nowhere"], "nowhere: no index here"),
        (["query", "data/ba/p0.png", "--model", "nowhere"], "is missing; run the stage evaluate again"),
        (["classify", "data/ba/p0.png", "--top", "-1"], "--top -1: must be at least 1"),
        (["duplicates", "empty"], "no image in empty"),
        (["duplicates", "nowhere"], "nowhere: no such folder"),
        (["duplicates", "broken.png"], "broken.png: no such folder"),
        (["duplicates", "data", "--bits", "-1"], "--bits -1: must be 0 to 16"),
        (["duplicates", "data", "--similarity", "0.9"], "--similarity: no model compares images"),
        (["duplicates", "data", "--model", "nowhere"], "is missing; run the stage evaluate again"),
        (["duplicates", "data", "--model", "outputs/evaluate/model", "--similarity", "nan"], "--similarity nan: must"),
        (["index", "build", "empty"], "no image to index"),
        (["index", "build", "nowhere"], "no such folder"),
        (["index", "info"], "index: no index here"),
        (["index", "remove", "x"], "index: no index here"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_status_two(run, here, arguments, message):
    (here / "empty").mkdir()
    (here / "broken.png").write_text("no image")
    status, output, errors = run(*arguments)
    assert (status, output) == (2, "")
    assert message in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == 1 + ("none of 1" in message)


def test_more_answers_than_images_gives_all_and_says_so(run):
    status, output, errors = run("query", "data/ba/p0.png", "--json", "-k", 50)
    assert (status, len(answers(output)[0]["answers"])) == (0, 11)
    assert "there are only 11 images to find" in errors


def test_a_model_without_calibration_or_hashes_says_so(run, here, workspace):
    model = here / "plain"
    model.mkdir()
    for path in (workspace / "outputs/evaluate/model").iterdir():
        if path.name != "calibration.json":
            (model / path.name).write_bytes(path.read_bytes())
    lines = (model / "gallery.csv").read_text().splitlines()
    (model / "gallery.csv").write_text("\n".join(",".join(line.split(",")[:6]) for line in lines) + "\n")
    status, output, errors = run("query", "data/ba/p0.png", "--model", model)
    assert status == 0
    assert "not calibrated" in output.splitlines()[1]
    assert "holds no content hashes" in errors
    assert output.splitlines()[2].split()[-1] == "ba/p0"  # no path is known, so the id stands for it


def test_a_page_is_written_with_the_pictures_that_are_there(run, here):
    paint(here / "leaves" / "a.png", 1)
    gone = paint(here / "leaves" / "b.png", 2)
    assert run("index", "build", "leaves")[0] == 0
    gone.unlink()
    status, output, errors = run("query", "data/ba/p0.png", "--index", "index", "--html", "out/page.html")
    page = (here / "out" / "page.html").read_text()
    assert status == 0
    assert [page.count(f'alt="{name}"') for name in ("data/ba/p0.png", "leaves/a.png", "leaves/b.png")] == [1, 1, 0]
    assert page.count("image file not found") == 1
    assert "out/page.html: written" in errors
    assert "(file not found)" in output


def test_pictures_appear_in_the_terminal_only_where_wanted(run):
    assert "\u2580" in run("query", "data/ba/p0.png", "--thumbnails", "always")[1]
    for choice in ("auto", "never"):  # standard output is no terminal here
        assert "\x1b" not in run("query", "data/ba/p0.png", "--thumbnails", choice)[1]


def tool(barred, *arguments):
    """The tool as a process that cannot import some packages."""
    code = (
        f"import sys\nsys.modules |= dict.fromkeys({barred})\n"
        "from twinfolio.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ["query", "--html", "page.html"],
        ["classify"],
        ["index", "build", "data"],
        ["duplicates", "data", "--model", "outputs/evaluate/model", "--html", "page.html"],
    ],
)
def test_nothing_starts_torch_or_pandas(here, command):
    barred = ["torch", "torchvision", "timm", "pytorch_lightning", "pandas", "sklearn", "scipy", "matplotlib"]
    images = [] if "data" in command else ["data/ba/p0.png", "data/ta/p1.png"]
    done = tool(barred, *command, *images)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "data/ba/p0.png" in done.stdout or "12 images" in done.stdout


def test_a_reader_that_leaves_early_ends_the_program_quietly(here):
    script = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from twinfolio.cli import main; sys.exit(main())"
    line = f'{sys.executable} -c "{script}" query data data data data --thumbnails never | head -1'
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["data/alif/p0.png"]
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
