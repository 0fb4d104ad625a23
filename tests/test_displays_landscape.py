"""Maps of the objective: contours, the optimum, the path, words in the room there is, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from watching import needs_callbacks

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import LandscapeDisplay
from mle_regression.displays.landscape import contour_levels
from mle_regression.displays.words import direction_text
from mle_regression.estimator.callbacks import PathRecorder

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")
import matplotlib as mpl
import matplotlib.pyplot as plt
from drawn_displays import awkward_rows, faults

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def rows(rng):
    X = pd.DataFrame(rng.standard_normal((60, 3)), columns=["a", "b", "c"])
    return X, pd.Series(X.to_numpy() @ [1.0, -2.0, 0.5] + rng.standard_normal(60), name="price")


@pytest.fixture
def at_a_saddle(rng):
    X = rng.standard_normal((80, 2))
    y = X[:, 0] + 0.5 * X[:, 1]
    net = MLPGradientRegressor((2,), solver="lbfgs", alpha=1e5, early_stopping=False, random_state=0, warm_start=True)
    return net.fit(X, y).set_params(alpha=0.1).fit(X, y), X, y


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_numbers_are_those_of_the_diagnosis_and_the_artists_those_of_the_numbers(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    shown = LandscapeDisplay.from_estimator(model, X, y, directions=("a", "b"))
    seen = model.diagnose(X, y).landscape(("a", "b"))
    np.testing.assert_array_equal(shown.landscape.values, seen.values)
    np.testing.assert_array_equal(np.ravel(shown.optimum_.get_data()), seen.optimum)
    np.testing.assert_allclose(shown.contours_.levels, [seen.values.min(), *shown.levels])
    assert shown.path_ is None
    assert (shown.ax_.get_xlabel(), shown.ax_.get_ylabel()) == ("a", "b")
    assert shown.ax_.get_xlim() == (seen.x[0], seen.x[-1])
    assert f"J = {seen.loss:.4g}" in shown.ax_.get_title()
    assert legend(shown.ax_) == ["fit: unique minimum"]
    again = LandscapeDisplay(seen).plot()
    np.testing.assert_array_equal(again.levels, shown.levels)


@needs_callbacks
def test_a_path_is_drawn_from_its_start_to_the_fit(rows):
    X, y = rows
    recorder = PathRecorder()
    model = MLELinearRegressor(solver="gd").set_callbacks(recorder).fit(X, y)
    shown = LandscapeDisplay.from_estimator(model, X, y, path=recorder)
    drawn = np.column_stack(shown.path_.get_data())
    assert len(drawn) == 1 + model.n_iter_
    np.testing.assert_allclose(drawn[-1], 0, atol=1e-6)
    assert legend(shown.ax_)[0].startswith(f"path of {model.n_iter_} steps")
    assert "from above" in legend(shown.ax_)[0]  # three coefficients, and a plane
    plane = LandscapeDisplay.from_estimator(
        MLELinearRegressor(solver="gd").set_callbacks(recorder).fit(X[["a", "b"]], y), X[["a", "b"]], y, path=recorder
    )
    assert "from above" not in legend(plane.ax_)[0]


@pytest.mark.parametrize("width", [4.0, 10.0])
@pytest.mark.parametrize("style", ["default", "dark_background", "grayscale"])
def test_a_saddle_point_has_its_level_and_its_way_down(width, style, at_a_saddle):
    net, X, y = at_a_saddle
    with plt.style.context(style):
        shown = LandscapeDisplay.from_estimator(net, X, y, width=width)
        assert not faults(shown.figure_)
    assert "J of the saddle point" in legend(shown.ax_)
    assert "fit: saddle point" in legend(shown.ax_)
    assert shown.optimum_.get_marker() == "X"
    assert shown.ax_.get_xlabel().startswith("way down (curvature −")
    assert shown.landscape.values.min() < shown.landscape.loss < shown.levels[-1]


@needs_callbacks
@pytest.mark.parametrize("width", [4.0, 10.0])
def test_words_of_awkward_names_and_paths_do_not_overlap(width, rng):
    X, y = awkward_rows(rng)
    recorder = PathRecorder()
    model = MLELinearRegressor(solver="gd", max_iter=30).set_callbacks(recorder).fit(X, y)
    for directions in ("extremes", (1, 2)):
        assert not faults(
            LandscapeDisplay.from_estimator(model, X, y, path=recorder, directions=directions, width=width).figure_
        )


def test_columns_of_a_pipeline_keep_their_names(rows):
    X, y = rows
    pipe = make_pipeline(StandardScaler(), MLPGradientRegressor((2,), alpha=0.1, random_state=0)).fit(X, y)
    shown = LandscapeDisplay.from_estimator(pipe, X, y, n_points=5)
    assert "a > h1.0" in shown.landscape.directions.index
    assert shown.landscape.values.shape == (5, 5)


def test_contours_are_at_multiples_of_their_heights():
    x = np.linspace(-1, 1, 41)
    levels = contour_levels(3.0 + 1e-3 * x**2 + x[:, None] ** 2)
    heights = levels - 3.0
    np.testing.assert_allclose(heights[1:] / heights[:-1], heights[1] / heights[0], rtol=1e-6)
    assert heights[0] == pytest.approx(1e-4, rel=1e-6)  # a tenth of the edge along the valley: closed
    assert levels[-1] == pytest.approx(4.001)


@pytest.mark.parametrize("case", ["constant", "exact", "flat", "few rows", "one column"])
def test_degenerate_fits_are_drawn(case, rng):
    X = rng.standard_normal((30, 2))
    y = X[:, 0] + rng.standard_normal(30)
    if case == "constant":
        y = np.full(30, 2.0)
    elif case == "exact":
        y = X @ [1.0, 2.0] + 3.0
    elif case == "flat":
        X = np.column_stack([X, X[:, 0]])
    elif case == "few rows":
        X, y = rng.standard_normal((5, 9)), rng.standard_normal(5)
    else:
        X = X[:, :1]
    model = MLELinearRegressor(on_rank_deficiency="min_norm")
    with pytest.warns() if case in ("constant", "exact", "few rows") else _nothing():
        model.fit(X, y)
    assert not faults(LandscapeDisplay.from_estimator(model, X, y, width=4.0).figure_)


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def test_other_models_and_nan_are_refused(rows):
    X, y = rows
    with pytest.raises(ValueError, match="Ridge has no objective that is known here"):
        LandscapeDisplay.from_estimator(Ridge().fit(X, y), X, y)
    transformed = TransformedTargetRegressor(MLELinearRegressor(), func=np.log1p, inverse_func=np.expm1)
    with pytest.raises(ValueError, match="TransformedTargetRegressor has no objective.*Draw its regressor_ with y"):
        LandscapeDisplay.from_estimator(transformed.fit(X, y**2), X, y**2)
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match="NaN or infinity"):
        LandscapeDisplay.from_estimator(model, X.where(X > -1), y)


def test_directions_in_few_letters():
    names = ["a name that goes on and on", "b", "c"]
    direction = np.array([0.7, -0.69, 0.2])
    assert direction_text(direction, names, 60) == "0.7 a name that goes on and on − 0.69 b + 0.2 c"
    short = direction_text(direction, names, 36)
    assert len(short) <= 36
    assert short.endswith("on − 0.69 b")
    assert direction_text(-direction[:1], names, 8).startswith("−0.7 a")


def test_a_network_has_one_objective_for_all_outputs(rows):
    X, y = rows
    Y = pd.DataFrame({"price": y, "rent": y**2})
    net = MLPGradientRegressor((2,), alpha=0.1, random_state=0).fit(X, Y)
    plain = LandscapeDisplay.from_estimator(net, X, Y, n_points=5)
    chosen = LandscapeDisplay.from_estimator(net, X, Y, n_points=5, output="rent")
    np.testing.assert_array_equal(chosen.landscape.values, plain.landscape.values)
    with pytest.raises(ValueError, match="output='sale' is none of the outputs"):
        LandscapeDisplay.from_estimator(net, X, Y, output="sale")
