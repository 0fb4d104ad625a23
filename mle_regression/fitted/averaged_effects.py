"""How sure a network is of an effect: of predictions averaged over rows, less those of the rows as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression.fitted.network import NetworkFit
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.threads import one_blas_thread

# Numbers of a Jacobian that are held at a time.
_JACOBIAN_SIZE = 1 << 22


@one_blas_thread()
def effect_deviations(fit: NetworkFit, changed: Any, base: Any, share: Array) -> Array:
    """Return the standard deviation (k, m) of k effects, in the units of y.

    An effect is the mean of the predictions of the rows after a change, less that of the rows as they are: its gradient is
    the difference of the mean Jacobians. Between several networks their effects' variance is added. NaN where neither is
    known.

    Parameters
    ----------
    fit : NetworkFit
    changed : array or sparse matrix of shape (k n, p)
        The rows after each of the changes, one change after another.
    base : array or sparse matrix of shape (n, p)
    share : Array of shape (n,)
        Weights of the rows in the mean; they sum to one.
    """
    n, m = len(share), fit.sizes[-1]
    effects, variances = [], []
    for one in fit.networks:
        means = one.own_mean(changed).reshape(-1, n, m) / fit.of_y.spread
        effects.append(np.einsum("n,knm->km", share, means))
        variances.append(_effect_variances(one, changed, base, share))
    apart = np.var(effects - np.einsum("n,knm->km", share, _means(fit, base))[:, None], axis=0)
    variance = np.mean(variances, axis=0)
    if len(fit.networks) > 1:
        variance = np.nan_to_num(variance) + apart
    return np.asarray(np.sqrt(variance) * fit.of_y.spread)


def _means(fit: NetworkFit, x: Any) -> Array:
    """Return the means (networks, n, m) of each network, in standard units."""
    return np.array([one.own_mean(x) / fit.of_y.spread for one in fit.networks])


def _effect_variances(fit: NetworkFit, changed: Any, base: Any, share: Array) -> Array:
    """Return variances (k, m) of effects by the posterior of one network, in standard units; NaN where there is none."""
    n, m = len(share), fit.sizes[-1]
    found = np.full((changed.shape[0] // n, m), np.nan)
    posterior = fit.posterior
    if posterior is None or posterior.covariance is None or posterior.invalid_reason:
        return found
    inverse, gradient = posterior.covariance, _mean_jacobian(fit, base, share)
    for number in range(len(found)):
        difference = _mean_jacobian(fit, changed[number * n : (number + 1) * n], share) - gradient
        found[number] = np.where(inverse.misses(difference), np.nan, inverse.quadratic(difference))
    return found


def _mean_jacobian(fit: NetworkFit, x: Any, share: Array) -> Array:
    """Return the weighted mean (m, P) of the outputs' derivatives over rows."""
    objective, m = fit.objective(x), fit.sizes[-1]
    width = max(1, _JACOBIAN_SIZE // (m * len(fit.theta)))
    total = np.zeros((m, len(fit.theta)))
    for lo in range(0, len(share), width):
        part = slice(lo, min(lo + width, len(share)))
        jacobian = objective.output_jacobian(fit.theta, part).reshape(-1, m, len(fit.theta))
        total += np.einsum("n,nmp->mp", share[part], jacobian)
    return total
