"""A fully connected network on one flat vector of parameters, and its exact derivatives.

Arrays are feature-major: a layer's outputs are (units, rows), so that each unit's values lie side by side, and a last row of
ones carries the bias: layer l maps ``[a; 1]`` to ``z = W [a; 1]`` with one matrix W (units, units below + 1), whose last
column is the bias, and one product gives the gradient of weights and bias alike.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mle_regression.linalg.arrays import AnyArray, BoolArray
from mle_regression.models.activations import Activation


class Workspace:
    """Arrays for one block of rows, made once and written again and again.

    Attributes
    ----------
    z, s, d : list of arrays (units, rows), one a hidden layer
        Inputs of the units, slopes there, and derivatives of the loss with respect to z.
    a : list of arrays (units + 1, rows)
        Outputs, with a last row of ones.
    x : array of shape (d + 1, rows)
        Inputs times derivatives of the loss with respect to one output.
    out : array of shape (m, rows)
        The network's.
    """

    def __init__(self, network: Network, n_rows: int, dtype: np.dtype[np.floating]) -> None:
        hidden = network.sizes[1:-1]
        self.n_rows = n_rows
        self.z, self.s, self.d = ([np.empty((h, n_rows), dtype) for h in hidden] for _ in range(3))
        self.a = [np.ones((h + 1, n_rows), dtype) for h in hidden]
        self.inner = [a[:-1] for a in self.a]
        self.x = np.empty((network.sizes[0] + 1, n_rows), dtype)
        self.out = np.empty((network.sizes[-1], n_rows), dtype)
        self.spare: dict[Hashable, AnyArray] = {}

    def room(self, name: Hashable, *shape: int) -> AnyArray:
        """Return an array of this name and shape, the same one each time; what is in it is from the last time."""
        found = self.spare.get((name, *shape))
        if found is None:
            found = self.spare[(name, *shape)] = np.empty(shape, self.out.dtype)
        return found


@dataclass(frozen=True)
class Network:
    """Layers of units, each fully connected to the next, the last one linear.

    Attributes
    ----------
    sizes : tuple of int
        Inputs, hidden units layer by layer, outputs.
    activation : Activation
        Of the hidden units.
    """

    sizes: tuple[int, ...]
    activation: Activation

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shape (units, units below + 1) of each layer's matrix."""
        return tuple((above, below + 1) for below, above in zip(self.sizes, self.sizes[1:], strict=False))

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Where each layer begins in the flat vector, and where the last one ends."""
        return tuple(np.cumsum([0, *(a * b for a, b in self.shapes)]).tolist())

    @property
    def linear(self) -> bool:
        """Whether its mean is a linear function of the inputs, whatever the parameters."""
        return len(self.sizes) == 2 or self.activation.name == "identity"

    @property
    def n_parameters(self) -> int:
        """Length P of the flat vector."""
        return self.edges[-1]

    @cached_property
    def is_weight(self) -> BoolArray:
        """Which parameters (P,) are weights; the others are biases."""
        mask = np.ones(self.n_parameters, dtype=bool)
        for layer in self.layers(mask):
            layer[:, -1] = False
        return mask

    def layers(self, theta: AnyArray) -> list[AnyArray]:
        """Return views of a flat vector (..., P), a matrix (..., units, units below + 1) for each layer."""
        return [
            theta[..., lo:hi].reshape(*theta.shape[:-1], *shape)
            for lo, hi, shape in zip(self.edges, self.edges[1:], self.shapes, strict=False)
        ]

    def initial(self, rng: np.random.Generator) -> AnyArray:
        """Draw parameters (P,) with which the spread of the inputs is kept from layer to layer (LeCun et al., 1998).

        Weights are normal with variance gain²/fan-in (He et al., 2015, for relu and its kin); biases of hidden units are
        uniform, which spreads their bends over the inputs.
        """
        theta = np.zeros(self.n_parameters)
        layers = self.layers(theta)
        for index, layer in enumerate(layers):
            fan_in = max(1, layer.shape[1] - 1)
            last = index == len(layers) - 1
            layer[:, :-1] = rng.standard_normal((layer.shape[0], layer.shape[1] - 1)) / np.sqrt(fan_in)
            if not last:
                layer[:, :-1] *= self.activation.gain
                layer[:, -1] = rng.uniform(-1.0, 1.0, layer.shape[0]) * self.activation.gain
        return theta

    def forward(self, layers: list[AnyArray], x: AnyArray, ws: Workspace) -> AnyArray:
        """Return the outputs (m, rows) for inputs x (d + 1, rows) whose last row is ones."""
        below = x
        for index, layer in enumerate(layers[:-1]):
            np.matmul(layer, below, out=ws.z[index])
            self.activation.value(ws.z[index], ws.inner[index])
            below = ws.a[index]
        np.matmul(layers[-1], below, out=ws.out)
        return ws.out

    def backward(
        self, layers: list[AnyArray], x: AnyArray, of_output: AnyArray, ws: Workspace, gradient: list[AnyArray]
    ) -> None:
        """Write the gradient of a loss whose derivative with respect to the outputs is (m, rows), after `forward`."""
        above = of_output
        for index in range(len(layers) - 1, 0, -1):
            np.matmul(above, ws.a[index - 1].T, out=gradient[index])
            if index == 1 and len(above) == 1:
                # diag(w)·(s·diag(above))·xᵀ: what goes along the rows goes to x, which has fewer of them.
                self.activation.slope(ws.z[0], ws.inner[0], ws.s[0])
                np.multiply(x, above, out=ws.x)
                np.matmul(ws.s[0], ws.x.T, out=gradient[0])
                gradient[0] *= layers[1][0, :-1, None]
                return
            self._descend(layers[index], above, index - 1, ws)
            ws.d[index - 1] *= ws.s[index - 1]
            above = ws.d[index - 1]
        np.matmul(above, x.T, out=gradient[0])

    def _descend(self, layer: AnyArray, above: AnyArray, index: int, ws: Workspace) -> None:
        """Write into d the derivative with respect to a hidden layer's outputs, into s its slopes."""
        transposed_product(layer, above, ws.d[index])
        self.activation.slope(ws.z[index], ws.inner[index], ws.s[index])

    def jacobian(self, layers: list[AnyArray], x: AnyArray, ws: Workspace) -> AnyArray:
        """Return derivatives (rows, m, P) of the outputs by the parameters, after `forward`; good until the next call."""
        n_rows, m = x.shape[1], self.sizes[-1]
        result = ws.room("jacobian", n_rows, m, self.n_parameters)
        for output in range(m):
            above = np.zeros((m, n_rows), dtype=ws.out.dtype)
            above[output] = 1.0
            for index in range(len(layers) - 1, -1, -1):
                below = ws.a[index - 1] if index else x
                lo, hi = self.edges[index], self.edges[index + 1]
                outer = result[:, output, lo:hi].reshape(n_rows, *self.shapes[index])
                np.multiply(above.T[:, :, None], below.T[:, None, :], out=outer)
                if index:
                    self._descend(layers[index], above, index - 1, ws)
                    ws.d[index - 1] *= ws.s[index - 1]
                    above = ws.d[index - 1]
        return result


def transposed_product(layer: AnyArray, above: AnyArray, out: AnyArray) -> AnyArray:
    """Write ``Wᵀ·above`` (units below, rows), biases left out, for a layer's matrix ``[W | b]``."""
    if len(above) == 1:  # an outer product: eight times as fast as BLAS, which packs both factors for nothing
        return np.asarray(np.multiply(layer[0, :-1, None], above, out=out))
    return np.asarray(np.matmul(layer[:, :-1].T, above, out=out))
