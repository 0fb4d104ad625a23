"""Which covariance of the coefficients a user asks for: from what he writes to a choice."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mle_regression.diagnostics import robust
from mle_regression.fitted.robust_covariance import CovarianceChoice
from mle_regression.validation import checks


def covariance_choice(cov: Any, labels: pd.Index, labelled: bool, n: float) -> CovarianceChoice:
    """Check a choice of covariance other than "nonrobust", for n observations and rows of these labels.

    ``labelled`` tells whether the labels are the user's; groups with an index are brought into their order.
    """
    if isinstance(cov, str) and cov in robust.HETEROSKEDASTIC:
        return CovarianceChoice(cov)
    allowed = {"cluster": {"correction", "kind", "G"}, "HAC": {"correction"}}
    if isinstance(cov, dict):
        for kind, options in allowed.items():
            given = {name: value for name, value in cov.items() if name != kind}
            if kind in cov and given.keys() <= options:
                _check_options(given)
                if kind == "HAC":
                    return _lags(cov[kind], given, n)
                return CovarianceChoice(
                    kind,
                    groups=checks.check_groups(cov[kind], labels, labelled),
                    correction=bool(given.get("correction", True)),
                    adjusted=given.get("kind") == "CR2",
                    each=given.get("G", "each") == "each",
                )
    raise ValueError(
        f"cov={cov!r} is not one of: 'nonrobust', {', '.join(map(repr, robust.HETEROSKEDASTIC))}, {{'cluster': groups}} "
        "with an optional 'kind': 'CR1' or 'CR2', 'G': 'each' or 'min'; {'HAC': lags or 'auto'}; each dict with an optional "
        "'correction': True or False."
    )


def _lags(lags: Any, given: dict[str, Any], n: float) -> CovarianceChoice:
    automatic = isinstance(lags, str) and lags == "auto"
    number = -1 if automatic else checks.check_count("HAC lags", lags, upper=int(n) - 1)
    return CovarianceChoice("HAC", lags=number, correction=bool(given.get("correction", False)))


def _check_options(given: dict[str, Any]) -> None:
    known: dict[str, tuple[Any, ...]] = {"correction": (True, False), "kind": ("CR1", "CR2"), "G": ("each", "min")}
    for name, value in given.items():
        checks.check_choice(f"cov[{name!r}]", value, known[name])
    if given.get("kind") == "CR2" and given.keys() & {"correction", "G"}:
        raise ValueError("CR2 adjusts the residuals themselves; leave 'correction' and 'G' out.")
