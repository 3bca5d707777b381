"""Classical descriptors of sample pages at 224 px: images a second, re-ranking by matches, and ranking.

Extraction by one thread and by two takes turns, A B A B; key points are found on threads in the pipeline too, since
OpenCV and mahotas hold no lock meanwhile. A gallery of bags of words and of VLAD is ranked through ``PreparedGallery``,
as every index is, beside NumPy's plainest ranking of the same rows; both must name the same first ten. Re-ranking
matches one query's RootSIFT points with those of 100 candidates. Medians.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from _bench import finish
from _ranking import take_turns

from twinfolio.data.images import decode
from twinfolio.data.store import fit_image
from twinfolio.descriptors.bow import BagOfWords, scaled
from twinfolio.descriptors.hashing import HASHES, hash_bits
from twinfolio.descriptors.local import LOCAL, Extractor, LocalFeatures, concatenated, extract
from twinfolio.descriptors.vlad import vlad
from twinfolio.descriptors.vocabulary import Vocabulary
from twinfolio.evaluation.baselines import colour_histogram
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import distance_scorer
from twinfolio.sample.generate import write_sample

SIZE, K, CANDIDATES, POINTS, WORDS = 224, 10, 100, 500, {"bow": 1000, "vlad": 64}
GAIN_BAR, RANKING_BAR = 1.7, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256, help="to extract from")
    parser.add_argument("--rows", type=int, default=10000, help="of the gallery that is ranked")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of extraction")
    given = parser.parse_args()
    images = sample_images(given.images)
    sides = extraction(images, given.repeats)
    features = extract(images, Extractor("rootsift", POINTS))
    sides |= reranking(features) | ranking(features, given.rows)
    gain = min(sides[f"{kind}_gain"] for kind in LOCAL)
    met = gain >= GAIN_BAR and min(sides["bow_gain"], sides["vlad_gain"]) >= RANKING_BAR
    sides |= {"images": len(images), "rows": given.rows, "ranking_bar": RANKING_BAR}
    finish("descriptors", gain, "x on two threads, least of orb, rootsift, surf", GAIN_BAR, met, sides)


def sample_images(n: int) -> np.ndarray:
    """Pages of eight made-up manuscripts, uint8 (n, 224, 224, 3)."""
    with tempfile.TemporaryDirectory() as scratch:
        pages = -(-n // 8)
        write_sample(Path(scratch, "data"), seed=0, manuscripts=8, pages=(pages, pages))
        paths = sorted(Path(scratch).rglob("*.jpg"))[:n]
        return np.stack([fit_image(decode(path), SIZE, "pad") for path in paths])


def extraction(images: np.ndarray, repeats: int) -> dict[str, float]:
    """Images a second of each descriptor on one thread and on two, and the gain."""
    works: dict[str, Callable[[int], object]] = {
        kind: lambda workers, kind=kind: extract(images, Extractor(kind, POINTS), workers=workers) for kind in LOCAL
    }
    works |= {kind: lambda workers, kind=kind: in_shares(hashes, images, workers, kind) for kind in HASHES}
    works["colour_histogram"] = lambda workers: in_shares(colour_histogram, images, workers)
    sides = {}
    for name, work in works.items():
        seconds = take_turns({"1": lambda _, work=work: work(1), "2": lambda _, work=work: work(2)}, [None], repeats)
        sides |= {f"{name}_per_s_{count}": len(images) / spent for count, spent in seconds.items()}
        sides[f"{name}_gain"] = seconds["1"] / seconds["2"]
        print(f"{name}: {sides[f'{name}_per_s_1']:.0f} images/s, two threads {sides[f'{name}_gain']:.2f} x", flush=True)
    return sides


def hashes(images: np.ndarray, kind: str) -> np.ndarray:
    return np.stack([hash_bits(image, kind) for image in images])


def in_shares(work: Callable[..., np.ndarray], images: np.ndarray, workers: int, *given: str) -> np.ndarray:
    """Each thread does its share of the images."""
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate([*pool.map(lambda part: work(part, *given), np.array_split(images, workers))])


def reranking(features: LocalFeatures) -> dict[str, float]:
    """Milliseconds in which one query's points are matched with those of all candidates."""
    recipe = Recipe(matched=Matched(candidates=CANDIDATES, points=POINTS))
    points = concatenated(features, POINTS, points=True)
    points = points[np.arange(CANDIDATES + 8) % len(points)]
    rows = np.hstack([np.eye(len(points), dtype=np.float32), points])
    gallery = PreparedGallery(recipe, rows[:CANDIDATES], np.arange(CANDIDATES), distance_scorer("cosine"))
    matched = gallery.recipe.matched
    queries = [row[None] for row in rows[CANDIDATES:]]
    spent = take_turns({"rerank": lambda query: matched.gains(query, gallery.vectors)}, queries, len(queries))
    found = {"rerank_top100_ms": 1e3 * spent["rerank"], "rerank_points": float(features.counts.mean())}
    print(f"re-ranking {CANDIDATES}: {found['rerank_top100_ms']:.0f} ms a query", flush=True)
    return found


def ranking(features: LocalFeatures, rows: int) -> dict[str, float]:
    """Both encodings through the index's code and through NumPy's plainest."""
    bags = BagOfWords.fit(features, Vocabulary.fit(features, WORDS["bow"]))
    words = Vocabulary.fit(features, WORDS["vlad"])
    bow = beside_numpy(scaled(bags.encode(features), "l1"), rows, "l1", nearest_l1)
    both = {"bow": bow, "vlad": beside_numpy(vlad(features, words), rows, "cosine", nearest_cosine)}
    for name, found in both.items():
        print(f"{name}: {found['index_ms']:.1f} ms a query, {found['gain']:.2f} x NumPy's speed", flush=True)
    return {f"{name}_{key}": value for name, found in both.items() for key, value in found.items()}


def beside_numpy(
    vectors: np.ndarray, rows: int, distance: str, naive: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> dict[str, float]:
    """Milliseconds a query of both sides, and NumPy's time over the index's."""
    gallery, queries = jittered(vectors, rows, 1), [row[None] for row in jittered(vectors, 16, 2)]
    index = PreparedGallery(Recipe(), gallery, np.arange(rows), distance_scorer(distance))
    for query in queries[:4]:
        scores = index.scorer.pairwise(query)[0]  # of two that tie within rounding either may come first
        if not np.allclose(scores[index.search(query, K)[0]], scores[naive(gallery, query)[:K]], rtol=0, atol=1e-5):
            raise RuntimeError(f"{distance}: the index and NumPy name other images")
    ways = {"index": lambda query: index.search(query, K), "naive": lambda query: naive(gallery, query)[:K]}
    spent = take_turns(ways, queries, 5 * len(queries), burst=len(queries))
    found = {f"{way}_ms": 1e3 * seconds for way, seconds in spent.items()}
    return {**found, "gain": spent["naive"] / spent["index"]}


def jittered(vectors: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Rows (n, D) near those of true images: the sample has too few pages for a gallery."""
    draws = np.random.default_rng(seed)
    noise = draws.normal(scale=0.3 * vectors.std(), size=(n, vectors.shape[1]))
    return (vectors[draws.integers(len(vectors), size=n)] + noise).astype(np.float32)


def nearest_l1(gallery: np.ndarray, query: np.ndarray) -> np.ndarray:
    return np.argsort(np.abs(gallery - query).sum(1), kind="stable")


def nearest_cosine(gallery: np.ndarray, query: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(gallery, axis=1) * np.linalg.norm(query)
    return np.argsort(-(gallery @ query[0]) / lengths, kind="stable")


if __name__ == "__main__":
    main()
