"""What kind of optimum a fit has reached, and how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where a solver has ended.

    Attributes
    ----------
    solver : str
        Its name.
    solver_reason : str
        Why it was this one, where it was chosen for the user; empty where he has.
    verdict : str
        What the curvature says of the place; empty where it is not known.
    converged : bool
    n_iter : int
    loss_curve : tuple of float
        J after each iteration, the start before them.
    gradient_norm : float
    gradient_curve : tuple of float
        Norm of the gradient where the loss curve has J, as the solver sees it; empty of direct solvers and earlier files.
    stop_reason : str
        How the solver ended: the name of its `Status`, in small letters; empty in earlier files.
    """

    solver: str
    solver_reason: str
    verdict: str
    converged: bool
    n_iter: int
    loss_curve: tuple[float, ...]
    gradient_norm: float
    gradient_curve: tuple[float, ...] = ()
    stop_reason: str = ""
