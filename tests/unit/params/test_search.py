import pytest

from twinfolio.errors import ParamsError
from twinfolio.params.file import parse_params

TWO = {"val/retrieval/mAP": "maximize", "n_parameters": "minimize"}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"objectives": TWO, "pruner": "asha"}, ["pruner = asha needs a single objective, not 2: set it to none"]),
        ({"objectives": {}}, ["objectives is empty: name at least one metric"]),
        ({"objectives": {}, "pruner": "median"}, ["objectives is empty"]),
        ({"objectives": {"val/retrieval/mAP": "max"}}, ["val/retrieval/mAP = 'max'", "'maximize' or 'minimize'"]),
        ({"sampler": "tpee"}, ["search.sampler = 'tpee'", "'grid', 'random', 'tpe', 'cmaes' or 'nsga2'"]),
        ({"pruner": "hyper"}, ["search.pruner = 'hyper'", "'none', 'median', 'asha' or 'hyperband'"]),
        ({"target": "train_siamese"}, ["search.target = 'train_siamese'", "'train_siamese@l1', 'train_siamese@l2'"]),
        ({"trials": 0}, ["search.trials = 0", "greater than or equal to 1"]),
        ({"jobs": 0}, ["search.jobs = 0", "greater than or equal to 1"]),
        ({"factor": 1}, ["search.factor = 1", "greater than or equal to 2"]),
        ({"study": ""}, ["search.study = ''"]),
        ({"samplers": "grid"}, ["search.samplers: unknown key", "known here: factor, heartbeat_s, jobs, "]),
    ],
)
def test_a_bad_search_gets_one_line_with_key_value_and_what_is_allowed(section, words):
    with pytest.raises(ParamsError) as caught:
        parse_params({"search": section})
    line = str(caught.value)
    assert line.startswith("params.yaml: search")
    assert "\n" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("section", [{"objectives": TWO}, {"pruner": "hyperband"}, {"sampler": "grid", "trials": None}])
def test_a_search_that_can_be_run_is_read_as_it_stands(section):
    search = parse_params({"search": section}).search
    assert {name: getattr(search, name) for name in section} == section
