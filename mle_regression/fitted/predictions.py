"""How surely a fitted linear model predicts rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mle_regression.diagnostics import covariance
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import scale
from mle_regression.rows.registry import as_rows


def prediction_deviations(fit: LinearFit | JointFit, x: Any, noise_share: float | Array) -> Array:
    """Return the standard deviation (n, m) of predictions, with so much of the noise variance in it."""
    rows = as_rows(x, np.zeros((x.shape[0], 0)))
    dense = not any(information.sparse for information in fit.informations)
    leverage = rows.map(partial(covariance.leverages_of_block, fit.informations), dense=dense)
    if isinstance(fit, JointFit):
        leverage = leverage[:, fit.part_of_output]
    share = scale(noise_share, 2 * fit.weight_exponent)
    if np.any(share):  # none of a variance that may be infinite is none
        share = share * fit.likelihood.noise.variance_ratio
    deviation: Array = np.sqrt(np.reshape(share, (-1, 1)) + leverage) * scale(fit.residual_scale, fit.output_exponent)
    return deviation
