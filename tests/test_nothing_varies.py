"""Designs with little in them: columns of zeros, constants, sums over rows without outputs."""

import numpy as np
import pytest
import scipy.sparse as sp

from mle_regression import MLELinearRegressor
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import block_moments

pytestmark = pytest.mark.filterwarnings(
    "ignore::mle_regression.warnings.RankDeficiencyWarning",
    "ignore::mle_regression.warnings.NoiseFreeWarning",
    "ignore::mle_regression.warnings.InferenceWarning",
)
DESIGNS = {
    "zeros": np.zeros((8, 2)),
    "ones": np.ones((8, 2)),
    "zeros and a slope": np.c_[np.zeros(8), np.arange(8.0)],
}
Y = np.arange(8.0) ** 2


@pytest.mark.parametrize("home", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("m", [0, 1, 2])
def test_moments_of_any_number_of_outputs(rng, home, m):
    """In the frame that is the identity, which takes each part by the product that suits its shape."""
    x, y = rng.standard_normal((9, 3)), rng.standard_normal((9, m))
    z = np.hstack([x, y])
    moments = block_moments(home(x), y, None, Frame(np.zeros(3 + m, dtype=np.int64), np.zeros(3 + m)))
    np.testing.assert_allclose(moments.gram, z.T @ z, rtol=1e-13)
    np.testing.assert_allclose(moments.sums, z.sum(axis=0), rtol=1e-13)


def test_unit_columns_need_no_frame(rng):
    """Columns of mean zero and of lengths in [0.5, 1) are summed as they lie, for all auxiliary regressions too."""
    x = rng.standard_normal((60, 3))
    x -= x.mean(axis=0)
    x *= 0.7 / np.linalg.norm(x, axis=0)
    y = x @ [1.0, 2.0, 3.0] + rng.standard_normal(60)
    for intercept in (True, False):
        model = MLELinearRegressor(fit_intercept=intercept).fit(x, y)
        halved = MLELinearRegressor(fit_intercept=intercept).fit(x / 3, y)
        for rows in (slice(None), slice(40)):
            ours, other = model.diagnose(x[rows], y[rows]), halved.diagnose(x[rows] / 3, y[rows])
            np.testing.assert_allclose(ours.tests()["p_value"], other.tests()["p_value"], rtol=1e-8)
            np.testing.assert_allclose(ours.collinearity().vif, other.collinearity().vif, rtol=1e-10)
            if not intercept:
                np.testing.assert_allclose(ours.curvature().eigenvalues, 9 * other.curvature().eigenvalues, rtol=1e-12)
            assert str(ours.report())


@pytest.mark.parametrize("partial", [False, True], ids=["fit", "partial_fit"])
@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("solver", ["auto", "normal", "qr", "svd", "gd", "lbfgs", "newton", "lsmr"])
@pytest.mark.parametrize("name", DESIGNS)
def test_all_reads(name, solver, intercept, refine, partial):
    """What nothing determines is NaN or left out; nothing fails."""
    if partial and solver == "lsmr":
        pytest.skip("iterates on the rows")
    X = DESIGNS[name]
    model = MLELinearRegressor(solver=solver, fit_intercept=intercept, refine=refine)
    model = model.partial_fit(X, Y) if partial else model.fit(X, Y)
    assert model.rank_ == np.linalg.matrix_rank(np.c_[np.ones((8, int(intercept))), X])
    table = model.coefficients()
    assert table["std_error"].isna().any()
    assert model.coefficient_covariance().shape == model.fisher_information().iloc[:-1, :-1].shape
    assert str(model.summary())
    assert np.isinf(model.condition_number_)
    model.predict_interval(X)
    model.f_test()
    for rows in (slice(None), slice(5)):
        diagnosis = model.diagnose(X[rows], Y[rows])
        assert str(diagnosis.report())
        diagnosis.dfbetas()


def test_zeros_predict_zeros():
    """Without an intercept a column of zeros says that the mean is zero; all of y is noise."""
    model = MLELinearRegressor(fit_intercept=False).fit(np.zeros((5, 1)), np.arange(5.0))
    assert model.coef_.tolist() == [0.0]
    assert model.rank_ == 0
    assert model.noise_variance_ == 6.0
    assert model.coefficients()["std_error"].isna().all()
