"""LSMR: least squares by products with X and its transpose alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mle_regression.linalg.bidiagonal import Bidiagonalisation
from mle_regression.objective.linear import LinearObjective
from mle_regression.objective.products import ProductObjective
from mle_regression.solvers.base import Need, Options, Serves
from mle_regression.solvers.path import Control, ConvergenceMonitor, Path, ends_of, near_norm, run_monitored

Objective = LinearObjective | ProductObjective


@dataclass
class LSMR(Options):
    """Golub–Kahan bidiagonalisation of the standardised columns (Fong and Saunders, 2011).

    Of more than 500 columns it multiplies X and its transpose with vectors, and nothing else: no p × p matrix is formed. The
    fit then has no standard errors of its own; ``diagnose(X, y)`` has them, by products too.

    Each iteration multiplies the rows by a vector and their transpose by another, sparse ones as they are; the norm of the
    gradient never rises, and as many iterations as the columns have distinct singular values suffice but for rounding.
    """

    name: ClassVar[str] = "lsmr"
    serves: ClassVar[Serves] = Serves.SUMS
    needs: ClassVar[Need] = Need.ROWS
    continues_from: ClassVar[Need | None] = None
    by_products: ClassVar[bool] = True

    def minimise(self, objective: Objective, control: Control) -> Path:
        """Follow the bidiagonalisation from the objective's start."""
        control.require_automatic_step("lsmr has no step")
        spectrum = objective.spectrum
        low, high = ends_of(spectrum)
        stable = "It has no step: look for numbers of extreme size."
        monitor = ConvergenceMonitor(control, objective.start, low, stable, proven=True, highest=high)

        def iterate(monitor: ConvergenceMonitor) -> None:
            while not _run(objective, monitor, control.max_iter):
                # Rounding has made the basis lose its orthogonality: begin again from here.
                continue

        return run_monitored(iterate, monitor)


def _run(objective: Objective, monitor: ConvergenceMonitor, max_iter: int) -> bool:
    """Follow one bidiagonalisation; return whether the path ends."""
    beginning = monitor.path.theta.copy()
    if not monitor.path.losses and monitor.note(beginning, *objective.value_and_norm(beginning)):
        return True
    products = objective.products
    run = Bidiagonalisation(products.image, products.transposed, products.residual_at(beginning))
    best, risen = monitor.path.gradient_norms[-1], 0
    while monitor.path.n_iter < max_iter and run.advance():
        theta = beginning + run.x
        loss, norm = objective.look(theta, run)
        if norm <= near_norm(monitor.control.tol, theta, loss, monitor.lowest, monitor.highest):
            # Recurrences are believed until they say that it is enough.
            loss, norm = objective.value_and_norm(theta)
        if monitor.note(theta, loss, norm):
            return True
        best, risen = (norm, 0) if norm < best else (best, risen + 1)
        if risen > _PATIENCE:
            return False
    return True


# Iterations without a smaller gradient after which the recurrences have come to their end.
_PATIENCE = 10
