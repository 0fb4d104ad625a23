"""The solvers, one line each; validation, error texts, tests and documentation read this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mle_regression.noise.registry import find_noise
from mle_regression.solvers.auto import Automatic
from mle_regression.solvers.base import Options, Solver
from mle_regression.solvers.gradient_descent import GradientDescent
from mle_regression.solvers.lbfgs import LBFGS
from mle_regression.solvers.levenberg_marquardt import LevenbergMarquardt
from mle_regression.solvers.linear_path import Iterative
from mle_regression.solvers.lsmr import LSMR
from mle_regression.solvers.newton import NewtonCG
from mle_regression.solvers.normal import NormalEquation
from mle_regression.solvers.qr import TallSkinnyQR
from mle_regression.solvers.stochastic import Adam, AdamW, StochasticGradient
from mle_regression.solvers.svd import SingularValues

SOLVERS: dict[str, type[Solver] | type[Iterative]] = {
    "auto": Automatic,
    "normal": NormalEquation,
    "qr": TallSkinnyQR,
    "svd": SingularValues,
    "gd": GradientDescent,
    "sgd": StochasticGradient,
    "adam": Adam,
    "adamw": AdamW,
    "lbfgs": LBFGS,
    "lsmr": LSMR,
    "newton": NewtonCG,
}


def find_solver(solver: object, noise: str) -> Solver | Iterative:
    """Return the solver of this name, or the instance itself, if it serves the noise family."""
    if isinstance(solver, str) and solver in SOLVERS:
        found: Solver | Iterative = SOLVERS[solver]()
    elif isinstance(solver, Options) and isinstance(solver, tuple(SOLVERS.values())):
        found = cast("Solver | Iterative", solver)
    else:
        raise ValueError(f"solver={solver!r} is not a solver; the solvers are: {', '.join(map(repr, SOLVERS))}.")
    _check_serves(found, noise, SOLVERS)
    return found


def _check_serves(solver: Any, noise: str, solvers: Mapping[str, Any]) -> None:
    """Raise unless a solver can fit the noise family; name those of a table that can."""
    family = find_noise(noise)
    if not solver.serves.includes(family):
        able = [name for name, kind in solvers.items() if kind.serves.includes(family)]
        raise ValueError(
            f"solver={solver.name!r} does not serve noise={noise!r}, which is not fitted by least squares; these do: "
            f"{', '.join(map(repr, able)) or 'none'}."
        )


#: Those that follow the objective of a network.
NETWORK_SOLVERS: dict[str, type[Options]] = {
    "lm": LevenbergMarquardt,
    "lbfgs": LBFGS,
    "newton": NewtonCG,
    "gd": GradientDescent,
    "sgd": StochasticGradient,
    "adam": Adam,
    "adamw": AdamW,
}


def find_network_solver(solver: object, noise: str | None = None) -> Any:
    """Return the solver of this name, or the instance itself, if it can train a network, under the noise if one is given."""
    found = _network_solver(solver)
    if noise is not None:
        _check_serves(found, noise, {"auto": Automatic, **NETWORK_SOLVERS})
    return found


def _network_solver(solver: object) -> Any:
    if isinstance(solver, str) and solver in NETWORK_SOLVERS:
        return NETWORK_SOLVERS[solver]()
    if isinstance(solver, tuple(NETWORK_SOLVERS.values())):
        return solver
    name = solver if isinstance(solver, str) else getattr(solver, "name", None)
    known = ", ".join(map(repr, ["auto", *NETWORK_SOLVERS]))
    if isinstance(name, str) and name in SOLVERS:
        raise ValueError(
            f"solver={name!r} solves a linear problem: the mean of a network is not linear in its parameters, and no closed "
            f"form minimises its squared error. Take one that goes step by step: {known}."
        )
    raise ValueError(f"solver={solver!r} is not a solver; the solvers are: {known}.")
