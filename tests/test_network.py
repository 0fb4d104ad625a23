"""A network's derivatives, against differences in complex arithmetic, and the solvers on its objective."""

import numpy as np
import pytest
from scipy.special import erf

from mle_regression.models.activations import ACTIVATIONS, find_activation
from mle_regression.models.network import Network, Workspace
from mle_regression.models.second_order import HessianSum, gauss_newton_work
from mle_regression.objective.network import NetworkObjective
from mle_regression.objective.scaled import ScaledSumOfSquares
from mle_regression.rows.base import spans
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers import LBFGS, Adam, LevenbergMarquardt, NewtonCG
from mle_regression.solvers.base import Status
from mle_regression.solvers.path import Control

# The activations of complex numbers; those with a kink act on the real part's side of it.
COMPLEX = {
    "identity": lambda z: z,
    "tanh": np.tanh,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.where(z.real > 0, z, 0),
    "leaky_relu": lambda z: np.where(z.real > 0, z, 0.01 * z),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / np.sqrt(2))),
}
SHAPES = [((), 2), ((4,), 1), ((3, 4), 2), ((3, 4, 2), 1)]


def objective_of(hidden, m, activation="tanh", weighted=False, alpha=0.3, n=30, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 3)), rng.standard_normal((n, m))
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    plain = Units(np.zeros(3), np.ones(3)), Units(np.zeros(m), np.ones(m))
    network = Network((3, *hidden, m), find_activation(activation))
    rows = StandardRows(as_rows(x, y, weights), *plain, np.dtype(dtype))
    return NetworkObjective(network, rows, alpha, network.initial(rng) + 0.1)


def value_of(objective, theta):
    """J at a real or complex θ, from its definition, rows along the first axis."""
    rows, network = objective.rows, objective.network
    layers = network.layers(theta)
    below = rows.home.x.astype(complex)
    for layer in layers[:-1]:
        below = COMPLEX[network.activation.name](below @ layer[:, :-1].T + layer[:, -1])
    residual = below @ layers[-1][:, :-1].T + layers[-1][:, -1] - rows.y
    weights = np.ones(len(rows.y)) if rows.weights is None else rows.weights
    penalty = objective.alpha * sum((layer[:, :-1] ** 2).sum() for layer in layers)
    return ((weights[:, None] * residual**2).sum() + penalty) / weights.sum()


def gradient_of(objective, theta):
    return np.array([value_of(objective, theta + 1e-30j * e).imag / 1e-30 for e in np.eye(len(theta))])


def control(**options):
    return Control(**{"learning_rate": "auto", "batch_size": None, "max_iter": 500, "tol": 1e-8} | options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("hidden", "m"), SHAPES, ids=str)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_first_derivatives(activation, hidden, m, weighted):
    objective = objective_of(hidden, m, activation, weighted)
    theta = objective.start
    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(value_of(objective, theta).real, rel=1e-13)
    np.testing.assert_allclose(gradient, gradient_of(objective, theta), rtol=1e-9, atol=1e-13)
    residual, jacobian = objective.residual_jacobian(theta)
    assert residual @ residual + objective.penalty @ theta**2 == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(
        2 * jacobian.T @ residual + 2 * objective.penalty * theta, gradient, rtol=1e-9, atol=1e-13
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("hidden", "m"), SHAPES, ids=str)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_second_derivatives(activation, hidden, m, weighted, monkeypatch):
    objective = objective_of(hidden, m, activation, weighted)
    theta = objective.start
    hessian = objective.hessian(theta)
    products = objective.hessian_products(theta)
    columns = [products(e) for e in np.eye(len(theta))]
    np.testing.assert_allclose(hessian, columns, rtol=1e-10, atol=1e-13)
    # Differences of order eight of the exact gradient: exact to rounding over the step.
    direction = np.random.default_rng(1).standard_normal(len(theta)) / np.sqrt(len(theta))
    if ACTIVATIONS[activation].smooth:
        step, weights = 2e-2, np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
        change = sum(
            w
            * (
                gradient_of(objective, theta + k * step * direction)
                - gradient_of(objective, theta - k * step * direction)
            )
            for k, w in enumerate(weights, start=1)
        )
        np.testing.assert_allclose(hessian @ direction, change / step, rtol=1e-9, atol=1e-9 * np.abs(hessian).max())
    _, jacobian = objective.residual_jacobian(theta)
    for share in (0.0, np.inf):  # by the Jacobian, and by products of pairs
        monkeypatch.setattr("mle_regression.objective.network._PAIRS_SHARE", share)
        np.testing.assert_allclose(objective.gauss_newton(theta), jacobian.T @ jacobian, rtol=1e-10, atol=1e-13)
    gauss_newton = objective.hessian_products(theta, gauss_newton=True)(direction)
    expected = 2 * jacobian.T @ (jacobian @ direction) + 2 * objective.penalty * direction
    np.testing.assert_allclose(gauss_newton, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("hidden", "m"), SHAPES, ids=str)
@pytest.mark.parametrize("scaled", [False, True])
def test_products_with_the_jacobian_that_is_never_formed(rng, hidden, m, weighted, scaled):
    objective = objective_of(hidden, m, "tanh", weighted)
    theta = objective.start
    _, jacobian = objective.residual_jacobian(theta)
    scale = np.empty(len(theta))
    for layer in objective.network.layers(scale):
        layer[:] = rng.uniform(0.1, 10, layer.shape[1])
    products = objective.residual_products(theta)
    if scaled:
        products = ScaledSumOfSquares(objective, scale).residual_products(theta / scale)
        jacobian = jacobian * scale
    np.testing.assert_allclose(products.gram(scale), (jacobian * scale) @ jacobian.T, rtol=1e-11, atol=1e-13)
    assert products.squares == pytest.approx((jacobian**2).sum(), rel=1e-12)
    v, u = rng.standard_normal(len(theta)), rng.standard_normal(len(jacobian))
    np.testing.assert_allclose(products.product(v), jacobian @ v, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(products.transposed(u), jacobian.T @ u, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tanh_is_right_to_two_units_in_the_last_place(dtype):
    """Of whatever size its argument is: small activations, and slopes of saturated units, keep their digits."""
    mpmath = pytest.importorskip("mpmath")
    rng, activation = np.random.default_rng(0), find_activation("tanh")
    z = (rng.choice([-1, 1], 2000) * 10.0 ** rng.uniform(-12, 1.4, 2000)).astype(dtype)
    value, slope = np.empty_like(z), np.empty_like(z)
    activation.value(z, value)
    activation.slope(z, value, slope)
    with mpmath.workprec(120):
        exact = [mpmath.tanh(mpmath.mpf(float(at))) for at in z]
        off = [abs(float(a) - t) / float(np.spacing(abs(a))) for a, t in zip(value, exact, strict=True)]
        of_slope = [abs(float(s) - (1 - t * t)) for s, t in zip(slope, exact, strict=True)]
    assert max(off) <= 2.0
    assert max(of_slope) <= 4.0 * np.finfo(dtype).eps


@pytest.mark.parametrize(("hidden", "m"), SHAPES, ids=str)
def test_the_work_of_a_gauss_newton_matrix_is_what_is_multiplied(hidden, m):
    objective = objective_of(hidden, m)
    network, block = objective.network, objective.rows.block(slice(0, 5))
    ws, total = Workspace(network, 5, np.dtype(float)), HessianSum(network, gauss_newton=True)
    layers = network.layers(objective.start)
    total.add(layers, block.x, network.forward(layers, block.x, ws) - block.y, None, ws)
    assert gauss_newton_work(network) == sum(product.size for product in total.products.values())


@pytest.mark.parametrize("room", [0, 3000, 1 << 24])
@pytest.mark.parametrize("weighted", [False, True])
def test_products_are_the_same_whatever_is_kept(weighted, room, monkeypatch):
    monkeypatch.setattr("mle_regression.objective.network._KEPT_LINEARISED", room)
    monkeypatch.setattr("mle_regression.objective.network._BLOCK_ROWS", (64, 64))
    objective = objective_of((4, 3), 2, weighted=weighted, n=200)
    theta = objective.start.copy()
    expected = objective.hessian(theta)
    products = objective.hessian_products(theta)
    theta[:] = 0.0
    for _ in range(2):
        np.testing.assert_allclose([products(e) for e in np.eye(len(theta))], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_of_a_pass_are_all_rows_and_their_gradients_add_up(weighted):
    objective = objective_of((4,), 2, weighted=weighted, n=50)
    _, gradient = objective.value_and_gradient(objective.start)
    total, seen = np.zeros_like(gradient), []
    for batch in objective.batches(np.random.default_rng(0), 16):
        share = batch.y.shape[1] if batch.weights is None else batch.weights.sum()
        total += share / objective.rows.total * objective.batch_gradient(objective.start, batch)[1]
        seen.append(batch.y.copy())
    assert [part.shape[1] for part in seen] == [13, 13, 12, 12]
    np.testing.assert_allclose(total, gradient, rtol=1e-12)
    np.testing.assert_array_equal(np.sort(np.hstack(seen).ravel()), np.sort(objective.rows.y.ravel()))


def test_batches_of_many_sizes_leave_workspaces_of_two():
    objective = objective_of((4,), 1, n=60)
    for size in (5, 7, 11, 13, 17, 7, 5):
        for batch in objective.batches(np.random.default_rng(0), size):
            expected = objective_of((4,), 1, n=60).batch_gradient(objective.start, batch)[1]
            np.testing.assert_array_equal(objective.batch_gradient(objective.start, batch)[1], expected)
        assert 1 <= len(objective._workspaces[0].spaces) <= 2


def test_a_batch_is_looked_at_where_it_is_asked_for():
    """Also at other parameters than those of the batch before, and where these have moved."""
    objective = objective_of((3,), 1)
    batch = next(objective.batches(np.random.default_rng(0), 30))
    for theta in (objective.start, objective.start + 1.0):
        for _ in range(2):
            loss, gradient = objective.batch_gradient(theta, batch)
            expected = objective.value_and_gradient(theta)
            assert loss == pytest.approx(expected[0], rel=1e-12)
            np.testing.assert_allclose(gradient, expected[1], rtol=1e-9)
            theta += 0.5


def test_single_precision_follows_double():
    double, single = objective_of((5,), 1), objective_of((5,), 1, dtype="float32")
    for one, other in zip(
        double.value_and_gradient(double.start), single.value_and_gradient(double.start), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


# Without a penalty Gauss-Newton steps alone creep along the flat directions of such a loss.
@pytest.mark.parametrize(
    ("solver", "alpha"),
    [(LevenbergMarquardt(second_order=False), 0.3)]
    + [(solver, alpha) for solver in (LevenbergMarquardt(), NewtonCG(), LBFGS()) for alpha in (0.0, 0.3)],
    ids=str,
)
def test_solvers_reach_a_stationary_point(solver, alpha):
    objective = objective_of((2,), 1, alpha=alpha, n=60)
    path = solver.minimise(objective, control(rng=np.random.default_rng(0), max_iter=5000, tol=1e-6))
    assert path.status is Status.CONVERGED
    assert np.linalg.norm(gradient_of(objective, path.theta)) < 2e-6
    assert path.losses[-1] < path.losses[0]


def test_levenberg_marquardt_with_fewer_residuals_than_parameters():
    objective = objective_of((12,), 1, alpha=0.0, n=20)
    assert objective.n_residuals < objective.network.n_parameters
    path = LevenbergMarquardt().minimise(objective, control(rng=np.random.default_rng(0)))
    assert path.losses[-1] < 1e-12


def test_levenberg_marquardt_names_the_memory_it_would_take():
    objective = objective_of((200, 200), 1, n=60_000)
    with pytest.raises(ValueError, match=r"would need about .* GB .* Take solver='lbfgs'"):
        LevenbergMarquardt().minimise(objective, control(rng=np.random.default_rng(0)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_adam_lowers_the_loss_and_goes_on_from_its_memory(dtype):
    objective = objective_of((5,), 1, n=100, dtype=dtype)
    first = Adam(schedule="constant").minimise(
        objective, control(rng=np.random.default_rng(0), batch_size=10, max_iter=5)
    )
    assert first.losses[-1] < first.losses[0]
    objective.start = first.theta
    options = {"rng": np.random.default_rng(1), "batch_size": 10, "max_iter": 1}
    second = Adam(schedule="constant").minimise(objective, control(**options, memory=first.memory))
    assert int(first.memory["count"]) == 50
    assert int(second.memory["count"]) == 60


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("hidden", "m"), SHAPES, ids=str)
def test_residuals_and_their_jacobian_make_up_the_loss(hidden, m, weighted):
    objective = objective_of(hidden, m, weighted=weighted)
    theta = objective.start
    residual, jacobian = objective.residual_jacobian(theta)
    loss, gradient = objective.value_and_gradient(theta)
    assert residual @ residual + objective.penalty @ theta**2 == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(2 * jacobian.T @ residual + 2 * objective.penalty * theta, gradient, atol=1e-12)
    np.testing.assert_allclose(jacobian.T @ jacobian, objective.gauss_newton(theta), atol=1e-12)
    np.testing.assert_allclose(
        np.sort(objective.weighted_residuals(theta).ravel() ** 2), np.sort(residual**2), atol=1e-14
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("each", [False, True])
def test_fewer_rows_have_the_same_penalty_for_each(weighted, each):
    """Every row twice, one of them left out: the objective is the same function."""
    half = objective_of((3,), 2, weighted=weighted, alpha=0.3)
    rows = half.rows
    twice = StandardRows(
        as_rows(
            np.repeat(rows.home.x, 2, axis=0),
            np.repeat(rows.y, 2, axis=0),
            None if rows.weights is None else np.repeat(rows.weights, 2),
        ),
        rows.of_x,
        rows.of_y,
        rows.dtype,
    )
    alpha = np.linspace(0.1, 2.0, len(half.start)) if each else 0.3
    half = NetworkObjective(half.network, rows, alpha, half.start)
    whole = NetworkObjective(half.network, twice, 2 * alpha, half.start)
    thinned = whole.thinned(30)
    assert thinned.n_rows == 30
    theta = half.start
    assert thinned.value_and_gradient(theta)[0] == pytest.approx(half.value_and_gradient(theta)[0], rel=1e-13)
    np.testing.assert_allclose(thinned.value_and_gradient(theta)[1], whole.value_and_gradient(theta)[1], rtol=1e-9)
    assert whole.thinned(60) is whole
    assert whole.thinned(59) is not whole


@pytest.mark.parametrize("weighted", [False, True])
def test_products_of_the_inputs_are_their_weighted_means(weighted):
    objective = objective_of((3,), 1, weighted=weighted)
    table = np.column_stack([objective.rows.home.x, np.ones(30)])
    w = np.ones(30) if objective.rows.weights is None else objective.rows.weights
    np.testing.assert_allclose(objective.input_products(), table.T * w @ table / w.sum(), rtol=1e-12)


def test_patience_ends_a_path_that_stands_still():
    objective = objective_of((2,), 1, n=60)
    options = control(rng=np.random.default_rng(0), tol=1e-3, patience=3, batch_size=60, learning_rate=1e-9)
    path = Adam().minimise(objective, options)
    assert path.status is Status.PLATEAU
    assert path.n_iter < 10


def test_moments_of_hidden_units_are_those_of_their_outputs(rng):
    """Of rows in several blocks, and of outputs far from zero beside their spread."""
    X, network = rng.standard_normal((5000, 2)), Network((2, 3, 2, 1), find_activation("softplus"))
    units = Units(np.zeros(2), np.ones(2)), Units(np.zeros(1), np.ones(1))
    rows = StandardRows(as_rows(X, np.zeros((5000, 1)), None), *units, np.dtype(float))
    theta = network.initial(rng)
    network.layers(theta)[0][:, -1] += 1e4
    found = NetworkObjective(network, rows, 0.0, theta).hidden_moments(theta)
    outputs = X
    for (mean, covariance), layer in zip(found, network.layers(theta), strict=False):
        outputs = np.logaddexp(outputs @ layer[:, :-1].T + layer[:, -1], 0.0)
        np.testing.assert_allclose(mean, outputs.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(covariance, np.cov(outputs.T, bias=True), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("hidden", "width"), [(4, 4096), (98, 655), (3000, 64)])
def test_blocks_of_rows_stay_in_cache(monkeypatch, rng, hidden, width):
    """65,536 outputs of units a block; no fewer than 64 rows and no more than 4,096."""
    seen = []

    def recorded(n_rows, size, parts):
        seen.append(size)
        return spans(n_rows, size, parts)

    monkeypatch.setattr("mle_regression.rows.standard.spans", recorded)
    network = Network((1, hidden, 1), find_activation("tanh"))
    units = Units(np.zeros(1), np.ones(1)), Units(np.zeros(1), np.ones(1))
    rows = StandardRows(as_rows(rng.standard_normal((9, 1)), np.zeros((9, 1)), None), *units, np.dtype(float))
    NetworkObjective(network, rows, 0.0, network.initial(rng)).value_and_gradient(network.initial(rng))
    assert seen == [width]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("hidden", "m"), SHAPES, ids=str)
def test_sums_over_rows_are_the_same_in_one_piece_and_in_many(hidden, m, weighted, monkeypatch):
    objective = objective_of(hidden, m, weighted=weighted, n=150)
    theta = objective.start
    whole = objective.value_and_gradient(theta), objective.hessian(theta), objective.gauss_newton(theta)
    monkeypatch.setattr("mle_regression.objective.network.row_workers", lambda: 3)
    monkeypatch.setattr("mle_regression.objective.network._THREADED_FROM", 1)
    monkeypatch.setattr("mle_regression.objective.network._BLOCK_UNITS", 1)
    monkeypatch.setattr("mle_regression.objective.network._BLOCK_ROWS", (7, 7))
    monkeypatch.setattr("mle_regression.objective.network.block_rows", lambda network, size: 7)
    parts = objective_of(hidden, m, weighted=weighted, n=150)
    value, gradient = parts.value_and_gradient(theta)
    assert value == pytest.approx(whole[0][0], rel=1e-13)
    np.testing.assert_allclose(gradient, whole[0][1], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(parts.hessian(theta), whole[1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(parts.gauss_newton(theta), whole[2], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("inputs", [1, 2, 7])
def test_start_has_the_spread_that_keeps_that_of_the_rows(activation, inputs):
    """Weights of variance gain²/fan-in, biases uniform within the gain, outputs without a gain and from zero."""
    network = Network((inputs, 3000, 2, 1000), find_activation(activation))
    first, second, last = network.layers(network.initial(np.random.default_rng(0)))
    gain = network.activation.gain
    assert first[:, :-1].std() == pytest.approx(gain / np.sqrt(inputs), rel=0.05)
    assert second[:, :-1].std() == pytest.approx(gain / np.sqrt(3000), rel=0.05)
    assert last[:, :-1].std() == pytest.approx(1 / np.sqrt(2), rel=0.1)
    assert not last[:, -1].any()
    assert np.abs(first[:, -1]).max() == pytest.approx(gain, rel=0.01)
    assert first[:, -1].std() == pytest.approx(gain / np.sqrt(3), rel=0.05)
    assert (np.abs(second[:, -1]) <= gain).all()
