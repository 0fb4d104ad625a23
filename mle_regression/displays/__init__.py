"""Pictures of fits, by scikit-learn's Display convention; matplotlib is imported when one is drawn.

``from_estimator(estimator, X, y, ...)`` works out the numbers, keeps them, and draws them. See docs/displays.md.
"""

from mle_regression.displays.calibration import CalibrationDisplay
from mle_regression.displays.coefficients import CoefficientsDisplay
from mle_regression.displays.landscape import LandscapeDisplay
from mle_regression.displays.partial_residuals import PartialResidualsDisplay
from mle_regression.displays.prediction_band import PredictionBandDisplay
from mle_regression.displays.residuals import ResidualsDisplay
from mle_regression.displays.spectrum import SpectrumDisplay
from mle_regression.displays.training import TrainingDisplay

DISPLAYS = {
    "calibration": CalibrationDisplay,
    "coefficients": CoefficientsDisplay,
    "landscape": LandscapeDisplay,
    "partial_residuals": PartialResidualsDisplay,
    "prediction_band": PredictionBandDisplay,
    "residuals": ResidualsDisplay,
    "spectrum": SpectrumDisplay,
    "training": TrainingDisplay,
}

__all__ = [
    "DISPLAYS",
    "CalibrationDisplay",
    "CoefficientsDisplay",
    "LandscapeDisplay",
    "PartialResidualsDisplay",
    "PredictionBandDisplay",
    "ResidualsDisplay",
    "SpectrumDisplay",
    "TrainingDisplay",
]
