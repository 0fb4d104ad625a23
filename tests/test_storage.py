"""Fits at rest: a file of another version is read, or refused with a sentence that says what to do."""

import copy
import io
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.linalg import null_space
from sklearn.base import clone

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression._version import __version__
from mle_regression.diagnostics import laplace_approximation as laplace
from mle_regression.estimator import earlier_formats, storage

# Written before files had a format: {"linear", "batches", "network"}: fits to the "rows" (X, y).
STORED = Path(__file__).parent / "data" / "fits_without_a_format"


@pytest.fixture
def stored():
    return pickle.loads(STORED.with_suffix(".pkl").read_bytes())


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def joblibbed(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


def skopsed(model):
    skops = pytest.importorskip("skops.io")
    text = skops.dumps(model)
    return skops.loads(text, trusted=skops.get_untrusted_types(data=text))


def frame(stored):
    X, y = stored["rows"]
    return pd.DataFrame(X, columns=["age", "bmi"]), y


def assert_same_linear(model, fresh, X, y):
    np.testing.assert_allclose(model.predict(X, return_std=True), fresh.predict(X, return_std=True), rtol=1e-12)
    pd.testing.assert_frame_equal(model.coefficients(), fresh.coefficients(), rtol=1e-12)
    assert model.log_likelihood(X, y) == pytest.approx(fresh.log_likelihood(X, y), rel=1e-12)
    assert model.summary().to_text(100) == fresh.summary().to_text(100)
    assert model.diagnose(X, y).report().to_text(100) == fresh.diagnose(X, y).report().to_text(100)


def test_an_old_linear_fit_does_all_that_a_new_one_does(stored):
    X, y = frame(stored)
    model, fresh = stored["linear"], MLELinearRegressor().fit(X, y)
    assert_same_linear(model, fresh, X, y)
    for one in (model, fresh):
        one.partial_fit(X[:5], y[:5])
    assert_same_linear(model, fresh, X, y)


def test_old_sums_go_on(stored):
    X, y = frame(stored)
    model = stored["batches"]
    fresh = MLELinearRegressor().partial_fit(X[:20], y[:20]).partial_fit(X[20:], y[20:])
    assert_same_linear(model, fresh, X, y)
    for one in (model, fresh):
        one.partial_fit(X[:5], y[:5])
    model.merge(stored["batches"])
    fresh.merge(fresh)
    assert_same_linear(model, fresh, X, y)


def test_an_old_network_does_all_that_a_new_one_does(stored):
    X, y = frame(stored)
    model = stored["network"]
    fresh = clone(model).fit(X, y)
    np.testing.assert_allclose(model.predict(X), fresh.predict(X), rtol=1e-6)
    np.testing.assert_allclose(
        model.predict_interval(X, kind="mean"), fresh.predict_interval(X, kind="mean"), rtol=1e-5
    )
    assert model.log_likelihood(X, y) == pytest.approx(model.log_likelihood_, rel=1e-9)
    assert model.diagnose(X, y).curvature().verdict == model.verdict_ == "minimum"
    assert "minimum" in model.summary().to_text()
    model.set_params(warm_start=True).fit(X, y)
    np.testing.assert_allclose(model.predict(X), fresh.predict(X), rtol=1e-6)
    model.set_params(solver="adam").partial_fit(X, y)


def test_old_posteriors_are_those_of_today(rng):
    """With directions that nothing determines: two units that are copies, and no penalty."""
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    model = MLPGradientRegressor((1,), alpha=0.0, curvature="full", random_state=0).fit(np.c_[X, X[:, :1]], y)
    today = model._fit.posterior
    inverse = today.covariance
    assert inverse.free.any()
    complement = null_space(inverse.seen.T)
    undetermined = complement[:, np.abs(complement[~inverse.free]).max(axis=0, initial=0) < 1e-9]
    old = {"kind": "all parameters", "root": inverse.root, "share": np.ones(1), "undetermined": undetermined}
    old |= {name: getattr(today, name) for name in ("effective", "noise", "distance")} | {"refusal": ""}
    new = earlier_formats._with_posteriors({"posterior": old})["posterior"]
    rows = rng.standard_normal((50, len(inverse.root)))
    again = laplace.Inverse(**new["covariance"])
    np.testing.assert_array_equal(again.quadratic(rows), inverse.quadratic(rows))
    np.testing.assert_array_equal(again.misses(rows), inverse.misses(rows))
    np.testing.assert_array_equal(again.misses(rows @ inverse.root @ inverse.root.T), False)
    last = earlier_formats._with_posteriors({"posterior": old | {"kind": "last layer"}})["posterior"]
    assert last["covariance"] is None
    assert "fit again" in last["refusal"]


def test_an_old_file_of_skops(stored):
    skops = pytest.importorskip("skops.io")
    X, y = frame(stored)
    file = STORED.with_suffix(".skops")
    model = skops.load(file, trusted=skops.get_untrusted_types(file=file))
    assert_same_linear(model, MLELinearRegressor().fit(X, y), X, y)


def models(stored):
    X, y = frame(stored)
    yield MLELinearRegressor().fit(X, y)
    yield MLELinearRegressor(alpha="evidence").fit(X, np.column_stack([y, y**2]))
    yield MLELinearRegressor().partial_fit(X, y)
    yield MLELinearRegressor(solver="sgd", max_iter=5, random_state=0).partial_fit(X, y)
    yield MLPGradientRegressor((3,), early_stopping=False, random_state=0, alpha=0.1).fit(X, y)
    yield MLPGradientRegressor((2,), alpha="evidence", random_state=0).fit(X, y)


@pytest.mark.parametrize("save", [pickled, joblibbed, skopsed, copy.copy, copy.deepcopy])
def test_round_trips(save, stored):
    X, _ = frame(stored)
    for model in [*models(stored), MLELinearRegressor(), MLPGradientRegressor(alpha=1e-4)]:
        again = save(model)
        assert vars(again).keys() == vars(model).keys()
        if model.__sklearn_is_fitted__() if hasattr(model, "__sklearn_is_fitted__") else hasattr(model, "coefs_"):
            np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_a_fit_at_rest_is_plain(stored):
    """Dicts, tuples and lists of arrays, numbers and strings: what skops takes, and pickle without our classes."""

    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(name, str) and plain(inner) for name, inner in value.items())
        if isinstance(value, (tuple, list)):
            return all(map(plain, value))
        return value is None or isinstance(value, (np.ndarray, np.generic, float, int, bool, str))

    for model in models(stored):
        file = storage.to_stored(vars(model))
        for name in {"_fit", "_sums"} & file.keys():
            assert plain(file[name])
            again = storage.as_typed(file[name])
            assert type(again) is type(vars(model)[name])
            assert storage.as_plain(again).keys() == file[name].keys()


# Written in format 2, in which a fit was two dicts: {"fits", "predictions", "rows"}; the skops file has some of the fits.
SECOND = Path(__file__).parent / "data" / "fits_of_format_2"


def test_fits_of_the_second_format_do_what_new_ones_do():
    file = pickle.loads(SECOND.with_suffix(".pkl").read_bytes())
    X, y, Y, w = file["rows"]
    for name, model in file["fits"].items():
        rows, predictions = file["predictions"][name]
        np.testing.assert_array_equal(model.predict(rows), predictions)
        assert model.solver_.isidentifier()
        assert np.isfinite(model.log_likelihood_) or name == "exact"
        assert (model.gradient_curve_, model.stop_reason_) == (
            [],
            "",
        ) or name == "batches"  # which is solved when asked for
        if name not in ("products",):
            assert model.summary().to_text(100)
    fits = file["fits"]
    for name, fresh in (
        ("linear", MLELinearRegressor().fit(X, y, w)),
        ("outputs", MLELinearRegressor(alpha="evidence").fit(X, Y)),
        ("batches", MLELinearRegressor().partial_fit(X[:20], y[:20]).partial_fit(X[20:], y[20:])),
        ("frequency", MLELinearRegressor(weight_type="frequency").fit(X, y, np.arange(40) % 3)),
    ):
        pd.testing.assert_frame_equal(fits[name].coefficients(), fresh.coefficients(), rtol=1e-12)
        assert fits[name].summary().to_text(100) == fresh.summary().to_text(100)
        outputs = Y if name == "outputs" else y
        assert fits[name].log_likelihood(X, outputs) == pytest.approx(fresh.log_likelihood(X, outputs), rel=1e-12)
        assert fits[name].diagnose(X, outputs).data == fresh.diagnose(X, outputs).data
    for name, outputs in (("evidence", y), ("curvature", Y), ("ensemble", y)):
        assert (fits[name].predict(X, return_std=True)[1] > 0).all()
        assert fits[name].log_likelihood(X, outputs) < 0
    assert fits["curvature"].verdict_ == "minimum"
    assert fits["passes"].partial_fit(X, y).n_iter_ == 1
    assert fits["batches"].partial_fit(X, y).rank_ == 3


def test_a_skops_file_of_the_second_format():
    skops = pytest.importorskip("skops.io")
    file = SECOND.with_suffix(".skops")
    fits = skops.load(file, trusted=skops.get_untrusted_types(file=file))
    for model in fits.values():
        assert model.summary().to_text(100)
        assert len(model.predict(np.zeros((2, 2)))) == 2


@pytest.mark.parametrize("save", [pickled, joblibbed, skopsed])
def test_a_later_format_is_refused(save, stored, monkeypatch):
    monkeypatch.setattr(
        "mle_regression.estimator.base.to_stored",
        lambda state: storage.to_stored(state) | {"_format": 99, "_version": "9.9"},
    )
    for model in models(stored):
        name = type(model).__name__
        with pytest.raises(ValueError, match=rf"{name} was stored by mle_regression 9\.9 in format 99.*Update"):
            save(model)


@pytest.mark.parametrize("save", [pickled, joblibbed, skopsed])
def test_a_format_that_lacks_something_is_refused(save, stored, monkeypatch):
    def earlier(state):
        file = {**storage.to_stored(state), "_version": "0.1"}
        for name in {"_fit", "_sums"} & file.keys():
            file[name] = {key: value for key, value in file[name].items() if key not in ("eps", "theta")}
        return file

    monkeypatch.setattr("mle_regression.estimator.base.to_stored", earlier)
    for model in models(stored):
        said = (
            rf"stored by mle_regression 0\.1, in a format that version {__version__} does not read.* (eps|theta)\. Load"
        )
        with pytest.raises(ValueError, match=said):
            save(model)


def test_parameters_that_a_file_does_not_know_have_their_defaults(stored):
    model = MLELinearRegressor(alpha=3.0)
    file = storage.to_stored(vars(model))
    del file["refine"], file["_format"], file["_version"]
    again = MLELinearRegressor.__new__(MLELinearRegressor)
    again.__setstate__(file)
    assert again.get_params() == model.get_params()
