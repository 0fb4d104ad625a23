"""How a linear model is to be fitted: options that have been checked."""

from __future__ import annotations

from dataclasses import dataclass

from mle_regression.linalg.arrays import Array
from mle_regression.noise.base import NoiseFamily
from mle_regression.solvers.base import Solver
from mle_regression.solvers.linear_path import Iterative


@dataclass(frozen=True, slots=True)
class LinearOptions:
    """The parameters of `MLELinearRegressor` that say how to fit, read by ``estimator.linear_options``.

    Attributes
    ----------
    solver : Solver or Iterative
    fit_intercept : bool
    alpha : float, Array or None
        The penalty, or one for each output (m,); None where the data are to choose it.
    choice : {"evidence", "loo"} or None
        How the data are to choose it.
    per_output : bool
        Whether they choose one for each output.
    noise : NoiseFamily
    frequency : bool
        Whether a weight says how often a row is there.
    rank_tol : float or None
    deficiency : {"warn", "raise", "drop", "min_norm"}
    refine : bool or "auto"
    learning_rate : float or "auto"
    batch_size : int or None
    max_iter : int
    tol : float
    warm_start, verbose : bool
    """

    solver: Solver | Iterative
    fit_intercept: bool
    alpha: float | Array | None
    choice: str | None
    per_output: bool
    noise: NoiseFamily
    frequency: bool
    rank_tol: float | None
    deficiency: str
    refine: bool | str
    learning_rate: float | str
    batch_size: int | None
    max_iter: int
    tol: float
    warm_start: bool
    verbose: bool
