"""How sure the coefficients and predictions of a linear fit are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.exact import accurate_product
from mle_regression.linalg.gram import cross_product
from mle_regression.linalg.information import InformationFactor, inverse_root, parameter_exponents, scaled_factor
from mle_regression.linalg.product_information import ProductInformation
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.sparse_information import SparseInformation
from mle_regression.linalg.spectral_information import SpectralInformation, leverages
from mle_regression.linalg.triangle import inverse_triangle, reciprocal_condition
from mle_regression.rows.base import Block, Rows

# A prediction is not determined if more than this share of its row's length lies outside the row space.
_OUTSIDE = 1e-7
# Columns whose scales lie within these exponents can be shifted and multiplied without scaling.
_PLAIN_EXPONENT = 250
# For means up to this many spreads, a shift after the product loses less than one digit.
_NEAR_MEAN = 4.0
# If the cross-products of whitened rows are this far from the identity, these are not the fitted rows.
_NEAR_IDENTITY, _SAME_ROWS, _ROOT_EPS = 0.1, 1e-9, 64.0


def effective_parameters(information: InformationFactor) -> float:
    """Effective degrees of freedom tr(XᵀWX (XᵀWX + αI₀)⁻¹); the rank where there is no penalty (Hoerl and Kennard, 1970)."""
    if isinstance(information, ProductInformation):
        return information.effective_dof
    if not information.alpha:
        return float(information.rank)
    lengths = scale(information.inverse_lengths()[int(information.centred) :], -information.exponent)
    return information.size - information.alpha * float(np.sum(lengths**2))


def standard_errors(information: InformationFactor, residual_scale: Array, output_exponent: IntArray) -> Array:
    """Return standard errors (c + p, m) of (intercept, coef): s times the length of a row of the inverse's root.

    Parameters
    ----------
    information : InformationFactor
    residual_scale : Array of shape (m,)
        Residual standard deviation s of each output, divided by ``2**output_exponent``; NaN without degrees of freedom.
    output_exponent : IntArray of shape (m,)

    Returns
    -------
    Array of shape (c + p, m)
        NaN where the data do not determine a coefficient.
    """
    exponent = parameter_exponents(information)
    lengths = information.inverse_lengths()
    lengths = np.where(information.estimable, lengths, np.nan)
    return scale(lengths[:, None] * residual_scale, output_exponent - exponent[:, None])


def unscaled_covariance(information: InformationFactor) -> Array:
    """Return (XᵀWX + αI₀)⁻¹ over (intercept, coef), (c + p, c + p), in the units of X; NaN where not estimable."""
    root = inverse_root(information)
    covariance = root @ root.T
    covariance[~information.estimable] = covariance[:, ~information.estimable] = np.nan
    exponent = parameter_exponents(information)
    return scale(covariance, -(exponent[:, None] + exponent))


def cross_products(information: InformationFactor) -> Array:
    """Return XᵀWX + αI₀ over (intercept, coef), (c + p, c + p), in the units of X."""
    factor, exponent = scaled_factor(information), parameter_exponents(information)
    return scale(factor.T @ factor, exponent[:, None] + exponent)


def whiten(information: InformationFactor, x: Array) -> Array:
    """Return q (b, r), one row for each of x (b, p), with qᵀq = xᵀ(XᵀWX + αI₀)⁻¹x, the intercept included.

    Over the rows that were fitted, without penalty, ``√w q`` has orthonormal columns: it is the Q of a QR decomposition.
    What is summed in these coordinates (scores, squares of residuals) is summed without loss, and ``root`` of
    `inverse_root` takes the sum to the coefficients.
    """
    return whiten_with(x, *whitening(information))


def whitening(information: InformationFactor) -> tuple[IntArray, Array, Array, Array]:
    """Return exponents (p,), shift (p,), map (p, r) and constant (r,): ``q = (x 2**-exponent − shift) map + constant``.

    Of columns whose means are no larger than a few of their spreads the shift goes into the constant, and x is used as it
    lies.
    """
    root = inverse_root(information)[int(information.centred) :]
    exponent, shift = information.exponent, information.mean
    constant = np.zeros(root.shape[1])
    if information.centred:
        constant[0] = 1.0 / np.sqrt(information.total)
    if (np.abs(exponent) <= _PLAIN_EXPONENT).all():
        shift, root, exponent = scale(shift, exponent), scale(root, -exponent[:, None]), np.zeros_like(exponent)
        if (
            np.abs(information.mean) * np.sqrt(information.total) <= _NEAR_MEAN * column_norms(information.factor)
        ).all():
            constant -= shift @ root
            shift = np.zeros_like(shift)
    return exponent, shift, root, constant


def whiten_with(x: Array, exponent: IntArray, shift: Array, root: Array, constant: Array) -> Array:
    """Apply a `whitening` to rows x (b, p)."""
    z = scale(x, -exponent) if exponent.any() else x
    q = (z - shift if shift.any() else z) @ root
    q += constant
    return np.asarray(q)


@dataclass(frozen=True)
class Whitener:
    """`whiten` to more digits, for the rows that were fitted.

    Where columns are nearly dependent, large terms cancel in ``x @ root``. Worked out in twice the precision, the product
    has the span of X to the last digit; what the rounding of ``root`` did to its cross-products, a triangular factor of
    these sets right (CholeskyQR).

    Attributes
    ----------
    information : InformationFactor
    accurate : bool
        Whether to multiply in twice the precision.
    correction : Array of shape (r, r) or (0, 0)
        Inverse of the triangular factor of the cross-products of the plain product; none if empty.
    """

    information: InformationFactor
    accurate: bool = False
    correction: Array = field(default_factory=lambda: np.zeros((0, 0)))

    @cached_property
    def plan(self) -> tuple[IntArray, Array, Array, Array]:
        """`whitening` of the information."""
        return whitening(self.information)

    @property
    def root(self) -> Array:
        """Root (c + p, r) that takes whitened sums to the coefficients of scaled columns."""
        root = inverse_root(self.information)
        return root @ self.correction if self.correction.size else root

    def __call__(self, x: Array) -> Array:
        """Return q (b, r) for the rows of x (b, p)."""
        if not self.accurate:
            return whiten_with(x, *self.plan)
        columns = scale(x, -self.information.exponent)
        if self.information.centred:
            columns = np.hstack([np.ones((len(x), 1)), columns])
        q = accurate_product(columns, inverse_root(self.information))
        return q @ self.correction if self.correction.size else q


def accurate_whitener(rows: Rows, information: InformationFactor) -> Whitener:
    """Return the whitener of rows (with their weights) that this information, unpenalised, is of; uncorrected for others."""
    plain = Whitener(information, accurate=True)
    gram = rows.reduce(partial(_whitened_products, plain), np.add, dense=True)
    # Rounding of the root moves the cross-products from the identity by at most eps times the condition number of [1 X].
    off = min(_NEAR_IDENTITY, _SAME_ROWS + _ROOT_EPS * EPS * condition_with_means(information))
    if information.alpha or not np.linalg.norm(gram - np.eye(len(gram))) < off:
        return plain
    return Whitener(information, accurate=True, correction=inverse_triangle(np.linalg.cholesky(gram).T))


def _whitened_products(whitener: Whitener, block: Block) -> Array:
    """Return the weighted cross-products (r, r) of the whitened rows of a block."""
    q = whitener(block.x)
    return np.asarray(cross_product(q, q if block.weights is None else block.weights[:, None] * q))


def whitened_scores(whitener: Whitener, block: Block) -> Array:
    """Return the weighted sums (r, m) of the outputs of a block along its whitened columns."""
    outputs = block.y if block.weights is None else block.weights[:, None] * block.y
    return np.asarray(cross_product(whitener(block.x), outputs))


def without_projection(whitener: Whitener, part: Array, block: Block) -> Array:
    """Return the outputs (b, m) of a block less ``part`` (r, m) along its whitened columns."""
    return np.asarray(block.y - whitener(block.x) @ part)


def leverage_of_block(information: InformationFactor, block: Block) -> Array:
    """Return the `leverage` (b,) of the rows of a block."""
    return leverage(information, block.x)


def leverages_of_block(informations: Sequence[InformationFactor], block: Block) -> Array:
    """Return the `leverage` (b, g) of the rows of a block in g informations of the same columns; what these share, once."""
    found = np.empty((len(block.y), len(informations)))
    spectral: dict[int, list[int]] = {}
    for k, information in enumerate(informations):
        if isinstance(information, SpectralInformation):
            spectral.setdefault(id(information.basis), []).append(k)
        else:
            found[:, k] = leverage(information, block.x)
    for numbers in spectral.values():
        same = [one for one in (informations[k] for k in numbers) if isinstance(one, SpectralInformation)]
        found[:, numbers] = leverages(same, block.x)
    return found


def condition_with_means(information: InformationFactor) -> float:
    """Estimate a bound of the condition of [1 X], of scaled columns: that of X centred, times the distance of its means."""
    length = column_norms(information.factor)
    distance = np.abs(information.mean) * np.sqrt(information.total) / np.where(length > 0, length, 1.0)
    return float((1.0 + distance.max(initial=0.0)) / max(reciprocal_condition(information.factor), EPS))


def leverage(information: InformationFactor, x: Any) -> Array:
    """Return xᵀ(XᵀWX + αI₀)⁻¹x, intercept included, for each row of x (b, p): the variance of its mean in units of σ².

    NaN where the rank is deficient and the data say nothing about the mean at x, which then lies outside the row space.
    """
    if isinstance(information, SparseInformation | SpectralInformation):
        return information.leverage(x)
    return leverage_of(information, x, whiten(information, x))


def leverage_of(information: InformationFactor, x: Array, q: Array) -> Array:
    """Return the `leverage` of rows x (b, p) that are whitened already, q (b, r)."""
    leverage: Array = np.einsum("ij,ij->i", q, q)
    if information.rank < information.size:
        leverage[_outside_row_space(information, x)] = np.nan
    return leverage


def _outside_row_space(information: InformationFactor, x: Array) -> BoolArray:
    """Tell of rows x (b, p) whether the data say nothing about the mean there."""
    centred = scale(x, -information.exponent) - information.mean
    basis = np.linalg.qr(information.factor.T)[0]
    outside = np.linalg.norm(centred - (centred @ basis) @ basis.T, axis=1)
    return np.asarray(outside > _OUTSIDE * np.linalg.norm(centred, axis=1))


@dataclass(frozen=True, slots=True)
class LeverageAndMean:
    """Leverages of rows and their means, by one product with the columns as they lie.

    Attributes
    ----------
    information : InformationFactor
    map : Array of shape (p, r + m)
        That of the `whitening`, without columns of zeros, and the coefficients.
    constant : Array of shape (r + m,)
    of_all : float
        What the columns of zeros add to every leverage.
    n_outputs : int
    """

    information: InformationFactor
    map: Array
    constant: Array
    of_all: float
    n_outputs: int

    @classmethod
    def of(cls, whitener: Whitener, coef: Array, intercept: Array) -> LeverageAndMean | None:
        """Return it for coefficients (p, m); None where the columns cannot be used as they lie."""
        exponent, shift, root, constant = whitener.plan
        if whitener.accurate or exponent.any() or shift.any():
            return None
        varies = root.any(axis=0)
        both = np.hstack([root[:, varies], coef])
        of_all = float(np.sum(constant[~varies] ** 2))
        return cls(whitener.information, both, np.concatenate([constant[varies], intercept]), of_all, coef.shape[1])

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Return the leverages (b,) of rows x (b, p) and ``x @ coef + intercept`` (b, m)."""
        product = x @ self.map
        product += self.constant
        r = len(self.constant) - self.n_outputs
        leverage = leverage_of(self.information, x, product[:, :r])
        leverage += self.of_all
        return leverage, product[:, r:]
