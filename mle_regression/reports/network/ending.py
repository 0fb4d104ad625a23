"""How the training of a network has ended, and what is amiss with it."""

from __future__ import annotations

from typing import Any

from sklearn.exceptions import ConvergenceWarning

from mle_regression.fit.network import Trained
from mle_regression.fitted.network import NetworkFit
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.reports.linear.dependencies import describe_singular_noise
from mle_regression.reports.linear.exact_fits import describe_exact_network
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import UNFINISHED, Status
from mle_regression.validation import checks
from mle_regression.warnings import NoiseFreeWarning, warn_user

# A gradient of more than this, in standard units, is worth a word.
_STEEP = 1e-3


def check_continuation(earlier: NetworkFit, network: Network) -> None:
    """Raise unless batches go on with the network that was begun."""
    if earlier.sizes != network.sizes:
        raise ValueError(
            f"The network has layers {earlier.sizes}, and these rows call for {network.sizes}; fit() anew."
        )
    if earlier.activation != network.activation.name:
        raise ValueError(
            f"The network was begun with activation={earlier.activation!r}, and {network.activation.name!r} makes "
            "another function of its parameters; fit() anew."
        )


def warn_of_another_network(earlier: NetworkFit, network: Network) -> None:
    """Warn that there is nothing to begin from."""
    warn_user(
        f"warm_start begins anew: the earlier network has layers {earlier.sizes} and activation="
        f"{earlier.activation!r}, this one {network.sizes} and {network.activation.name!r}. Set warm_start=False.",
        UserWarning,
    )


def tell_of_average(left_out: list[str], networks: int) -> None:
    """Warn of networks that are no part of the average, and why."""
    if left_out:
        warn_user(
            f"{len(left_out)} of {networks} networks are not part of the average. {left_out[0]}", ConvergenceWarning
        )


def tell_of_fit(estimator: Any, fit: NetworkFit, trained: Trained, data: TrainingData) -> None:
    """Warn of what is amiss where training has ended."""
    chosen = trained.chosen
    _tell_of_path(estimator, fit, trained)
    _tell_of_exact_fit(fit, trained, data, checks.output_names(estimator, data.y.shape[1]))
    if chosen is not None and chosen.bounded and len(chosen.bounded) == len(chosen.alpha):
        warn_user(
            f"The evidence has taken every penalty ({', '.join(chosen.bounded)}) to the end of its range: the data "
            "show no noise, nothing but noise, or nothing but a linear function. Give alpha as a number to compare.",
            ConvergenceWarning,
        )


def _tell_of_path(estimator: Any, fit: NetworkFit, trained: Trained) -> None:
    """Warn of a path that has reached no optimum."""
    path = trained.path
    if path.status in UNFINISHED:
        warn_user(
            f"{trained.solver} has not converged in {path.n_iter} iterations{UNFINISHED[path.status]}; the gradient is "
            f"{path.gradient_norms[-1]:.3g}, in standard units. To go on, {_remedy(estimator, path.status)}.",
            ConvergenceWarning,
        )
    if trained.dead:
        warn_user(
            f"The network is dead: at each row some hidden layer has no unit at which {fit.activation} has a slope. The "
            "prediction is one and the same for all rows, and training does not change that. Take more units, activation="
            "'leaky_relu' or 'tanh', a smaller learning_rate if one is set, or another random_state.",
            ConvergenceWarning,
        )
    if path.status is Status.PLATEAU and trained.by_residuals and fit.optimum.gradient_norm > _STEEP:
        kink = "" if find_activation(estimator.activation).smooth else f", at a kink of {estimator.activation}"
        ways = smoother_ways(estimator) or ["lower tol or raise n_iter_no_change"]
        warn_user(
            f"{trained.solver} finds no lower loss{kink}, though the gradient is {fit.optimum.gradient_norm:.3g}, in "
            f"standard units. Where a true minimum matters, {' and '.join(ways)}.",
            ConvergenceWarning,
        )


def _tell_of_exact_fit(fit: NetworkFit, trained: Trained, data: TrainingData, outputs: list[str]) -> None:
    """Warn of outputs that are left without noise."""
    if fit.likelihood.singular is not None:
        warn_user(describe_singular_noise(fit.likelihood.singular, outputs), NoiseFreeWarning)
    if fit.likelihood.noise_free.any():
        warn_user(
            describe_exact_network(
                trained.objective.network.n_parameters,
                trained.objective.n_rows,
                (data.y == data.y[0]).all(axis=0).tolist(),
                hidden=len(trained.objective.network.sizes) > 2,
                holds_out=bool(trained.validation_curve),
                names=["y"] if len(outputs) == 1 else outputs,
            ),
            NoiseFreeWarning,
        )


def _remedy(estimator: Any, status: Status) -> str:
    """Say how to go on from where training has ended too early."""
    if status is Status.MAX_ITER:
        return "raise max_iter, or take another solver"
    if status is not Status.STALLED:
        return str(status.value)
    return " and ".join(smoother_ways(estimator)) or "take solver='lm' or 'newton'"


def smoother_ways(estimator: Any) -> list[str]:
    """Say what would make a loss that is easier to follow down, of what is not in use."""
    ways = [] if estimator.dtype == "float64" else ["take dtype='float64'"]
    return ways + (
        [] if find_activation(estimator.activation).smooth else ["take a smooth activation, 'tanh' or 'softplus'"]
    )
