"""The recipes of CONTRIBUTING.md, followed in a package of their own: one file and one line each."""

import importlib
import sys
import textwrap

import numpy as np
import pytest
from scipy.stats import kstest, logistic

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.diagnostics.residual_tests.registry import DIAGNOSTICS
from mle_regression.noise.registry import NOISES
from mle_regression.solvers.registry import NETWORK_SOLVERS, SOLVERS

DIRECT = """
    from dataclasses import dataclass
    from typing import ClassVar

    from mle_regression.solvers.base import LeastSquares, Need, Options, Serves, Solution
    from mle_regression.solvers.direct import Polish, conclude
    from mle_regression.solvers.passes import find_frame
    from mle_regression.solvers.qr import reduce_by_qr


    @dataclass
    class Householder(Options):
        '''A direct solver.'''

        name: ClassVar[str] = "householder"
        serves: ClassVar[Serves] = Serves.SUMS
        needs: ClassVar[Need] = Need.ROWS
        continues_from: ClassVar[Need | None] = None

        def solve(self, problem: LeastSquares) -> Solution:
            triangle, frame = reduce_by_qr(problem, find_frame(problem))
            return conclude(problem, triangle, frame, self.name, Polish.COEFFICIENTS)
"""
STEPWISE = """
    from dataclasses import dataclass
    from typing import ClassVar

    import numpy as np

    from mle_regression.solvers.base import Need, Options, Serves
    from mle_regression.solvers.path import ConvergenceMonitor, run_monitored


    @dataclass
    class BarzilaiBorwein(Options):
        '''Gradient descent with the step that the last two gradients tell (Barzilai and Borwein, 1988).'''

        first_step: float = 0.01

        name: ClassVar[str] = "bb"
        serves: ClassVar[Serves] = Serves.ANY
        needs: ClassVar[Need] = Need.MOMENTS
        continues_from: ClassVar[Need | None] = Need.MOMENTS

        def minimise(self, objective, control):
            monitor = ConvergenceMonitor(control, objective.start, 0.0, "A smaller first_step may do.", proven=True)

            def descend(monitor):
                theta, step = monitor.path.theta, self.first_step
                value, gradient = objective.value_and_gradient(theta)
                while not monitor.note(theta, value, float(np.linalg.norm(gradient))):
                    if monitor.path.n_iter >= control.max_iter:
                        return
                    moved = theta - step * gradient
                    value, other = objective.value_and_gradient(moved)
                    change, turn = moved - theta, other - gradient
                    step = float(change @ change) / max(float(change @ turn), 1e-300)
                    theta, gradient = moved, other

            return run_monitored(descend, monitor)
"""
TEST = """
    from scipy.stats import skewtest

    from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined


    def symmetry(fit: FitView) -> TestResult:
        '''Skewness of the residuals (D'Agostino, 1970).'''
        if not fit.free > 0:
            return undefined("no more rows than coefficients")
        found = skewtest(fit.whitened)
        return TestResult(float(found.statistic), p_value=float(found.pvalue))


    SYMMETRY = Diagnostic(symmetry, asks="symmetric noise", small_p="the noise is skewed: transform y")
"""

NOISE = """
    import numpy as np

    from mle_regression.noise.location_scale import location_scale


    def log_density(e):
        size = np.abs(e)
        return -size - 2.0 * np.log1p(np.exp(-size))


    LOGISTIC = location_scale("logistic", "logistic noise", log_density)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return what makes a module of a package outside ours from its text."""
    folder = tmp_path / "ours_and_more"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def module(name, text):
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
        return importlib.import_module(f"ours_and_more.{name}")

    yield module
    for name in [name for name in sys.modules if name.startswith("ours_and_more")]:
        del sys.modules[name]


@pytest.fixture
def rows(rng):
    X = rng.standard_normal((200, 4)) + [0.0, 5.0, 0.0, 0.0]
    return X, X @ [1.0, 2.0, 3.0, 4.0] + rng.standard_normal(200)


def test_a_direct_solver(package, rows, monkeypatch):
    monkeypatch.setitem(SOLVERS, "householder", package("householder", DIRECT).Householder)
    X, y = rows
    model, peer = MLELinearRegressor(solver="householder").fit(X, y), MLELinearRegressor().fit(X, y)
    assert model.solver_ == "householder"
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-13)
    np.testing.assert_allclose(model.standard_errors_, peer.standard_errors_, rtol=1e-12)
    assert model.verdict_ == "unique minimum"
    assert not hasattr(model, "partial_fit")
    with pytest.raises(ValueError, match="'householder'"):
        MLELinearRegressor(solver="none such").fit(X, y)


def test_a_solver_that_goes_step_by_step(package, rows, monkeypatch):
    kind = package("bb", STEPWISE).BarzilaiBorwein
    monkeypatch.setitem(SOLVERS, "bb", kind)
    monkeypatch.setitem(NETWORK_SOLVERS, "bb", kind)
    X, y = rows
    model, peer = MLELinearRegressor(solver="bb", tol=1e-12).fit(X, y), MLELinearRegressor().fit(X, y)
    assert model.converged_
    assert model.n_iter_ > 1
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-8)
    np.testing.assert_allclose(MLELinearRegressor(solver="bb").partial_fit(X, y).coef_, peer.coef_, rtol=1e-6)
    net = MLPGradientRegressor((), solver=kind(first_step=0.1), alpha=0.0, early_stopping=False, tol=1e-9).fit(X, y)
    assert net.solver_ == "bb"
    np.testing.assert_allclose(net.coefs_[0][:, 0], peer.coef_, rtol=1e-6)


def test_a_noise_family(package, rows, monkeypatch):
    monkeypatch.setitem(NOISES, "logistic", package("logistic", NOISE).LOGISTIC)
    X, y = rows
    linear = MLELinearRegressor(noise="logistic").fit(X, y)
    net = MLPGradientRegressor((), solver="newton", noise="logistic", alpha=0.0, early_stopping=False).fit(X, y)
    scale = linear.noise_variance_**0.5 / logistic.std()
    for model in (linear, net):
        assert "logistic noise" in str(model.summary())
        assert model.log_likelihood_ == pytest.approx(logistic.logpdf(y, linear.predict(X), scale).sum())
    np.testing.assert_allclose(net.coefs_[0][:, 0], linear.coef_, rtol=1e-5)


def test_a_residual_test(package, rows, monkeypatch, rng):
    monkeypatch.setitem(DIAGNOSTICS, "symmetry", package("symmetry", TEST).SYMMETRY)
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    table = model.diagnose(X, y).tests()
    assert 0 < table.loc["symmetry", "p_value"] <= 1
    assert "skewed" in table.loc["symmetry", "small_p_means"]
    p_values = [
        MLELinearRegressor().fit(X, z).diagnose(X, z).tests().loc["symmetry", "p_value"]
        for z in X @ np.ones(4) + rng.standard_normal((60, 200))
    ]
    assert kstest(p_values, "uniform").pvalue > 1e-3
