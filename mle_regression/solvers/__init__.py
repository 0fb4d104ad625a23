"""How is the optimum reached? One algorithm a file."""

from mle_regression.solvers.auto import Automatic
from mle_regression.solvers.gradient_descent import GradientDescent
from mle_regression.solvers.lbfgs import LBFGS
from mle_regression.solvers.levenberg_marquardt import LevenbergMarquardt
from mle_regression.solvers.lsmr import LSMR
from mle_regression.solvers.newton import NewtonCG
from mle_regression.solvers.normal import NormalEquation
from mle_regression.solvers.qr import TallSkinnyQR
from mle_regression.solvers.stochastic import Adam, AdamW, StochasticGradient
from mle_regression.solvers.svd import SingularValues

__all__ = [
    "LBFGS",
    "LSMR",
    "Adam",
    "AdamW",
    "Automatic",
    "GradientDescent",
    "LevenbergMarquardt",
    "NewtonCG",
    "NormalEquation",
    "SingularValues",
    "StochasticGradient",
    "TallSkinnyQR",
]
