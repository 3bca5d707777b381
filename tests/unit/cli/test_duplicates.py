import csv
import io
import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import paint
from twinfolio.cli.duplicates import BITS, MOST_BITS
from twinfolio.params import Params
from twinfolio.reporting.page import anchor

MODEL = "outputs/evaluate/model"


@pytest.fixture
def scans(here, texture):
    """An exact pair, a near pair under two labels, a lone image, and one that cannot be read."""
    folder = here / "scans"
    for label in ("kaf", "lam"):
        (folder / label).mkdir(parents=True)
    texture(0, 128, 96).save(folder / "kaf" / "1.png")
    (folder / "kaf" / "2.png").write_bytes((folder / "kaf" / "1.png").read_bytes())
    texture(1, 128, 96).save(folder / "kaf" / "3.png")
    texture(1, 128, 96).save(folder / "lam" / "4.jpg", quality=50)
    texture(2, 128, 96).save(folder / "lam" / "5.png")
    (folder / "lam" / "6.png").write_text("no image")
    return Path("scans")


def test_people_get_a_summary_and_the_images_of_each_cluster(run, scans):
    status, output, errors = run("duplicates", scans)
    assert (status, errors) == (0, "twinfolio: scans/lam/6.png: not an image\n")
    assert output.splitlines() == [
        "5 images, 2 clusters of duplicates: 1 exact, 1 near by hash",
        "",
        "1  exact, 2 images",
        "   scans/kaf/1.png",
        "   scans/kaf/2.png  same bytes as scans/kaf/1.png",
        "",
        "2  near by hash, 2 images; labels differ: kaf | lam",
        "   scans/kaf/3.png",
        "   scans/lam/4.jpg  near by hash to scans/kaf/3.png",
    ]


def test_a_table_has_a_row_a_link_and_json_a_line_a_cluster(run, scans):
    table = list(csv.DictReader(io.StringIO(run("duplicates", scans, "--csv")[1])))
    assert [list(row.values()) for row in table] == [
        ["1", "bytes", "scans/kaf/1.png", "scans/kaf/2.png", "kaf", ""],
        ["2", "near", "scans/kaf/3.png", "scans/lam/4.jpg", "kaf | lam", ""],
    ]
    lines = [json.loads(line) for line in run("duplicates", scans, "--json")[1].splitlines()]
    assert [(line["cluster"], line["kind"], line["labels"]) for line in lines] == [
        (1, "exact", ["kaf"]), (2, "near by hash", ["kaf", "lam"]),
    ]  # fmt: skip
    assert lines[1]["images"] == ["scans/kaf/3.png", "scans/lam/4.jpg"]
    assert lines[1]["links"] == [{"kind": "near", "a": "scans/kaf/3.png", "b": "scans/lam/4.jpg", "cosine": None}]


def test_bits_say_how_near_hashes_must_be(run, scans):
    """The hashes of the near pair differ in two bits."""
    found = {bits: run("duplicates", scans, "--bits", bits, "--json")[1].count("\n") for bits in (0, 1, 2)}
    assert found == {0: 1, 1: 1, 2: 2}


def test_a_model_finds_what_it_embeds_alike_and_says_how_alike(run):
    assert run("duplicates", "data")[1] == "12 images, 0 clusters of duplicates\n"
    _, output, errors = run("duplicates", "data", "--model", MODEL, "--csv")
    table = list(csv.DictReader(io.StringIO(output)))
    assert errors == ""
    assert {row["kind"] for row in table} == {"embedding"}
    assert [row["labels"] for row in table] == ["alif"] * 3 + ["ba"] * 3 + ["ta"] * 3
    assert all(0.75 <= float(row["cosine"]) <= 1 for row in table)
    assert "near by embedding, 4 images" in run("duplicates", "data", "--model", MODEL)[1]
    lowest = min(float(row["cosine"]) for row in table)
    fewer = run("duplicates", "data", "--model", MODEL, "--similarity", (1 + lowest) / 2, "--csv")[1]
    assert fewer.count("\n") <= len(table)


def test_a_page_shows_every_cluster_with_its_pictures(run, scans, here):
    status, output, errors = run("duplicates", scans, "--html", "out/page.html")
    page = (here / "out" / "page.html").read_text()
    assert status == 0
    assert "out/page.html: written" in errors
    assert output.startswith("5 images")
    assert [page.count(f'alt="scans/{name}"') for name in ("kaf/1.png", "lam/4.jpg", "lam/5.png")] == [1, 1, 0]
    assert page.count("data:image/jpeg;base64,") == 4
    assert f'href="#{anchor(2)}"' in page
    assert page.count("labels differ: kaf | lam") == 1


def test_the_same_folder_gives_the_same_words(run, scans):
    assert run("duplicates", scans) == run("duplicates", scans)


def test_none_of_many_readable_is_an_error(run, here):
    (here / "scans").mkdir()
    for name in ("a.png", "b.jpg"):
        (here / "scans" / name).write_text("no image")
    status, output, errors = run("duplicates", "scans")
    assert (status, output, len(errors.splitlines())) == (2, "", 3)
    assert errors.splitlines()[-1].startswith("twinfolio: none of 2 images could be read; ")


def test_images_outside_of_class_folders_have_no_labels_to_differ(run, here):
    first = paint(here / "flat" / "a.png", 1)
    (here / "flat" / "b.png").write_bytes(first.read_bytes())
    assert json.loads(run("duplicates", "flat", "--json")[1])["labels"] == []


def test_bits_are_those_of_the_split():
    field = Params.model_fields["split"].annotation.model_fields["near_duplicate_bits"]
    assert field.default == BITS
    assert MOST_BITS in [bound.le for bound in field.metadata if hasattr(bound, "le")]
