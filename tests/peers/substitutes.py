"""The package's estimators under the constructor arguments of scikit-learn's, for scikit-learn's own tests.

An argument is handed on where it means the same, has no effect where it concerns only how scikit-learn computes
(``copy_X``, ``n_jobs``), and is refused otherwise.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.datasets import make_regression

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.solvers import Adam, StochasticGradient


class _Substitute(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A fit by ``_estimator()``, whose fitted attributes are taken over."""

    def _estimator(self) -> Any:
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        return self._taken_over(self._estimator().fit(X, y, sample_weight))

    def predict(self, X: Any) -> Any:
        return self.fitted_.predict(X)

    def _taken_over(self, fitted: Any) -> Self:
        self.fitted_ = fitted
        if hasattr(self, "solver"):
            self.solver_ = self.solver
        for name in ("coef_", "intercept_", "coefs_", "intercepts_", "n_iter_", "n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _refuse(**unsupported: bool) -> None:
    for name, given in unsupported.items():
        if given:
            raise NotImplementedError(f"The package has nothing that means {name}.")


class LinearRegression(_Substitute):
    """MLELinearRegressor in the place of `sklearn.linear_model.LinearRegression`."""

    def __init__(self, *, fit_intercept=True, copy_X=True, tol=1e-6, n_jobs=None, positive=False):
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive

    def _estimator(self) -> MLELinearRegressor:
        _refuse(positive=self.positive)
        return MLELinearRegressor(fit_intercept=self.fit_intercept, on_rank_deficiency="min_norm")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        super().fit(X, y, sample_weight)
        self.rank_ = self.fitted_.rank_ - int(self.fit_intercept)
        return self


class Ridge(_Substitute):
    """MLELinearRegressor in the place of `sklearn.linear_model.Ridge`."""

    SOLVERS: ClassVar = {
        "auto": "auto",
        "svd": "svd",
        "cholesky": "normal",
        "lsqr": "lsmr",
        "sparse_cg": "newton",
        "sag": "gd",
        "saga": "lbfgs",
        "lbfgs": "lbfgs",
    }  # fmt: skip

    def __init__(
        self, alpha=1.0, *, fit_intercept=True, copy_X=True, max_iter=None, tol=1e-4, solver="auto", positive=False,
        random_state=None,
    ):  # fmt: skip
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state

    def _estimator(self) -> MLELinearRegressor:
        _refuse(positive=self.positive)
        return MLELinearRegressor(
            solver=self.SOLVERS[self.solver],
            fit_intercept=self.fit_intercept,
            alpha=self.alpha,
            # scikit-learn's tolerance is that of a step, ours of the distance to the optimum
            tol=min(self.tol, 1e-8),
            max_iter=10_000 if self.max_iter is None else self.max_iter,
            on_rank_deficiency="min_norm",
            random_state=self.random_state,
        )


class MLPRegressor(_Substitute):
    """MLPGradientRegressor in the place of `sklearn.neural_network.MLPRegressor`, in the units of X and y as given."""

    def __init__(
        self, hidden_layer_sizes=(100,), activation="relu", *, loss="squared_error", solver="adam", alpha=0.0001,
        batch_size="auto", learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=200, shuffle=True,
        random_state=None, tol=1e-4, verbose=False, warm_start=False, momentum=0.9, nesterovs_momentum=True,
        early_stopping=False, validation_fraction=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8, n_iter_no_change=10,
        max_fun=15000,
    ):  # fmt: skip
        for name, value in locals().copy().items():
            if name != "self" and not name.startswith("__"):
                setattr(self, name, value)

    def _estimator(self) -> MLPGradientRegressor:
        _refuse(loss=self.loss != "squared_error", schedule=self.learning_rate != "constant")
        solvers = {
            "adam": Adam(schedule="constant", beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon),
            "sgd": StochasticGradient(schedule="constant", momentum=self.momentum, nesterov=self.nesterovs_momentum),
            "lbfgs": "lbfgs",
        }
        by_batches = self.solver != "lbfgs"
        return MLPGradientRegressor(
            self.hidden_layer_sizes,
            activation=self.activation,
            solver=solvers[self.solver],
            alpha=self.alpha,
            standardize=False,
            # scikit-learn's loss is half of ours: a step of sgd along its gradient is half as long
            learning_rate=self.learning_rate_init / (1 + (self.solver == "sgd")) if by_batches else "auto",
            batch_size=self.batch_size if by_batches else "auto",
            max_iter=self.max_iter,
            tol=self.tol,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            warm_start=self.warm_start,
            random_state=self.random_state,
        )

    def _kept(self) -> MLPGradientRegressor:
        """The estimator of an earlier call with the options of today, as ``warm_start`` and ``partial_fit`` need it."""
        fresh = self._estimator()
        fitted = getattr(self, "fitted_", None)
        return fresh if fitted is None else fitted.set_params(**fresh.get_params(deep=False))

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        return self._taken_over(self._kept().fit(X, y, sample_weight))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        return self._taken_over(self._kept().partial_fit(X, y, sample_weight))

    @property
    def validation_scores_(self) -> list[float] | None:
        return self.fitted_.validation_curve_ if self.early_stopping else None


class MaxIterEstimator(MLELinearRegressor):
    """Gradient descent in the place of scikit-learn's toy that ignores its data: the rows of its tests stand in for None."""

    def __init__(self, max_iter=20, computation_intensity=0.001):
        super().__init__(solver="gd", max_iter=max_iter, tol=0.0, learning_rate=1e-3)
        self.computation_intensity = computation_intensity

    def fit(self, X: Any = None, y: Any = None, *, sample_weight: Any = None) -> Self:
        if X is None:
            X, y = make_regression(n_samples=100, n_features=2, random_state=0)
        return super().fit(X, np.zeros(len(X)) if y is None else y, sample_weight)
