"""Which fits can go on with more rows, and so offer ``partial_fit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.utils.metaestimators import available_if

from mle_regression.fit.incremental import check_sums_suffice
from mle_regression.fit.network_options import is_auto
from mle_regression.noise.registry import NOISES
from mle_regression.solvers.base import Need
from mle_regression.solvers.registry import find_network_solver, find_solver
from mle_regression.validation import checks

F = TypeVar("F", bound=Callable[..., Any])


def offered_if(condition: Callable[[Any], bool]) -> Callable[[F], F]:
    """Offer a method only where an estimator meets a condition."""
    decorate: Callable[[F], F] = available_if(condition)
    return decorate


def linear_continues(estimator: Any) -> bool:
    """Whether the solver can go on with more rows, from sums or with batches of them, under a penalty that is known.

    Raises, with the reason, where the noise needs all rows.
    """
    checks.check_penalty_of_batches(estimator.alpha)
    if estimator.noise in NOISES:
        check_sums_suffice(NOISES[estimator.noise])
    try:
        return find_solver(estimator.solver, estimator.noise).continues_from is not None
    except ValueError:
        return True  # an error that partial_fit itself will tell


def network_continues(estimator: Any) -> bool:
    """Whether the solver can go on with other rows, under a penalty that is known."""
    checks.check_penalty_of_batches(estimator.alpha)
    try:
        return is_auto(estimator.solver) or find_network_solver(estimator.solver).continues_from is Need.BATCHES
    except ValueError:
        return True  # an error that partial_fit itself will tell
