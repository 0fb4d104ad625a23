"""Fitted estimators at rest: what a stored one says of its format, and whether this version can read it.

An estimator is stored (by pickle, joblib, skops or a copy) as its parameters and fitted attributes, with the number of the
format and the version that wrote it. The typed fit is a plain dict there, of arrays, numbers, strings, and dicts and tuples
of these. Where a fit comes to keep something new, raise `FORMAT` and let `earlier_formats` add to what older files hold, or
leave them to be refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import scipy.sparse as sp

from mle_regression._version import __version__
from mle_regression.diagnostics.laplace_approximation import Inverse
from mle_regression.diagnostics.noise_factor import SingularNoise
from mle_regression.estimator.earlier_formats import typed_fit
from mle_regression.fit.incremental import RunningSums
from mle_regression.fitted.likelihood import Likelihood, OnTheWay
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.network import KeptCurvature, NetworkFit
from mle_regression.fitted.optimum import Optimum
from mle_regression.fitted.penalty import PenaltyChoice
from mle_regression.fitted.posterior import Posterior
from mle_regression.fitted.predictive_noise import PredictiveNoise
from mle_regression.linalg.dual_information import DualInformation
from mle_regression.linalg.exact import Fixed
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments
from mle_regression.linalg.information import DenseInformation
from mle_regression.linalg.product_information import ProductInformation
from mle_regression.linalg.rank import Relation
from mle_regression.linalg.sparse_information import SparseInformation
from mle_regression.linalg.sums import ExactSums
from mle_regression.rows.base import Totals
from mle_regression.rows.standard import Units

# Of what a fit keeps. Files of format 0 say nothing of it; up to 2 a fit was two dicts.
FORMAT = 3
_FORMAT, _VERSION, _KIND = "_format", "_version", "kind"
# Attributes that are typed fits.
_TYPED = ("_fit", "_sums")
_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(LinearFit, NetworkFit, Likelihood, OnTheWay, Optimum, KeptCurvature, Posterior, PredictiveNoise),
        *(PenaltyChoice, SingularNoise, Relation, Inverse, Units, Totals),
        *(DenseInformation, SparseInformation, ProductInformation, DualInformation),
        *(RunningSums, ExactSums, Fixed, Moments, Frame),
    )
}


def to_stored(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's attributes with the format that they have, as a file holds them."""
    plain = {name: as_plain(value) if name in _TYPED else value for name, value in state.items()}
    return {**plain, _FORMAT: FORMAT, _VERSION: __version__}


def from_stored(stored: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the attributes of an estimator that a file holds, in the format of this version.

    Parameters
    ----------
    stored : mapping of str
        What `to_stored` has returned, of this version or another.
    kind : type
        The estimator's class.

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
    try:
        if number < FORMAT:
            return typed_fit(state, number)
        return {name: as_typed(value) if name in _TYPED else value for name, value in state.items()}
    except KeyError as error:
        raise ValueError(
            f"This {kind.__name__} was stored {written}, in a format that version {__version__} does not read: its fit "
            f"lacks {error.args[0]}. Load it with the version that stored it, or fit again."
        ) from None


def as_plain(value: Any) -> Any:
    """Return a typed fit as dicts and tuples of arrays, numbers and strings."""
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
        return {_KIND: type(value).__name__} | inner
    if sp.issparse(value):
        return {
            _KIND: "csr",
            "data": value.data,
            "indices": value.indices,
            "indptr": value.indptr,
            "shape": value.shape,
        }
    if isinstance(value, dict):
        return {name: as_plain(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(as_plain(inner) for inner in value)
    return value


def as_typed(value: Any) -> Any:
    """Return what `as_plain` was given; raises KeyError, with the name of what lacks."""
    if isinstance(value, dict):
        inner = {name: as_typed(part) for name, part in value.items() if name != _KIND}
        name = value.get(_KIND)
        if name is None:
            return inner
        if name == "csr":
            return sp.csr_array((inner["data"], inner["indices"], inner["indptr"]), shape=inner["shape"])
        kind = _KINDS[name]
        optional = {field.name for field in fields(kind) if field.default_factory is not MISSING}
        return kind(**{f.name: inner[f.name] for f in fields(kind) if f.name in inner or f.name not in optional})
    if isinstance(value, (tuple, list)):
        return type(value)(as_typed(inner) for inner in value)
    return value


def _defaults(kind: type) -> dict[str, Any]:
    """Return the parameters of an estimator, as those of a file may be fewer."""
    parameters = list(inspect.signature(kind).parameters.values())
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
