"""What the verdict on a network's optimum rests on, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mle_regression.diagnostics.curvature import FLAT_MINIMUM, NOT_STATIONARY
from mle_regression.diagnostics.stationary import MINIMUM, STATIONARY, Escape, Spectrum
from mle_regression.fitted.network_on_rows import Flatness, NetworkCurvature
from mle_regression.reports.linear.dependencies import describe_dependent_column

# Dependent columns that a sentence names.
_SHOWN_COLUMNS = 5


def reason(found: NetworkCurvature, features: Sequence[str]) -> str:
    """Say in a sentence or two what the verdict rests on, and what to do about it."""
    judgement = found.judgement
    if judgement.verdict == NOT_STATIONARY:
        return _of_steepness(found.steepness, found.smooth)
    if judgement.escape is not None:
        return _of_descent(judgement.spectrum, judgement.escape)
    if judgement.verdict == MINIMUM:
        low, bound = _surest(judgement.spectrum)
        return f"The smallest eigenvalue, {low}, is further from zero than it may be off ({bound})."
    if judgement.verdict == FLAT_MINIMUM:
        return _of_flatness(judgement.spectrum, found.flat, features)
    return _of_doubt(judgement.spectrum)


def _surest(spectrum: Spectrum) -> tuple[str, str]:
    """Return the eigenvalue that is most surely below zero, or least above it, and by how much it may be off."""
    surest = int((spectrum.values + spectrum.slack).argmin())
    return f"{spectrum.values[surest]:.3g}", f"{spectrum.slack[surest]:.1g}"


def _of_steepness(steepness: float, smooth: bool) -> str:
    said = (
        f"The gradient has not vanished (steepness {steepness:.2g}, above {STATIONARY:g}), so that curvature does not say "
        "what training would end at."
    )
    if not smooth:
        return (
            f"{said} At a kink of the activation it need not vanish where no step lowers the loss: a verdict asks for a "
            "smooth activation, 'tanh' or 'softplus'."
        )
    return (
        f"{said} Train on: with early_stopping=False, a lower tol or a larger max_iter, and with solver='lm' or 'newton' "
        "if it was another."
    )


def _of_descent(spectrum: Spectrum, escape: Escape) -> str:
    count, zeros = spectrum.inertia[:2]
    if count:
        low, bound = _surest(spectrum)
        why = (
            f"{count} eigenvalue{'s are' if count > 1 else ' is'} surely negative, the surest {low} ± {bound}. A step of "
            f"{escape.step:.3g} along it"
        )
    else:
        why = (
            f"No eigenvalue is negative, but {zeros} {'are' if zeros > 1 else 'is'} zero to working precision, and there "
            f"derivatives of higher order lead down (a degenerate saddle point). A step of {escape.step:.3g}"
        )
    return (
        f"{why} lowers the loss by {escape.gain:.3g}, to {escape.loss:.6g}. solver='newton' leaves saddle points of "
        "negative curvature; another start (random_state, n_init) may lead to a minimum."
    )


def _of_flatness(spectrum: Spectrum, flat: Flatness, features: Sequence[str]) -> str:
    at_least = "" if spectrum.complete else " at least"
    count = spectrum.inertia[1]
    told = f"{count} direction{'s' if count > 1 else ''}{at_least} are flat to working precision."
    if flat.columns:
        told += (
            f" {flat.of_columns} of them are weights of columns of X that do not vary or follow from others "
            f"({'; '.join(flat_columns(flat, features)[:_SHOWN_COLUMNS])}): leave those columns out."
        )
    return told + (f" {len(flat.units)} hidden units have a part in them." if flat.units else "")


def _of_doubt(spectrum: Spectrum) -> str:
    unsure = int(np.where(np.abs(spectrum.values) <= spectrum.slack, spectrum.slack, -1.0).argmax())
    more = "" if spectrum.complete else ", or ask for spectrum='full'"
    return (
        f"The eigenvalue {spectrum.values[unsure]:.3g} may be off by {spectrum.slack[unsure]:.1g} at the stationary point "
        f"nearby: this does not tell its sign, and no lower loss was found close by. Train to a smaller gradient "
        f"(a lower tol){more}."
    )


def flat_columns(flat: Flatness, features: Sequence[str]) -> tuple[str, ...]:
    """Say of columns of X that make weights flat that they are constant, or what they follow from."""
    return tuple(describe_dependent_column(relation, features) for relation in flat.columns)
