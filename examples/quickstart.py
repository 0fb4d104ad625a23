"""Linear regression that knows what it knows: diabetes data, raw and in mixed units.

    python examples/quickstart.py

Fits scikit-learn's diabetes data as measured (years, mmHg, mg/dl …), then the same data with some columns in other units,
next to `LinearRegression`; then in a Pipeline and a GridSearchCV over solver and penalty.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, compare_models, log_likelihood_scorer

pd.set_option("display.width", 110, "display.max_columns", 20)


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
model = MLELinearRegressor().fit(X, y)

heading("1. Raw units: what the fit knows")
print(model.coefficients().to_string(float_format="{:.4g}".format))
print(f"\nlog-likelihood {model.log_likelihood_:.3f}   AIC {model.aic_:.2f}   BIC {model.bic_:.2f}")
print(f"R² {model.score(X, y):.4f}   noise standard deviation {np.sqrt(model.noise_variance_):.3f}")
print(f"solver {model.solver_}   rank {model.rank_} of {X.shape[1] + 1}   every digit worked out: {model.refined_}")
print("eigenvalues of the Hessian  " + "  ".join(f"{value:.3g}" for value in model.hessian_eigenvalues_))
print(f"condition number {model.condition_number_:.3g}   verdict: {model.verdict_}")

heading("2. The same data in mixed units: nothing but the units may change")
units = pd.Series(1.0, X.columns)
units["bp"] = 1e-8  # blood pressure in units of 10^8 mmHg
units["s1"] = 1e9  # cholesterol in units of 10^-9 mg/dl
mixed = X * units
rows = {}
fits = {"LinearRegression": LinearRegression()}
if "tol" in LinearRegression().get_params():  # from scikit-learn 1.7 on
    fits["LinearRegression, tol=0"] = LinearRegression(tol=0.0)
fits["MLELinearRegressor"] = MLELinearRegressor()
for name, data, unit in (("raw units", X, 1.0), ("mixed units", mixed, units.to_numpy())):
    for title, fit in fits.items():
        coef = pd.Series(fit.fit(data, y).coef_ * unit, X.columns)
        rows[title, name] = {
            "R²": fit.score(data, y),
            "bp per mmHg": coef["bp"],
            "s1 per mg/dl": coef["s1"],
        }
print(pd.DataFrame.from_dict(rows, orient="index").round(6).to_string())
print("LinearRegression drops columns whose scale is small beside the largest, by default below 1e-6 of it, with tol=0")
print("where float64 ends, and does not say so.")

heading("3. A dependent column is named, not hidden")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    flat = MLELinearRegressor().fit(X.assign(total=X["s1"] + 2 * X["s2"]), y)
print(f"verdict: {flat.verdict_}, rank {flat.rank_} of {X.shape[1] + 2}\n{caught[0].message}")

heading("4. In a Pipeline and a grid search, scored by held-out log-likelihood")
pipe = make_pipeline(StandardScaler(), MLELinearRegressor())
grid = {"mlelinearregressor__solver": ["normal", "qr", "svd"], "mlelinearregressor__alpha": [0.0, 1.0, 10.0, 100.0]}
folds = KFold(5, shuffle=True, random_state=0)
search = GridSearchCV(pipe, grid, scoring=log_likelihood_scorer, cv=folds).fit(X, y)
scores = pd.DataFrame(search.cv_results_).pivot_table(
    index="param_mlelinearregressor__alpha", columns="param_mlelinearregressor__solver", values="mean_test_score"
)
print("held-out log-likelihood per row, by alpha and solver")
print(scores.rename_axis(index="alpha", columns=None).round(6).to_string())

heading("5. Side by side")
models = {
    "MLELinearRegressor": MLELinearRegressor(),
    "scaled, alpha=10": make_pipeline(StandardScaler(), MLELinearRegressor(alpha=10.0)),
    "LinearRegression": LinearRegression(),
}
columns = ["r2", "rmse", "log_likelihood", "aic", "rank", "condition_number", "cv_r2", "cv_log_likelihood"]
print(compare_models(models, X, y, cv=folds)[columns].to_string(float_format="{:.5g}".format))
