"""
Which rows matter
=================

One row of twenty may hold a coefficient where it is. Leverage, left-out residual and Cook's distance say what leaving a row
out would do, without leaving it out; refitting without it shows that they are right to the last digit.

The data are those of twenty middle-aged men in a fitness club that scikit-learn ships (Linnerud): their waists, by weight
and pulse.

    python examples/plot_which_rows_matter.py [picture.png]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_linnerud

from mle_regression import MLELinearRegressor
from mle_regression.displays import ResidualsDisplay

data = load_linnerud(as_frame=True)
X, y = data.data, data.target["Waist"]
X.index = y.index = [f"man {i + 1}" for i in range(len(y))]
model = MLELinearRegressor().fit(X, y)
diagnosis = model.diagnose(X, y)
rows, changes = diagnosis.rows(), diagnosis.dfbetas()

# %%
# The row of the largest Cook's distance, and what is foretold of the fit without it.
largest = rows["cooks_distance"].idxmax()
row = rows.loc[largest]
print(rows.loc[largest, ["fitted", "residual", "leverage", "cooks_distance", "loo_residual"]].round(3).to_string())

# %%
# The fit without it. Its residual there, how far all predictions move, and how far each coefficient does, in standard
# errors of that fit, are as foretold.
without = MLELinearRegressor().fit(X.drop(index=largest), y.drop(index=largest))
np.testing.assert_allclose(y[largest] - without.predict(X.loc[[largest]])[0], row["loo_residual"], rtol=1e-10)
moved = np.sum((model.predict(X) - without.predict(X)) ** 2)
np.testing.assert_allclose(moved / (4 * model.residual_variance_), row["cooks_distance"], rtol=1e-10)
inverse = np.linalg.inv(np.column_stack([np.ones(len(X)), X]).T @ np.column_stack([np.ones(len(X)), X]))
errors = np.sqrt(without.residual_variance_ * np.diagonal(inverse))
shift = np.r_[model.intercept_ - without.intercept_, model.coef_ - without.coef_] / errors
np.testing.assert_allclose(shift, changes.loc[largest], rtol=1e-8)

# %%
# It leads the fit: no other row moves it half as much, and one coefficient by more than a standard error.
assert row["cooks_distance"] > 2 * rows["cooks_distance"].drop(largest).max()
assert changes.loc[largest].abs().max() > 1
# A residual alone would not tell: others are larger.
assert rows["residual"].abs().idxmax() != largest

# %%
display = ResidualsDisplay.from_estimator(model, X, y, width=11)
print(f"{largest} stands out by Cook's distance {row['cooks_distance']:.2f}")
if len(sys.argv) > 1:
    display.figure_.savefig(sys.argv[1], dpi=100)
plt.show()
