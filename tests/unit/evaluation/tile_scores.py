"""Scores of embeddings tile by tile, in a module light enough for a process to start with."""

from __future__ import annotations

import numpy as np


class InnerProduct:
    """Inner products of rows with rows, into one buffer."""

    def __init__(self, queries, gallery):
        self.queries, self.gallery = queries, gallery
        self.buffer = np.empty(len(queries) * len(gallery), np.float32)

    def __call__(self, rows, columns):
        out = self.buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        return np.matmul(self.queries[rows], self.gallery[columns].T, out=out)

    def __getstate__(self):
        return {"queries": self.queries, "gallery": self.gallery}

    def __setstate__(self, state):
        self.__init__(**state)
