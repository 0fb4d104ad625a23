"""When a trust region accepts a step, grows and shrinks (Nocedal and Wright, 2006, algorithm 4.1).

The share is the ratio of the actual to the predicted reduction.
"""

# Shares above which a step is accepted, below which the region shrinks, and above which it grows.
ACCEPTABLE_SHARE, POOR_SHARE, GOOD_SHARE = 1e-4, 0.25, 0.75

# Factors of the radius after a poor step (of its length), and after a good one that ended at the edge.
_SHRINK, _GROW = 0.25, 2.0
# Rounding error of a difference of two losses, in eps times the loss.
LOSS_EPS = 16.0


def next_radius(radius: float, share: float, length: float, at_edge: float) -> float:
    """Return the radius after a step of some length and share of the predicted reduction (NaN where the loss overflowed).

    A step longer than ``at_edge`` times the radius ended at the edge.
    """
    if not share > POOR_SHARE:
        return _SHRINK * length
    return _GROW * radius if share > GOOD_SHARE and length > at_edge * radius else radius
