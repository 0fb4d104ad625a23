"""What a solver is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, BoolArray, IntArray
from mle_regression.linalg.information import InformationFactor
from mle_regression.linalg.rank import Relation
from mle_regression.linalg.sums import KeptSums
from mle_regression.noise.base import NoiseFamily
from mle_regression.rows.base import Rows, Totals


class Status(Enum):
    """How a solve ended; the value is the remedy that a warning or an error states after "To go on, "."""

    CONVERGED = "nothing to do"
    MAX_ITER = "raise max_iter, loosen tol, or take solver='auto', which chooses one"
    CONTINUING = "give more rows to partial_fit, or the same again"
    PLATEAU = "lower tol or raise n_iter_no_change to go on, or take another solver"
    EARLY_STOPPED = "nothing to do: the likelihood of the rows held out has stopped rising"
    STALLED = "take solver='auto', which chooses one"
    STOPPED = "fit again without that callback, with warm_start=True to begin here"
    INTERRUPTED = "fit again with warm_start=True to begin here"
    RANK_DEFICIENT = (
        "remove the dependent columns, set on_rank_deficiency='drop' to leave them out of the fit, set a penalty alpha > 0, "
        "or set on_rank_deficiency='min_norm' to accept the minimum-norm solution silently"
    )


# Ends that leave a fit where it need not be at the optimum, and why there was no more to it.
UNFINISHED = {
    Status.MAX_ITER: "",
    Status.STALLED: ": no step that it tries lowers the loss",
    Status.STOPPED: ": a callback asked to stop",
    Status.INTERRUPTED: ": the fit was interrupted",
}


# Ends that someone who watches has asked for.
ENDED_FROM_OUTSIDE = (Status.STOPPED, Status.INTERRUPTED)


class Need(Enum):
    """What a solver asks of the rows of a linear model, or goes on from in a later call.

    MOMENTS: sums over the rows, which may have gone by; of a network, whose loss no sums determine, all rows at each step.
    ROWS: products with them. BATCHES: some of them at a time. RESIDUALS: each by itself, and what moves it.
    """

    MOMENTS = "sums over rows"
    ROWS = "rows"
    BATCHES = "batches of rows"
    RESIDUALS = "residuals"


class Serves(Enum):
    """Which noise families a solver can fit.

    SUMS: those that sums over the rows determine, by least squares. ANY: it follows whatever objective it is given, or leaves
    the choice of a solver that does so to the fit.
    """

    SUMS = "noise whose likelihood sums over the rows determine"
    ANY = "any noise"

    def includes(self, noise: NoiseFamily) -> bool:
        """Whether a family is among them."""
        return self is Serves.ANY or noise.sums_suffice


class NonFiniteRowsError(ValueError):
    """Some rows hold NaN or infinity; ``columns`` are positions in [X | y]."""

    def __init__(self, columns: IntArray) -> None:
        super().__init__(f"NaN or infinity in columns {columns.tolist()} of [X | y]")
        self.columns = columns


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """A weighted least-squares problem with a quadratic penalty.

    Attributes
    ----------
    rows : Rows
    totals : Totals
        Number of rows that count, and sums of their weights.
    centred : bool
        Whether there is an intercept, which is not penalised.
    alpha : float
        Penalty on the sum of squared coefficients.
    tolerance : float
        Relative singular value at which a direction counts as none.
    deficiency : {"warn", "min_norm", "drop", "raise"}
        What to do where the rank is deficient.
    refine : bool
        Whether to work the solution out to the last digit.
    sums : KeptSums or None
        Cross-products of [1 | X | y], where rows have gone by and only their sums are left.
    """

    rows: Rows
    totals: Totals
    centred: bool
    alpha: float
    tolerance: float
    deficiency: str
    refine: bool
    sums: KeptSums | None = None


@dataclass(frozen=True, slots=True)
class MaximumOfRows:
    """What the rows say at the maximum of a likelihood that is no minimum of squares, which sums do not say.

    Attributes
    ----------
    scale : Array of shape (m,)
        Of the noise, of outputs divided by powers of two as in the `Solution`.
    log_likelihood : float
        In the units of y.
    total_squares : Array of shape (m,)
        Weighted sums of squares of outputs so divided, about the mean if there is an intercept.
    verdict : str
        What kind of optimum it is; empty where it is none.
    """

    scale: Array
    log_likelihood: float
    total_squares: Array
    verdict: str


@dataclass(frozen=True, slots=True)
class Solution:
    """Minimiser of a least-squares problem.

    Attributes
    ----------
    coef : Array of shape (p, m)
    intercept : Array of shape (m,)
    residual_cross : Array of shape (m, m)
        Weighted cross-products of the residuals, each y divided by ``2**output_exponent``.
    output_exponent : IntArray of shape (m,)
    information : InformationFactor
        The cross-products of [1 | X] by their factors.
    noise_free : BoolArray of shape (m,)
        Whether the residuals are no larger than the rounding of y and Xβ.
    gradient_norm : float
        Euclidean norm of the gradient of the objective, in columns and outputs of about unit length.
    relations : tuple of Relation
        Which columns depend on which, where the rank is deficient.
    status : Status
    solver : str
        The branch that ran.
    refined : bool
        Whether the solution was worked out in exact arithmetic.
    losses, gradient_norms : tuple of float
        After each iteration of an iterative solver, the start before them.
    rates : tuple of float
        By how much an iteration shrinks the error: according to theory, and as observed.
    remaining : float
        About how many more iterations it would need.
    gradient : Array of shape (p, m) or (0, 0)
        ``XᵀW(y − Xβ − b) − αβ`` where an iterative solver has ended, columns and outputs divided by powers of two.
    notes : tuple of str
        What to be wary of.
    memory : dict of str to array
        What an iterative solver has remembered to go on with.
    reason : str
        Why this branch ran, where the solver has chosen it.
    of_rows : MaximumOfRows or None
        What the rows say beside, where it is no minimum of squares.
    """

    coef: Array
    intercept: Array
    residual_cross: Array
    output_exponent: IntArray
    information: InformationFactor
    noise_free: BoolArray
    gradient_norm: float
    relations: tuple[Relation, ...]
    status: Status
    solver: str
    refined: bool
    losses: tuple[float, ...] = ()
    gradient_norms: tuple[float, ...] = ()
    rates: tuple[float, float] = (float("nan"), float("nan"))
    remaining: float = 0.0
    notes: tuple[str, ...] = ()
    gradient: Array = field(default_factory=lambda: np.zeros((0, 0)))
    memory: dict[str, AnyArray] = field(default_factory=dict)
    reason: str = ""
    of_rows: MaximumOfRows | None = None

    @property
    def arrived(self) -> bool:
        """Whether it is at the minimum."""
        return self.status in (Status.CONVERGED, Status.RANK_DEFICIENT)


class Solver(Protocol):
    """One algorithm, with the options that belong to it alone.

    ``serves`` says which noise families it can fit, ``needs`` is what it works on, ``continues_from`` what a later call
    can go on from; ``squares_columns`` whether it may reduce the rows to cross-products.
    """

    name: ClassVar[str]
    serves: ClassVar[Serves]
    needs: ClassVar[Need]
    continues_from: ClassVar[Need | None]
    squares_columns: ClassVar[bool]

    def solve(self, problem: LeastSquares) -> Solution:
        """Minimise the problem."""
        ...


@dataclass
class Options:
    """Get and set the fields of a solver as scikit-learn does those of an estimator.

    ``iterations`` are those that a network is given if the user does not say.
    """

    iterations: ClassVar[int] = 500
    by_products: ClassVar[bool] = False
    squares_columns: ClassVar[bool] = False

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options by name."""
        return {option.name: getattr(self, option.name) for option in fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Set options by name."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no option {name!r}; its options are: {', '.join(known) or 'none'}."
                )
            setattr(self, name, value)
        return self
