"""The array types that the numerical rooms speak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]
# Multiplies a square matrix, known or not, with a vector.
Product = Callable[[Array], Array]

EPS = float(np.finfo(np.float64).eps)
# Stands for zero where something is divided by it.
TINY = 1e-300
