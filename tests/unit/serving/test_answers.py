import numpy as np
import pandas as pd
import pytest

from twinfolio.errors import DataError
from twinfolio.retrieval.index import IndexWriter, read_index
from twinfolio.retrieval.scorers import DistanceScorer
from twinfolio.serving.answers import Searcher


def searcher(folder, tiles=(1, 3, 2, 1, 1, 4), seed=0):
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(len(tiles)), tiles)
    rows = pd.DataFrame(
        {"image_id": [f"leaf {i}" for i in image], "tile": 0, "label": [f"codex {i % 2}" for i in image]}
    )
    rows["group"] = rows["cluster"] = rows["image_id"]
    rows["content"] = [f"sha {i}" for i in image]
    vectors = rng.normal(size=(len(image), 5)).astype(np.float32)
    with IndexWriter(folder) as writer:
        writer.write(vectors, rows, "m")
    index = read_index(folder)
    return Searcher(index, DistanceScorer(index.vectors, "l2", 3.0, 1.0)), vectors, image


def test_the_order_is_that_of_the_mean_over_all_pairs_of_tiles(tmp_path):
    ask, vectors, image = searcher(tmp_path)
    query = np.random.default_rng(5).normal(size=(3, 5)).astype(np.float32)
    logits = 3 - np.linalg.norm(query[:, None] - vectors[None], axis=-1)
    means = np.array([logits[:, image == i].mean() for i in range(6)])
    answers = ask.ask(query, 4)
    assert [answer.image_id for answer in answers] == [f"leaf {i}" for i in np.argsort(-means)[:4]]
    assert [answer.score for answer in answers] == pytest.approx(np.sort(means)[::-1][:4], abs=1e-5)
    assert answers[0].label == f"codex {np.argmax(means) % 2}"


def test_a_query_that_is_in_the_index_finds_itself_only_where_it_may(tmp_path):
    ask, vectors, image = searcher(tmp_path)
    own = vectors[image == 3]
    assert ask.ask(own, 1)[0].image_id == "leaf 3"
    assert "leaf 3" not in [answer.image_id for answer in ask.ask(own, 10, content="sha 3")]


def test_more_than_there_are_gives_all_there_are(tmp_path):
    ask, vectors, _ = searcher(tmp_path)
    assert len(ask.ask(vectors[:1], 100)) == 6


def test_nothing_is_left_where_the_only_image_is_the_query(tmp_path):
    ask, vectors, _ = searcher(tmp_path, tiles=(2,))
    assert ask.ask(vectors, 3, content="sha 0") == []


def test_an_empty_index_says_so(tmp_path):
    ask, _, _ = searcher(tmp_path)
    empty = type(ask.index)(ask.index.vectors[:0], ask.index.rows[:0], "m", "exact", ask.index.folder)
    with pytest.raises(DataError, match="is empty"):
        Searcher(empty, ask.scorer)
