"""The objective on a plane: values against the objective itself, paths where they went, and what cannot be drawn."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from watching import needs_callbacks

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.estimator.callbacks import PathRecorder
from mle_regression.objective.slices import Plane, squares_on, values_on
from mle_regression.reports.landscape import chosen_path, window
from mle_regression.reports.network import landscape as network_landscape

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def rows(rng):
    X = pd.DataFrame(rng.standard_normal((80, 3)) * [1.0, 50.0, 1e-3] + [3.0, 0.0, 1.0], columns=["a", "b", "c"])
    y = X @ [1.0, 0.1, 2000.0] + rng.standard_normal(80)
    return X, y, rng.uniform(0, 3, 80) * (rng.uniform(size=80) > 0.2)


def best_intercept(X, y, w, coef):
    return np.average(y - X @ coef, weights=w)


def objective(X, y, w, intercept, coef, alpha=0.0):
    """J in units of the spread of y."""
    spread = np.average((y - np.average(y, weights=w)) ** 2, weights=w)
    return (np.average((y - intercept - X @ coef) ** 2, weights=w) + alpha * coef @ coef / w.sum()) / spread


def test_squares_on_a_plane_are_a_quadratic(rng):
    A, r, w = rng.standard_normal((30, 4)), rng.standard_normal(30), rng.uniform(0, 2, 30)
    theta, d, D = rng.standard_normal(4), rng.uniform(0, 3, 4), rng.standard_normal((4, 2))

    def value(at):
        return (w @ (r - A @ (at - theta)) ** 2 + d @ at**2) / w.sum()

    x, y = np.linspace(-1, 2, 4), np.linspace(0, 3, 5)
    expected = values_on(Plane(theta, D), value, x, y)
    np.testing.assert_allclose(squares_on(r, A @ D, w, d, theta, D).values(x, y), expected, rtol=1e-12)


def test_points_off_a_plane_are_seen_from_above():
    plane = Plane(np.array([1.0, 0.0, 0.0]), np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]))
    places, off = plane.coordinates(np.array([[4.0, 4.0, 5.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(places, [[1.0, 2.0], [0.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(off, [5.0, 0.0], atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", ["frame", "sparse"])
def test_two_coefficients_with_the_best_intercept(alpha, weighted, container, rows):
    X, y, w = rows
    X = X * [1.0, 1.0, 1e3]  # so that a penalty on c does not rule all
    given = sp.csr_array(X.to_numpy()) if container == "sparse" else X
    model = MLELinearRegressor(alpha=alpha).fit(given, y, w if weighted else None)
    columns = (2, 3) if container == "sparse" else ("b", "c")
    seen = model.diagnose(given, y, w if weighted else None).landscape(columns)
    w = w if weighted else np.ones(len(y))
    np.testing.assert_allclose(seen.optimum, model.coef_[1:], rtol=1e-12)
    assert seen.of_parameters
    for i, j in ((0, 0), (80, 80), (7, 155)):
        coef = np.array([model.coef_[0], seen.x[j], seen.y[i]])
        expected = objective(X, y, w, best_intercept(X, y, w, coef), coef, alpha)
        assert seen.values[i, j] == pytest.approx(expected, rel=1e-9)
    assert seen.loss == pytest.approx(objective(X, y, w, model.intercept_, model.coef_, alpha), rel=1e-9)
    assert seen.values.min() >= seen.loss * (1 - 1e-12)
    # as far as back to zero, whichever coefficient is the larger
    assert min(seen.x[0], seen.y[0]) < 0 < max(seen.x[-1], seen.y[-1])


def test_intercept_and_slope(rows):
    X, y, _ = rows
    model = MLELinearRegressor().fit(X, y)
    seen = model.diagnose(X, y).landscape(("intercept", "b"), radius=0.5, n_points=5)
    coef = np.array([model.coef_[0], seen.y[4], model.coef_[2]])
    assert seen.values[4, 1] == pytest.approx(objective(X, y, np.ones(80), seen.x[1], coef), rel=1e-9)
    assert seen.names == ("intercept", "b")
    alone = MLELinearRegressor().fit(X[["a"]], y)
    found = alone.diagnose(X[["a"]], y).landscape()
    assert found.names == ("intercept", "a")
    np.testing.assert_allclose(found.optimum, [alone.intercept_, alone.coef_[0]], rtol=1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_extremes_are_those_of_the_hessian_in_standard_units(fit_intercept, rng):
    X = rng.standard_normal((60, 4)) * [1.0, 1e3, 1e-3, 1.0]
    X[:, 3] = X[:, 0] + 0.01 * rng.standard_normal(60)
    y = X @ [1.0, 1e-3, 1e3, 1.0] + rng.standard_normal(60)
    model = MLELinearRegressor(fit_intercept=fit_intercept).fit(X, y)
    seen = model.diagnose(X, y).landscape()
    Z = (X - X.mean(axis=0) * fit_intercept) / X.std(axis=0)
    values, vectors = np.linalg.eigh(2 / 60 * Z.T @ Z)
    np.testing.assert_allclose(seen.curvatures, values[[0, -1]], rtol=1e-6)
    np.testing.assert_allclose(np.abs(seen.directions.T @ vectors[:, [0, -1]]), np.eye(2), atol=1e-6)
    np.testing.assert_array_equal(seen.optimum, [0, 0])
    # J rises by half the curvature times the distance squared
    np.testing.assert_allclose(seen.values[80] - seen.loss, 0.5 * seen.curvatures[0] * seen.x**2, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        seen.values[:, 80] - seen.loss, 0.5 * seen.curvatures[1] * seen.y**2, rtol=1e-6, atol=1e-12
    )


def test_a_flat_valley_is_flat():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 2))
    X = np.column_stack([X, X[:, 0] - X[:, 1]])
    y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(50)
    seen = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, y).diagnose(X, y).landscape()
    assert seen.verdict == "flat minimum"
    assert abs(seen.curvatures[0]) < 1e-12 < seen.curvatures[1]
    np.testing.assert_allclose(seen.values[80], seen.loss, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_units_do_not_change_the_picture(unit, rows):
    X, y, _ = rows
    plain = MLELinearRegressor().fit(X, y).diagnose(X, y).landscape()
    scaled = MLELinearRegressor().fit(X * [1.0, unit, 1.0], y / unit).diagnose(X * [1.0, unit, 1.0], y / unit)
    seen = scaled.landscape()
    np.testing.assert_allclose(seen.values, plain.values, rtol=1e-7)
    np.testing.assert_allclose(seen.x, plain.x, rtol=1e-7)
    pair = scaled.landscape(("a", "b"))
    np.testing.assert_allclose(
        pair.values, MLELinearRegressor().fit(X, y).diagnose(X, y).landscape(("a", "b")).values, rtol=1e-7
    )


def test_outputs_have_landscapes_of_their_own(rows):
    X, y, _ = rows
    Y = pd.DataFrame({"first": y, "second": X["a"] ** 2})
    single = MLELinearRegressor().fit(X, Y["second"]).diagnose(X, Y["second"]).landscape(("a", "b"))
    both = MLELinearRegressor().fit(X, Y).diagnose(X, Y)
    for output in ("second", 1):
        np.testing.assert_allclose(both.landscape(("a", "b"), output=output).values, single.values, rtol=1e-9)
    with pytest.raises(ValueError, match="output=None must be one of the outputs: 'first', 'second'"):
        both.landscape()
    joint = MLELinearRegressor(alpha=[0.0, 2.0]).fit(X, Y).diagnose(X, Y)
    alone = MLELinearRegressor(alpha=2.0).fit(X, Y["second"]).diagnose(X, Y["second"])
    np.testing.assert_allclose(joint.landscape(output="second").values, alone.landscape().values, rtol=1e-7)


@needs_callbacks
def test_the_path_of_a_linear_model_goes_down_to_the_fit(rows):
    X, y, w = rows
    recorder = PathRecorder()
    X = X[["a", "b"]]
    model = MLELinearRegressor(solver="gd").set_callbacks(recorder).fit(X, y, w)
    seen = model.diagnose(X, y, w).landscape(("a", "b"), path=recorder)
    steps = np.array(recorder.paths[0])[:, 1:, 0]
    np.testing.assert_allclose(seen.path, steps, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(seen.off_plane, 0, atol=1e-12)  # two columns are all there is
    np.testing.assert_allclose(seen.path[-1], seen.optimum, rtol=1e-9)
    assert (seen.x[0] < steps[:, 0]).all()
    assert (steps[:, 0] < seen.x[-1]).all()
    assert (seen.y[0] < steps[:, 1]).all()
    assert (steps[:, 1] < seen.y[-1]).all()
    given = model.diagnose(X, y, w).landscape(("a", "b"), path=np.array(recorder.paths[0])[:, :, 0])
    np.testing.assert_array_equal(given.path, seen.path)


def test_a_path_that_is_given_is_seen_on_the_plane(rows):
    X, y, _ = rows
    model = MLELinearRegressor().fit(X, y)
    end = np.r_[model.intercept_, model.coef_]
    steps = np.array([np.zeros(4), 0.5 * end, end])
    seen = model.diagnose(X, y).landscape(("b", "c"), path=steps)
    np.testing.assert_allclose(seen.path, steps[:, 2:], rtol=1e-9, atol=1e-12)
    spread = X["a"].std(ddof=0) / y.std(ddof=0)  # what is off the plane is the coefficient of a
    np.testing.assert_allclose(seen.off_plane, np.abs(end[1] - steps[:, 1]) * spread, rtol=1e-9, atol=1e-12)
    net = MLPGradientRegressor((2,), alpha=0.1, early_stopping=False, random_state=0).fit(X, y)
    theta = net._fit.theta
    seen = net.diagnose(X, y).landscape((0, 5), path=[np.zeros_like(theta), theta], n_points=5)
    np.testing.assert_allclose(seen.path, [[0.0, 0.0], theta[[0, 5]]], atol=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_size_of_all_weights_changes_nothing(size, rows):
    X, y, w = rows
    plain = MLELinearRegressor().fit(X, y, w).diagnose(X, y, w).landscape(("a", "b"))
    sized = MLELinearRegressor().fit(X, y, size * w).diagnose(X, y, size * w).landscape(("a", "b"))
    np.testing.assert_allclose(sized.values, plain.values, rtol=1e-9)


@needs_callbacks
def test_of_several_networks_the_path_to_the_fit_is_taken(rows):
    X, y, _ = rows
    recorder = PathRecorder()
    net = MLPGradientRegressor((3,), alpha=0.1, n_init=3, early_stopping=False, random_state=0, solver="lbfgs")
    seen = net.set_callbacks(recorder).fit(X, y).diagnose(X, y).landscape(path=recorder)
    assert len(recorder.paths) >= 3
    np.testing.assert_allclose(seen.path[-1], seen.optimum, atol=1e-9)
    assert len(seen.path) == 1 + net.n_iter_
    assert seen.off_plane[0] > 0.1


@pytest.mark.parametrize("directions", ["extremes", ("a > h1.0", "h1.2 > y"), (0, 3)])
def test_a_network_on_a_plane(directions, rows):
    X, y, w = rows
    net = MLPGradientRegressor((3,), alpha=0.1, early_stopping=False, random_state=0).fit(X, y, w)
    seen = net.diagnose(X, y, w).landscape(directions, n_points=5)
    objective = net._fit.objective(X.to_numpy(), y.to_numpy()[:, None], w)
    spanned = seen.directions.to_numpy()
    for i, j in ((0, 0), (2, 2), (4, 1)):
        at = net._fit.theta + spanned @ [seen.x[j] - seen.optimum[0], seen.y[i] - seen.optimum[1]]
        assert seen.values[i, j] == pytest.approx(objective.value_and_gradient(at)[0], rel=1e-10)
    assert seen.loss == pytest.approx(net.loss_, rel=1e-10)
    step = 1e-3
    for k, direction in enumerate(spanned.T):
        ends = [objective.value_and_gradient(net._fit.theta + sign * step * direction)[0] for sign in (-1, 0, 1)]
        assert seen.curvatures[k] == pytest.approx((ends[0] - 2 * ends[1] + ends[2]) / step**2, rel=1e-3, abs=1e-6)
    if directions != "extremes":
        position = (0, 3 * 4 + 2) if directions[0] != 0 else (0, 3)
        np.testing.assert_array_equal(seen.optimum, net._fit.theta[list(position)])
        assert seen.names == tuple(seen.directions.index[list(position)])


def test_the_way_down_from_a_saddle_point(rng):
    X = rng.standard_normal((100, 2))
    y = X[:, 0] + 0.5 * X[:, 1]
    net = MLPGradientRegressor((2,), solver="lbfgs", alpha=1e5, early_stopping=False, random_state=0, warm_start=True)
    net.fit(X, y).set_params(alpha=0.1).fit(X, y)  # weights that a strong penalty has taken away do not come back
    seen = net.diagnose(X, y).landscape()
    assert seen.verdict == "saddle point"
    assert seen.names == ("way down", "steepest")
    assert seen.curvatures[0] < 0 < seen.curvatures[1]
    assert seen.values.min() < seen.loss - 0.1
    escape = net.diagnose(X, y).curvature().escape
    assert seen.x[-1] == pytest.approx(2.0 * escape.step, rel=1e-9)  # beyond where the loss was lowest, 1.25 times 1.6
    assert seen.directions.T.to_numpy() @ seen.directions.to_numpy() == pytest.approx(np.eye(2), abs=1e-12)


def test_a_way_down_that_is_no_eigenvector_is_crossed_at_a_right_angle():
    escape = np.array([0.6, 0.8, 0.0])
    spectrum = SimpleNamespace(vectors=np.eye(3), values=np.array([-1.0, 0.0, 2.0]))
    judgement = SimpleNamespace(verdict="saddle point", escape=SimpleNamespace(direction=escape))
    skew = np.array([0.0, 0.6, 0.8])
    spectrum.vectors[:, -1] = skew
    vectors, names = network_landscape._extremes(SimpleNamespace(spectrum=spectrum, judgement=judgement))
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(2), atol=1e-12)
    np.testing.assert_array_equal(vectors[:, 0], escape)
    assert np.linalg.matrix_rank(np.column_stack([vectors, skew]), tol=1e-9) == 2
    assert names == ("way down", "steepest")
    judgement.verdict = "minimum"
    vectors, names = network_landscape._extremes(SimpleNamespace(spectrum=spectrum, judgement=judgement))
    np.testing.assert_array_equal(vectors, spectrum.vectors[:, [0, -1]])
    assert names == ("lowest", "steepest")


def test_a_large_network_is_not_judged_for_the_sake_of_two_parameters(rows, monkeypatch):
    X, y, _ = rows
    net = MLPGradientRegressor((2,), alpha=0.1, early_stopping=False, random_state=0).fit(X, y)
    few = net.diagnose(X, y).landscape((0, 1), n_points=5)
    assert few.verdict == "minimum"
    monkeypatch.setattr(network_landscape, "_SOON_JUDGED", 3)
    many = net.diagnose(X, y).landscape((0, 1), n_points=5)
    assert many.verdict == ""
    np.testing.assert_array_equal(many.values, few.values)
    extremes = net.diagnose(X, y).landscape(n_points=5)  # by products now
    assert extremes.verdict == "minimum"


def test_many_rows_are_thinned(rng, monkeypatch):
    X = rng.standard_normal((4000, 2))
    y = np.tanh(X[:, 0]) + 0.1 * rng.standard_normal(4000)
    net = MLPGradientRegressor((3,), alpha=0.1, early_stopping=False, random_state=0).fit(X, y)
    whole = net.diagnose(X, y).landscape(n_points=5)
    monkeypatch.setattr(network_landscape, "_WORK_A_PLACE", 500 * len(net._fit.theta))
    some = net.diagnose(X, y).landscape(n_points=5)
    assert (whole.n_rows, whole.n_rows_given) == (4000, 4000)
    assert (some.n_rows, some.n_rows_given) == (500, 4000)
    np.testing.assert_allclose(some.values, whole.values, rtol=0.3)


def test_what_cannot_be_drawn_is_said(rows):
    X, y, _ = rows
    model = MLELinearRegressor().fit(X, y)
    diagnosis = model.diagnose(X, y)
    for directions, said in (
        ("steep", "must be 'extremes', or the names of two parameters"),
        (("a",), "must be 'extremes', or the names of two"),
        (("a", "a"), "names one parameter twice"),
        (("a", "bb"), "'bb', which is no parameter of the fit; near are 'b'"),
        ((1, 9), "9, which is no parameter"),
    ):
        with pytest.raises(ValueError, match=said):
            diagnosis.landscape(directions)
    with pytest.raises(ValueError, match="radius=-1 must be"):
        diagnosis.landscape(radius=-1)
    with pytest.raises(ValueError, match="n_points=2 must be 3 or more"):
        diagnosis.landscape(n_points=2)
    with pytest.raises(ValueError, match=r"path has steps of shape \(7,\), and the parameters of this fit are"):
        diagnosis.landscape(path=np.zeros((5, 7)))
    with pytest.raises(ValueError, match="path has no steps"):
        diagnosis.landscape(path=PathRecorder())
    one = MLELinearRegressor(fit_intercept=False).fit(X[["a"]], y)
    with pytest.raises(ValueError, match="A plane takes two parameters, and this fit has 'a'"):
        one.diagnose(X[["a"]], y).landscape()


def test_the_fit_is_one_of_the_places(rows):
    X, y, _ = rows
    net = MLPGradientRegressor((2,), alpha=0.1, early_stopping=False, random_state=0).fit(X, y)
    theta = net._fit.theta
    for directions in ("extremes", (0, 5)):
        away = [theta + 3.0, theta]
        seen = net.diagnose(X, y).landscape(directions, path=away, n_points=6)
        assert (len(seen.x), len(seen.y)) in [(6, 7), (7, 6), (7, 7), (6, 6)]
        row, column = (
            int(np.flatnonzero(axis == at)[0]) for axis, at in zip((seen.y, seen.x), seen.optimum[::-1], strict=True)
        )
        assert seen.values[row, column] == pytest.approx(seen.loss, rel=1e-12)
        assert seen.values.min() == pytest.approx(seen.loss, rel=1e-12)


def test_a_window_is_square_and_shows_path_and_fit():
    nothing = np.zeros((0, 2))
    path = np.array([[-4.0, 1.0], [0.0, 2.0]])
    ends = window(path, nothing, None, 1.0)
    np.testing.assert_allclose(
        ends, [[-5.0, 1.0], [-2.0, 4.0]]
    )  # a quarter of 4 beyond what is to be seen, to all sides
    np.testing.assert_allclose(window(path, nothing, 0.5, 1.0), [[-0.5, 0.5]] * 2)
    np.testing.assert_allclose(window(nothing, np.array([[0.0, -2.0]]), None, 1.0), [[-2.5, 2.5]] * 2)
    np.testing.assert_allclose(window(np.zeros((3, 2)), nothing, None, 1.5), [[-1.5, 1.5]] * 2)  # it has not moved
    np.testing.assert_allclose(window(nothing, nothing, None, 1.5), [[-1.5, 1.5]] * 2)


def test_of_several_paths_that_which_ends_next_to_the_fit():
    end = np.array([3.0, 4.0])
    near, far = [np.zeros(2), end + 0.1], [end, np.zeros(2)]
    recorder = PathRecorder()
    recorder.paths = [far, near, [np.zeros(5)]]  # the last is of a network of another size
    np.testing.assert_array_equal(chosen_path(recorder, [(2,)], end), near)
    assert chosen_path(None, [(2,)], end).shape == (0, 2)


def test_eigenvectors_along_a_column_are_no_parameters():
    X = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) * [1.0, 2.0]
    y = X @ [1.0, 1.0] + [0.1, -0.2, 0.3, -0.2]
    seen = MLELinearRegressor().fit(X, y).diagnose(X, y).landscape()
    assert (np.count_nonzero(seen.directions.to_numpy(), axis=0) == 1).all()
    assert not seen.of_parameters
    np.testing.assert_array_equal(seen.optimum, [0, 0])
    assert (seen.directions.to_numpy().max(axis=0) == 1).all()  # the largest component is positive


@pytest.mark.parametrize("directions", [("a", "c"), ("c", "intercept"), (1, 2), ("intercept", 1)])
def test_the_intercept_is_free_unless_it_is_an_axis(directions, rows):
    X, y, _ = rows
    model = MLELinearRegressor().fit(X, y)
    seen = model.diagnose(X, y).landscape(directions, n_points=5)
    names = ["intercept", "a", "b", "c"]
    params = dict(zip(names, np.r_[model.intercept_, model.coef_], strict=True))
    first, second = (one if isinstance(one, str) else names[one] for one in directions)
    assert seen.names == (first, second)
    params[first], params[second] = seen.x[4], seen.y[0]
    coef = np.array([params[name] for name in names[1:]])
    free = "intercept" not in (first, second)
    intercept = best_intercept(X, y, np.ones(80), coef) if free else params["intercept"]
    assert seen.values[0, 4] == pytest.approx(objective(X, y, np.ones(80), intercept, coef), rel=1e-9)


@pytest.mark.parametrize("constant", [1e6, -2.0])
def test_a_column_that_does_not_vary_is_measured_by_its_size(constant, rows):
    X, y, _ = rows
    A = np.column_stack([np.full(80, constant), X["a"]])
    seen = MLELinearRegressor(fit_intercept=False).fit(A, y).diagnose(A, y).landscape((0, 1), radius=1.0, n_points=5)
    spread = y.std(ddof=0)
    assert seen.x[-1] - seen.x[0] == pytest.approx(2 * spread / abs(constant), rel=1e-9)
    expected = np.mean((y - A @ [seen.x[0], seen.y[-1]]) ** 2) / spread**2
    assert seen.values[-1, 0] == pytest.approx(expected, rel=1e-9)


def test_new_rows_have_a_landscape_of_their_own(rows):
    X, y, _ = rows
    model = MLELinearRegressor().fit(X[:40], y[:40])
    seen = model.diagnose(X[40:], y[40:]).landscape(("a", "b"))
    assert seen.values.min() < seen.loss  # their optimum is elsewhere
    assert seen.n_rows == 40
