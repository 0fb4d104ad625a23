"""The Jacobian of a network's outputs by its factors, and products of it that never form it.

A weight feeds a unit's input z with an output a of the layer below, so that the derivative of an output of the network by it
is ``∂f/∂z · a``: of each row and output, and each layer, the outer product of two short vectors. Inner products of such rows
are products of inner products, ``(∂f/∂z · ∂f′/∂z′)(a · a′)`` summed over layers, the neural tangent kernel (Jacot, Gabriel
and Hongler, 2018): k² times the number of units instead of k² times the number of parameters, k = n·m.
"""

from __future__ import annotations

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.models.network import Network, Workspace, transposed_product


class TangentKernel:
    """J (k, P), rows times √w, of some rows at fixed parameters; row i and output o are row i·m + o of J.

    Parameters
    ----------
    network : Network
    layers : list of arrays
        The parameters.
    x : array of shape (d + 1, rows)
        With a last row of ones.
    weights : array of shape (rows,) or None for ones
    """

    def __init__(self, network: Network, layers: list[AnyArray], x: AnyArray, weights: AnyArray | None) -> None:
        self.network, n, m = network, x.shape[1], network.sizes[-1]
        ws = Workspace(network, n, x.dtype)
        network.forward(layers, x, ws)
        for z, inner, s in zip(ws.z, ws.inner, ws.s, strict=True):
            network.activation.slope(z, inner, s)
        self._below = [np.asarray(a, dtype=np.float64) for a in (x, *ws.a)]
        # Derivatives (units, rows, m) of the outputs by each layer's z, times √w.
        self._of_z = [np.empty((units, n, m)) for units in network.sizes[1:]]
        root = np.ones(n) if weights is None else np.sqrt(weights)
        for output in range(m):
            above = np.zeros((m, n), dtype=x.dtype)
            above[output] = root
            self._of_z[-1][:, :, output] = above
            for k in range(len(layers) - 1, 0, -1):
                above = transposed_product(layers[k], above, np.empty_like(ws.d[k - 1])) * ws.s[k - 1]
                self._of_z[k - 1][:, :, output] = above

    @property
    def squares(self) -> float:
        """Trace of JJᵀ."""
        each = zip(self._of_z, self._below, strict=True)
        return float(sum(np.einsum("unm,unm->n", d, d) @ np.einsum("in,in->n", a, a) for d, a in each))

    def gram(self, scale: Array) -> Array:
        """Return ``J diag(scale) Jᵀ`` (k, k), for a scale (P,) that is the same for all units of a layer."""
        n, m = self._of_z[0].shape[1:]
        total = np.zeros((n * m, n * m))
        for d, a, factor in zip(self._of_z, self._below, self.network.layers(scale), strict=True):
            scaled = a * np.sqrt(factor[0])[:, None]
            inputs = scaled.T @ scaled  # one and the same factor: half the work, by symmetry
            if m > 1:
                inputs = inputs.repeat(m, axis=0).repeat(m, axis=1)
            flat = d.reshape(len(d), -1)
            inputs *= flat.T @ flat
            total += inputs
        return total

    def product(self, direction: Array) -> Array:
        """Return J·v (k,) for a direction (P,)."""
        n, m = self._of_z[0].shape[1:]
        total = np.zeros((n, m))
        for d, a, move in zip(self._of_z, self._below, self.network.layers(direction), strict=True):
            total += np.einsum("unm,un->nm", d, move @ a)
        return total.ravel()

    def transposed(self, image: Array) -> Array:
        """Return Jᵀu (P,) for u (k,)."""
        n, m = self._of_z[0].shape[1:]
        u, result = image.reshape(n, m), np.empty(self.network.n_parameters)
        for d, a, into in zip(self._of_z, self._below, self.network.layers(result), strict=True):
            np.matmul(np.einsum("unm,nm->un", d, u), a.T, out=into)
        return result
