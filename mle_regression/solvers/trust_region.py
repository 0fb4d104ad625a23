"""When a trust region accepts a step, and grows or shrinks: what Newton's method and Levenberg-Marquardt share.

Of the gain that the quadratic model foretells, the share that has come true (Nocedal and Wright, 2006, algorithm 4.1).
"""

# Shares from which a step is taken, below which the region shrinks, and above which it grows.
ACCEPTABLE_SHARE, POOR_SHARE, GOOD_SHARE = 1e-4, 0.25, 0.75

# What the radius becomes: a part of a step that was poor, a multiple where a good one went to the edge.
_SHRINK, _GROW = 0.25, 2.0
# Units of rounding, beside its size, that a difference of two losses may be made of.
LOSS_EPS = 16.0


def next_radius(radius: float, share: float, length: float, at_edge: float) -> float:
    """Return the radius after a step, of whose foretold gain a share has come true (NaN where it led out of range).

    A ``length`` above ``at_edge`` of the radius is at the edge.
    """
    if not share > POOR_SHARE:
        return _SHRINK * length
    return _GROW * radius if share > GOOD_SHARE and length > at_edge * radius else radius
