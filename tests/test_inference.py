"""Inference and diagnosis of linear fits against statsmodels, on designs of many kinds."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import statsmodels.api as sm
from designs import conditioned
from exact import exact_covariance
from scipy import stats
from statsmodels.stats import diagnostic, stattools
from statsmodels.stats.outliers_influence import OLSInfluence, variance_inflation_factor

from mle_regression import MLELinearRegressor

CLOSE = {"rtol": 1e-9, "atol": 1e-12}


@dataclass
class Case:
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    intercept: bool

    @property
    def design(self):
        return sm.add_constant(self.X, has_constant="add") if self.intercept else self.X

    @property
    def peer(self):
        if self.weights is None:
            return sm.OLS(self.y, self.design).fit(method="qr")
        return sm.WLS(self.y, self.design, weights=self.weights).fit(method="qr")

    @property
    def whitened_peer(self):
        """The same fit as unweighted least squares of rows times √w: where statsmodels expects no weights."""
        root = np.ones(len(self.y)) if self.weights is None else np.sqrt(self.weights)
        return sm.OLS(root * self.y, root[:, None] * self.design).fit(method="qr")

    @property
    def model(self):
        return MLELinearRegressor(fit_intercept=self.intercept).fit(self.X, self.y, self.weights)

    @property
    def diagnosis(self):
        return self.model.diagnose(self.X, self.y, self.weights)


def make(seed, n, p, *, kind="plain", weighted=False, intercept=True, noise="normal"):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    if kind == "conditioned":
        X = conditioned(n, p, 100.0, seed)
    elif kind == "units":
        X *= 10.0 ** rng.integers(-4, 5, p)
    elif kind == "means":
        X += 100.0 * rng.standard_normal(p)
    elif kind == "dummies":
        X[:, 0] = rng.integers(0, 2, n)
        X[:, -1] = rng.integers(0, 3, n)
    elif kind == "correlated":
        X[:, 1:] += 3.0 * X[:, :1]
    e = {"normal": rng.standard_normal(n), "t": rng.standard_t(3, n), "ar": rng.standard_normal(n)}[noise]
    if noise == "ar":
        for i in range(1, n):
            e[i] += 0.6 * e[i - 1]
    weights = rng.uniform(0.2, 5.0, n) if weighted else None
    y = (X / np.abs(X).max(axis=0)).sum(axis=1) + 0.5 * e + 1.0
    return Case(X, y, weights, intercept)


SHAPES = [
    (10, 2, {}),
    (12, 3, {"weighted": True}),
    (15, 4, {"intercept": False}),
    (20, 3, {"kind": "means"}),
    (25, 5, {"kind": "correlated"}),
    (30, 4, {"kind": "units", "weighted": True}),
    (40, 3, {"kind": "dummies", "noise": "t"}),
    (50, 6, {"noise": "ar"}),
    (60, 4, {"kind": "conditioned"}),
    (80, 5, {"kind": "correlated", "weighted": True, "intercept": False}),
    (100, 1, {}),
    (101, 8, {"noise": "t"}),
    (150, 3, {"kind": "dummies", "weighted": True}),
    (200, 10, {"kind": "means", "noise": "ar"}),
    (300, 5, {"kind": "units", "intercept": False}),
    (500, 7, {"kind": "conditioned", "weighted": True}),
    (999, 4, {"noise": "t", "weighted": True}),
    (1000, 12, {"kind": "correlated"}),
    (2000, 6, {"kind": "units"}),
    (3001, 9, {"noise": "ar", "weighted": True}),
    (5000, 20, {}),
    (5000, 3, {"kind": "means", "intercept": False}),
    (20_000, 10, {"weighted": True}),
]


def label(n, p, options):
    flags = ["weights"] * options.get("weighted", False) + ["no intercept"] * (not options.get("intercept", True))
    return ", ".join([f"{n} x {p}", options.get("kind", "plain"), *flags])


CASES = {label(*shape): (seed, *shape) for seed, shape in enumerate(SHAPES)}


@pytest.fixture(params=sorted(CASES))
def case(request):
    seed, n, p, options = CASES[request.param]
    return make(seed, n, p, **options)


def test_fit_statistics(case):
    model, peer = case.model, case.peer
    assert model.r2_ == pytest.approx(peer.rsquared, rel=1e-9)
    assert model.adjusted_r2_ == pytest.approx(peer.rsquared_adj, rel=1e-9, abs=1e-12)
    assert model.residual_variance_ == pytest.approx(peer.mse_resid, rel=1e-9)
    assert model.residual_dof_ == peer.df_resid
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-9)
    assert model.aic_ - 2 == pytest.approx(peer.aic, rel=1e-9)
    k = model.n_parameters_
    assert model.bic_ == pytest.approx(-2 * peer.llf + k * np.log(len(case.y)), rel=1e-9)
    assert model.aicc_ == pytest.approx(model.aic_ + 2 * k * (k + 1) / (len(case.y) - k - 1), rel=1e-9)


def test_coefficient_table(case):
    for confidence in (0.9, 0.95):
        table, peer = case.model.coefficients(confidence), case.peer
        limits = peer.conf_int(1 - confidence)
        np.testing.assert_allclose(table["estimate"], peer.params, rtol=1e-9)
        np.testing.assert_allclose(table["std_error"], peer.bse, rtol=1e-9)
        np.testing.assert_allclose(table["t"], peer.tvalues, rtol=1e-9)
        np.testing.assert_allclose(table["p_value"], peer.pvalues, rtol=1e-7)  # far in the tail of t
        np.testing.assert_allclose(table[["lower", "upper"]], limits, rtol=1e-9, atol=1e-9 * np.abs(limits).max())


def test_covariance(case):
    # Of columns with far means statsmodels' inverse keeps eight digits or nine, by NumPy's and SciPy's version.
    exact = exact_covariance(case.design, case.y, case.weights)
    unit = np.sqrt(np.diag(exact))
    np.testing.assert_allclose(
        case.model.coefficient_covariance() / np.outer(unit, unit), exact / np.outer(unit, unit), **CLOSE
    )


def test_overall_f(case):
    peer = case.peer
    test = case.model.f_test()
    assert test.statistic == pytest.approx(peer.fvalue, rel=1e-9)
    assert (test.df_num, test.df_denom) == (peer.df_model, peer.df_resid)
    assert test.p_value == pytest.approx(peer.f_pvalue, rel=1e-6)


def test_fisher_information_is_minus_the_mean_hessian(case):
    model, X = case.model, case.design
    weights = np.ones(len(X)) if case.weights is None else case.weights
    information = model.fisher_information()
    variance = model.noise_variance_
    expected = X.T @ (weights[:, None] * X) / variance
    unit = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        information.to_numpy()[:-1, :-1] / np.outer(unit, unit), expected / np.outer(unit, unit), **CLOSE
    )
    assert information.iloc[-1, -1] == pytest.approx(len(X) / (2 * variance**2), rel=1e-12)
    assert not information.iloc[-1, :-1].any()
    assert list(information.index)[-1] == "noise_variance"


def test_linear_hypotheses(case, rng):
    peer, model = case.peer, case.model
    k = len(peer.params)
    for rows in {1, min(2, k), k}:
        # Combinations of the coefficients with comparable variances: others cost statsmodels its digits.
        R = rng.standard_normal((rows, k)) @ np.linalg.inv(np.linalg.cholesky(peer.cov_params()))
        q = rng.standard_normal(rows)
        expected = peer.f_test((R, q))
        found = model.test_linear(R, q)
        assert found.statistic == pytest.approx(float(expected.fvalue), rel=1e-9)
        assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-6)
        assert (found.df_num, found.df_denom) == (rows, peer.df_resid)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_heteroskedastic_errors(case, kind):
    peer = case.peer if case.weights is None else case.whitened_peer
    expected = peer.get_robustcov_results(kind, use_t=True)
    table = case.diagnosis.coefficients(cov=kind)
    np.testing.assert_allclose(table["std_error"], expected.bse, rtol=1e-9)
    np.testing.assert_allclose(table["p_value"], expected.pvalues, rtol=1e-6)
    matrix = case.diagnosis.covariance(kind).to_numpy()
    unit = np.sqrt(np.diag(matrix))
    np.testing.assert_allclose(matrix / np.outer(unit, unit), expected.cov_params() / np.outer(unit, unit), **CLOSE)


@pytest.mark.parametrize("correction", [True, False])
def test_cluster_errors(case, correction, rng):
    groups = rng.integers(0, 7, len(case.y))
    expected = case.peer.get_robustcov_results("cluster", groups=groups, use_correction=correction, use_t=True)
    table = case.diagnosis.coefficients(cov={"cluster": groups, "correction": correction})
    np.testing.assert_allclose(table["std_error"], expected.bse, rtol=1e-9)
    np.testing.assert_allclose(table["p_value"], expected.pvalues, rtol=1e-6)
    letters = np.array(list("abcdefg"))[groups]
    np.testing.assert_allclose(
        case.diagnosis.coefficients(cov={"cluster": letters, "correction": correction})["std_error"],
        expected.bse,
        rtol=1e-9,
    )


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")  # of negative variances, in statsmodels
def test_two_way_cluster_errors(case, rng):
    # Enough of both groups that inclusion and exclusion leave a positive definite matrix.
    n = len(case.y)
    groups = np.column_stack([np.arange(n) % max(9, n // 3), rng.integers(0, max(8, n // 4), n)])
    expected = case.peer.get_robustcov_results("cluster", groups=groups, use_correction=True, use_t=True)
    if np.linalg.eigvalsh(expected.cov_params()).min() <= 0:
        pytest.skip("statsmodels' covariance is not positive definite")
    table = case.diagnosis.coefficients(cov={"cluster": groups})
    np.testing.assert_allclose(table["std_error"], expected.bse, rtol=1e-9)


@pytest.mark.parametrize("correction", [True, False])
@pytest.mark.parametrize("lags", [0, 1, 5])
def test_hac_errors(case, lags, correction):
    expected = case.peer.get_robustcov_results("HAC", maxlags=lags, use_correction=correction, use_t=True)
    table = case.diagnosis.coefficients(cov={"HAC": lags, "correction": correction})
    np.testing.assert_allclose(table["std_error"], expected.bse, rtol=1e-9)


@pytest.mark.parametrize("cov", ["HC1", "HC3"])
def test_robust_hypotheses(case, cov, rng):
    robust = (case.peer if case.weights is None else case.whitened_peer).get_robustcov_results(cov, use_t=True)
    R = rng.standard_normal((2, len(robust.params))) / robust.bse
    expected = robust.f_test(R)
    found = case.diagnosis.test_linear(R, cov=cov)
    assert found.statistic == pytest.approx(float(expected.fvalue), rel=1e-9)
    assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-6)


def test_influence(case):
    peer = OLSInfluence(case.whitened_peer)
    root = np.ones(len(case.y)) if case.weights is None else np.sqrt(case.weights)
    rows = case.diagnosis.rows()
    np.testing.assert_allclose(rows["leverage"], peer.hat_matrix_diag, rtol=1e-9)
    np.testing.assert_allclose(root * rows["residual"], peer.resid, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(rows["fitted"], case.y - rows["residual"], rtol=1e-12)
    np.testing.assert_allclose(rows["standardized"], case.peer.resid_pearson, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(rows["studentized_internal"], peer.resid_studentized_internal, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(rows["cooks_distance"], peer.cooks_distance[0], rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose(root * rows["loo_residual"], peer.resid_press, rtol=1e-8, atol=1e-10)
    if len(case.y) <= 150:  # statsmodels fits once for each row
        np.testing.assert_allclose(rows["studentized_external"], peer.resid_studentized_external, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(rows["dffits"], peer.dffits[0], rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(case.diagnosis.dfbetas(), peer.dfbetas, rtol=1e-6, atol=1e-9)


def test_leaving_a_row_out_is_fitting_the_others(case, rng):
    rows, dfbetas = case.diagnosis.rows(), case.diagnosis.dfbetas()
    full = case.model
    for i in rng.integers(0, len(case.y), 3):
        keep = np.arange(len(case.y)) != i
        weights = None if case.weights is None else case.weights[keep]
        other = MLELinearRegressor(fit_intercept=case.intercept).fit(case.X[keep], case.y[keep], weights)
        assert rows["loo_residual"][i] == pytest.approx(case.y[i] - other.predict(case.X[[i]])[0], rel=1e-8, abs=1e-11)
        change = full.coefficients()["estimate"] - other.coefficients()["estimate"]
        unit = full.coefficients()["std_error"] * np.sqrt(other.residual_variance_ / full.residual_variance_)
        np.testing.assert_allclose(dfbetas.loc[i], change / unit, rtol=1e-6, atol=1e-9)


def test_press(case):
    peer = OLSInfluence(case.whitened_peer)
    assert case.diagnosis.press == pytest.approx(np.sum(peer.resid_press**2), rel=1e-9)
    total = case.peer.centered_tss if case.intercept else case.peer.uncentered_tss
    assert case.diagnosis.predicted_r2 == pytest.approx(1 - case.diagnosis.press / total, rel=1e-9, abs=1e-12)


def test_variance_inflation(case):
    weights = np.ones(len(case.y)) if case.weights is None else case.weights
    expected = []
    for j in range(case.X.shape[1]):
        others = np.delete(case.design, j + case.intercept, axis=1)
        r2 = sm.WLS(case.X[:, j], others, weights=weights).fit(method="qr").rsquared if others.size else 0.0
        expected.append(1 / (1 - r2))
        if case.intercept and case.weights is None and case.X.shape[1] > 1:
            assert expected[-1] == pytest.approx(variance_inflation_factor(case.design, j + 1), rel=1e-7)
    report = case.diagnosis.collinearity()
    np.testing.assert_allclose(report.vif["vif"], expected, rtol=1e-9)
    np.testing.assert_allclose(report.vif["tolerance"], 1 / np.array(expected), rtol=1e-9)


@pytest.mark.filterwarnings("ignore::mle_regression.warnings.InferenceWarning")
@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")  # statsmodels, of products of dummies
@pytest.mark.filterwarnings("ignore::FutureWarning")  # statsmodels, of its return types
@pytest.mark.filterwarnings("ignore:kurtosistest only valid")  # SciPy before 1.14, called by statsmodels
def test_residual_tests(case):
    found = case.diagnosis.tests()
    peer = case.peer
    u = peer.wresid
    constant = case.design if case.intercept else sm.add_constant(case.X)

    def agrees(name, statistic, p_value=None):
        assert found.loc[name, "statistic"] == pytest.approx(statistic, rel=1e-8), name
        if p_value is not None:
            assert found.loc[name, "p_value"] == pytest.approx(p_value, rel=1e-6), name

    agrees("jarque_bera", *stattools.jarque_bera(u)[:2])
    agrees("omnibus", *stattools.omni_normtest(u))
    agrees("breusch_pagan", *diagnostic.het_breuschpagan(u, constant)[:2])
    agrees("durbin_watson", stattools.durbin_watson(u))
    lags = int(min(10, len(u) // 5))
    agrees("ljung_box", *diagnostic.acorr_ljungbox(u, lags=[lags]).iloc[0])
    products = case.X.shape[1] * (case.X.shape[1] + 3) // 2
    if products + 2 < len(u):
        agrees("white", *diagnostic.het_white(u, constant)[:2])
    whitened = case.whitened_peer.model
    half = len(u) // 2
    if half > constant.shape[1] + 1:
        ratio, p_value = diagnostic.het_goldfeldquandt(whitened.endog, whitened.exog)[:2]
        agrees("goldfeld_quandt", ratio)
        if len(u) % 2:  # statsmodels gives F the degrees of freedom of the halves in the wrong order
            k = whitened.exog.shape[1]
            p_value = stats.f.sf(ratio, len(u) - half - k, half - k)
        agrees("goldfeld_quandt", ratio, p_value)
    if case.weights is None:
        reset = diagnostic.linear_reset(peer, power=3, use_f=True)
        assert found.loc["reset", "statistic"] == pytest.approx(float(reset.fvalue), rel=1e-6)
        assert found.loc["reset", "df_denom"] == reset.df_denom


def test_durbin_watson_moments(case):
    """The mean and variance behind the p-value, from the n x n matrices that they come from."""
    if len(case.y) > 300:
        pytest.skip("n x n")
    X = case.whitened_peer.model.exog
    n, k = X.shape
    A = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    A[0, 0] = A[-1, -1] = 1
    Q = np.linalg.qr(X)[0]
    MA = A - Q @ (Q.T @ A)
    mean = np.trace(MA) / (n - k)
    variance = 2 * (np.trace(MA @ MA) - (n - k) * mean**2) / ((n - k) * (n - k + 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = case.diagnosis.tests().loc["durbin_watson"]
    expected = 2 * stats.norm.sf(abs(found["statistic"] - mean) / np.sqrt(variance))
    assert found["p_value"] == pytest.approx(expected, rel=1e-7)


def test_rainbow(case):
    """Against statsmodels, told to take the rows of least leverage for its middle half."""
    if case.weights is not None or len(case.y) < 4 * (case.X.shape[1] + 2):
        pytest.skip("statsmodels' rainbow knows no weights")
    order = np.argsort(case.diagnosis.rows()["leverage"].to_numpy().round(9), kind="stable")
    n, size = len(order), len(order) // 2
    inside, outside = order[:size], order[size:]
    start = int(np.ceil(0.25 * n))
    placed = np.concatenate([outside[:start], inside, outside[start:]])
    frac = size / n + 1e-9
    if int(np.floor(start + frac * n)) - start != size or int(np.ceil(0.5 * (1 - frac) * n)) != start:
        pytest.skip("statsmodels rounds to another half")
    statistic, p_value = diagnostic.linear_rainbow(case.peer, frac=frac, order_by=placed)
    found = case.diagnosis.tests().loc["rainbow"]
    assert found["statistic"] == pytest.approx(statistic, rel=1e-7)
    assert found["p_value"] == pytest.approx(p_value, rel=1e-6)
