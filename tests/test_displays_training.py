"""Pictures of training: curves of the fit, what was kept, where it stopped and why, the path of penalties."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import TrainingDisplay
from mle_regression.displays.training import ENDINGS, PenaltyPath
from mle_regression.solvers.base import Status

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")
import matplotlib as mpl
import matplotlib.pyplot as plt
from drawn_displays import faults

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def rows(rng):
    X = pd.DataFrame(rng.standard_normal((90, 2)), columns=["a", "b"])
    return X, np.sin(2 * X["a"]) + X["b"] + 0.5 * rng.standard_normal(90)


def line(ax):
    return np.column_stack(ax.lines[0].get_data())


def title(ax):
    """The title of axes as one line."""
    return " ".join(ax.get_title().split())


def test_every_way_to_end_has_words():
    assert set(ENDINGS) == {status.name.lower() for status in Status}


def test_curves_of_a_network_with_rows_held_out(rows):
    X, y = rows
    net = MLPGradientRegressor((20,), alpha=0.0, early_stopping=True, solver="lbfgs", random_state=0).fit(X, y)
    shown = TrainingDisplay.from_estimator(net, X, y)
    assert shown.panels == ("loss", "gradient", "held_out")
    loss, gradient, held_out = shown.ax_
    np.testing.assert_array_equal(line(loss)[:, 1], net.loss_curve_)
    np.testing.assert_array_equal(line(loss)[:, 0], np.arange(1 + len(net.validation_curve_)))
    np.testing.assert_array_equal(line(gradient)[:, 1], net.gradient_curve_)
    np.testing.assert_array_equal(line(held_out)[:, 1], net.validation_curve_)
    best = 1 + int(np.argmax(net.validation_curve_))
    assert shown.kept == best
    np.testing.assert_allclose(net.loss_curve_[best], net.loss_, rtol=1e-9)  # the parameters kept are those
    assert f"kept: iteration {best}" in [text.get_text() for text in held_out.get_legend().get_texts()]
    assert title(loss) == f"lbfgs, {len(net.loss_curve_) - 1} iterations: held-out rows become no likelier"
    assert gradient.get_yscale() == "log"


def test_rows_that_are_watched_only_decide_nothing(rows):
    X, y = rows
    net = MLPGradientRegressor((4,), alpha=0.1, early_stopping=False, random_state=0).fit(
        X[:60], y[:60], X_val=X[60:], y_val=y[60:]
    )
    shown = TrainingDisplay.from_estimator(net)
    assert "held_out" in shown.panels
    assert shown.kept == len(net.loss_curve_) - 1
    assert "the gradient vanishes" in title(shown.ax_[0])


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_path_of_penalties_by_rows_left_out(outputs, rows):
    X, y = rows
    y = y if outputs == 1 else pd.DataFrame({"p": y, "q": y**2})
    which = None if outputs == 1 else "q"
    net = MLPGradientRegressor((3,), alpha="loo", random_state=0).fit(X, y)
    shown = TrainingDisplay.from_estimator(net, X, y, kind="penalty", output=which)
    score = net.alpha_path_["score"]
    expected = score if outputs == 1 else score[:, 1]
    order = np.argsort(net.alpha_path_["penalty"])
    np.testing.assert_array_equal(line(shown.ax_), np.column_stack([net.alpha_path_["penalty"], expected])[order])
    assert shown.penalties.chosen == net.alpha_
    assert np.ravel(shown.ax_.lines[1].get_xdata())[0] == net.alpha_
    if outputs == 2:
        with pytest.raises(ValueError, match=r"output=.*'p', 'q'"):
            TrainingDisplay.from_estimator(net, X, y)


def test_penalties_of_a_linear_model_and_each_output_its_own(rows):
    X, y = rows
    Y = np.column_stack([y, y**2])
    model = MLELinearRegressor(alpha="loo", alpha_per="output").fit(X, Y)
    shown = TrainingDisplay.from_estimator(model, X, Y, output=1)
    assert shown.penalties.chosen == model.alpha_[1]
    assert not faults(shown.figure_)


def test_an_iterative_solver_and_a_direct_one(rows):
    X, y = rows
    gd = TrainingDisplay.from_estimator(MLELinearRegressor(solver="gd").fit(X, y), X, y)
    assert gd.panels == ("loss", "gradient")
    assert title(gd.ax_[0]).endswith("the gradient vanishes")
    model = MLELinearRegressor().fit(X, y)
    direct = TrainingDisplay.from_estimator(model, X, y)
    np.testing.assert_allclose(direct.loss, [np.var(y), np.mean((y - model.predict(X)) ** 2)])
    assert title(direct.ax_[0]) == "normal: solved in one step"
    assert [tick.get_text() for tick in direct.ax_[0].get_xticklabels()] == ["best constant", "fit"]
    short = TrainingDisplay.from_estimator(MLELinearRegressor(solver="gd", max_iter=2).fit(X, y))
    assert title(short.ax_[0]) == "gd, 2 iterations: max_iter reached"


@pytest.mark.parametrize("width", [4.0, 10.0])
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_all_panels_in_any_size_and_style(width, style):
    path = PenaltyPath(np.array([0.0, 1e-3, 1.0, 1e4]), np.array([4e6, 3e6, 2e6, 9e6]), np.full(4, np.nan), 1.0)
    loss = np.geomspace(1e5, 1e-3, 3000)
    with plt.style.context(style):
        shown = TrainingDisplay(
            loss=loss,
            gradient=loss,
            held_out=-loss[1:],
            penalties=path,
            solver="lbfgs",
            stop_reason="plateau",
            kept=700,
        ).plot(width=width)
        assert not faults(shown.figure_)
    assert len(shown.ax_) == 4


@pytest.mark.parametrize("loss", [[0.0, 0.0], [1.0, np.inf], [-3.0, -4.0], [1e-300, 1e-310], [5.0]])
def test_curves_of_any_size_are_drawn(loss):
    assert not faults(TrainingDisplay(loss=loss, gradient=loss).plot(width=4.0).figure_)


def test_a_pipeline_a_fit_without_rows_and_what_is_refused(rows):
    X, y = rows
    pipe = make_pipeline(StandardScaler(), MLPGradientRegressor((2,), alpha=0.1, early_stopping=False, random_state=0))
    shown = TrainingDisplay.from_estimator(pipe.fit(X, y))
    with pytest.raises(ValueError, match="kind='held_out' is not known of this fit, which has 'loss', 'gradient'"):
        shown.plot(kind="held_out")
    with pytest.raises(ValueError, match="SGDRegressor does not tell how it was fitted"):
        TrainingDisplay.from_estimator(make_pipeline(StandardScaler(), SGDRegressor()).fit(X, y), X, y)
