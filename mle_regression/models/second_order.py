"""The Hessian of a network's loss as a matrix, a sum over blocks of rows.

A weight feeds a unit's input z with an output a of the layer below, so that the second derivative by two weights is, row by
row, a product ``M·a·a′`` of the second derivative M by the two inputs and the two outputs. Summed over rows this is one
matrix product, of all pairs (a, a′) with all pairs (z, z′), and needs no Jacobian: P² multiplications a row at most, a
quarter of them for a pair of units in one layer, where both kinds of pairs are symmetric, however many outputs there are.
Where a′ itself depends on z, a second product is added.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, IntArray
from mle_regression.models.network import Network, Workspace

# Rows of a block at least: of fewer, products of matrices are slow.
_FEWEST_ROWS = 8
# Layers of how many different sizes have their pairs of units at hand.
_KEPT_INDICES = 8


class HessianSum:
    """A running sum of second derivatives of ``½ Σ w‖y − f‖²`` by the parameters.

    Parameters
    ----------
    network : Network
    gauss_newton : bool
        Whether the curvature of the network itself is left out, which leaves JᵀWJ.
    """

    def __init__(self, network: Network, gauss_newton: bool = False) -> None:
        self.network, self.gauss_newton = network, gauss_newton
        self.products: dict[tuple[int, int, str], Any] = {}

    def add(
        self,
        layers: list[AnyArray],
        x: AnyArray,
        weighted: AnyArray,
        weights: AnyArray | None,
        ws: Workspace,
    ) -> None:
        """Add rows x (d + 1, rows), of residuals times weights (m, rows), after `Network.forward`."""
        activation, last = self.network.activation, len(layers) - 1
        below = [x, *ws.a]
        for k in range(last):
            activation.slope(ws.z[k], ws.inner[k], ws.s[k])
        of_output, second_terms = self._first_derivatives(layers, weighted, ws)
        for low in range(last, -1, -1):
            moved = self._responses(layers, low, ws)
            second = self._second_derivatives(layers, low, moved, weights, second_terms, ws)
            for high in range(low, last + 1):
                if high == low == last - 1:
                    self._multiply_below_output(layers[last], below[low], weights, second_terms, ws)
                else:
                    self._multiply(low, high, below, second[high], weights, ws)
                if high > low and not self.gauss_newton:
                    self._multiply_moved(low, high, below, of_output[high], moved, ws)

    def __add__(self, other: HessianSum) -> HessianSum:
        """Sum of two parts."""
        total = HessianSum(self.network, self.gauss_newton)
        total.products = dict(self.products)
        for key, product in other.products.items():
            total.products[key] = total.products[key] + product if key in total.products else product
        return total

    def matrix(self) -> Array:
        """Return the sum (P, P)."""
        edges, shapes = self.network.edges, self.network.shapes
        whole = np.zeros((edges[-1], edges[-1]))
        for (low, high, kind), product in self.products.items():
            (units, inputs), (units_above, inputs_above) = shapes[low], shapes[high]
            rows, columns = slice(edges[low], edges[low + 1]), slice(edges[high], edges[high + 1])
            if kind == "same":
                # Of units u ≤ v and inputs i, j; a view of the block, which is symmetric in i and j too.
                each, at = product.T.take(_pair_index(inputs), axis=1), 0
                block = whole[rows, columns].reshape(units, inputs, units, inputs)
                for unit in range(units):
                    with_others = each[at : at + units - unit]
                    block[unit:, :, unit, :] += with_others
                    block[unit, :, unit + 1 :, :] += with_others[1:].transpose(1, 0, 2)
                    at += len(with_others)
                continue
            block = np.zeros((units, inputs, units_above, inputs_above))
            if kind == "output":
                for unit in range(units):
                    block[unit, :, unit, :] = product
            elif kind == "pairs":
                block = product.reshape(inputs, inputs_above, units_above, units).transpose(3, 0, 2, 1)
            elif kind == "next":
                moved = product.reshape(inputs, units_above, units)
                for unit in range(units):
                    block[unit, :, :, unit] = moved[:, :, unit]
            else:
                moved = product.reshape(inputs, units_above, inputs_above - 1, units)
                block[:, :, :, :-1] = moved.transpose(3, 0, 1, 2)
            whole[rows, columns] += block.reshape(units * inputs, units_above * inputs_above)
        for low, high in {(low, high) for low, high, _ in self.products if low < high}:
            rows, columns = slice(edges[low], edges[low + 1]), slice(edges[high], edges[high + 1])
            whole[columns, rows] = whole[rows, columns].T
        return whole

    def _first_derivatives(
        self, layers: list[AnyArray], weighted: AnyArray, ws: Workspace
    ) -> tuple[list[AnyArray], list[AnyArray]]:
        """Return derivatives of the loss by each layer's z, and by a, times the activation's second derivative."""
        of_z: list[AnyArray] = [weighted]
        second_terms: list[AnyArray] = []
        if self.gauss_newton:
            return [], []
        for k in range(len(layers) - 2, -1, -1):
            of_a = layers[k + 1][:, :-1].T @ of_z[0]
            second_derivative = np.empty_like(of_a)
            self.network.activation.second_derivative(ws.z[k], ws.inner[k], ws.s[k], second_derivative)
            second_terms.insert(0, second_derivative * of_a)
            of_z.insert(0, of_a * ws.s[k])
        return of_z, second_terms

    def _responses(self, layers: list[AnyArray], low: int, ws: Workspace) -> dict[int, AnyArray]:
        """How each higher layer's z follows z of layer ``low``: (units above, units, rows)."""
        moved: dict[int, AnyArray] = {}
        for high in range(low + 1, len(layers)):
            weights = layers[high][:, :-1]
            if high == low + 1:
                moved[high] = weights[:, :, None] * ws.s[low][None]
            else:
                through = ws.s[high - 1][:, None, :] * moved[high - 1]
                moved[high] = np.tensordot(weights, through, axes=(1, 0))
        return moved

    def _second_derivatives(
        self,
        layers: list[AnyArray],
        low: int,
        moved: dict[int, AnyArray],
        weights: AnyArray | None,
        second_terms: list[AnyArray],
        ws: Workspace,
    ) -> dict[int, AnyArray | None]:
        """Second derivatives of the loss by z of layer ``low`` and z of each layer from there on; None for the identity."""
        last = len(layers) - 1
        second: dict[int, AnyArray | None] = {last: None}
        if low == last:
            return second
        top = moved[last] if weights is None else moved[last] * weights
        second[last] = above = top
        if low == last - 1:  # pairs of its own units have a product of their own
            return second
        for high in range(last - 1, low - 1, -1):
            above = np.tensordot(layers[high + 1][:, :-1], above, axes=(0, 0))
            above *= ws.s[high][:, None, :]
            if not self.gauss_newton:
                if high == low:
                    index = np.arange(len(above))
                    above[index, index] += second_terms[high]
                else:
                    above += second_terms[high][:, None, :] * moved[high]
            second[high] = above
        return second

    def _multiply_below_output(
        self, layer: AnyArray, below: AnyArray, weights: AnyArray | None, second_terms: list[AnyArray], ws: Workspace
    ) -> None:
        """Multiply for pairs of units of the last hidden layer: ``(WᵀW)ᵤᵥ sᵤ sᵥ``, and the activation's second derivative."""
        low = len(self.network.shapes) - 2
        unit, fellow = _pairs(len(ws.s[low]))
        pairs, slopes = _products_of_pairs(below, ws, "inputs"), _products_of_pairs(ws.s[low], ws, "slopes")
        key = (low, low, "same")
        product = _product(key, pairs if weights is None else pairs * weights, slopes, ws)
        product *= (layer[:, :-1].T @ layer[:, :-1])[unit, fellow]
        if not self.gauss_newton:
            product[:, unit == fellow] += pairs @ second_terms[low].T
        self._put(key, product)

    def _multiply(
        self,
        low: int,
        high: int,
        below: list[AnyArray],
        second: AnyArray | None,
        weights: AnyArray | None,
        ws: Workspace,
    ) -> None:
        if second is None:
            inputs, key = below[high], (low, high, "output")
            self._put(key, _product(key, inputs, inputs if weights is None else inputs * weights, ws))
        elif low == high:
            pairs, key = _products_of_pairs(below[low], ws, "inputs"), (low, high, "same")
            unit, fellow = _pairs(len(second))
            both = ws.room("second", len(unit), second.shape[2])
            second.reshape(-1, second.shape[2]).take(len(second) * unit + fellow, axis=0, out=both, mode="clip")
            self._put(key, _product(key, pairs, both, ws))
        else:
            n, key = second.shape[2], (low, high, "pairs")
            pairs = np.multiply(
                below[low][:, None, :], below[high], out=ws.room("both", len(below[low]), len(below[high]), n)
            )
            self._put(key, _product(key, pairs.reshape(-1, n), second.reshape(-1, n), ws))

    def _multiply_moved(
        self, low: int, high: int, below: list[AnyArray], of_z: AnyArray, moved: dict[int, AnyArray], ws: Workspace
    ) -> None:
        """Add what the inputs of the higher layer owe to the lower one."""
        n = of_z.shape[1]
        if high == low + 1:
            both = (of_z[:, None, :] * ws.s[low][None, :, :]).reshape(-1, n)
            key = (low, high, "next")
            self._put(key, _product(key, below[low], both, ws))
        else:
            follows = (ws.s[high - 1][:, None, :] * moved[high - 1]).reshape(-1, n)
            pairs = (below[low][:, None, :] * of_z[None, :, :]).reshape(-1, n)
            key = (low, high, "far")
            self._put(key, _product(key, pairs, follows, ws))

    def _put(self, key: tuple[int, int, str], product: AnyArray) -> None:
        if key in self.products:
            self.products[key] += product
        else:
            self.products[key] = np.array(product, dtype=np.float64)


def gauss_newton_work(network: Network) -> float:
    """Return how many multiplications a row costs in the products of pairs that make JᵀWJ."""
    shapes, last = network.shapes, len(network.shapes) - 1
    work = float(shapes[last][1] ** 2)
    for low, (units, inputs) in enumerate(shapes[:-1]):
        work += inputs * (inputs + 1) * units * (units + 1) / 4.0
        work += sum(inputs * units * above * wide for above, wide in shapes[low + 1 :])
    return work


def block_rows(network: Network, size: int) -> int:
    """Return how many rows at once make arrays of about ``size`` numbers."""
    widest = max(max(units * units, inputs * inputs) for units, inputs in network.shapes)
    return max(_FEWEST_ROWS, size // widest)


def _product(key: tuple[int, int, str], a: AnyArray, b: AnyArray, ws: Workspace) -> AnyArray:
    """Return a·bᵀ, good until the next of this key."""
    return np.matmul(a, b.T, out=ws.room(key, len(a), len(b)))


def _products_of_pairs(values: AnyArray, ws: Workspace, name: str) -> AnyArray:
    """Return products of all pairs i ≤ j of the rows of an array (k, rows), good until the next of this name."""
    k, n = values.shape
    products, at = ws.room(name, k * (k + 1) // 2, n), 0
    for i in range(k):
        np.multiply(values[i], values[i:], out=products[at : at + k - i])
        at += k - i
    return products


@lru_cache(maxsize=_KEPT_INDICES)
def _pairs(n: int) -> tuple[IntArray, IntArray]:
    """Return all pairs i ≤ j, in order."""
    first, other = np.triu_indices(n)
    return first, other


def _pair_index(n: int) -> IntArray:
    """Return where each pair (i, j) is found among those with i ≤ j."""
    index = np.zeros((n, n), dtype=np.int64)
    index[_pairs(n)] = np.arange(n * (n + 1) // 2)
    return np.maximum(index, index.T)
