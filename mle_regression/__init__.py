"""Regression as maximum likelihood, with a verdict on the optimum."""

from mle_regression._version import __version__
from mle_regression.compare import compare_models, log_likelihood_scorer
from mle_regression.linear import MLELinearRegressor
from mle_regression.warnings import NoiseFreeWarning, RankDeficiencyWarning

__all__ = [
    "MLELinearRegressor",
    "NoiseFreeWarning",
    "RankDeficiencyWarning",
    "__version__",
    "compare_models",
    "log_likelihood_scorer",
]
