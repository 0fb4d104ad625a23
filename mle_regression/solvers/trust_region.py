"""When a trust region accepts a step, and grows or shrinks: what Newton's method and Levenberg-Marquardt share.

Of the gain that the quadratic model foretells, the share that has come true (Nocedal and Wright, 2006, algorithm 4.1).
"""

# Shares from which a step is taken, below which the region shrinks, and above which it grows.
ACCEPTABLE_SHARE, POOR_SHARE, GOOD_SHARE = 1e-4, 0.25, 0.75
