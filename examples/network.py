"""A neural network by maximum likelihood, next to scikit-learn's and to a linear model, on data that ship with scikit-learn.

python examples/network.py
"""

import warnings

import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor, compare_models


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_diabetes(return_X_y=True, scaled=False, as_frame=True)
    models = {
        "MLPGradientRegressor": MLPGradientRegressor(random_state=0),
        "10 units, alpha=30": MLPGradientRegressor((10,), alpha=30.0, early_stopping=False, random_state=0),
        "MLPRegressor, scaled": TransformedTargetRegressor(
            make_pipeline(StandardScaler(), MLPRegressor(random_state=0)), transformer=StandardScaler()
        ),
        "MLELinearRegressor": MLELinearRegressor(),
    }
    table = compare_models(models, X, y, cv=KFold(5, shuffle=True, random_state=0))
    with pd.option_context("display.width", 120, "display.max_columns", 10):
        print(table[["fit_time", "r2", "log_likelihood", "cv_r2", "cv_rmse", "cv_log_likelihood"]].round(4))
    print()
    print(MLPGradientRegressor(random_state=0).fit(X, y).summary())


if __name__ == "__main__":
    main()
