"""Rows as an estimator has accepted them: checked, and not yet in any home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mle_regression.linalg.arrays import Array


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Checked rows: ``x`` (n, p) as given, ``y`` (n, m) float64, ``weights`` (n,) or None, and whether y was 1-D.

    ``eps`` is the relative precision of the numbers in x, ``outputs`` the names of y's columns, empty if they have none.
    """

    x: Any
    y: Array
    weights: Array | None
    single_output: bool
    eps: float
    outputs: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no row has weight."""
        return not len(self.y) or (self.weights is not None and not self.weights.any())

    @property
    def total_weight(self) -> float:
        """Sum of the weights; the number of rows where they have none."""
        return float(len(self.y)) if self.weights is None else float(self.weights.sum())
