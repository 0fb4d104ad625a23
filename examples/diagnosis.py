"""The whole diagnosis of a linear fit, on the disease progression of 442 patients that scikit-learn ships.

    python examples/diagnosis.py

Summary of the fit; how sure the coefficients are under weaker assumptions; which rows matter; which columns get in each
other's way; whether the assumptions hold; hypotheses; and how rows do that the model has not seen.
"""

import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from mle_regression import MLELinearRegressor, likelihood_ratio_test

pd.set_option("display.width", 110, "display.max_columns", 20, "display.precision", 4)


def heading(text: str) -> None:
    print(f"\n\n{text}\n{'#' * len(text)}\n")


X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
model = MLELinearRegressor().fit(X, y)
diagnosis = model.diagnose(X, y)

heading("1. Summary, from the fit alone")
print(model.summary())

heading("2. The whole diagnosis, from the rows")
print(diagnosis)

heading("3. Standard errors that trust the noise less and less")
decade = X["age"] // 10
kinds = {
    "nonrobust": "nonrobust",
    "HC3": "HC3",
    "clusters: decades of age": {"cluster": decade},
    "HAC, 5 lags": {"HAC": 5},
}
print(pd.DataFrame({name: diagnosis.coefficients(cov)["std_error"] for name, cov in kinds.items()}))

heading("4. Hypotheses")
print(model.f_test())
print(model.test_linear("s1 = s2 = s3 = s4 = 0"))
print(diagnosis.test_linear("bmi = 5*bp", cov="HC3"))
smaller = MLELinearRegressor().fit(X.drop(columns=["age", "s3", "s6"]), y)
print(f"without age, s3, s6: {likelihood_ratio_test(smaller, model)}")

heading("5. Rows that move a coefficient by more than a third of its standard error")
dfbetas = diagnosis.dfbetas()
print(dfbetas[dfbetas.abs().max(axis=1) > 1 / 3].round(2))

heading("6. Rows that the model has not seen")
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
trained = MLELinearRegressor().fit(X_train, y_train)
unseen = trained.diagnose(X_test, y_test)
print(f"{unseen.data}: R² {unseen.predicted_r2:.4f} of {len(X_test)} rows; in training {trained.r2_:.4f}, ", end="")
print(f"foretold there by leaving rows out {trained.diagnose(X_train, y_train).predicted_r2:.4f}")
print(unseen.tests().loc[["predictive_failure"], ["statistic", "df", "df_denom", "p_value"]])
