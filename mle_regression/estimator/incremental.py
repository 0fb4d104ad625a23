"""Fitting by batches: rows are given, sums are kept, and solved when someone looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self, TypeVar

import numpy as np
from sklearn.utils.metaestimators import available_if

from mle_regression.fit.incremental import (
    RunningSums,
    from_state,
    merged,
    no_rows,
    pose_from_sums,
    sums_of_fit,
    to_state,
    with_rows,
)
from mle_regression.fitted.linear import FittedLinear
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.rows.base import Totals
from mle_regression.rows.registry import as_rows
from mle_regression.solvers.base import LeastSquares, NonFiniteRowsError, Solution, Status
from mle_regression.solvers.linear_path import Iterative, solve_by_path
from mle_regression.solvers.path import Control
from mle_regression.solvers.registry import find_solver
from mle_regression.solvers.summed import solve_summed
from mle_regression.validation import checks

F = TypeVar("F", bound=Callable[..., Any])

# Fitted attributes that are left to be solved for.
_SETTLED = (
    *("coef_", "intercept_", "noise_variance_", "noise_covariance_", "log_likelihood_", "aic_", "aicc_", "bic_"),
    *("n_parameters_", "effective_dof_", "rank_", "verdict_", "converged_", "n_iter_", "loss_curve_", "gradient_norm_"),
    *("solver_", "refined_", "_state"),
)


def _goes_on(estimator: Any) -> bool:
    """Whether the solver can go on with more rows, from sums or with batches of them, under a penalty that is known."""
    checks.check_penalty_of_batches(estimator.alpha)
    try:
        solver = find_solver(estimator.solver, estimator.noise)
    except ValueError:
        return True  # an error that partial_fit itself will tell
    return solver.from_sums or (isinstance(solver, Iterative) and solver.goes_on)


def _where_it_goes_on(method: F) -> F:
    """Offer a method only where the solver can go on with more rows."""
    offered: F = available_if(_goes_on)(method)
    return offered


class IncrementalFit:
    """``partial_fit`` and ``merge`` for a linear estimator whose direct solvers can work from sums."""

    _sums: dict[str, Any]
    solver: Any
    noise: str
    alpha: Any
    fit_intercept: bool
    refine: Any
    rank_tol: float | None
    on_rank_deficiency: str
    coef_: Array
    _state: dict[str, Any]

    def _check_options(self) -> None:
        raise NotImplementedError

    def _control(self, batch_size: int | None, tell: Any) -> Control:
        raise NotImplementedError

    def fit_numbers(self) -> FittedLinear:
        """Return the fitted numbers."""
        raise NotImplementedError

    def _assign(self, problem: LeastSquares, solution: Solution, k: int, *, single_output: bool, eps: float) -> None:
        raise NotImplementedError

    @_where_it_goes_on
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Add rows to the fit. After any batches, in any order, the fit is that of ``fit`` to all their rows.

        Kept are sums of cross-products, O(p²) numbers, in exact arithmetic while rows are few or columns nearly dependent (or
        with ``refine=True``), else in float64 where no more than three digits can be lost by that. More than 80 columns and
        outputs are summed in float64 unless ``refine=True``; a warning tells if few digits are left. They are solved when a
        fitted attribute or a method is asked for, under the parameters that the estimator then has. After ``fit`` it goes on
        from the triangular factor, as right as a QR decomposition of all rows. Solvers that draw batches ("sgd", "adam",
        "adamw") go once through the rows given, from the coefficients that they had; standard errors are of all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Any number of rows, none included.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            As `fit`; and for other columns or outputs than before.

        Examples
        --------
        >>> import numpy as np
        >>> from mle_regression import MLELinearRegressor
        >>> X, y = np.arange(12.0).reshape(6, 2) ** 3, np.arange(6.0) ** 2
        >>> whole = MLELinearRegressor().fit(X, y)
        >>> parts = MLELinearRegressor().partial_fit(X[:1], y[:1]).partial_fit(X[1:], y[1:])
        >>> bool(np.allclose(parts.coef_, whole.coef_, rtol=1e-14)), parts.rank_
        (True, 3)
        """
        more = "_sums" in self.__dict__
        with checks.all_or_nothing(self):
            self._check_options()
            data = checks.training_data(self, X, y, sample_weight, more=self.__sklearn_is_fitted__(), some=False)
            p, m = data.x.shape[1], data.y.shape[1]
            sums, single = no_rows(p, m), data.single_output
            if more:
                sums, single = from_state(self._sums), self._sums["single_output"]
            elif "coef_" in self.__dict__:
                sums = sums_of_fit(self.fit_numbers(), Totals(**self._state["totals"]))
                single = self.coef_.ndim == 1
            if data.empty and self.__sklearn_is_fitted__():
                return self
            checks.check_same_outputs(m, data.single_output, sums.n_outputs, single)
            try:
                if len(data.y):
                    with one_blas_thread():
                        sums = with_rows(sums, data.x, data.y, data.weights, data.eps, self.refine)
            except NonFiniteRowsError as error:
                raise ValueError(checks.non_finite_message(self, error.columns, data, in_pipeline=False)) from None
            solver = find_solver(self.solver, self.noise)
            start = None
            if not solver.from_sums and isinstance(solver, Iterative) and "coef_" in self.__dict__:
                start = np.atleast_2d(self.coef_).T
            self._keep(sums, data.single_output)
            if not solver.from_sums and isinstance(solver, Iterative) and sums.totals.n_rows:
                self._take_pass(sums, solver, data.x, data.y, data.weights, start)
        return self

    def merge(self, other: IncrementalFit) -> Self:
        """Add the rows that another estimator has been given by ``partial_fit``, on another machine perhaps.

        Parameters
        ----------
        other : estimator
            With the same columns, outputs, alpha, intercept and weight type. It is left as it is.

        Returns
        -------
        self : estimator
            As if all rows had been given to it.
        """
        for who, estimator in (("this", self), ("the other", other)):
            if "_sums" not in estimator.__dict__:
                raise ValueError(
                    f"merge adds up what partial_fit has kept, and {who} estimator has not seen partial_fit."
                )
        mine, theirs = checks.feature_names(self), checks.feature_names(other)
        if mine != theirs:
            raise ValueError(f"The estimators were fitted to other columns: {mine[:8]} and {theirs[:8]}.")
        for name in ("alpha", "fit_intercept", "weight_type"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r} here and {getattr(other, name)!r} there; set one first."
                )
        one, two = from_state(self._sums), from_state(other._sums)
        single = self._sums["single_output"], other._sums["single_output"]
        if one.n_outputs != two.n_outputs or single[0] != single[1]:
            here, there = (
                "one dimension" if alone else f"{sums.n_outputs} columns"
                for alone, sums in zip(single, (one, two), strict=True)
            )
            raise ValueError(f"y has {here} here and {there} there; give all batches the same outputs.")
        self._keep(merged(one, two), self._sums["single_output"])
        return self

    def __getattr__(self, name: str) -> Any:
        # Rows given by partial_fit are solved for when someone looks.
        if name in _SETTLED and "_sums" in self.__dict__:
            self._settle()
            if name in self.__dict__:
                return self.__dict__[name]
        return object.__getattribute__(self, name)  # raises, with the reason if there is one

    def __sklearn_is_fitted__(self) -> bool:
        return "coef_" in self.__dict__ or "_sums" in self.__dict__

    def _keep(self, sums: RunningSums, single_output: bool) -> None:
        """Keep sums, and forget what was solved from fewer rows."""
        for name in _SETTLED:
            self.__dict__.pop(name, None)
        self._sums = to_state(sums) | {"single_output": single_output}

    def _posed(self, sums: RunningSums) -> tuple[LeastSquares, int]:
        """Pose the problem of the rows seen, under the parameters of now."""
        self._check_options()
        return pose_from_sums(
            sums,
            fit_intercept=bool(self.fit_intercept),
            alpha=checks.check_penalty(self.alpha),
            rank_tol=None if self.rank_tol is None else float(self.rank_tol),
            deficiency=self.on_rank_deficiency,
        )

    def _take_pass(
        self, sums: RunningSums, solver: Iterative, x: Any, y: Array, weights: Array | None, start: Array | None
    ) -> None:
        """Go once through new rows by a solver that draws batches, from where it was."""
        problem, k = self._posed(sums)
        rows = as_rows(x, y, None if weights is None else scale(weights, -2 * k))
        control = replace(self._control(self.batch_size, None), max_iter=1)
        with one_blas_thread():
            solution = solve_by_path(problem, solver, control, start, rows)
        if solution.status is not Status.CONVERGED:
            solution = replace(solution, status=Status.CONTINUING)
        self._assign(problem, solution, k, single_output=self._sums["single_output"], eps=sums.eps)

    def _settle(self) -> None:
        """Solve for the rows that partial_fit was given."""
        sums = from_state(self._sums)
        problem, k = self._posed(sums)
        solver = find_solver(self.solver, self.noise)
        with one_blas_thread():
            if isinstance(solver, Iterative):
                solution = solve_by_path(problem, solver, self._control(None, None))
            else:
                solution = solve_summed(problem)
        self._assign(problem, solution, k, single_output=self._sums["single_output"], eps=sums.eps)
