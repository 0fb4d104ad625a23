"""Which hidden units flat directions are of, where it is known by construction."""

import numpy as np
import pytest

from mle_regression.diagnostics.units import flat_units
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network

MOMENTS = [(np.ones(3), np.eye(3))]  # units of one layer whose outputs are uncorrelated


def network_and_weights(activation, rng):
    """Two inputs, three units, one output; weights into unit k are layers[0][k], out of it layers[1][:, k]."""
    network = Network((2, 3, 1), find_activation(activation))
    theta = rng.uniform(0.5, 1.5, network.n_parameters)
    return network, theta, network.layers(theta)


def basis(network, *changes):
    """Directions (P, f), each of the changes of the layers that a function writes."""
    columns = np.zeros((len(changes), network.n_parameters))
    for column, change in zip(columns, changes, strict=True):
        change(network.layers(column))
        column /= np.linalg.norm(column)
    return columns.T


def into_unit(k, j):
    def change(layers):
        layers[0][k, j] = 1.0

    return change


def test_a_unit_without_a_weight_out_of_it_is_dead(rng):
    """What goes into it is flat: the output of the network does not depend on it."""
    network, theta, layers = network_and_weights("tanh", rng)
    layers[1][:, 1] = 0.0
    flat = basis(network, *(into_unit(1, j) for j in range(3)))
    (found,) = flat_units(network, theta, MOMENTS, flat)
    assert (found.layer, found.unit, found.kind, found.other) == (1, 1, "dead", -1)
    assert found.dimensions == pytest.approx(3.0)
    assert str(found) == "layer 1, unit 1: dead"


def test_a_constant_unit_is_dead_and_one_that_varies_idle(rng):
    network, theta, _ = network_and_weights("tanh", rng)
    flat = basis(network, *(into_unit(k, j) for k in (0, 2) for j in range(3)))
    covariance = np.diag([0.0, 1.0, 1.0])
    found = flat_units(network, theta, [(np.ones(3), covariance)], flat)
    assert [(unit.unit, unit.kind) for unit in found] == [(0, "dead"), (2, "idle")]


def test_copies_name_each_other(rng):
    network, theta, _ = network_and_weights("tanh", rng)
    covariance = np.array([[1.0, 0.5, -2.0], [0.5, 1.0, -1.0], [-2.0, -1.0, 4.0]])  # the third is minus twice the first

    def apart(layers):
        layers[1][0, 0], layers[1][0, 2] = 2.0, 1.0

    found = flat_units(network, theta, [(np.ones(3), covariance)], basis(network, apart))
    assert [(unit.unit, unit.kind, unit.other) for unit in found] == [(0, "duplicated", 2)]
    assert found[0].dimensions == pytest.approx(0.8)


@pytest.mark.parametrize(("cosine", "kind"), [(1.0, "rescaling"), (0.992, "rescaling"), (0.988, "idle"), (0.9, "idle")])
def test_a_rescaling_is_one_whose_direction_is_flat_to_a_hundredth(cosine, kind, rng):
    """Larger weights into a unit of relu and smaller ones out of it are the same function."""
    network, theta, layers = network_and_weights("relu", rng)

    def rescaled(moved):
        moved[0][0], moved[1][:, 0] = layers[0][0], -layers[1][:, 0]

    def across(moved):  # of the same unit, at right angles to the former
        a, b = layers[0][0, :2]
        moved[0][0, :2] = [-b, a]

    along, other = basis(network, rescaled, across).T
    flat = (cosine * along + (1.0 - cosine**2) ** 0.5 * other)[:, None]
    found = flat_units(network, theta, MOMENTS, flat)
    assert [(unit.unit, unit.kind) for unit in found] == [(0, kind)]
    assert flat_units(Network((2, 3, 1), find_activation("tanh")), theta, MOMENTS, flat)[0].kind == "idle"
