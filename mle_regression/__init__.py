"""Regression as maximum likelihood, with a verdict on the optimum."""

from mle_regression.linear import MLELinearRegressor
from mle_regression.warnings import NoiseFreeWarning, RankDeficiencyWarning

__version__ = "0.1.0"
__all__ = ["MLELinearRegressor", "NoiseFreeWarning", "RankDeficiencyWarning", "__version__"]
