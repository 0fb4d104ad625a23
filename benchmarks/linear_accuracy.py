"""Correct digits on NIST's StRD linear regression sets, peers side by side.

    python benchmarks/linear_accuracy.py --data DIR

DIR holds the .dat files as NIST publishes them (Norris.dat, Filip.dat, …), or a folder ``nist`` that does. Polynomial sets
are expanded in float64. Digits are log relative errors, the smallest over all coefficients, against the certified values
of the decimal data and against the exact rational solution of the float64 design; the second is what software can be held
to. Standard errors likewise.
"""

from __future__ import annotations

import argparse
import re
import warnings
from pathlib import Path

import numpy as np
from exact import digits, exact_least_squares

from mle_regression import MLELinearRegressor

POLYNOMIAL_DEGREE = {
    "Filip": 10,
    "Wampler1": 5,
    "Wampler2": 5,
    "Wampler3": 5,
    "Wampler4": 5,
    "Wampler5": 5,
    "Pontius": 2,
}
NO_INTERCEPT = ("NoInt1", "NoInt2")
NAMES = (
    "Norris", "Pontius", "NoInt1", "Filip", "Longley", "NoInt2",
    "Wampler1", "Wampler2", "Wampler3", "Wampler4", "Wampler5",
)  # fmt: skip


def read_nist(path: Path):
    """Return X (expanded), y, whether there is an intercept, and the certified coefficients and standard errors."""
    text = path.read_text()
    lines = text.splitlines()
    first, last = map(int, re.search(r"Data\s*\(lines (\d+) to (\d+)\)", text).groups())
    table = np.array([[float(v) for v in line.split()] for line in lines[first - 1 : last] if line.strip()])
    y, x = table[:, 0], table[:, 1:]
    if path.stem in POLYNOMIAL_DEGREE:
        x = x ** np.arange(1, POLYNOMIAL_DEGREE[path.stem] + 1)
    certified = re.findall(r"^\s*B\d+\s+(\S+)\s+(\S+)\s*$", text, flags=re.M)
    return x, y, path.stem not in NO_INTERCEPT, *(np.array([float(row[i]) for row in certified]) for i in (0, 1))


def ours(x, y, intercept):
    model = MLELinearRegressor(fit_intercept=intercept).fit(x, y)
    params, errors = model.coef_, model.standard_errors_
    if intercept:
        params = np.r_[model.intercept_, params]
        errors = np.r_[model.intercept_standard_error_, errors]
    return params, errors


def scikit_learn(**options):
    def fit(x, y, intercept):
        from sklearn.linear_model import LinearRegression

        model = LinearRegression(fit_intercept=intercept, **options).fit(x, y)
        return (np.r_[model.intercept_, model.coef_] if intercept else model.coef_), None

    return fit


def intelex(x, y, intercept):
    from sklearnex.linear_model import LinearRegression

    model = LinearRegression(fit_intercept=intercept).fit(x, y)
    return (np.r_[model.intercept_, model.coef_] if intercept else model.coef_), None


def numpy_lstsq(x, y, intercept):
    return np.linalg.lstsq(np.column_stack([np.ones(len(y)), x]) if intercept else x, y, rcond=None)[0], None


def statsmodels(method):
    def fit(x, y, intercept):
        import statsmodels.api as sm

        result = sm.OLS(y, np.column_stack([np.ones(len(y)), x]) if intercept else x).fit(method=method)
        return result.params, result.bse

    return fit


PEERS = {
    "scikit-learn": scikit_learn(),
    # It drops none of their columns then; the option is there from version 1.7 on.
    "scikit-learn, tol=0": scikit_learn(tol=0.0),
    "sklearn-intelex": intelex,
    "numpy lstsq": numpy_lstsq,
    "statsmodels pinv": statsmodels("pinv"),
    "statsmodels qr": statsmodels("qr"),
    "mle_regression": ours,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with NIST's .dat files")
    folder = parser.parse_args().data
    folder = folder / "nist" if (folder / "nist").is_dir() else folder
    warnings.simplefilter("ignore")
    rows = {"certified": {}, "exact": {}, "exact standard errors": {}}
    for name in NAMES:
        x, y, intercept, certified, _ = read_nist(folder / f"{name}.dat")
        truth = exact_least_squares(x, y, intercept=intercept)
        for peer, fit in PEERS.items():
            try:
                params, errors = fit(x, y, intercept)
            except ImportError:
                continue
            rows["certified"].setdefault(peer, []).append(digits(params, certified))
            rows["exact"].setdefault(peer, []).append(digits(params, truth.params))
            if errors is not None:
                rows["exact standard errors"].setdefault(peer, []).append(digits(errors, truth.errors))
    for title, table in rows.items():
        print(f"\nCorrect digits, {title}")
        print(f"{'':19s}" + "".join(f"{name:>10s}" for name in NAMES))
        for peer, values in table.items():
            print(f"{peer:19s}" + "".join(f"{value:10.1f}" for value in values))


if __name__ == "__main__":
    main()
