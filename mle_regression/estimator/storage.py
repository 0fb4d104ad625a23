"""Fitted estimators at rest: what a stored one says of its format, and whether this version can read it.

An estimator is stored (by pickle, joblib, skops or a copy) as its parameters and fitted attributes, with the number of the
format and the version that wrote it. The typed fit is a plain dict there, of arrays, numbers, strings, and dicts and tuples
of these; an array that stands in several places is kept in the first, and the others say where that is. Where a fit comes to
keep something new, raise `FORMAT` and let `earlier_formats` add to what older files hold, or leave them to be refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import reduce
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression._version import __version__
from mle_regression.diagnostics.laplace_approximation import Inverse
from mle_regression.diagnostics.noise_factor import SingularNoise
from mle_regression.estimator.earlier_formats import typed_fit, with_choice, with_ending, with_names
from mle_regression.fit.incremental import RunningSums
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.likelihood import Likelihood, OnTheWay
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.network import KeptCurvature, NetworkFit
from mle_regression.fitted.optimum import Optimum
from mle_regression.fitted.penalty import LeftOutChoice, LinearPenalty, PenaltyChoice
from mle_regression.fitted.posterior import Posterior
from mle_regression.fitted.predictive_noise import PredictiveNoise
from mle_regression.linalg.exact import Fixed
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments
from mle_regression.linalg.information import DenseInformation
from mle_regression.linalg.product_information import ProductInformation
from mle_regression.linalg.rank import Relation
from mle_regression.linalg.sparse_information import SparseInformation
from mle_regression.linalg.spectral_information import SpectralInformation
from mle_regression.linalg.sums import ExactSums
from mle_regression.rows.base import Totals
from mle_regression.rows.standard import Bend, Units

# Of what a fit keeps. Files of format 0 say nothing of it; up to 2 a fit was two dicts; up to 3 no array had two places, and
# only attributes told of a choice; up to 4 no column was bent.
FORMAT, _LAST_OF_DICTS, _LAST_WITHOUT_CHOICE = 5, 2, 3
_FORMAT, _VERSION, _KIND, _SAME = "_format", "_version", "kind", "same"
# Attributes that are typed fits.
_TYPED = ("_fit", "_sums")
_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(LinearFit, JointFit, NetworkFit, Likelihood, OnTheWay, Optimum, KeptCurvature, Posterior, PredictiveNoise),
        *(PenaltyChoice, LeftOutChoice, LinearPenalty, SingularNoise, Relation, Inverse, Units, Bend, Totals),
        *(DenseInformation, SparseInformation, ProductInformation, SpectralInformation),
        *(RunningSums, ExactSums, Fixed, Moments, Frame),
    )
}
_KINDS["DualInformation"] = SpectralInformation  # its name up to format 3


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
    state = _defaults(kind) | (state if number == FORMAT else with_names(state))
    try:
        if number <= _LAST_OF_DICTS:
            return with_ending(typed_fit(state, number))
        typed = {name: as_typed(value) if name in _TYPED else value for name, value in state.items()}
        if number <= _LAST_WITHOUT_CHOICE and isinstance(typed.get("_fit"), LinearFit):
            typed["_fit"] = with_choice(typed["_fit"], state)
        return with_ending(typed)
    except KeyError as error:
        raise ValueError(
            f"This {kind.__name__} was stored {written}, in a format that version {__version__} does not read: its fit "
            f"lacks {error.args[0]}. Load it with the version that stored it, or fit again."
        ) from None


def as_plain(value: Any) -> Any:
    """Return a typed fit as dicts and tuples of arrays, numbers and strings."""
    return _plain(value, (), {})


def _plain(value: Any, place: tuple[str | int, ...], seen: dict[int, tuple[str | int, ...]]) -> Any:
    """Return what stands at a place of a fit, with reference to arrays that were ``seen`` before."""
    if isinstance(value, np.ndarray):
        first = seen.setdefault(id(value), place)
        return value if first == place else {_KIND: _SAME, "as": first}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: getattr(value, field.name) for field in fields(value)}
        return {_KIND: type(value).__name__} | _plain(inner, place, seen)
    if sp.issparse(value):
        inner = {"data": value.data, "indices": value.indices, "indptr": value.indptr, "shape": value.shape}
        return {_KIND: "csr"} | _plain(inner, place, seen)
    if isinstance(value, dict):
        return {name: _plain(inner, (*place, name), seen) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(inner, (*place, k), seen) for k, inner in enumerate(value))
    return value


def as_typed(value: Any) -> Any:
    """Return what `as_plain` was given; raises KeyError, with the name of what lacks."""
    return _typed(value, value)


def _typed(value: Any, whole: Any) -> Any:
    """Return the typed form of a part of the ``whole``."""
    if isinstance(value, dict):
        name = value.get(_KIND)
        if name == _SAME:
            return reduce(lambda part, step: part[step], value["as"], whole)
        inner = {key: _typed(part, whole) for key, part in value.items() if key != _KIND}
        if name is None:
            return inner
        if name == "csr":
            return sp.csr_array((inner["data"], inner["indices"], inner["indptr"]), shape=inner["shape"])
        kind = _KINDS[name]
        optional = {
            field.name for field in fields(kind) if field.default_factory is not MISSING or field.default is not MISSING
        }
        return kind(**{f.name: inner[f.name] for f in fields(kind) if f.name in inner or f.name not in optional})
    if isinstance(value, (tuple, list)):
        return type(value)(_typed(part, whole) for part in value)
    return value


def _defaults(kind: type) -> dict[str, Any]:
    """Return the parameters of an estimator, as those of a file may be fewer."""
    parameters = list(inspect.signature(kind).parameters.values())
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
