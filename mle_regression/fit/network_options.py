"""How a network is to be fitted: options that have been checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mle_regression.fit.early_stopping import Patience
from mle_regression.linalg.memory import require_memory
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.registry import find_noise
from mle_regression.solvers.base import Need
from mle_regression.solvers.registry import find_network_solver

_BATCH = 200
# Iterations under penalties by evidence, which go to several optima.
_BY_EVIDENCE = 3000
_PATIENCE, _MORE_PATIENCE = 20, 1 / 3
_FOR_EVER = 2**62
# The penalty where neither the user nor the data choose one: that of `sklearn.neural_network.MLPRegressor`.
FIXED_PENALTY = 1e-4
# Hidden units where the user does not say: where rows left out choose the penalty, and otherwise.
WIDTH_OF_SEVERAL, WIDTH = (20,), (50,)
# With fewer rows than the first, "auto" holds none out: a tenth of them would tell too little. With fewer than the second it
# does so only where parameters are more than residuals, which all of them together would not keep from learning the noise.
_HELD_OUT_FROM, _ALWAYS_HELD_OUT_FROM = 40, 100

# Parameters, gradient, moments, best so far, and what is being worked out.
_PARAMETER_COPIES = 12


@dataclass(frozen=True)
class NetworkOptions:
    """The parameters of `MLPGradientRegressor` that say how to fit, by their names there.

    Read by ``estimator.network_options``: ``hidden_layer_sizes`` is a tuple or "auto", ``tol`` a number and
    ``alpha`` a number, "auto", "loo" or "evidence".
    """

    hidden_layer_sizes: tuple[int, ...] | Literal["auto"]
    activation: str
    solver: Any
    alpha: float | str
    alpha_per: str
    effort: float
    noise: str
    weight_type: str
    standardize: bool | Literal["auto"]
    learning_rate: Any
    batch_size: Any
    max_iter: Any
    tol: float
    early_stopping: Any
    validation_fraction: float
    n_iter_no_change: Any
    n_init: int
    ensemble: bool
    curvature: Literal["extremes", "full"] | None
    dtype: str
    warm_start: bool
    verbose: bool

    @property
    def by_evidence(self) -> bool:
        """Whether the data choose the penalty."""
        return isinstance(self.alpha, str) and self.alpha == "evidence"

    @property
    def grouping(self) -> str:
        """What has a penalty of its own: "all" weights together, each "layer", or each "input" besides."""
        return self.alpha_per if not is_auto(self.alpha_per) else ("layer" if self.by_evidence else "all")

    @property
    def by_left_out(self) -> bool:
        """Whether rows left out choose the penalty."""
        return isinstance(self.alpha, str) and self.alpha == "loo"

    @property
    def family(self) -> NoiseFamily:
        """The noise family."""
        return find_noise(self.noise)

    @property
    def frequency(self) -> bool:
        """Whether a weight says how often a row is there."""
        return self.weight_type == "frequency"

    def going_on(self, sizes: tuple[int, ...] | None) -> NetworkOptions:
        """Return the options of a network that goes on from one with layers of these ``sizes``, if there is one."""
        if sizes is None or self.hidden_layer_sizes != "auto":
            return self
        return replace(self, hidden_layer_sizes=sizes[1:-1])

    def network(self, n_features: int, n_outputs: int) -> Network:
        """Return the network for data of so many columns; raises where its parameters alone would not fit into memory."""
        hidden = WIDTH if self.hidden_layer_sizes == "auto" else self.hidden_layer_sizes
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
        if not is_auto(self.early_stopping):
            return bool(self.early_stopping)
        many = network.n_parameters > n_rows * network.sizes[-1] and not network.linear
        return not (self.by_evidence or self.by_left_out) and n_rows >= (
            _HELD_OUT_FROM if many else _ALWAYS_HELD_OUT_FROM
        )

    def batch(self, n_rows: int) -> int:
        """Return how many rows a batch has, of so many."""
        return min(_BATCH if is_auto(self.batch_size) else int(self.batch_size), n_rows)

    def iterations(self, solver: Any) -> int:
        """Return how many iterations a solver has."""
        if not (self.max_iter is None or is_auto(self.max_iter)):
            return int(self.max_iter)
        return _BY_EVIDENCE if self.by_evidence else int(solver.iterations)

    @property
    def penalty(self) -> float:
        """The penalty, where the data do not choose it."""
        return FIXED_PENALTY if is_auto(self.alpha) else float(self.alpha)

    @property
    def patience(self) -> Patience:
        """How long to go on without a gain."""
        if is_auto(self.n_iter_no_change):
            return Patience(_PATIENCE, _MORE_PATIENCE, hopes=True)
        return Patience(_FOR_EVER if self.n_iter_no_change == np.inf else int(self.n_iter_no_change))

    @property
    def calls_for_batches(self) -> bool:
        """Whether the user has set what only solvers that draw batches have."""
        return not (is_auto(self.learning_rate) and is_auto(self.batch_size))

    @property
    def draws_batches(self) -> bool:
        """Whether the solver that there is, or would be chosen, takes some rows at a time."""
        if is_auto(self.solver):
            return not (self.by_evidence or self.by_left_out)
        return find_network_solver(self.solver).needs is Need.BATCHES


def is_auto(value: Any) -> bool:
    """Whether an option is "auto"."""
    return isinstance(value, str) and value == "auto"
