"""Steps of stochastic solvers, against the formulas that they are written in."""

import numpy as np
import pytest

from mle_regression.solvers import Adam, AdamW, StochasticGradient
from mle_regression.solvers.gradient_descent import constants, linear_rate, stable_bound
from mle_regression.solvers.path import Control, DivergenceError


class Bowl:
    """½θᵀHθ − bᵀθ over three batches whose gradients differ by constants that add up to nothing; notes where it was asked."""

    spectrum = None
    dtype = np.float64
    n_rows = 3

    def __init__(self, start, hessian=((2.0, 0.5), (0.5, 1.0)), shift=(1.0, -1.0)):
        self.start, self.hessian, self.shift = np.array(start), np.array(hessian), np.array(shift)

    def value_and_gradient(self, theta):
        return float(0.5 * theta @ self.hessian @ theta - self.shift @ theta), self.hessian @ theta - self.shift

    def batches(self, rng, size):
        return iter((-1.0, 0.0, 1.0))

    def batch_gradient(self, theta, batch):
        value, gradient = self.value_and_gradient(theta)
        return value, gradient + 0.1 * batch

    def after_pass(self, theta):
        return self.value_and_gradient(theta)


def control(passes, rate=0.05, **memory):
    return Control(
        max_iter=passes, tol=0.0, learning_rate=rate, batch_size=1, rng=np.random.default_rng(0), memory=memory
    )


def follow(bowl, passes, rate, share, step):
    theta = bowl.start.copy()
    state = {}
    for t in range(passes):
        for batch in bowl.batches(None, 1):
            gradient = bowl.batch_gradient(theta, batch)[1]
            theta = step(theta, gradient, rate * share(t, passes), state)
    return theta


SHARES = {
    "constant": lambda t, passes: 1.0,
    "inverse": lambda t, passes: 1.0 / (1.0 + t),
    "cosine": lambda t, passes: 0.5 * (1.0 + np.cos(np.pi * t / passes)),
}


@pytest.mark.parametrize("schedule", SHARES)
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(schedule, nesterov, momentum):
    def step(theta, gradient, rate, state):
        v = momentum * state.get("v", 0.0) - rate * gradient
        state["v"] = v
        return theta + (momentum * v - rate * gradient if nesterov else v)

    bowl = Bowl([3.0, -2.0])
    solver = StochasticGradient(momentum=momentum, nesterov=nesterov, schedule=schedule)
    path = solver.minimise(bowl, control(5))
    np.testing.assert_allclose(path.theta, follow(bowl, 5, 0.05, SHARES[schedule], step), rtol=1e-12)
    assert path.n_iter == 5


def adam_step(weight_decay, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    def step(theta, gradient, rate, state):
        state["t"] = state.get("t", 0) + 1
        state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * gradient
        state["v"] = beta_2 * state.get("v", 0.0) + (1 - beta_2) * gradient**2
        mean, square = state["m"] / (1 - beta_1 ** state["t"]), state["v"] / (1 - beta_2 ** state["t"])
        return theta * (1 - rate * weight_decay) - rate * mean / (np.sqrt(square) + epsilon)

    return step


@pytest.mark.parametrize(
    ("solver", "step"),
    [
        (Adam(), adam_step(0.0)),
        (Adam(beta_1=0.5, beta_2=0.9, epsilon=0.1), adam_step(0.0, 0.5, 0.9, 0.1)),
        (AdamW(), adam_step(0.01)),
        (AdamW(weight_decay=0.3), adam_step(0.3)),
    ],
    ids=["adam", "adam of other constants", "adamw", "adamw of more decay"],
)
def test_adam(solver, step):
    bowl = Bowl([3.0, -2.0])
    path = solver.minimise(bowl, control(4))
    np.testing.assert_allclose(path.theta, follow(bowl, 4, 0.05, SHARES["cosine"], step), rtol=1e-12)


@pytest.mark.parametrize("solver", [StochasticGradient(schedule="constant"), Adam(schedule="constant")])
def test_moments_are_gone_on_with(solver):
    bowl = Bowl([3.0, -2.0])
    whole = solver.minimise(bowl, control(6))
    half = solver.minimise(bowl, control(3))
    rest = solver.minimise(Bowl(half.theta), control(3, **half.memory))
    np.testing.assert_allclose(rest.theta, whole.theta, rtol=1e-13)
    forgotten = solver.minimise(Bowl(half.theta), control(3))
    assert not np.allclose(forgotten.theta, whole.theta, rtol=1e-6)


def test_average_is_over_the_second_half_of_the_passes():
    ends = [StochasticGradient(schedule="constant").minimise(Bowl([3.0, -2.0]), control(t)).theta for t in (4, 5, 6)]
    path = StochasticGradient(schedule="constant", average=True).minimise(Bowl([3.0, -2.0]), control(6))
    np.testing.assert_allclose(path.theta, np.mean(ends, axis=0), rtol=1e-12)


def test_a_path_that_grows_is_given_up():
    with pytest.raises(DivergenceError, match="tenth of this one"):
        StochasticGradient().minimise(Bowl([3.0, -2.0]), control(200, rate=5.0))


@pytest.mark.parametrize("acceleration", ["none", "polyak", "nesterov"])
@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (1.0, 4.0), (0.01, 3.0), (1e-6, 10.0)])
def test_constants_of_gradient_descent_give_their_rate(acceleration, low, high):
    """The rate is the spectral radius of the iteration, and no step near the best gives a smaller one."""
    step, momentum, rate = constants(acceleration, low, high)
    assert linear_rate(acceleration, step, momentum, low, high) == pytest.approx(rate, abs=2e-8)
    for factor in (0.97, 1.03):
        assert linear_rate(acceleration, factor * step, momentum, low, high) >= rate - 2e-8
        if acceleration != "none" and high > low:
            assert linear_rate(acceleration, step, factor * momentum, low, high) >= rate - 2e-8


@pytest.mark.parametrize(("acceleration", "momentum"), [("none", 0.0), ("polyak", 0.7), ("nesterov", 0.7)])
def test_steps_are_stable_up_to_their_bound(acceleration, momentum):
    high = 3.0
    bound = stable_bound(acceleration, momentum, high)
    assert linear_rate(acceleration, 0.999 * bound, momentum, high, high) < 1.0
    if acceleration != "polyak":
        assert linear_rate(acceleration, 1.001 * bound, momentum, high, high) > 1.0


class Told(Bowl):
    """A bowl of so many rows whose spectrum is known, of batches that add so much curvature."""

    def __init__(self, n_rows=3, noise=0.0):
        super().__init__([3.0, -2.0])
        self.spectrum, self.n_rows, self.noise = np.linalg.eigvalsh(self.hessian), n_rows, noise
        self.sizes = []

    def batches(self, rng, size):
        self.sizes.append(size)
        return super().batches(rng, size)

    def batch_curvature(self, size):
        return self.noise / size


def automatic(passes, size=None):
    return Control("auto", size, passes, 0.0, np.random.default_rng(0))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("noise", [0.0, 60.0])
def test_an_automatic_step_is_within_what_batches_leave_stable(momentum, noise):
    """Momentum multiplies it by 1/(1 − μ): half of 2/λmax then, or of 2/(λmax + noise) where that is less than half."""
    bowl = Told(noise=noise)
    high = bowl.spectrum[-1]
    path = StochasticGradient(momentum=momentum).minimise(bowl, automatic(1, 10))
    step = float(path.memory["sgd_step"]) / (1.0 - momentum)
    assert step == pytest.approx(1.0 / max(2.0 * high, high + noise / 10))


@pytest.mark.parametrize("nesterov", [True, False])
def test_an_automatic_step_is_half_of_a_stable_one_where_curvature_is_measured(nesterov):
    class Measured(Bowl):
        def thinned(self, size):
            return self

        def hessian_products(self, theta):
            return lambda v: self.hessian @ v

    path = StochasticGradient(nesterov=nesterov, schedule="constant").minimise(Measured([3.0, -2.0]), automatic(2))
    assert path.stability_limit == pytest.approx(2.0 * np.linalg.eigvalsh(Bowl([0.0, 0.0]).hessian)[-1], rel=1e-3)


@pytest.mark.parametrize(("n_rows", "asked", "size"), [(3, None, 32), (8447, None, 32), (8448, None, 33), (99, 7, 7)])
def test_batches_are_a_256th_of_the_rows_unless_told(n_rows, asked, size):
    bowl = Told(n_rows)
    StochasticGradient().minimise(bowl, automatic(3, asked))
    assert bowl.sizes == [size] * 3


@pytest.mark.parametrize("schedule", SHARES)
def test_the_edge_is_that_of_the_last_step(schedule):
    path = StochasticGradient(momentum=0.0, nesterov=False, schedule=schedule).minimise(Told(), control(4, rate=0.1))
    assert path.stability_limit == pytest.approx(2.0 / (0.1 * SHARES[schedule](3, 4)))


def test_options_that_are_none():
    for solver, message in (
        (StochasticGradient(momentum=1.0), "momentum=1.0"),
        (StochasticGradient(momentum=-0.1), "momentum=-0.1"),
        (Adam(beta_1=1.0), "beta_1=1.0"),
        (Adam(beta_2=-0.1), "beta_2=-0.1"),
        (Adam(schedule="linear"), "schedule='linear'"),
    ):
        with pytest.raises(ValueError, match=message):
            solver.minimise(Told(), automatic(1))
    for solver in (StochasticGradient(momentum=0.0), Adam(beta_1=0.0, beta_2=0.0)):
        assert solver.minimise(Told(), automatic(1)).n_iter == 1


def test_without_a_look_at_the_loss_the_pass_tells_its_means():
    class Blind(Bowl):
        def after_pass(self, theta):
            return None

    bowl, seen = Blind([3.0, -2.0]), []

    def step(theta, gradient, rate, state):
        seen.append((bowl.value_and_gradient(theta)[0], gradient))
        return theta - rate * gradient

    follow(bowl, 2, 0.05, SHARES["constant"], step)
    path = StochasticGradient(momentum=0.0, schedule="constant").minimise(bowl, control(2))
    for k in (0, 1):
        values, gradients = zip(*seen[3 * k : 3 * k + 3], strict=True)
        assert path.losses[k + 1] == pytest.approx(np.mean(values))
        assert path.gradient_norms[k + 1] == pytest.approx(np.linalg.norm(np.mean(gradients, axis=0)))
