"""Columns, outputs and weights in units far from one: what changes with the units, and nothing else."""

import numpy as np
import pytest

from mle_regression import MLELinearRegressor
from mle_regression.diagnostics.curvature import graded_singular_values

SCALES = [(1e-160, 1e160), (1e-200, 1.0), (1.0, 1e200), (1e-300, 1e300), (1e-150, 1e150)]


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_curvature(scales, refine, intercept, rng):
    """Units this far apart decouple: each eigenvalue is that of its column, given the larger ones."""
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    model = MLELinearRegressor(fit_intercept=intercept, refine=refine).fit(X * scales, y)
    assert model.condition_number_ == np.inf
    columns = np.c_[X, np.ones(30)] if intercept else X
    size = np.r_[scales, 1.0] if intercept else np.array(scales)
    order = np.argsort(size, kind="stable")
    if len(set(size)) == len(size):
        rest = np.abs(np.diagonal(np.linalg.qr(columns[:, order[::-1]], mode="r")))[::-1]
        with np.errstate(over="ignore", under="ignore"):
            truth = 2 / 30 * (rest * size[order]) ** 2
        np.testing.assert_allclose(model.hessian_eigenvalues_, truth, rtol=1e-9, atol=1e-322)
    text = str(model.summary())
    assert "inf iterations" in text
    assert "nan" not in text
    report = model.diagnose(X * scales, y).curvature()
    assert report.rate == 1.0
    assert report.condition_number == np.inf
    assert report.scaled_condition_number < 10.0


def test_one_step_is_one_iteration():
    """A single eigenvalue needs one."""
    x = np.arange(4.0)[:, None]
    text = str(MLELinearRegressor(fit_intercept=False).fit(x, x[:, 0] ** 2).summary())
    assert "1 iteration to 1e-6" in text


def test_singular_values_of_columns_in_groups(rng):
    """Against the values of each group by itself, in exact powers of two."""
    a, b = np.linalg.qr(rng.standard_normal((12, 6)))[0][:, :6].reshape(12, 2, 3).transpose(1, 0, 2)
    a, b = a @ rng.standard_normal((3, 3)), b @ rng.standard_normal((3, 3))
    together = graded_singular_values(np.hstack([a, np.ldexp(b, -900)]))
    apart = np.r_[np.linalg.svd(a, compute_uv=False), np.ldexp(np.linalg.svd(b, compute_uv=False), -900)]
    np.testing.assert_allclose(together, apart, rtol=1e-13)
