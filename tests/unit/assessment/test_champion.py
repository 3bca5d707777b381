import json

import pytest

from twinfolio.assessment.champion import FILE, champion_json, read_champion
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.errors import DataError


def test_what_comparison_writes_evaluation_reads(store_root, systems, tmp_path):
    comparison = compare_systems(
        systems, ["l1", "cosine"], store_root, tmp_path / "e", PairSettings(), Resampling(n=100)
    )
    (tmp_path / FILE).write_text(json.dumps(champion_json(comparison, "f1")))
    champion = read_champion(tmp_path)
    assert (champion.distance, champion.runner_up, champion.tie) == ("cosine", "l1", comparison.tie)
    assert champion.val_map_unseen == comparison.without_within_group("cosine")
    assert champion.thresholds == comparison.thresholds


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_a_missing_or_broken_choice_names_its_file(text, tmp_path):
    if text is not None:
        (tmp_path / FILE).write_text(text)
    with pytest.raises(DataError, match=FILE):
        read_champion(tmp_path)
