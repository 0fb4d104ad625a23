"""Array types and constants of the numerical rooms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]
# A function of a vector: its product with a square matrix that need not be formed.
Product = Callable[[Array], Array]

EPS = float(np.finfo(np.float64).eps)
# Takes the place of a zero divisor.
TINY = 1e-300
