"""What ends the path of an iterative solver, and what its norms say of the way that is left."""

import numpy as np
import pytest

from mle_regression.solvers.base import Status
from mle_regression.solvers.path import (
    Control,
    ConvergenceMonitor,
    DivergenceError,
    Path,
    ends_of,
    remaining,
    run_monitored,
)

EPS = np.finfo(float).eps


def control(tol=0.0, **options):
    return Control("auto", None, max_iter=100, tol=tol, rng=np.random.default_rng(0), **options)


def follow(losses, norms=None, theta=(1.0,), **options):
    """Note one place after another until the path ends; return it, and whether it has ended."""
    given = {name: options.pop(name) for name in ("lowest", "highest", "proven") if name in options}
    monitor = ConvergenceMonitor(control(**options), np.array(theta), given.pop("lowest", 0.0), "Take less.", **given)
    for loss, norm in zip(losses, norms or [1.0] * len(losses), strict=True):
        if monitor.note(np.array(theta), loss, norm):
            return monitor.path, True
    return monitor.path, False


# -- near enough -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curvature", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("length", [0.1, 7.0])
def test_the_distance_to_the_optimum_is_to_be_a_part_of_the_length(curvature, length):
    """Off by d along the lowest curvature λ, of a high loss: the gradient is λd."""
    tol = 1e-4
    for part, ended in ((0.999, True), (1.001, False)):
        norm = curvature * part * tol * length
        path, found = follow([1e9], [norm], (length,), tol=tol, lowest=curvature, highest=100.0)
        assert found is ended
        assert (path.status is Status.CONVERGED) is ended


@pytest.mark.parametrize("curvature", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("least", [1e-6, 1.0])
def test_what_the_loss_is_above_its_minimum_is_to_be_a_part_of_it(curvature, least):
    """λd²/2 above the minimum, and the parameters far from zero."""
    tol = 1e-4
    for part, ended in ((0.998, True), (1.002, False)):
        above = part * tol * least
        distance = (2.0 * above / curvature) ** 0.5
        assert follow([least], [curvature * distance], (1e6,), tol=tol, lowest=curvature, highest=0.0)[1] is ended


def test_without_a_curvature_the_gradient_itself_is_to_be_below_the_tolerance():
    assert follow([1.0], [1e-3], (1e6,), tol=1e-3)[1]
    assert not follow([1.0], [1.001e-3], (1e6,), tol=1e-3)[1]


def test_a_gradient_of_zero_ends_a_path_whatever_the_tolerance():
    assert follow([1.0], [0.0], tol=0.0)[1]
    assert not follow([1.0], [5e-324], tol=0.0)[1]


def test_where_nothing_is_left_the_loss_counts_to_the_rounding_of_its_terms():
    """θ = 1 at a curvature of one: squares of about 1 leave a loss of eps, of which tol is 2e-24, a gradient of 2e-12."""
    assert follow([0.0], [1e-12], tol=1e-8, lowest=1.0, highest=1.0)[1]
    assert not follow([0.0], [1e-11], tol=1e-8, lowest=1.0, highest=1.0)[1]


@pytest.mark.parametrize("highest", [1e-4, 3.0])
def test_a_gradient_of_rounding_ends_a_path_whose_loss_stands(highest):
    """A gradient is a difference of terms of the size λmax‖θ‖, ‖θ‖ = 2 here."""
    unit = EPS * highest * 2.0
    path, ended = follow([1.0] * 9, [unit] * 9, (1.0,) * 4, lowest=1e-30, highest=highest)
    assert ended
    assert path.n_iter == 3
    assert not follow([1.0] * 9, [100.0 * unit] * 9, (1.0,) * 4, lowest=1e-30, highest=highest)[1]


def test_a_loss_that_falls_says_that_a_gradient_is_more_than_rounding():
    falling = [1.0 - 1e-14 * k for k in range(9)]
    assert not follow(falling, [EPS] * 9, (1.0,) * 4, lowest=1e-30, highest=1.0)[1]
    assert not follow([1.0, 1.0, 1.0, 0.9, 0.9, 0.9], [EPS] * 6, (1.0,) * 4, lowest=1e-30, highest=1.0)[1]


def test_a_loss_of_rounding_need_not_be_waited_for():
    assert follow([EPS**2], [EPS], lowest=1e-30, highest=1.0)[0].n_iter == 0
    assert follow([EPS**2], [EPS], lowest=1e-30, highest=1.0)[1]
    assert not follow([1e-20], [EPS], lowest=1e-30, highest=1.0)[1]


# -- standing still ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "ends_at"),
    [
        ([1.0, 0.9, 0.895, 0.894, 0.893, 0.8], 4),  # none of three is a hundredth below 0.9
        ([1.0, 0.9, 0.895, 0.894, 0.890, 0.889, 0.888], None),  # the third is
        ([1.0, 0.9, 0.895, 0.894, 0.890, 0.889, 0.888, 0.887], 7),
        ([-1.0, -1.005, -1.006, -1.009], 3),
        ([-1.0, -1.005, -1.006, -1.011, -1.012], None),
        ([1.0, 1.2, 1.1, 1.0], 3),
    ],
)
def test_patience_is_lost_after_so_many_steps_of_no_gain(losses, ends_at):
    path, ended = follow(losses, tol=0.01, patience=3)
    assert ended is (ends_at is not None)
    if ended:
        assert path.status is Status.PLATEAU
        assert path.n_iter == ends_at


def test_without_a_tolerance_any_gain_counts_and_none_does_not():
    assert not follow([1.0 - 1e-15 * k for k in range(20)], tol=0.0, patience=3)[1]
    assert follow([1.0] * 20, tol=0.0, patience=3)[0].n_iter == 3


def test_there_is_patience_for_ever_unless_told():
    assert not follow([1.0] * 99, tol=0.5)[1]


# -- what is told ------------------------------------------------------------------------------------------------------


def test_who_listens_hears_of_the_start_and_each_iteration_and_may_end_the_path():
    heard = []

    def tell(iteration, theta, loss, norm):
        heard.append((iteration, float(theta[0]), loss, norm))
        return Status.INTERRUPTED if iteration == 2 else None

    path, ended = follow([3.0, 2.0, 1.0, 0.5], [4.0, 5.0, 6.0, 7.0], (8.0,), tell=tell, patience=1, tol=0.01)
    assert ended
    assert heard == [(0, 8.0, 3.0, 4.0), (1, 8.0, 2.0, 5.0), (2, 8.0, 1.0, 6.0)]
    assert path.status is Status.INTERRUPTED
    assert (path.losses, path.gradient_norms) == ([3.0, 2.0, 1.0], [4.0, 5.0, 6.0])


def test_convergence_is_convergence_whoever_ends_the_path():
    path, _ = follow([1.0, 0.5], [1.0, 0.0], tell=lambda k, *_: Status.INTERRUPTED if k else None)
    assert path.status is Status.CONVERGED


# -- divergence --------------------------------------------------------------------------------------------------------

RISING = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]


def test_five_rises_above_the_start_end_a_path():
    with pytest.raises(DivergenceError, match=r"after 5 iterations; the last finite loss was 1\.4,.*Take less\."):
        follow(RISING)
    assert not follow(RISING[:-1])[1]
    assert not follow([*RISING[:-1], 1.3, *RISING[2:-1]])[1]  # a fall between them
    assert not follow([2.0, 0.5, *RISING])[1]  # below the start
    assert not follow([1.0 + 1e-6 * k for k in range(20)])[1]  # no more than rounding may do
    assert not follow(RISING, proven=True)[1]


@pytest.mark.parametrize(("loss", "norm"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, np.inf)])
def test_what_is_no_number_ends_a_path(loss, norm):
    for proven in (False, True):
        with pytest.raises(DivergenceError, match="diverged after 2 iterations; the last finite loss was 2,"):
            follow([3.0, 2.0, loss], [1.0, 1.0, norm], proven=proven)
        with pytest.raises(DivergenceError, match="The loss at the start"):
            follow([loss], [norm], proven=proven)


# -- speed -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("norms", "rate"),
    [
        ([1.0, 0.5, 0.25, 0.125], 0.5),
        ([9.0, 7.0, 8.0, 6.0, 1.0, 0.5, 0.25, 0.125], 0.5),
        ([9.0, 7.0, 8.0, 6.0, 1.0, 0.9, 0.2, 0.125], 0.5),
        ([1.0, 0.5, 0.25], np.nan),
        ([1.0, 0.5, 0.25, 0.0], np.nan),
        ([1.0, 0.5, 0.0, 0.1], np.nan),
    ],
)
def test_the_rate_is_the_mean_one_of_the_second_half(norms, rate):
    assert Path(np.zeros(1), list(norms), list(norms)).observed_rate == pytest.approx(rate, rel=1e-14, nan_ok=True)


def test_iterations_that_remain_are_those_that_halving_takes():
    norms = [1.0, 0.5, 0.25, 0.125]
    path = Path(np.ones(1), [1.0] * 4, norms)
    assert remaining(path, control(tol=1e-3), 0.0, 0.0) == 7.0  # 2⁻¹⁰ is below a thousandth, 2⁻⁹ is not
    assert remaining(path, control(tol=0.0), 0.0, 0.0) == np.inf
    slow = Path(np.ones(1), [1.0] * 4, [1.0] * 4)
    assert remaining(slow, control(tol=1e-3), 0.0, 0.0) == np.inf
    short = Path(np.ones(1), [1.0], [1.0], rate=0.1)
    assert remaining(short, control(tol=1.1e-3), 0.0, 0.0) == 3.0
    assert remaining(Path(np.ones(1), rate=0.1), control(tol=1e-3), 0.0, 0.0) == np.inf


def test_no_iterations_are_no_fewer_than_none():
    assert Path(np.zeros(1)).n_iter == 0
    assert Path(np.zeros(1), [1.0]).n_iter == 0
    assert Path(np.zeros(1), [1.0, 2.0]).n_iter == 1


def test_ends_of_a_spectrum():
    assert ends_of(np.array([1.0, 2.0, 5.0])) == (1.0, 5.0)
    assert ends_of(np.zeros(0)) == (0.0, 0.0)
    assert ends_of(None) == (0.0, 0.0)


# -- memory and interruption -------------------------------------------------------------------------------------------


def test_only_what_has_the_shape_asked_for_is_remembered():
    kept = np.ones((2, 3))
    memory = control(memory={"steps": kept, "radius": 2})
    found = memory.remembered("steps", (-1, 3))
    np.testing.assert_array_equal(found, kept)
    found[:] = 0.0
    assert kept.all()
    assert memory.remembered("radius", ()) == 2.0
    for shape in ((2, 4), (3, 3), (2,), (2, 3, 1), (6,)):
        assert memory.remembered("steps", shape) is None
    assert memory.remembered("moments", (2, 3)) is None


def test_an_interruption_keeps_where_the_path_is_once_it_has_begun():
    def interrupted(monitor):
        monitor.note(np.array([5.0]), 1.0, 1.0)
        raise KeyboardInterrupt

    def at_once(monitor):
        raise KeyboardInterrupt

    path = run_monitored(interrupted, ConvergenceMonitor(control(), np.zeros(1), 0.0, ""))
    assert path.status is Status.INTERRUPTED
    assert path.theta == [5.0]
    with pytest.raises(KeyboardInterrupt):
        run_monitored(at_once, ConvergenceMonitor(control(), np.zeros(1), 0.0, ""))
