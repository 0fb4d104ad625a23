"""Fitted estimators at rest: what a stored one says of its format, and whether this version can read it.

An estimator is stored (by pickle, joblib, skops or a copy) as its parameters and fitted attributes, with the number of the
format and the version that wrote it. Where a fit comes to keep something new, raise `FORMAT` and let `_upgraded` add to
what older files hold, or leave them to be refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.linalg import null_space

from mle_regression._version import __version__
from mle_regression.diagnostics.noise_factor import factor_of_cross
from mle_regression.linalg.scaling import scale

# Of what a fit keeps. Files of format 0 say nothing of it.
FORMAT = 2
# Condition of a triangle up to which its covariance alone gives it.
_CONDITION = 1e7
# Components of unit vectors that are no more than rounding.
_ROUNDING = 1e-9
_FORMAT, _VERSION = "_format", "_version"
# What this version reads of a fit: attributes that are dicts, and their keys.
LINEAR = {
    "_state": frozenset(
        (
            *("effective_dof", "eps", "frequency", "geometry", "gradient", "memory", "n", "noise"),
            *("noise_covariance", "noise_exponent"),
            *("noise_free", "noise_root", "notes", "output_exponent", "rates", "residual_dof", "residual_scale"),
            *("residual_squares", "singular", "totals", "weight_exponent"),
        )
    ),
    "_sums": frozenset(
        ("counts", "digits", "eps", "frame", "limbs", "rounded", "shape", "single_output", "top", "totals")
    ),
}
NETWORK = {
    "_state": frozenset(
        (
            *("activation", "alpha", "curvature", "edge", "frequency", "memory", "n", "noise", "noise_covariance"),
            *("noise_free", "noise_root", "output_unit", "posterior", "predictive_source", "predictive_variance"),
            *("residual_dof", "single_output", "singular", "sizes", "theta", "units"),
        )
    )
}


def to_stored(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's attributes with the format that they have, as a file holds them."""
    return {**state, _FORMAT: FORMAT, _VERSION: __version__}


def from_stored(stored: Mapping[str, Any], kind: type, kept: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """Return the attributes of an estimator that a file holds, in the format of this version.

    Parameters
    ----------
    stored : mapping of str
        What `to_stored` has returned, of this version or another.
    kind : type
        The estimator's class.
    kept : mapping of str to set of str
        `LINEAR` or `NETWORK`.

    Raises
    ------
    ValueError
        If the file is of a later format, or lacks what this version needs.
    """
    state = dict(stored)
    number, version = state.pop(_FORMAT, 0), state.pop(_VERSION, "")
    written = f"by mle_regression {version}" if version else "by an earlier version of mle_regression"
    if number > FORMAT:
        raise ValueError(
            f"This {kind.__name__} was stored {written} in format {number}, and version {__version__} reads formats up to "
            f"{FORMAT}. Update mle_regression, or fit again."
        )
    state = _defaults(kind) | state
    if number == FORMAT:
        return state
    state = _upgraded(state, number)
    for name, keys in kept.items():
        missing = sorted(keys - state[name].keys()) if name in state else []
        if missing:
            raise ValueError(
                f"This {kind.__name__} was stored {written}, in a format that version {__version__} does not read: its fit "
                f"lacks {', '.join(missing)}. Load it with the version that stored it, or fit again."
            )
    return state


def _upgraded(state: dict[str, Any], number: int) -> dict[str, Any]:
    """Return attributes of format ``number`` in that of today.

    Format 0 has of the noise its covariance alone, that of the training rows, and whether there is none.
    """
    old = state.get("_state", {})
    if number > 0 or "noise_covariance" not in old or "noise_root" in old:
        return state
    covariance, m = old["noise_covariance"], len(old["noise_covariance"])
    exponent = np.zeros(m, dtype=np.int64)
    if "output_exponent" in old and "weight_exponent" in old:
        exponent = old["output_exponent"] + old["weight_exponent"]
    root = factor_of_cross(scale(covariance, -(exponent[:, None] + exponent)), _CONDITION)
    new = {key: value for key, value in old.items() if key != "exact"}
    new["noise_root"], new["singular"] = np.zeros((0, 0)) if root is None else root, ""
    new["noise_free"] = np.array(np.broadcast_to(old.get("exact", old.get("noise_free", False)), m))
    if "output_exponent" in old:
        new["noise_exponent"] = exponent
        new["gradient"], new["memory"] = np.zeros((0, 0)), {}
    if "theta" in old:
        new = _with_posteriors(_with_predictive_noise(new))
    return state | {"_state": new}


def _with_predictive_noise(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network's state, and those of its ensemble, with the noise of new rows: in format 0, that of the training."""
    variance = np.diagonal(network["noise_covariance"]).copy()
    new = network | {"predictive_variance": variance, "predictive_source": "training rows"}
    if new.get("members"):
        new["members"] = tuple(_with_predictive_noise(member) for member in new["members"])
    return new


def _with_posteriors(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network's state, and those of its ensemble, with posteriors as `posterior_of` has them.

    Format 0 has a root of all parameters, or of the last layer alone, which says too little.
    """
    new = dict(network)
    if "members" in network:
        new["members"] = tuple(_with_posteriors(member) for member in network["members"])
    old = network.get("posterior")
    if old is None or "covariance" in old:
        return new
    posterior = {name: old[name] for name in ("effective", "noise", "distance", "refusal")} | {"covariance": None}
    if old["kind"] == "all parameters":
        size, undetermined = len(old["root"]), old["undetermined"]
        free = np.abs(undetermined).max(axis=1, initial=0.0) > _ROUNDING
        seen = np.zeros((size, int(free.sum()) - undetermined.shape[1]))
        if seen.size:
            seen[free] = null_space(undetermined[free].T)[:, : seen.shape[1]]
        nothing = {"prior": np.zeros(size), "basis": np.zeros((size, 0))}
        posterior["covariance"] = {"root": old["root"], "free": free, "seen": seen} | nothing
    elif not posterior["refusal"]:
        posterior["refusal"] = (
            "This network was stored by an earlier version of mle_regression, which knew the uncertainty of its last layer "
            "alone: fit again."
        )
    return new | {"posterior": posterior}


def _defaults(kind: type) -> dict[str, Any]:
    """Return the parameters of an estimator, as those of a file may be fewer."""
    parameters = list(inspect.signature(kind).parameters.values())
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
