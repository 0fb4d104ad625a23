"""What a message tells to do is possible, is not done already, and helps."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from watching import Watcher, needs_callbacks

from mle_regression import MLELinearRegressor, MLPGradientRegressor, RankDeficiencyWarning, compare_models
from mle_regression.reports.network.ending import smoother_ways
from mle_regression.solvers.base import UNFINISHED
from mle_regression.solvers.registry import SOLVERS


@pytest.fixture
def rows(rng):
    X = rng.standard_normal((60, 3))
    return X, np.tanh(X @ [1.0, -1.0, 0.5]) + 0.1 * rng.standard_normal(60)


@pytest.mark.parametrize("status", UNFINISHED)
def test_remedies_complete_their_sentence(status):
    assert re.match(r"(raise|take|fit|give|lower|set|remove) ", status.value)


@needs_callbacks
@pytest.mark.parametrize(
    "model", [MLELinearRegressor(solver="gd"), MLPGradientRegressor((4,), alpha=1e-4, random_state=0)]
)
@pytest.mark.parametrize("how", ["stop_at", "interrupt_at"])
def test_a_fit_that_was_ended_goes_on_as_told(model, how, rows):
    model = clone(model)
    X = rows[0] @ np.array([[1.0, 0.9, 0.0], [0.0, 0.1, 0.5], [0.0, 0.0, 1.0]])
    with pytest.warns(ConvergenceWarning) as caught:
        model.set_callbacks(Watcher(**{how: 2})).fit(X, rows[1])
    said = str(caught[0].message)
    assert {"stop_at": "a callback asked to stop", "interrupt_at": "the fit was interrupted"}[how] in said
    assert re.search(r"To go on, fit again (without that callback, )?with warm_start=True to begin here\.$", said)
    before = model.loss_curve_[-1]
    again = model.set_callbacks().set_params(warm_start=True, max_iter=100_000).fit(X, rows[1])
    assert again.loss_curve_[-1] < before
    assert again.loss_curve_[0] == pytest.approx(before, rel=1e-9)


def test_a_line_search_that_gives_up_is_not_told_to_go_on_longer(rows):
    X, y = rows
    options = {"tol": 0.0, "n_iter_no_change": 10**6, "max_iter": 10**5}
    model = MLPGradientRegressor(
        (3,), activation="relu", solver="lbfgs", dtype="float32", early_stopping=False, random_state=0, **options
    )
    with pytest.warns(ConvergenceWarning, match=r"no step that it tries lowers the loss") as caught:
        model.fit(X, y)
    assert "take dtype='float64' and take a smooth activation" in str(caught[0].message)
    assert "max_iter" not in str(caught[0].message)
    assert model.n_iter_ < 10**5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_relu_at_a_kink_is_not_told_to_train_on(rows):
    X, y = rows
    told = 0
    for seed in range(6):
        model = MLPGradientRegressor(
            (4,), alpha=1e-4, activation="relu", solver="lm", early_stopping=False, random_state=seed
        )
        report = model.fit(X, y).diagnose(X, y).curvature()
        if report.verdict == "not stationary":
            told += 1
            assert "Train on" not in report.reason
            assert "smooth activation" in report.reason
    assert told


def test_sizes_in_text():
    for sizes in ("10", "(10, 5)", b"10"):
        with pytest.raises(ValueError, match="is text; give whole numbers, as 10 or"):
            MLPGradientRegressor(sizes, alpha=1e-4).fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"hidden_layer_sizes='5' must be an integer"):
        MLPGradientRegressor((10, "5"), alpha=1e-4).fit([[0.0], [1.0]], [0.0, 1.0])


def test_curvature_after_partial_fit(rows):
    X, y = rows
    model = MLPGradientRegressor((2,), alpha=1e-4, curvature="full", solver="adam", random_state=0).partial_fit(X, y)
    for name in ("verdict_", "hessian_eigenvalues_", "condition_number_"):
        with pytest.raises(
            AttributeError, match=r"partial_fit does not\. Call fit, or diagnose\(X, y\)\.curvature\(\)"
        ):
            getattr(model, name)
    with pytest.raises(ValueError, match="partial_fit does not work it out"):
        model.predict_interval(X, kind="mean")
    assert model.diagnose(X, y).curvature().verdict
    with pytest.raises(AttributeError, match=r"fit with curvature='full'"):
        MLPGradientRegressor((2,), alpha=1e-4, random_state=0).fit(X, y).verdict_  # noqa: B018


@pytest.mark.parametrize(
    "model", [MLELinearRegressor(), MLPGradientRegressor((2,), alpha=1e-4, solver="adam", random_state=0)]
)
def test_batches_of_another_shape(model, rows):
    X, y = rows
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"two dimensions, and in the batches before it had one.*y\.ravel\(\)"):
        model.partial_fit(X, y[:, None])
    with pytest.raises(ValueError, match="y has 2 outputs; the batches before had 1"):
        model.partial_fit(X, np.c_[y, y])
    model.partial_fit(X, y[:, None].ravel())


def test_imputing_in_a_pipeline_is_told_where_there_can_be_one(rows):
    X, y = rows
    X[3, 1] = np.nan
    for make in (MLELinearRegressor, lambda: MLPGradientRegressor((2,), alpha=1e-4, solver="adam")):
        with pytest.raises(ValueError, match=r"SimpleImputer in a Pipeline"):
            make().fit(X, y)
        with pytest.raises(ValueError, match=r"SimpleImputer\.$"):
            make().partial_fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
def test_each_way_out_of_dependent_columns_leads_out(solver, rng):
    X = rng.standard_normal((50, 3))
    X, y = np.c_[X, X[:, 0] + X[:, 1]], rng.standard_normal(50)
    model = MLELinearRegressor(solver=solver, max_iter=200, random_state=0)
    with pytest.warns(RankDeficiencyWarning) as caught:
        model.fit(X, y)
    said = str(next(w.message for w in caught if w.category is RankDeficiencyWarning))
    for way in re.findall(r"on_rank_deficiency='(\w+)'", said):
        clone(model).set_params(on_rank_deficiency=way).fit(X, y)
    clone(model).set_params(alpha=1.0).fit(X, y)
    clone(model).fit(X[:, :3], y)
    assert "remove the dependent columns" in said
    if "'drop'" not in said:
        with pytest.raises(ValueError, match="cannot drop"):
            clone(model).set_params(on_rank_deficiency="drop").fit(X, y)


def test_lm_that_finds_no_lower_loss_is_told_what_is_not_in_use():
    for options, ways in (
        ({"activation": "relu", "dtype": "float32"}, ["take dtype='float64'", "take a smooth activation"]),
        ({"activation": "relu"}, ["take a smooth activation"]),
    ):
        model = MLPGradientRegressor((4,), **options)
        assert len(smoother_ways(model)) == len(ways)
        assert all(way in said for way, said in zip(ways, smoother_ways(model), strict=True))
    assert smoother_ways(MLPGradientRegressor((4,), alpha=1e-4)) == []


def test_merging_what_cannot_be_merged(rows):
    X, y = rows
    one = MLELinearRegressor().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y has one dimension here and 1 columns there"):
        one.merge(MLELinearRegressor().partial_fit(X, y[:, None]))
    with pytest.raises(ValueError, match=r"y has one dimension here and 2 columns there"):
        one.merge(MLELinearRegressor().partial_fit(X, np.c_[y, X[:, 0] + y**2]))


def test_networks_left_out_of_an_average_say_why(rows):
    X, y = rows
    model = MLPGradientRegressor(
        (4,), alpha=1e-4, n_init=4, ensemble=True, curvature="full", max_iter=3, random_state=0
    )
    with pytest.warns(ConvergenceWarning) as caught:
        model.set_params(early_stopping=False).fit(X, y)
    said = [str(w.message) for w in caught if "part of the average" in str(w.message)]
    assert len(said) == 1
    assert re.search(r"networks are not part of the average\. .*[Rr]aise max_iter", said[0])


def test_compare_models_names_what_y_holds(rows):
    with pytest.raises(ValueError, match="y holds text"):
        compare_models({"a": MLELinearRegressor()}, rows[0], ["red"] * 60)
