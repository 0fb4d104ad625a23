"""The parameters of a network's estimator, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import numpy as np

from mle_regression import checks
from mle_regression.early_stopping import Patience
from mle_regression.evidence import GROUPINGS
from mle_regression.linalg.memory import require_memory
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.noise.registry import find_noise
from mle_regression.solvers.registry import find_network_solver

WEIGHT_TYPES = ("precision", "frequency")
_BATCH = 200
# Iterations under penalties by evidence, which go to several optima.
_BY_EVIDENCE = 3000
_PATIENCE, _MORE_PATIENCE = 20, 1 / 3
_FOR_EVER = 2**62
# With fewer rows than the first, "auto" holds none out: a tenth of them would tell too little. With fewer than the second it
# does so only where parameters are more than residuals, which all of them together would not keep from learning the noise.
_HELD_OUT_FROM, _ALWAYS_HELD_OUT_FROM = 40, 100

# Parameters, gradient, moments, best so far, and what is being worked out.
_PARAMETER_COPIES = 12


@dataclass(frozen=True)
class NetworkOptions:
    """The parameters of `MLPGradientRegressor` that say how to fit, by their names there."""

    hidden_layer_sizes: Any
    activation: str
    solver: Any
    alpha: Any
    evidence: str
    noise: str
    weight_type: str
    standardize: bool
    learning_rate: Any
    batch_size: Any
    max_iter: Any
    tol: float | None
    early_stopping: Any
    validation_fraction: float
    n_iter_no_change: Any
    n_init: int
    ensemble: bool
    curvature: Literal["extremes", "full"] | None
    dtype: str
    warm_start: bool
    verbose: bool

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Take the parameters of an estimator; raises ValueError on one that makes no sense."""
        options = cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})
        options._check()
        return options

    @property
    def by_evidence(self) -> bool:
        """Whether the data choose the penalty."""
        return isinstance(self.alpha, str) and self.alpha == "evidence"

    @property
    def frequency(self) -> bool:
        """Whether a weight says how often a row is there."""
        return self.weight_type == "frequency"

    def network(self, n_features: int, n_outputs: int) -> Network:
        """Return the network for data of so many columns; raises where its parameters alone would not fit into memory."""
        hidden = (int(size) for size in self._hidden())
        network = Network((n_features, *hidden, n_outputs), find_activation(self.activation))
        require_memory(
            8.0 * _PARAMETER_COPIES * network.n_parameters,
            f"A network of {' x '.join(map(str, network.sizes))} units has {network.n_parameters:,} parameters, of which its "
            f"solver keeps some {_PARAMETER_COPIES} copies",
            "Take fewer hidden units, fewer columns, or MLELinearRegressor(solver='lsmr')",
        )
        return network

    def holds_out(self, n_rows: int, network: Network) -> bool:
        """Whether some of so many rows are held out from a network's training."""
        if not _is_auto(self.early_stopping):
            return bool(self.early_stopping)
        many = network.n_parameters > n_rows * network.sizes[-1] and not network.linear
        return not self.by_evidence and n_rows >= (_HELD_OUT_FROM if many else _ALWAYS_HELD_OUT_FROM)

    def batch(self, n_rows: int) -> int:
        """Return how many rows a batch has, of so many."""
        return min(_BATCH if _is_auto(self.batch_size) else int(self.batch_size), n_rows)

    def iterations(self, solver: Any) -> int:
        """Return how many iterations a solver has."""
        if not (self.max_iter is None or _is_auto(self.max_iter)):
            return int(self.max_iter)
        return _BY_EVIDENCE if self.by_evidence else int(solver.iterations)

    @property
    def tolerance(self) -> float:
        """Norm of the gradient at which training has converged."""
        return checks.check_tolerance(self.tol)

    @property
    def penalty(self) -> float:
        """The penalty, where the data do not choose it."""
        return checks.check_penalty(self.alpha)

    @property
    def patience(self) -> Patience:
        """How long to go on without a gain."""
        if _is_auto(self.n_iter_no_change):
            return Patience(_PATIENCE, _MORE_PATIENCE, hopes=True)
        return Patience(_FOR_EVER if self.n_iter_no_change == np.inf else int(self.n_iter_no_change))

    @property
    def calls_for_batches(self) -> bool:
        """Whether the user has set what only solvers that draw batches have."""
        return not (_is_auto(self.learning_rate) and _is_auto(self.batch_size))

    @property
    def _draws_batches(self) -> bool:
        """Whether the solver that there is, or would be chosen, takes some rows at a time."""
        if _is_auto(self.solver):
            return not self.by_evidence
        return bool(find_network_solver(self.solver).draws_batches)

    def _hidden(self) -> list[Any]:
        sizes = self.hidden_layer_sizes
        if isinstance(sizes, (str, bytes)):
            raise ValueError(f"hidden_layer_sizes={sizes!r} is text; give whole numbers, as 10 or (10, 5).")
        try:
            return list(sizes)
        except TypeError:
            return [sizes]

    def _check(self) -> None:
        for size in self._hidden():
            checks.check_positive_integer("hidden_layer_sizes", size)
        find_activation(self.activation)
        find_noise(self.noise)
        if not _is_auto(self.solver):
            find_network_solver(self.solver)
        checks.check_choice("weight_type", self.weight_type, WEIGHT_TYPES)
        checks.check_choice("early_stopping", self.early_stopping, ("auto", True, False))
        checks.check_choice("dtype", self.dtype, ("float64", "float32"))
        for name in ("standardize", "warm_start", "ensemble"):
            checks.check_choice(name, getattr(self, name), (True, False))
        checks.check_choice("curvature", self.curvature, (None, "extremes", "full"))
        checks.check_choice("evidence", self.evidence, GROUPINGS)
        checks.check_tolerance(self.tol)
        checks.check_probability("validation_fraction", self.validation_fraction)
        checks.check_positive_integer("n_init", self.n_init)
        for name in ("max_iter", "n_iter_no_change", "batch_size"):
            value = getattr(self, name)
            endless = (name == "max_iter" and value is None) or (name == "n_iter_no_change" and value == np.inf)
            if not (_is_auto(value, name) or endless):
                checks.check_positive_integer(name, value)
        if not _is_auto(self.batch_size) and not self._draws_batches:
            raise ValueError(
                f"batch_size={self.batch_size!r} has no effect: this solver takes all rows in each step. Leave "
                "batch_size='auto', or take a solver that draws batches: 'sgd', 'adam', 'adamw'."
            )
        if not _is_auto(self.learning_rate, "learning_rate"):
            checks.check_positive("learning_rate", self.learning_rate)
        if self.ensemble and (self.n_init == 1 or self.warm_start):
            raise ValueError("ensemble=True averages several networks: set n_init to 2 or more, and warm_start=False.")
        if self.by_evidence:
            self._check_evidence()
        elif isinstance(self.alpha, str):
            raise ValueError(f"alpha={self.alpha!r} is neither a number, zero or more, nor 'evidence'.")
        else:
            checks.check_penalty(self.alpha)

    def _check_evidence(self) -> None:
        if not _is_auto(self.solver) and find_network_solver(self.solver).name != "lm":
            raise ValueError(
                "alpha='evidence' is estimated while lm trains; set solver='lm' or 'auto', or a number as alpha."
            )
        if self.early_stopping is True:
            raise ValueError(
                "alpha='evidence' needs the optimum under its penalties, and no rows held out; set early_stopping='auto' or "
                "False."
            )
        if self.noise != "gaussian":
            raise ValueError("alpha='evidence' is defined for noise='gaussian' only; set a number as alpha.")


def _is_auto(value: Any, name: str = "") -> bool:
    """Whether an option is "auto"; by its name, raise for any other string."""
    if isinstance(value, str) and value != "auto" and name:
        raise ValueError(f"{name}={value!r} is neither a number nor 'auto'.")
    return isinstance(value, str) and value == "auto"
