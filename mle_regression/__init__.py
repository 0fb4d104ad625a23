"""Regression as maximum likelihood, with a verdict on the optimum."""

from typing import TYPE_CHECKING, Any

from mle_regression._version import __version__
from mle_regression.compare import compare_models, likelihood_ratio_test
from mle_regression.linear import MLELinearRegressor
from mle_regression.mlp import MLPGradientRegressor
from mle_regression.scoring import log_likelihood_scorer
from mle_regression.warnings import InferenceWarning, NoiseFreeWarning, RankDeficiencyWarning

if TYPE_CHECKING:
    from mle_regression.page import report

__all__ = [
    "InferenceWarning",
    "MLELinearRegressor",
    "MLPGradientRegressor",
    "NoiseFreeWarning",
    "RankDeficiencyWarning",
    "__version__",
    "compare_models",
    "likelihood_ratio_test",
    "log_likelihood_scorer",
    "report",
]


def __getattr__(name: str) -> Any:
    """Import what pages and pictures take when it is asked for."""
    if name == "report":
        from mle_regression.page import report

        return report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
