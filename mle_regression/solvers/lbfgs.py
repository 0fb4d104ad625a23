"""Limited-memory BFGS, SciPy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize

from mle_regression.linalg.arrays import Array
from mle_regression.objective.base import Objective
from mle_regression.solvers.base import Options, Status
from mle_regression.solvers.path import Control, Path, Walk, ends_of, walk


@dataclass
class LBFGS(Options):
    """Quasi-Newton steps from the last ``memory`` gradients (Liu and Nocedal, 1989), with a Wolfe line search.

    Parameters
    ----------
    memory : int, default=20
    """

    memory: int = 20

    name: ClassVar[str] = "lbfgs"
    noises: ClassVar[frozenset[str]] = frozenset({"gaussian"})
    from_sums: ClassVar[bool] = True
    draws_batches: ClassVar[bool] = False
    goes_on: ClassVar[bool] = False
    iterations: ClassVar[int] = 2000

    def minimise(self, objective: Objective, control: Control) -> Path:
        """Follow quasi-Newton steps; restarted where the line search gives up above the tolerance."""
        if control.learning_rate != "auto":
            raise ValueError("lbfgs finds its steps by line search; leave learning_rate='auto'.")
        spectrum = objective.spectrum
        low, high = ends_of(spectrum)
        stable = "It searches its own steps: look for numbers of extreme size."
        follower = Walk(control, objective.start, low, stable, highest=high)
        seen: dict[bytes, tuple[float, Array]] = {}

        def value(theta: Array) -> tuple[float, Array]:
            found = objective.value_and_gradient(theta)
            seen.clear()
            seen[theta.tobytes()] = found
            return found

        def told(theta: Array) -> None:
            loss, gradient = seen.get(theta.tobytes()) or objective.value_and_gradient(theta)
            if follower.note(theta.copy(), loss, float(np.linalg.norm(gradient))):
                raise StopIteration

        def search(follower: Walk) -> None:
            loss, gradient = value(follower.path.theta)
            ended = follower.note(follower.path.theta, loss, float(np.linalg.norm(gradient)))
            while not ended and (left := control.max_iter - follower.path.n_iter) > 0:
                before = follower.path.n_iter
                minimize(
                    value,
                    follower.path.theta,
                    jac=True,
                    method="L-BFGS-B",
                    callback=told,
                    options={
                        "maxiter": left,
                        "maxcor": self.memory,
                        "ftol": 0.0,
                        "gtol": 0.0,
                        "maxfun": 20 * left + 100,
                    },
                )
                ended = follower.path.status is not Status.MAX_ITER
                if follower.path.n_iter == before:
                    follower.path.status, ended = Status.STALLED, True

        return walk(search, follower)
