"""The solvers, one line each; validation, error texts, tests and documentation read this table."""

from __future__ import annotations

from typing import cast

from mle_regression.solvers.auto import Automatic
from mle_regression.solvers.base import Options, Solver
from mle_regression.solvers.normal import NormalEquation
from mle_regression.solvers.qr import TallSkinnyQR
from mle_regression.solvers.svd import SingularValues

SOLVERS: dict[str, type[Solver]] = {
    "auto": Automatic,
    "normal": NormalEquation,
    "qr": TallSkinnyQR,
    "svd": SingularValues,
}


def find_solver(solver: object, noise: str) -> Solver:
    """Return the solver of this name, or the instance itself, if it serves the noise family."""
    if isinstance(solver, str) and solver in SOLVERS:
        found: Solver = SOLVERS[solver]()
    elif isinstance(solver, Options) and isinstance(solver, tuple(SOLVERS.values())):
        found = cast(Solver, solver)
    else:
        raise ValueError(f"solver={solver!r} is not a solver; the solvers are: {', '.join(map(repr, SOLVERS))}.")
    if noise not in found.noises:
        able = [name for name, kind in SOLVERS.items() if noise in kind.noises]
        raise ValueError(
            f"solver={found.name!r} does not serve noise={noise!r}; these do: {', '.join(able) or 'none'}."
        )
    return found
