"""Linear fits of outputs under different penalties, as one fit of all outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mle_regression.fitted.likelihood import Likelihood
from mle_regression.fitted.linear import LinearFit, Start
from mle_regression.fitted.optimum import Optimum
from mle_regression.fitted.penalty import LinearPenalty
from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.information import InformationFactor
from mle_regression.rows.base import Totals


@dataclass(frozen=True, slots=True)
class JointFit:
    """Linear fits of outputs under different penalties, and how all outputs scatter together.

    What a `LinearFit` has once for all outputs (information, degrees of freedom) each part has of its own; what it has for
    each output is here in the order of the outputs.

    Attributes
    ----------
    parts : tuple of LinearFit
        Of the outputs under each penalty.
    places : tuple of IntArray
        Which outputs these are.
    likelihood : Likelihood
        Of all outputs together.
    optimum : Optimum
    notes : tuple of str
    outputs : tuple of str
        Names of the columns of y; empty if they have none.
    chosen : LinearPenalty or None
        What the data have chosen as penalties; None where they were given.
    """

    parts: tuple[LinearFit, ...]
    places: tuple[IntArray, ...]
    likelihood: Likelihood
    optimum: Optimum
    notes: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    chosen: LinearPenalty | None = None

    # -- what the parts have in common -----------------------------------------------------------------------------------

    single_output = False
    penalised = True

    @property
    def first(self) -> LinearFit:
        """A part, for what all of them have in common."""
        return self.parts[0]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.first.features

    @property
    def names(self) -> list[str]:
        """Names of the parameters (c + p)."""
        return self.first.names

    @property
    def centred(self) -> bool:
        """Whether there is an intercept."""
        return self.first.centred

    @property
    def weight_exponent(self) -> int:
        """Weights are divided by ``4**weight_exponent``."""
        return self.first.weight_exponent

    @property
    def totals(self) -> Totals:
        """Totals of the rows."""
        return self.first.totals

    @property
    def eps(self) -> float:
        """Relative precision of the numbers in X."""
        return self.first.eps

    @property
    def n(self) -> float:
        """Number of observations."""
        return self.likelihood.n

    @property
    def frequency(self) -> bool:
        """Whether a weight says how often a row is there."""
        return self.likelihood.frequency

    @property
    def rank(self) -> int:
        """Numerical rank over (intercept, coef), the lowest of any output."""
        return min(part.rank for part in self.parts)

    @property
    def refined(self) -> bool:
        """Whether all parts were worked out in exact arithmetic."""
        return all(part.refined for part in self.parts)

    @property
    def informations(self) -> tuple[InformationFactor, ...]:
        """Information of each part."""
        return tuple(part.information for part in self.parts)

    # -- what each output has of its own ---------------------------------------------------------------------------------

    def joined(self, values: Callable[[LinearFit], Any]) -> Array:
        """Return what parts have for each of their outputs, along the last axis, in the order of the outputs.

        What a part has once is that of each of its outputs.
        """
        found = [np.asarray(values(part)) for part in self.parts]
        each = [
            np.full(len(which), part) if part.ndim == 0 else part
            for part, which in zip(found, self.places, strict=True)
        ]
        return np.asarray(np.concatenate(each, axis=-1)[..., np.argsort(np.concatenate(self.places))])

    @property
    def part_of_output(self) -> IntArray:
        """Which part (m,) each output is in."""
        numbers = np.concatenate([np.full(len(which), k) for k, which in enumerate(self.places)])
        return np.asarray(numbers[np.argsort(np.concatenate(self.places))])

    @property
    def noise_free(self) -> BoolArray:
        """Of which outputs (m,) the fit is exact."""
        return self.likelihood.noise_free

    @property
    def coef(self) -> Array:
        """Coefficients (p, m)."""
        return self.joined(lambda part: part.coef)

    @property
    def intercept(self) -> Array:
        """Constants (m,)."""
        return self.joined(lambda part: part.intercept)

    @property
    def params(self) -> Array:
        """Parameters (c + p, m), the intercept first."""
        return self.joined(lambda part: part.params)

    @property
    def scaled_coef(self) -> Array:
        """Coefficients (p, m) of outputs divided by ``2**output_exponent``."""
        return self.joined(lambda part: part.scaled_coef)

    @property
    def constant(self) -> BoolArray:
        """Which outputs (m,) do not vary."""
        return self.joined(lambda part: part.constant).astype(bool)

    @property
    def errors(self) -> Array:
        """Standard errors (c + p, m), NaN where the data do not determine a parameter."""
        return self.joined(lambda part: part.errors)

    @property
    def alpha(self) -> Array:
        """Penalties (m,), for weights as the parts have them."""
        return self.joined(lambda part: part.information.alpha)

    @property
    def residual_scale(self) -> Array:
        """Residual scale (m,) of outputs divided by ``2**output_exponent``."""
        return self.joined(lambda part: part.residual_scale)

    @property
    def output_exponent(self) -> IntArray:
        """Exponents (m,) of the powers of two by which outputs are divided."""
        return self.joined(lambda part: part.output_exponent).astype(np.int64)

    @property
    def effective_dof(self) -> Array:
        """Parameters (m,) of the mean of each output, a penalised one counted in part."""
        return self.joined(lambda part: part.effective_dof)

    @property
    def residual_dof(self) -> Array:
        """Observations less effective parameters (m,)."""
        return self.joined(lambda part: part.residual_dof)

    @property
    def r2(self) -> Array:
        """R² (m,)."""
        return self.joined(lambda part: part.r2)

    @property
    def adjusted_r2(self) -> Array:
        """R² (m,) adjusted for the degrees of freedom."""
        return self.joined(lambda part: part.adjusted_r2)

    @property
    def residual_variance(self) -> Array:
        """Unbiased s² (m,) in the units of y²."""
        return self.joined(lambda part: part.residual_variance)

    def covariance(self, k: int) -> Array:
        """Covariance matrix (c + p, c + p) of the parameters of output k."""
        part, place = self.part_of(k)
        return part.covariance(place)

    def part_of(self, k: int) -> tuple[LinearFit, int]:
        """Return the part that output k is in, and its place there."""
        number = int(self.part_of_output[k])
        return self.parts[number], int(np.flatnonzero(self.places[number] == k)[0])

    def of_output(self, values: Array) -> Any:
        """Return one number per output as the user gave y."""
        return values

    def named(self, features: Sequence[str], outputs: Sequence[str]) -> JointFit:
        """Return the fit with names for its columns and outputs."""
        numbered = outputs or [str(k) for k in range(len(self.noise_free))]
        parts = [
            part.named(features, [numbered[k] for k in which])
            for part, which in zip(self.parts, self.places, strict=True)
        ]
        return replace(self, parts=tuple(parts), outputs=tuple(outputs))

    def start_of(self, which: IntArray) -> Start:
        """Return where a solver for some outputs may begin."""
        for part, place in zip(self.parts, self.places, strict=True):
            if np.array_equal(place, which):
                return part.start_of(np.arange(len(place)))
        return Start(self.coef[:, which], self.intercept[which], {})
