"""The directions that `cliffs.py` walks in: what grows, and who does what on it.

A contestant is a generator of (task, function) pairs, in the order in which they are timed; a later task may use what an
earlier one has fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import statsmodels.api as sm
from scipy.sparse.linalg import lsmr
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge, SGDRegressor
from sklearn.neural_network import MLPRegressor
from statsmodels.stats import diagnostic, stattools

from mle_regression import MLELinearRegressor, MLPGradientRegressor

Tasks = Iterator[tuple[str, Callable[[], Any]]]


@dataclass(frozen=True)
class Rows:
    """Design, targets, and a group for each row where clusters are asked for."""

    x: Any
    y: np.ndarray
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Direction:
    """What grows: ``build`` makes the rows of a size, ``contestants`` (ours first) say who does what on them."""

    grows: str
    sizes: tuple[int, ...]
    build: Callable[[int], Rows]
    contestants: dict[str, Callable[[Rows], Tasks]]

    @property
    def quick(self) -> tuple[int, ...]:
        """Sizes of a smoke test."""
        return tuple(max(4, size // 20) for size in self.sizes[:2])


def dense(n: int, p: int, outputs: int = 1) -> Rows:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, p))
    y = x[:, :5].sum(axis=1, keepdims=True) + rng.standard_normal((n, outputs))
    return Rows(x, y if outputs > 1 else y[:, 0])


def curved(n: int, p: int, outputs: int = 1) -> Rows:
    rows = dense(n, p, outputs)
    return Rows(rows.x, np.tanh(rows.y / 3.0))


def one_hot(levels: int) -> Rows:
    """Dummies of all levels but the first, 20 rows a level."""
    n = 20 * levels
    x = sp.csr_matrix((np.ones(n), (np.arange(n), np.arange(n) % levels)))[:, 1:]
    return Rows(x, np.random.default_rng(0).standard_normal(n))


def scattered(p: int) -> Rows:
    """Ten numbers a row wherever they fall, ten rows a column."""
    rng = np.random.default_rng(0)
    x = sp.random(10 * p, p, density=min(1.0, 10.0 / p), random_state=rng, format="csr", data_rvs=rng.standard_normal)
    return Rows(x, x @ np.ones(p) + rng.standard_normal(10 * p))


def grouped(groups: int) -> Rows:
    rows = dense(2 * groups, 5)
    return Rows(rows.x, rows.y, np.random.default_rng(1).integers(0, groups, 2 * groups))


def deficient(copies: int) -> Rows:
    """40 columns and ``copies`` sums of neighbours among them."""
    rows = dense(2_000, 40)
    return Rows(np.hstack([rows.x, rows.x[:, np.arange(copies) % 39] + rows.x[:, np.arange(copies) % 39 + 1]]), rows.y)


# -- linear -----------------------------------------------------------------------------------------------------------


def our_linear(rows: Rows, **options: Any) -> Tasks:
    model = MLELinearRegressor(**options)
    yield "fit", lambda: model.fit(rows.x, rows.y)
    yield "predict", lambda: model.predict(rows.x)
    yield "intervals", lambda: model.predict_interval(rows.x)
    yield "likelihood", lambda: model.log_likelihood(rows.x, rows.y)
    yield "summary", lambda: str(model.summary())


def our_diagnosed(rows: Rows) -> Tasks:
    yield from our_linear(rows)
    model = MLELinearRegressor().fit(rows.x, rows.y)
    yield "rows", lambda: model.diagnose(rows.x, rows.y).rows()
    yield "HC3", lambda: model.diagnose(rows.x, rows.y).coefficients(cov="HC3")
    if rows.x.shape[1] <= 20:
        yield "tests", lambda: model.diagnose(rows.x, rows.y).tests()


def our_clusters(rows: Rows) -> Tasks:
    model = MLELinearRegressor().fit(rows.x, rows.y)
    pairs = np.column_stack([rows.groups, np.roll(rows.groups, 1)])
    yield "one way", lambda: model.diagnose(rows.x, rows.y).coefficients(cov={"cluster": rows.groups})
    yield "two way", lambda: model.diagnose(rows.x, rows.y).coefficients(cov={"cluster": pairs})


def our_batches(rows: Rows) -> Tasks:
    def stream() -> MLELinearRegressor:
        model = MLELinearRegressor()
        for i in range(len(rows.y)):
            model.partial_fit(rows.x[i : i + 1], rows.y[i : i + 1])
        return model

    yield "partial_fit", stream
    model = stream()
    yield "coef_", lambda: (model.partial_fit(rows.x[:1], rows.y[:1]).coef_, model.standard_errors_)


def scikit_learn(rows: Rows) -> Tasks:
    model = LinearRegression()
    yield "fit", lambda: model.fit(rows.x, rows.y)
    yield "predict", lambda: model.predict(rows.x)


def scikit_learn_ridge(rows: Rows) -> Tasks:
    model = Ridge(alpha=1e-10, solver="sparse_cg", tol=1e-10)
    yield "fit", lambda: model.fit(rows.x, rows.y)


def scikit_learn_evidence(rows: Rows) -> Tasks:
    yield "fit", lambda: BayesianRidge(compute_score=True).fit(rows.x, rows.y)


def scikit_learn_batches(rows: Rows) -> Tasks:
    def stream() -> None:
        model = SGDRegressor()
        for i in range(len(rows.y)):
            model.partial_fit(rows.x[i : i + 1], rows.y[i : i + 1])

    yield "partial_fit", stream


def numpy_lstsq(rows: Rows) -> Tasks:
    x = np.column_stack([np.ones(len(rows.y)), rows.x])
    yield "fit", lambda: np.linalg.lstsq(x, rows.y, rcond=None)


def scipy_lsmr(rows: Rows) -> Tasks:
    yield "fit", lambda: lsmr(rows.x, rows.y, atol=1e-12, btol=1e-12)


def statsmodels_ols(rows: Rows) -> Tasks:
    x = np.column_stack([np.ones(len(rows.y)), rows.x])
    yield "fit", lambda: sm.OLS(rows.y, x).fit().bse
    fit = sm.OLS(rows.y, x).fit()
    yield "predict", lambda: fit.predict(x)
    yield "intervals", lambda: fit.get_prediction(x).conf_int(obs=True)
    yield "likelihood", lambda: fit.model.loglike(fit.params)
    yield "summary", lambda: str(sm.OLS(rows.y, x).fit().summary())
    yield "rows", lambda: _statsmodels_influence(sm.OLS(rows.y, x).fit())
    yield "HC3", lambda: sm.OLS(rows.y, x).fit(cov_type="HC3").bse
    if rows.x.shape[1] <= 20:
        yield "tests", lambda: _statsmodels_tests(sm.OLS(rows.y, x).fit(), x)


def _statsmodels_influence(fit: Any) -> list[Any]:
    influence = fit.get_influence()
    studentised = influence.resid_studentized_internal
    return [influence.hat_matrix_diag, studentised, influence.cooks_distance, influence.dffits_internal]


def _statsmodels_tests(fit: Any, x: np.ndarray) -> list[Any]:
    residuals = np.asarray(fit.resid)
    return [
        diagnostic.het_breuschpagan(residuals, x),
        diagnostic.het_white(residuals, x),
        diagnostic.het_goldfeldquandt(fit.model.endog, x),
        diagnostic.linear_reset(fit, use_f=True),
        diagnostic.linear_rainbow(fit),
        diagnostic.acorr_ljungbox(residuals),
        stattools.jarque_bera(residuals),
        stattools.omni_normtest(residuals),
        stattools.durbin_watson(residuals),
    ]


def statsmodels_clusters(rows: Rows) -> Tasks:
    x = np.column_stack([np.ones(len(rows.y)), rows.x])
    fit = sm.OLS(rows.y, x).fit()
    pairs = np.column_stack([rows.groups, np.roll(rows.groups, 1)])
    yield "one way", lambda: fit.get_robustcov_results("cluster", groups=rows.groups).bse
    yield "two way", lambda: fit.get_robustcov_results("cluster", groups=pairs).bse


# -- networks ---------------------------------------------------------------------------------------------------------


def our_network(*hidden: int, **options: Any) -> Callable[[Rows], Tasks]:
    def tasks(rows: Rows) -> Tasks:
        model = MLPGradientRegressor(hidden or (50,), **({"alpha": 1e-4, "random_state": 0} | options))
        yield "fit", lambda: model.fit(rows.x, rows.y)
        yield "predict", lambda: model.predict(rows.x)
        yield "intervals", lambda: model.predict_interval(rows.x)
        yield "likelihood", lambda: model.log_likelihood(rows.x, rows.y)
        yield "summary", lambda: str(model.summary())

    return tasks


def scikit_learn_network(*hidden: int, **options: Any) -> Callable[[Rows], Tasks]:
    def tasks(rows: Rows) -> Tasks:
        model = MLPRegressor(hidden_layer_sizes=hidden or (50,), activation="tanh", random_state=0, **options)
        yield "fit", lambda: model.fit(rows.x, rows.y)
        yield "predict", lambda: model.predict(rows.x)

    return tasks


def _wide(make: Callable[..., Callable[[Rows], Tasks]], layers: int) -> Callable[[Rows], Tasks]:
    """A network whose width is the number of columns that the rows carry in ``groups``."""
    return lambda rows: make(*[int(rows.groups[0])] * layers)(rows)


def _with_width(n: int, p: int) -> Callable[[int], Rows]:
    def build(width: int) -> Rows:
        rows = curved(n, p)
        return Rows(rows.x, rows.y, np.array([width]))

    return build


def our_network_batches(rows: Rows) -> Tasks:
    def stream() -> None:
        model = MLPGradientRegressor((20,), solver="adam", random_state=0).fit(rows.x[:50], rows.y[:50])
        for i in range(len(rows.y)):
            model.partial_fit(rows.x[i : i + 1], rows.y[i : i + 1])

    yield "partial_fit", stream


def scikit_learn_network_batches(rows: Rows) -> Tasks:
    def stream() -> None:
        model = MLPRegressor(hidden_layer_sizes=(20,), random_state=0).fit(rows.x[:50], rows.y[:50])
        for i in range(len(rows.y)):
            model.partial_fit(rows.x[i : i + 1], rows.y[i : i + 1])

    yield "partial_fit", stream


LINEAR = {"ours": our_linear, "scikit-learn": scikit_learn, "numpy": numpy_lstsq, "statsmodels": statsmodels_ols}
DIAGNOSED = LINEAR | {"ours": our_diagnosed}
NETWORK = {"ours": our_network(), "scikit-learn": scikit_learn_network()}

DIRECTIONS = {
    "rows": Direction("rows of 10 columns", (1_000, 10_000, 100_000, 1_000_000), lambda n: dense(n, 10), DIAGNOSED),
    "columns": Direction("columns of 5,000 rows", (100, 300, 1_000, 2_000), lambda p: dense(5_000, p), DIAGNOSED),
    "square": Direction("rows and columns of a square X", (250, 500, 1_000, 2_000), lambda p: dense(p, p), {
        name: LINEAR[name] for name in ("ours", "scikit-learn", "numpy")}),
    "wide": Direction("columns of 200 rows", (400, 1_000, 3_000, 10_000), lambda p: dense(200, p), {
        name: LINEAR[name] for name in ("ours", "scikit-learn", "numpy")}),
    "outputs": Direction("outputs of 200 x 5", (10, 100, 1_000, 3_000), lambda m: dense(200, 5, m), {
        name: LINEAR[name] for name in ("ours", "scikit-learn", "numpy")}),
    "dummies": Direction("levels of sparse dummies", (100, 300, 1_000, 3_000), one_hot, {
        "ours": our_linear, "scikit-learn": scikit_learn, "scipy lsmr": scipy_lsmr}),
    "sparse": Direction("columns, scattered", (300, 1_000, 3_000, 10_000), scattered, {
        "ours": our_linear, "scikit-learn": scikit_learn, "scikit-learn cg": scikit_learn_ridge, "scipy lsmr": scipy_lsmr}),
    "groups": Direction("groups of two rows", (1_000, 10_000, 100_000, 500_000), grouped, {
        "ours": our_clusters, "statsmodels": statsmodels_clusters}),
    "batches": Direction("batches of one row", (100, 1_000, 3_000), lambda n: dense(n, 5), {
        "ours": our_batches, "scikit-learn": scikit_learn_batches}),
    "deficiency": Direction("dependent columns beside 40", (1, 40, 200, 600), deficient, {
        name: LINEAR[name] for name in ("ours", "scikit-learn", "numpy")}),
    "evidence": Direction("columns of 2,000 rows, penalty by evidence", (10, 100, 500), lambda p: dense(2_000, p), {
        "ours": lambda rows: our_linear(rows, alpha="evidence"), "scikit-learn": scikit_learn_evidence}),
    "network rows": Direction("rows of 10 columns, 50 units", (100, 1_000, 10_000), lambda n: curved(n, 10), NETWORK),
    "network columns": Direction("columns of 100 rows, 50 units", (10, 100, 1_000), lambda p: curved(100, p), NETWORK),
    "network outputs": Direction("outputs of 300 x 5, 50 units", (1, 10, 50), lambda m: curved(300, 5, m), NETWORK),
    "units": Direction("units of 500 x 5", (10, 50, 200), _with_width(500, 5), {
        "ours": _wide(our_network, 1), "scikit-learn": _wide(scikit_learn_network, 1)}),
    "parameters": Direction("units of each of two layers, 95 x 10", (10, 30, 100), _with_width(95, 10), {
        "ours": _wide(our_network, 2), "scikit-learn": _wide(scikit_learn_network, 2)}),
    "network evidence": Direction("rows of 5 columns, 10 units, penalty by evidence", (20, 80, 320), lambda n: curved(n, 5), {
        "ours": our_network(10, alpha="evidence"), "scikit-learn": scikit_learn_network(10, solver="lbfgs", max_iter=2_000)}),
    "network batches": Direction("batches of one row", (100, 300, 1_000), lambda n: curved(n, 5), {
        "ours": our_network_batches, "scikit-learn": scikit_learn_network_batches}),
}  # fmt: skip
