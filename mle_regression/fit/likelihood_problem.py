"""The likelihood of a linear model's rows as a function of parameters in units in which they are of about one size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.linalg import qr

from mle_regression.fit.column_moments import ColumnMoments
from mle_regression.fit.linear import LinearProblem
from mle_regression.linalg.arrays import Array, BoolArray
from mle_regression.linalg.scaling import scale
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.likelihood import LikelihoodObjective, likelihood_objective
from mle_regression.rows.standard import Units, rows_in_units
from mle_regression.solvers.base import Solution


@dataclass(frozen=True, slots=True)
class LikelihoodProblem:
    """A linear problem in the units of its columns and of the least-squares residuals.

    Attributes
    ----------
    problem : LinearProblem
    of_x, of_y : Units
    spread_of_y : Array of shape (m,)
        Of y itself: about its mean if there is an intercept, else about zero.
    reach : float
        The largest that the terms of a mean are, in units of y.
    fixed : BoolArray of shape (P + m,)
        Which parameters of the network are none of the model: its bias without an intercept, and dependent columns.
    constant : float
        What is added to J to give minus the mean log density in the units of y.
    """

    problem: LinearProblem
    of_x: Units
    of_y: Units
    spread_of_y: Array
    reach: float
    fixed: BoolArray
    constant: float

    @classmethod
    def of(cls, problem: LinearProblem, start: Solution) -> Self:
        """Choose the units by the columns and the least-squares solution."""
        squares = problem.squares
        p, m = start.coef.shape
        moments = ColumnMoments.of_rows(squares.rows, squares.totals.n_rows, squares.totals.sum_weights)
        center, width = moments.center, moments.spread
        if not squares.centred:
            center, width = np.zeros(p + m), np.hypot(moments.spread, moments.center)
        unit = np.where(width[:p] > 0, width[:p], np.where(center[:p] != 0, np.abs(center[:p]), 1.0))
        left = np.sqrt(np.diagonal(start.residual_cross) / squares.totals.sum_weights)
        of_y = Units(center[p:], scale(left, start.output_exponent))
        fixed = np.zeros((m, p + 1), dtype=bool)
        fixed[:, -1] = not squares.centred
        fixed[:, :-1] = ~independent_columns(start)
        constant = float(np.log(of_y.spread).sum())
        if squares.totals.weighted and not problem.frequency:
            totals = squares.totals
            constant -= 0.5 * m * (totals.sum_log_weights / totals.n_rows - float(np.log(totals.max_weight)))
        return cls(
            problem,
            Units(center[:p], unit),
            of_y,
            width[p:],
            float((width[p:] / of_y.spread).max(initial=1.0)),
            np.concatenate([fixed.ravel(), np.zeros(m, dtype=bool)]),
            constant,
        )

    def in_units_of(self, phi: Array) -> LikelihoodProblem:
        """Return the problem in the units of the noise, about the mean, that parameters and log scales (P + m,) have."""
        coef, intercept = self.coefficients(phi)
        scales = np.exp(phi[-len(intercept) :])
        spread = self.of_y.spread * scales
        center = intercept + self.of_x.center @ coef if self.problem.squares.centred else self.of_y.center
        terms = (np.abs(coef) * self.of_x.spread[:, None]).sum(axis=0) / spread
        return replace(
            self,
            of_y=Units(center, spread),
            reach=float(terms.max(initial=1.0)),
            constant=self.constant + float(np.log(scales).sum()),
        )

    def objective(self, coef: Array, intercept: Array) -> LikelihoodObjective:
        """Return minus the mean log density, starting at some coefficients and the scales that are likeliest there."""
        problem = self.problem
        p, m = coef.shape
        rows = rows_in_units(problem.squares.rows, (self.of_x, self.of_y), "float64")
        alpha = np.zeros((m, p + 1))
        alpha[:, :-1] = problem.squares.alpha / problem.squares.totals.max_weight / self.of_x.spread**2
        layer = np.zeros((m, p + 1))
        layer[:, :-1] = (coef * self.of_x.spread[:, None] / self.of_y.spread).T
        layer[:, -1] = (intercept + self.of_x.center @ coef - self.of_y.center) / self.of_y.spread
        layer[self.fixed[: layer.size].reshape(layer.shape)] = 0.0
        network = Network((p, m), find_activation("identity"))
        return likelihood_objective(
            network, rows, alpha.ravel(), layer.ravel(), problem.noise, problem.frequency, self.fixed
        )

    def coefficients(self, phi: Array) -> tuple[Array, Array]:
        """Return coefficients (p, m) and intercept (m,) in the units of X and y."""
        p, m = len(self.of_x.center), len(self.of_y.center)
        layer = np.asarray(phi[: m * (p + 1)], dtype=np.float64).reshape(m, p + 1)
        coef = layer[:, :-1].T * self.of_y.spread / self.of_x.spread[:, None]
        if not self.problem.squares.centred:
            return coef, np.zeros(m)
        return coef, layer[:, -1] * self.of_y.spread + self.of_y.center - self.of_x.center @ coef

    def total_squares(self, start: Solution) -> Array:
        """Return the weighted sums of squares (m,) of outputs divided by powers of two."""
        return np.asarray(
            self.problem.squares.totals.sum_weights * scale(self.spread_of_y, -start.output_exponent) ** 2
        )


def independent_columns(start: Solution) -> BoolArray:
    """Return which columns (p,) the fit goes on with: all, or as many independent ones as there are."""
    information, p = start.information, len(start.coef)
    if not start.relations:
        return np.ones(p, dtype=bool)
    rank = information.rank - int(information.centred)
    used = (start.coef != 0).any(axis=1)
    if used.sum() == rank:  # the others have been dropped
        return np.asarray(used)
    _, order = qr(information.factor, mode="r", pivoting=True)
    return np.isin(np.arange(p), order[:rank])
