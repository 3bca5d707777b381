"""A judged set small enough to train on in a second: streets of one colour each, seen a little lighter or darker."""

import numpy as np

from twinfolio.data.judged_images import JudgedImages
from twinfolio.data.judged_set import write_judged_set
from twinfolio.data.judged_split import draw_pairs, split_queries
from twinfolio.data.sources.judged import Judged

STREETS, QUERIES, MAPS, BITS = 20, 2, 3, 4


def street_images(seed=0, size=24):
    """Queries and maps with their judgments; a map of the street shows the query, the first one most of it."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(40, 216, (STREETS, 1, 1, 3))

    def views(each):
        street = np.repeat(np.arange(STREETS), each)
        noise = rng.normal(0, 6, (len(street), size, size, 3)) + rng.normal(0, 4, (len(street), 1, 1, 1))
        return street, (colours[street] + noise).clip(0, 255).astype(np.uint8)

    (asked, queries), (shown, maps) = views(QUERIES), views(MAPS)
    sim = asked[:, None] == shown
    fov = (sim * np.tile(np.linspace(1, 0.5, MAPS), STREETS)).astype(np.float32)
    names = [[f"{side}/{row}" for row in range(len(of))] for side, of in (("query", asked), ("map", shown))]
    return JudgedImages(Judged(*names, sim, fov), queries, maps), asked


def write_streets(folder, graded=True, seed=0):
    found, places = street_images(seed)
    judged = found.judged if graded else Judged(found.judged.queries, found.judged.maps, found.judged.sim, None)
    found = JudgedImages(judged, found.queries, found.maps)
    split = split_queries(judged.sim, places, (0.6, 0.2, 0.2), seed)
    # the bits of a street are its own, a few of them turned over by each look
    rng, street = np.random.default_rng(seed), np.concatenate([places, np.repeat(np.arange(STREETS), MAPS)])
    bits = rng.integers(0, 2, (STREETS, BITS, 256))[street]
    bits = np.where(rng.random(bits.shape) < 0.05, 1 - bits, bits).astype(np.uint8)
    write_judged_set(folder, found, bits, split, places, draw_pairs(judged.sim, split, seed))
    return folder
