"""What Jimenez & Szabo print (systems.md 3.3), and what in it cannot be (systems.md 3.4)."""

from __future__ import annotations

PRECISION = {5: 0.0, 10: 0.02, 20: 0.02, 50: 0.0075}
"""K -> P@K of their ORB-Siamese over 20 queries."""
WITHIN = {0.1: 0.03, 0.05: 0.005, 0.01: 0.0}
"""Range -> share of pairs whose output lies so near to the judgment."""
SIGN_TEST = (1, 0, 19)
"""Wins, losses and ties of P@10 against the bag of words."""
DOUBTS = (
    "P@K times K gives 0, .2, .4 and .375 hits for K = 5, 10, 20 and 50: hits cannot fall from 20 answers to 50. Of 20 "
    "queries .75 % at 50 is 7.5 hits.",
    "The text attaches 3 % to the range .01, .5 % to .005 and 0 % to .01; the table says .1, .05 and .01.",
    "3 % within .1 of judgments that are 0 or 1 means that nearly all outputs lay between .1 and .9: they had "
    "collapsed. A share within a range does not show it; histograms and spread do.",
    "One win and 19 ties are p = 1 two-sided: no evidence of a difference, neither way.",
    "The introduction says that the model uses bags of words, the method says raw descriptors.",
    "In the public notebook negatives are the first zeros of the matrix, all of the first few queries, and the split "
    "is over pairs, so that a query is on both sides. Here each query gives its own negatives, and whole places are "
    "split.",
    "Concatenated key points have no order that two images share: slot by slot unlike things are compared. Matching "
    "key points is the baseline that the paper lacks.",
)
READING = (
    "The paper's 20 queries of London streets cannot be had: its numbers are of other images. orbN is its twin on the "
    "first N key points, conv the convolutional twin that it concludes should come next, bow_orb its baseline, a bag "
    "of words by Euclidean distance. Ceiling: a perfect ranking, where fewer than K maps are right; random: any "
    "order. Ties of scores count in expectation: an output that has collapsed to one value gets a chance share of "
    "every query, and so wins a sign test wherever the other has no hit at all."
)
"""What its tables beside ours mean."""
