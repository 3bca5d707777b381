from tests.unit.reporting.test_query_page import EVIL, Balanced, picture
from twinfolio.reporting.duplicates_page import Member, Shown, write_duplicates_page


def page(tmp_path, *clusters):
    path = tmp_path / "deep" / "page.html"
    write_duplicates_page(path, f"in {EVIL}", [one.title for one in clusters], clusters)
    parsed = Balanced()
    parsed.feed(path.read_text())
    assert parsed.open == []
    return parsed


def cluster(said="same bytes as a", warning="", pictures=2):
    members = [Member(f"{EVIL}{place}", EVIL, said if place else "", picture(seed=place)) for place in range(pictures)]
    return Shown(f"exact {EVIL}", warning, [*members, Member("gone", "", said, None)])


def test_texts_are_shown_as_they_are_and_all_is_in_the_file(tmp_path):
    parsed = page(tmp_path, cluster(said=f"near {EVIL}", warning=f"labels differ: {EVIL}"))
    assert "script" not in parsed.tags
    assert {address[:5] for address in parsed.addresses} == {"data:"}
    for text in (f"in {EVIL}", f"exact {EVIL}", f"near {EVIL}", f"labels differ: {EVIL}", "image file not found"):
        assert text in parsed.text
    assert parsed.text.count(f"near {EVIL}") == 2
    assert "no class" in parsed.text


def test_several_clusters_are_listed_at_the_top_and_one_is_not(tmp_path):
    assert "2 clusters" in page(tmp_path, cluster(), cluster()).text
    assert "1 clusters" not in page(tmp_path, cluster()).text


def test_without_a_warning_there_is_none(tmp_path):
    page(tmp_path, cluster())
    assert 'class="verdict' not in (tmp_path / "deep" / "page.html").read_text()
