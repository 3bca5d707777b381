"""Answers of made-up systems to 24 test queries at 12 places: a perfect one, a middling one, and two twins."""

import numpy as np

from twinfolio.assessment.judged import JudgedTest
from twinfolio.reporting.jimenez_szabo_tables import Answered

QUERIES, MAPS = 24, 30
ABOUT = {
    "source": "drawn", "queries": {"train": 40, "val": 8, "test": 24, "unanswered": 3}, "maps": MAPS,
    "answers_per_query": 2.0, "left_out": {"map/x.png": "truncated"}, "without_key_points": 2, "test_uses": 1,
}  # fmt: skip


def answered():
    rng = np.random.default_rng(0)
    sim = np.zeros((QUERIES, MAPS), bool)
    for query in range(QUERIES):
        sim[query, query // 2] = sim[query, query // 2 + 12] = True
    fov = (sim * rng.uniform(0.6, 1, sim.shape)).astype(np.float32)
    pairs = np.array([(q, m) for q in range(QUERIES) for m in (q // 2, q // 2 + 12, (q + 9) % 12, 26)])
    test = JudgedTest(
        {"sim": sim.astype(np.float32), "fov": fov}, np.arange(QUERIES) // 2, pairs, {"sim": 0.5, "fov": 0.4}, 200
    )
    answers = {
        "orb10-sim-0": Answered(rng.normal(0.5, 0.002, sim.shape), 0.2, "sim", pretrained=False),
        "orb10-fov-0": Answered(fov.astype(np.float64), 0.1, "fov", pretrained=False),
        "bow_orb": Answered(sim + rng.normal(0, 0.6, sim.shape), 0.5, setting="200 words"),
        "vlad_rootsift": Answered(sim + rng.uniform(0, 0.5, sim.shape), 0.9, setting="32 words"),
    }
    return answers, test
