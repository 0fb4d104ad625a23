"""Products with the Hessian of a network's loss, of which what depends on the parameters alone is worked out once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mle_regression.linalg.arrays import AnyArray
from mle_regression.models.network import Network, Workspace, transposed_product


class Linearised:
    """Some rows at fixed parameters, ready for products of the Hessian of a loss with one direction after another.

    The R-operator (Pearlmutter, 1994) differentiates the forward and the backward pass along a direction. Of the passes
    themselves it needs the units' outputs, first and second derivatives, and the derivatives of the loss, which are the same
    for every direction. Where these are kept, a product evaluates no activation and costs about as much as a gradient.

    Parameters
    ----------
    network : Network
    layers : list of arrays
        The parameters.
    x : array of shape (d + 1, rows)
        With a last row of ones.
    slope_of_loss : callable
        Returns the derivatives (m, rows) of the loss by the outputs, given these; the array that it is given is its own to
        write on.
    gauss_newton : bool
        Whether the curvature of the network itself is left out.
    """

    def __init__(
        self,
        network: Network,
        layers: list[AnyArray],
        x: AnyArray,
        slope_of_loss: Callable[[AnyArray], AnyArray],
        gauss_newton: bool,
    ) -> None:
        ws, activation = Workspace(network, x.shape[1], x.dtype), network.activation
        self.layers, self.gauss_newton = layers, gauss_newton
        outputs = network.forward(layers, x, ws)
        self.a, self.slope = [x, *ws.a], ws.s
        for z, inner, s in zip(ws.z, ws.inner, ws.s, strict=True):
            activation.slope(z, inner, s)
        # Derivatives of the loss by each layer's z, and by a, times the activation's second derivative; z is not read again.
        self.of_z: list[AnyArray] = [slope_of_loss(outputs)]
        self.second_terms: list[AnyArray] = []
        if gauss_newton:
            return
        self.second_terms = ws.z
        for k in range(len(layers) - 2, -1, -1):
            of_a = transposed_product(layers[k + 1], self.of_z[0], ws.d[k])
            second_derivative = np.empty_like(of_a)
            activation.second_derivative(ws.z[k], ws.inner[k], ws.s[k], second_derivative)
            np.multiply(second_derivative, of_a, out=self.second_terms[k])
            of_a *= ws.s[k]
            self.of_z.insert(0, of_a)

    def product(
        self, moves: list[AnyArray], into: list[AnyArray], change_of_slope: Callable[[AnyArray], AnyArray]
    ) -> None:
        """Write the product with a direction, both as matrices of layers.

        ``change_of_slope`` returns how the derivatives of the loss by the outputs change with the outputs, (m, rows)
        both, and may write on what it is given.
        """
        change_z, change_a = self._forward(moves)
        change = change_of_slope(change_z[-1])
        for k in range(len(self.layers) - 1, 0, -1):
            np.matmul(change, self.a[k].T, out=into[k])
            if not self.gauss_newton:
                into[k][:, :-1] += self.of_z[k] @ change_a[k - 1].T
            spare = change_a[k - 1]  # read for the last time
            change = transposed_product(self.layers[k], change, np.empty_like(spare))
            if not self.gauss_newton:
                change += transposed_product(moves[k], self.of_z[k], spare)
            change *= self.slope[k - 1]
            if not self.gauss_newton:
                change += np.multiply(self.second_terms[k - 1], change_z[k - 1], out=spare)
        np.matmul(change, self.a[0].T, out=into[0])

    def _forward(self, moves: list[AnyArray]) -> tuple[list[AnyArray], list[AnyArray]]:
        """Return how each layer's z changes along a direction, the last of which is J·v, and each hidden layer's outputs."""
        change_z: list[AnyArray] = []
        change_a: list[AnyArray] = []
        for k, (layer, move) in enumerate(zip(self.layers, moves, strict=True)):
            change_z.append(move @ self.a[k])
            if k:
                change_z[k] += layer[:, :-1] @ change_a[k - 1]
            if k < len(self.slope):
                change_a.append(self.slope[k] * change_z[k])
        return change_z, change_a
