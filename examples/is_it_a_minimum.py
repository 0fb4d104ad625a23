"""Where did training end? Spectra and verdicts of networks on the diabetes data, at a saddle point and out of it.

python examples/is_it_a_minimum.py
"""

import warnings

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLPGradientRegressor
from mle_regression.solvers import NewtonCG


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    common = {"early_stopping": False, "random_state": 0, "curvature": "full"}

    print("Adam after 30 passes: the gradient has not vanished, and curvature says nothing yet.")
    early = MLPGradientRegressor((5,), solver="adam", alpha=1.0, max_iter=30, **common).fit(X, y)
    print("   ", early.verdict_, early.diagnose(X, y).curvature().reason, "\n")

    print(
        "A penalty so strong that every weight stays at zero makes zero a minimum; under a weaker one it is a saddle point,"
    )
    print("where the gradient is zero all the same. A solver that only looks at gradients stays there; newton leaves.")
    still = MLPGradientRegressor((5,), solver="lbfgs", alpha=1e4, warm_start=True, **common).fit(X, y)
    print("    alpha=10000, lbfgs: ", still.verdict_, f"loss {still.loss_:.4f}")
    still.set_params(alpha=1.0).fit(X, y)
    print("    alpha=1, lbfgs:     ", still.verdict_, f"loss {still.loss_:.4f}")
    if still.verdict_ != "minimum":
        print("   ", still.diagnose(X, y).curvature().reason)
    still.set_params(solver=NewtonCG()).fit(X, y)
    print("    alpha=1, newton:    ", still.verdict_, f"loss {still.loss_:.4f}\n")

    for activation in ("tanh", "relu"):
        for alpha in (1.0, 0.0):
            net = MLPGradientRegressor(
                (3,), activation=activation, solver="lm", alpha=alpha, max_iter=3000, tol=1e-9, **common
            ).fit(X, y)
            values = net.hessian_eigenvalues_
            print(f"{activation}, alpha={alpha:g}: {net.verdict_}, loss {net.loss_:.5f}", end=", ")
            print(f"condition number {net.condition_number_:.3g}")
            print("    smallest eigenvalues", np.array2string(values[:5], precision=3))
            print("    largest eigenvalues ", np.array2string(values[-5:], precision=3))
    print()
    print(net.diagnose(X, y).curvature())


if __name__ == "__main__":
    main()
