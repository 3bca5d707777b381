"""Images and scores of which the truth is known, without any picture."""

import numpy as np

from twinfolio.evaluation.retrieval_protocol import Items


def pages(prefix, classes, groups, per_group=2, *, first_group=0, clusters=None):
    """``per_group`` images of each of ``groups`` pages of each class; every image a cluster of its own."""
    rows = [(c, g, i) for c in range(classes) for g in range(groups) for i in range(per_group)]
    ids = np.array([f"{prefix}{c}/{g}_{i}" for c, g, i in rows])
    names = np.array([f"{c}/p{g + first_group}" for c, g, _ in rows])
    return Items(ids, np.array([c for c, _, _ in rows]), names, ids if clusters is None else np.asarray(clusters))


def scores_of(matrix):
    """A matrix (Q, M) as a function of rows and columns."""
    return lambda rows, columns: matrix[np.ix_(rows, columns)].astype(np.float32)


def noisy(queries, gallery, gap, seed=0, noise=1.0):
    """Scores (Q, M): noise, and ``gap`` on top where both images are of one class."""
    same = queries.labels[:, None] == gallery.labels[None, :]
    return gap * same + np.random.default_rng(seed).normal(0, noise, same.shape)
