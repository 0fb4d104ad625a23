"""Fitted estimators at rest: what a stored one says of its format, and whether this version can read it.

An estimator is stored (by pickle, joblib, skops or a copy) as its parameters and fitted attributes, with the number of the
format and the version that wrote it. Where a fit comes to keep something new, raise `FORMAT` and let `_upgraded` add to
what older files hold, or leave them to be refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mle_regression._version import __version__

# Of what a fit keeps. Files of format 0 say nothing of it.
FORMAT = 1
_FORMAT, _VERSION = "_format", "_version"
# What this version reads of a fit: attributes that are dicts, and their keys.
LINEAR = {
    "_state": frozenset(
        (
            *("effective_dof", "eps", "exact", "frequency", "geometry", "n", "noise", "noise_covariance", "noise_free"),
            *("notes", "output_exponent", "rates", "residual_dof", "residual_scale", "residual_squares", "totals"),
            "weight_exponent",
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
            *("noise_free", "output_unit", "posterior", "residual_dof", "single_output", "sizes", "theta", "units"),
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
    """Return attributes of format ``number`` in that of today. Format 1 differs from 0 by its number alone."""
    return state


def _defaults(kind: type) -> dict[str, Any]:
    """Return the parameters of an estimator, as those of a file may be fewer."""
    parameters = list(inspect.signature(kind).parameters.values())
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
