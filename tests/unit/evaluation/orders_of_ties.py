"""The slow twin of every ranking metric: textbook formulas, averaged over all orders of the ties."""

from __future__ import annotations

from itertools import chain, permutations, product
from math import log2


def textbook(gains, ks, length):
    """Metrics of one ranking: gains in the order of the ranking, 0 for what is not relevant."""
    hits = [gain > 0 for gain in gains]
    n_relevant = max(sum(hits), 1)
    places = [place for place, hit in enumerate(hits, start=1) if hit]
    precisions = {place: number / place for number, place in enumerate(places, start=1)}
    best = sorted(gains, reverse=True)

    def dcg(ranked):
        return sum(gain / log2(place + 1) for place, gain in enumerate(ranked, start=1))

    def ndcg(k):
        return dcg(gains[:k]) / dcg(best[:k]) if places else 0.0

    values = {"mAP": sum(precisions.values()) / n_relevant}
    values["mAP@R"] = sum(p for place, p in precisions.items() if place <= n_relevant) / n_relevant
    values["MRR"] = 1 / places[0] if places else 0.0
    values["r_precision"] = sum(hits[:n_relevant]) / n_relevant
    values["nDCG"] = ndcg(len(gains))
    for k in ks:
        values[f"P@{k}"] = sum(hits[:k]) / k
        values[f"R@{k}"] = sum(hits[:k]) / n_relevant
        values[f"cmc@{k}"] = float(any(hits[:k]))
        values[f"nDCG@{k}"] = ndcg(k)
    for k in range(1, length + 1):
        values[f"curve@{k}"] = float(any(hits[:k]))
    return values


def slow_metrics(scores, gains, ks, length=5):
    """Mean over all orders of the ties; scores and gains of one query's candidates."""
    ties = [[i for i in range(len(scores)) if scores[i] == level] for level in sorted(set(scores), reverse=True)]
    totals, orders = {}, 0
    for order in product(*(permutations(tie) for tie in ties)):
        ranked = [gains[i] for i in chain.from_iterable(order)]
        for key, value in textbook(ranked, ks, length).items():
            totals[key] = totals.get(key, 0.0) + value
        orders += 1
    return {key: total / orders for key, total in totals.items()}
