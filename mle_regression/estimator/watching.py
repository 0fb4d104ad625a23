"""Who follows the iterations of a fit: the screen, and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mle_regression.estimator.callbacks import FitTask
from mle_regression.fit.linear import LinearProblem
from mle_regression.fit.linear_conclusion import likelihood_on_the_way
from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fit.network import Watch
from mle_regression.fit.network_conclusion import conclude_on_the_way
from mle_regression.fit.network_options import NetworkOptions
from mle_regression.fitted.likelihood import OnTheWay
from mle_regression.fitted.network import NetworkFit
from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import Status
from mle_regression.solvers.path import is_printed


def teller(task: FitTask, options: LinearOptions, problem: LinearProblem) -> Callable[..., Status | None]:
    """Return what is called at the start and after each iteration: it prints and tells callbacks, and may end the fit."""

    def tell(iteration: int, params: Array, loss: float, norm: float) -> Status | None:
        if iteration == 0:
            task.begin_path(lambda: on_the_way(problem, params))
            return None
        if options.verbose and is_printed(iteration, options.max_iter):
            print(f"{options.solver.name} {iteration:6d}: loss {loss:.8g}, gradient {norm:.3g}")
        return Status.STOPPED if task.iteration(lambda: on_the_way(problem, params)) else None

    return tell


def on_the_way(problem: LinearProblem, params: Array) -> dict[str, Any]:
    """Return the attributes that predict, and tell how likely rows are, from parameters (1 + p, m), the intercept first."""
    likelihood = likelihood_on_the_way(problem, params)
    variance, coef = np.diagonal(likelihood.covariance), params[1:]
    intercept: Any = params[0] if problem.squares.centred else np.zeros(params.shape[1])
    return {
        "coef_": coef[:, 0] if problem.single_output else coef.T,
        "intercept_": np.float64(intercept[0]) if problem.single_output else intercept,
        "noise_variance_": float(variance[0]) if problem.single_output else variance.copy(),
        "_fit": OnTheWay(likelihood),
    }


def watch_of(task: FitTask, data: TrainingData, options: NetworkOptions) -> Watch | None:
    """Return who follows the training of a network; None if no one does."""
    if not task.watched:
        return None

    def fitted(here: Callable[[], tuple[NetworkObjective, AnyArray]]) -> Callable[[], dict[str, Any]]:
        return lambda: predicting(conclude_on_the_way(*here(), data, options))

    return Watch(
        lambda here: task.begin_path(fitted(here)),
        lambda here: task.iteration(fitted(here)),
        task.begin_start,
        task.end_start,
    )


def predicting(fit: NetworkFit) -> dict[str, Any]:
    """Return the attributes that predictions of a network need, ``coefs_`` and ``intercepts_`` among them."""
    layers, variance = fit.layers_in_units(), np.diagonal(fit.likelihood.covariance_of_y).copy()
    return {
        "coefs_": [layer[:, :-1].T.copy() for layer in layers],
        "intercepts_": [layer[:, -1].copy() for layer in layers],
        "noise_variance_": float(variance[0]) if fit.single_output else variance,
        "_fit": fit,
    }
