"""What every display owes: scikit-learn's convention, words for bad input, and a picture that can be read."""

import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import logistic
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import (
    DISPLAYS,
    CalibrationDisplay,
    PartialResidualsDisplay,
    ResidualsDisplay,
    TrainingDisplay,
    drawing,
    lettering,
    subject,
)
from mle_regression.noise.location_scale import location_scale
from mle_regression.noise.registry import NOISES

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")
import matplotlib as mpl
import matplotlib.pyplot as plt
from drawn_displays import awkward_rows, faults

display = pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def rows(rng):
    X = pd.DataFrame(rng.standard_normal((50, 3)), columns=["a", "b", "c"])
    return X, pd.Series(X.to_numpy() @ [1.0, -2.0, 0.5] + rng.standard_normal(50), name="price")


def test_no_display_imports_matplotlib_before_it_draws():
    code = "import sys, mle_regression.displays as d; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_the_package_imports_no_display_and_no_page_before_they_are_asked_for():
    rooms = "('mle_regression.displays', 'mle_regression.page')"
    asked = f"print(any(name.startswith({rooms}) for name in sys.modules), m.report.__name__)"
    code = f"import sys, mle_regression as m; {asked}"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "report"]


def test_matplotlib_missing_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "mle-regression\[plot\]"'):
        drawing.pyplot()


@display
def test_displays_follow_the_convention(display, rows):
    X, y = rows
    parameters = inspect.signature(display.from_estimator).parameters
    assert list(parameters)[:3] == ["estimator", "X", "y"]
    assert {"ax", "output"} <= set(parameters)
    shown = display.from_estimator(MLELinearRegressor().fit(X, y), X, y)
    assert isinstance(shown, display)
    assert shown.figure_ is np.ravel(shown.ax_)[0].figure
    assert shown.plot() is shown
    assert not faults(shown.figure_)


def test_faults_of_a_figure_are_seen():
    figure, (one, other) = plt.subplots(1, 2)
    one.plot([0.0, 1.0])
    assert faults(figure) == ["empty: ''"]
    other.plot([0.0, 1.0])
    other.text(0.5, 0.5, "this")
    other.text(0.5, 0.5, "that")
    one.set_xlabel("much too long a name for an axis of this figure " * 3)
    found = faults(figure)
    assert "'this' over 'that'" in found
    assert any(fault.startswith("cut: 'much too long") for fault in found)


@display
def test_axes_that_are_given_are_drawn_in(display, rows):
    X, y = rows
    figure, ax = plt.subplots(figsize=(9, 7))
    assert display.from_estimator(MLELinearRegressor().fit(X, y), X, y, ax=ax).figure_ is figure
    assert len(plt.get_fignums()) == 1


@display
def test_a_part_of_a_figure_is_drawn_in(display, rows):
    X, y = rows
    _, part = plt.figure(figsize=(14, 7), layout="constrained").subfigures(1, 2)
    shown = display.from_estimator(MLELinearRegressor().fit(X, y), X, y, ax=part.subplots())
    assert shown.figure_ is part
    assert not faults(part.figure)


@display
@pytest.mark.parametrize("width", [4.0, 10.0])
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_nothing_overlaps_or_is_cut(display, width, style, rng):
    X, y = awkward_rows(rng)
    with plt.style.context(style):
        figure = display.from_estimator(MLELinearRegressor().fit(X, y), X, y, width=width).figure_
        assert not faults(figure)


@display
def test_models_inside_pipelines_and_searches_are_drawn(display, rows):
    X, y = rows
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor())
    search = GridSearchCV(pipe, {"mlelinearregressor__alpha": [0.0, 1.0]}).fit(X, y)
    assert not faults(display.from_estimator(search, X, y).figure_)


@display
@pytest.mark.parametrize("model", [MLELinearRegressor(), MLPGradientRegressor()], ids=["linear", "network"])
def test_what_is_not_fitted_is_refused(display, model, rows):
    X, y = rows
    with pytest.raises(NotFittedError):
        display.from_estimator(model, X, y)
    with pytest.raises(NotFittedError):
        display.from_estimator(make_pipeline(StandardScaler(), model), X, y)


@display
def test_other_columns_are_refused(display, rows):
    X, y = rows
    with pytest.raises(ValueError, match=r"feature"):
        display.from_estimator(MLELinearRegressor().fit(X, y), X[["a", "b"]], y)


@display
def test_several_outputs_ask_for_one(display, rows):
    X, y = rows
    Y = pd.DataFrame({"price": y, "rent": y**2})
    model = MLELinearRegressor().fit(X, Y)
    if display is not TrainingDisplay:  # whose curves are of all outputs
        with pytest.raises(ValueError, match=r"output=.*'price', 'rent'"):
            display.from_estimator(model, X, Y)
    with pytest.raises(ValueError, match=r"output='sale' is none"):
        display.from_estimator(model, X, Y, output="sale")
    assert not faults(display.from_estimator(model, X, Y, output="rent").figure_)


def fitted(name, rng):
    """An estimator and rows of an awkward kind."""
    X, w = rng.standard_normal((40, 3)), np.ones(40)
    y, model = X @ [1.0, 2.0, 0.0] + rng.standard_normal(40), MLELinearRegressor()
    if name == "fewer rows than columns":
        X, y, w = X[:3], y[:3], None
    elif name == "exact":
        y = X @ [1.0, 2.0, 0.0]
    elif name == "sparse, many columns":
        X = sp.csr_array(rng.standard_normal((40, 60)) * (rng.random((40, 60)) < 0.1))
        model = MLELinearRegressor(alpha=0.1)
    elif name == "frequencies":
        model, w = MLELinearRegressor(weight_type="frequency"), np.arange(40) % 3.0
    elif name == "large units":
        X, y = X * 1e90, y * 1e90
    elif name == "network":
        model = MLPGradientRegressor((3,), solver="lm", alpha=0.5, early_stopping=False, random_state=0)
    return model.fit(X, y, w), X, y, w


AWKWARD = ("fewer rows than columns", "exact", "sparse, many columns", "frequencies", "large units", "network")


@display
@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.filterwarnings("ignore::mle_regression.warnings.NoiseFreeWarning")
@pytest.mark.filterwarnings("ignore::mle_regression.warnings.RankDeficiencyWarning")
@pytest.mark.filterwarnings("ignore::mle_regression.warnings.InferenceWarning")
def test_awkward_fits_are_drawn_or_refused_in_words(display, name, rng):
    model, X, y, w = fitted(name, rng)
    try:
        shown = display.from_estimator(model, X, y, sample_weight=w, width=4.0)
    except (TypeError, ValueError) as error:
        said = str(error)
        assert said[0].isupper() and said.endswith("."), said  # noqa: PT018
    else:
        assert not faults(shown.figure_)


def test_noise_of_another_family_is_compared_with_its_own_quantiles(rng, monkeypatch):
    monkeypatch.setitem(NOISES, "logistic", location_scale("logistic", "logistic noise", logistic.logpdf))
    X, w = rng.standard_normal((200, 2)), rng.uniform(0.5, 2.0, 200)
    y = X @ [1.0, 2.0] + rng.logistic(size=200) / np.sqrt(w)
    options = {"noise": "logistic", "random_state": 0}
    network = MLPGradientRegressor((2,), solver="lbfgs", alpha=0.1, early_stopping=False, **options)
    for model in (MLELinearRegressor(solver="newton", **options), network):
        model.fit(X, y, sample_weight=w)
        shown = ResidualsDisplay.from_estimator(model, X, y, sample_weight=w)
        order = np.argsort(shown.standardized)
        np.testing.assert_allclose(shown.quantiles[order], logistic.ppf((np.arange(1, 201) - 0.5) / 200), rtol=1e-6)
        assert ((shown.band.lower < shown.band.position) & (shown.band.position < shown.band.upper)).all()
        assert shown.ax_[1].get_title() == "Q–Q, logistic noise"
        assert "least squares" in shown.missing["leverage"] or "gaussian" in shown.missing["leverage"]
        held = CalibrationDisplay.from_estimator(model, X, y, sample_weight=w).coverage(0.8)
        unit = shown.residual * np.sqrt(w) / shown.standardized
        np.testing.assert_allclose(unit, unit[0])
        np.testing.assert_allclose(held, np.mean(np.abs(2 * logistic.cdf(shown.standardized) - 1) <= 0.8))
        assert np.isfinite(PartialResidualsDisplay.from_estimator(model, X, y).components[0].effect).all()
        assert not faults(shown.figure_)


def test_long_names_are_cut_in_the_middle_and_no_formula_is_read():
    assert lettering.legible(["a" * 20 + "b" * 50]) == ["a" * 13 + "…" + "b" * 14]
    assert lettering.legible(["$a$", "two\nlines"]) == [r"\$a\$", "two lines"]


def test_letters_that_no_font_has_are_boxes_with_a_number(monkeypatch):
    monkeypatch.setattr(lettering, "_WIDE_FONTS", ())
    assert lettering.legible(["a", "价格"]) == ["a", "1: □□"]


def test_names_come_from_the_fit_or_from_the_steps_before_it(rows):
    X, y = rows
    model = MLELinearRegressor()
    assert subject.column_names(subject.subject_of(model.fit(X, y))) == ["a", "b", "c"]
    assert subject.column_names(subject.subject_of(MLELinearRegressor().fit(X.to_numpy(), y))) == ["x0", "x1", "x2"]
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    assert subject.column_names(subject.subject_of(pipe)) == ["a", "b", "c"]
    search = GridSearchCV(pipe, {"mlelinearregressor__alpha": [0.0, 1.0]}).fit(X, y)
    assert subject.column_names(subject.subject_of(search)) == ["a", "b", "c"]


def test_a_registry_names_every_display():
    import mle_regression.displays as displays

    assert sorted(kind.__name__ for kind in DISPLAYS.values()) == sorted(
        name for name in displays.__all__ if name != "DISPLAYS"
    )
    assert DISPLAYS["residuals"] is ResidualsDisplay
