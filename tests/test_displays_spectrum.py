"""Pictures of spectra: signs, bounds and names of eigenvalues one by one, densities of a network's Hessian and its parts."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import SpectrumDisplay
from mle_regression.displays import spectrum as module
from mle_regression.displays.spectrum_panels import SpectralCurves
from mle_regression.linalg.lanczos import Density

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
    X = pd.DataFrame(rng.standard_normal((70, 3)), columns=["a", "b", "c"])
    return X, pd.Series(np.sin(2 * X["a"]) + X["b"] + 0.3 * rng.standard_normal(70), name="y")


def drawn(ax):
    """Eigenvalues by the names of their signs: (ranks, heights)."""
    return {
        one.get_label().split(":")[0]: np.asarray(one.get_offsets())
        for one in ax.collections
        if one.get_label()[0] != "_" and len(one.get_offsets())
    }


def test_eigenvalues_of_a_linear_model_and_its_directions(rows, rng):
    X, y = rows
    X = X.assign(d=X["a"] + 1e-4 * rng.standard_normal(len(X)))
    model = MLELinearRegressor().fit(X, y)
    shown = SpectrumDisplay.from_estimator(model, X, y)
    np.testing.assert_array_equal(shown.eigenvalues, model.hessian_eigenvalues_)
    points = drawn(shown.ax_)["positive"]
    np.testing.assert_allclose(points[:, 1], model.hessian_eigenvalues_)
    np.testing.assert_array_equal(points[:, 0], np.arange(1, 6))
    assert shown.ax_.get_yscale() == "log"
    text = shown.ax_.get_xlabel()
    assert "flattest: 0.71 d − 0.71 a" in text or "flattest: 0.71 a − 0.71 d" in text
    assert "unique minimum" in shown.ax_.get_title()
    assert "condition" in shown.ax_.get_title()


def test_what_is_zero_is_drawn_as_such(rows):
    X, y = rows
    X = X.assign(d=X["a"] + X["c"])
    shown = SpectrumDisplay.from_estimator(MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, y), X, y)
    assert shown.signs.tolist() == [0, 1, 1, 1, 1]
    assert len(drawn(shown.ax_)["zero to its bound"]) == 1
    assert drawn(shown.ax_)["zero to its bound"][0, 1] < 1e-12
    assert "flat minimum" in shown.ax_.get_title()


def test_signs_bounds_and_parts_of_a_network(rng):
    X = rng.standard_normal((80, 2))
    y = X[:, 0] + 0.5 * X[:, 1]
    net = MLPGradientRegressor((2,), solver="lbfgs", alpha=1e5, early_stopping=False, random_state=0, warm_start=True)
    net.fit(X, y).set_params(alpha=0.1).fit(X, y)
    shown = SpectrumDisplay.from_estimator(net, X, y)
    report = net.diagnose(X, y).curvature()
    np.testing.assert_allclose(shown.eigenvalues, report.eigenvalues)
    points = drawn(shown.ax_)
    assert len(points["negative"]) == (report.eigenvalues < -report.error_bounds).sum() > 0
    np.testing.assert_allclose(points["negative"][:, 1], -report.eigenvalues[: len(points["negative"])])
    assert "saddle point" in shown.ax_.get_title()
    assert shown.ax_.get_xlabel().split("\n")[1].startswith("downwards: ")
    np.testing.assert_allclose(shown.parts["gauss_newton"], report.gauss_newton_eigenvalues)
    assert {"Gauss–Newton part", "the rest"} & {line.get_label() for line in shown.ax_.lines}
    assert not faults(shown.figure_)


def test_large_bounds_are_seen():
    directions = pd.DataFrame(np.eye(4), index=list("abcd"))
    shown = SpectrumDisplay(
        eigenvalues=[-3.0, 1e-4, 0.5, 4.0], error_bounds=[1.0, 0.01, 0.2, 1e-9], directions=directions
    ).plot()
    assert shown.signs.tolist() == [-1, 0, 1, 1]
    points = drawn(shown.ax_)
    assert points["zero to its bound"][0, 1] == 0.01  # as high as it may be
    (bars,) = [one for one in shown.ax_.collections if type(one).__name__ == "LineCollection"]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, [[2.0, 4.0], [0.3, 0.7]])
    # signs differ in colour and shape, and what is zero is hollow
    signs = {one.get_label().split(":")[0]: one for one in shown.ax_.collections if one is not bars}
    colours = {name: tuple(one.get_edgecolors()[0]) for name, one in signs.items()}
    assert colours["negative"] != colours["positive"] == colours["zero to its bound"]
    hollow = {name: tuple(one.get_facecolors()[0]) != colours[name] for name, one in signs.items()}
    assert hollow == {"positive": False, "negative": False, "zero to its bound": True}
    assert len({len(one.get_paths()[0].vertices) for one in signs.values()}) == 3


def test_ends_of_a_large_spectrum_stand_apart(rows):
    X, y = rows
    net = MLPGradientRegressor((80,), alpha=0.1, early_stopping=False, max_iter=20, random_state=0).fit(X, y)
    report = net.diagnose(X, y).curvature(3, "extremes")
    shown = SpectrumDisplay(
        eigenvalues=report.eigenvalues,
        error_bounds=report.error_bounds,
        directions=report.eigenvectors,
        size=len(report.eigenvectors),
    ).plot()
    assert [tick.get_text() for tick in shown.ax_.get_xticklabels()] == ["1", "3", "399", "401"]
    low, high = np.split(np.sort(np.vstack(list(drawn(shown.ax_).values()))[:, 0]), 2)
    (between,) = {line.get_xdata()[0] for line in shown.ax_.lines}
    assert high[0] - low[-1] > 1.9
    assert between == pytest.approx(0.5 * (low[-1] + high[0]))
    assert not faults(shown.figure_)


def test_the_density_of_a_network_is_that_of_its_eigenvalues(rows, monkeypatch):
    X, y = rows
    net = MLPGradientRegressor((8,), alpha=0.1, early_stopping=False, max_iter=15, random_state=0).fit(X, y)
    shown = SpectrumDisplay.from_estimator(net, X, y, kind="density")
    place = np.arcsinh(shown.curves.eigenvalue / shown.curves.threshold)
    for values in shown.curves.densities.values():
        assert trapezoid(values, place) / np.log(10) == pytest.approx(len(net._fit.theta), rel=1e-3)
    negative = shown.curves.eigenvalue < 0
    below = trapezoid(shown.curves.densities["hessian"][negative], place[negative]) / np.log(10)
    assert below == pytest.approx((shown.eigenvalues < 0).sum(), abs=1)
    assert {line.get_label() for line in shown.ax_.lines} >= {"Hessian", "Gauss–Newton part", "the rest"}
    monkeypatch.setattr(module, "_ONE_BY_ONE", 10)
    assert SpectrumDisplay.from_estimator(net, X, y).curves is not None  # "auto" of many


@pytest.mark.parametrize("width", [3.2, 4.5, 6.4])
@pytest.mark.parametrize("lowest", [-1e-1, -30.0])
def test_powers_of_ten_stand_apart(width, lowest):
    """As many decades are named on either side as there is room for, however far each reaches."""
    values = np.r_[-np.geomspace(1e-3, -lowest, 300), np.geomspace(1e-4, 30.0, 700)]
    density = Density(values[None], np.full((1, 1000), 1e-3), 1000)
    shown = SpectrumDisplay(
        eigenvalues=values[[0, -1]],
        error_bounds=[1e-9, 1e-9],
        directions=pd.DataFrame(np.eye(1000)[:, :2], index=[f"p{j}" for j in range(1000)]),
        curves=SpectralCurves.of({"hessian": density}),
        size=1000,
    )
    assert not faults(shown.plot(width=width).figure_)
    assert len(shown.ax_.get_xticks()) >= 4


def test_the_density_by_quadrature_is_near_that_of_all(rng):
    matrix = rng.standard_normal((300, 300))
    values = np.linalg.eigvalsh(matrix @ matrix.T / 300)
    exact = Density(values[None], np.full((1, 300), 1 / 300), 300)
    from mle_regression.linalg.lanczos import spectral_density

    found = spectral_density(lambda v: matrix @ (matrix.T @ v) / 300, 300, rng)
    curves = SpectralCurves.of({"hessian": found, "rest": exact})
    # where the spectrum is dense: the largest two decades
    here = (curves.eigenvalue > 0.05) & (curves.eigenvalue < 3)
    np.testing.assert_allclose(curves.densities["hessian"][here], curves.densities["rest"][here], rtol=0.15)


@pytest.mark.parametrize("width", [4.0, 10.0])
@pytest.mark.parametrize("kind", ["eigenvalues", "density"])
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_a_network_in_any_size_and_style(width, kind, style, rows):
    X, y = rows
    net = MLPGradientRegressor((6,), alpha=0.01, early_stopping=False, max_iter=30, random_state=0).fit(X, y)
    with plt.style.context(style):
        assert not faults(SpectrumDisplay.from_estimator(net, X, y, kind=kind, width=width).figure_)


def test_outputs_under_penalties_of_their_own_have_spectra_of_their_own(rows):
    X, y = rows
    Y = pd.DataFrame({"first": y, "second": y**2})
    model = MLELinearRegressor(alpha=[0.0, 5.0]).fit(X, Y)
    shown = SpectrumDisplay.from_estimator(model, X, Y, output="second")
    np.testing.assert_allclose(shown.eigenvalues, model.hessian_eigenvalues_[1])
    plain = MLELinearRegressor(alpha=[0.0, 5.0]).fit(X.to_numpy(), Y.to_numpy())
    numbered = SpectrumDisplay.from_estimator(plain, X.to_numpy(), Y.to_numpy(), output=1)
    np.testing.assert_allclose(numbered.eigenvalues, shown.eigenvalues)


def test_five_hundred_columns(rng):
    X = rng.standard_normal((600, 500))
    y = X[:, 0] + rng.standard_normal(600)
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    shown = SpectrumDisplay.from_estimator(pipe, X, y, width=4.0)
    assert len(drawn(shown.ax_)["positive"]) == 501
    assert not faults(shown.figure_)


def test_what_cannot_be_drawn_is_said(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match="kind='density' is of networks"):
        SpectrumDisplay.from_estimator(model, X, y, kind="density")
    shown = SpectrumDisplay.from_estimator(model, X, y)
    with pytest.raises(ValueError, match="no density among the numbers"):
        shown.plot(kind="density")
    with pytest.raises(ValueError, match="kind="):
        shown.plot(kind="bars")
