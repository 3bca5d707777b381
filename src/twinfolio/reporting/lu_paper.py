"""What Lu's study prints: the rates of nine cells, in percent of what must be 2,500 images (systems 2.2)."""

from __future__ import annotations

RATES = {
    (1, 8): 94.84,
    (1, 16): 97.64,
    (1, 32): 96.60,
    (2, 8): 92.68,
    (2, 16): 98.88,
    (2, 32): 98.32,
    (3, 8): 89.24,
    (3, 16): 99.72,
    (3, 32): 99.00,
}
"""(depth, kernels) -> rate."""
IMAGES = 2500
"""All nine rates are whole numbers of this many."""
