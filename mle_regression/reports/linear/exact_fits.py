"""Why residuals are no larger than rounding, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

_INFINITE = "The fit is exact, the noise variance is zero to working precision and log_likelihood_ is infinite."


def describe_exact_fit(
    rank: int, n_rows: int, constant: Sequence[bool], exact: Sequence[bool], names: Sequence[str]
) -> str:
    """Say why a linear fit leaves no residuals.

    Parameters
    ----------
    rank : int
        Parameters that the data determine.
    n_rows : int
    constant, exact : sequence of bool
        Of each output, whether it does not vary, and whether the fit is exact.
    names : sequence of str
        Of the outputs.

    Examples
    --------
    >>> describe_exact_fit(3, 3, [False], [True], ["y"]).split(":")[0]
    'The fit passes through every row'
    >>> describe_exact_fit(3, 9, [True], [True], ["y"]).split(":")[0]
    'y does not vary'
    """
    if rank >= n_rows:
        return (
            f"The fit passes through every row: it has as many parameters ({rank}) as there are rows, and nothing is left to "
            f"estimate the noise from. {_INFINITE} Take fewer columns, give more rows, or set a penalty alpha > 0."
        )
    still = [name for name, one, other in zip(names, constant, exact, strict=True) if one and other]
    others = [name for name, one, other in zip(names, constant, exact, strict=True) if other and not one]
    said = []
    if still:
        verb = "does" if len(still) == 1 else "do"
        said.append(f"{_listed(still)} {verb} not vary: there is nothing to explain.")
    if others:
        which = "" if len(others) == len(names) else f" of {_listed(others)}"
        said.append(f"The residuals{which} are no larger than rounding.")
    said.append(_INFINITE)
    if others:
        said.append(f"Check whether {_listed(others)} {'was' if len(others) == 1 else 'were'} computed from X.")
    return " ".join(said)


def describe_exact_network(
    n_parameters: int, n_rows: int, constant: Sequence[bool], hidden: bool, holds_out: bool, names: Sequence[str]
) -> str:
    """Say why a network leaves no residuals, as `describe_exact_fit` does; ``hidden`` tells whether it has hidden units."""
    if all(constant):
        verb = "does" if len(names) == 1 else "do"
        return f"{_listed(names)} {verb} not vary: there is nothing to explain. {_INFINITE}"
    said = f"The residuals are no larger than rounding. {_INFINITE}"
    if n_parameters < n_rows:
        return f"{said} Check whether y was computed from X."
    ways = ["give more rows", "take a larger alpha"]
    ways = ["take fewer hidden units", *ways] if hidden else ways
    ways = ways if holds_out else [*ways, "set early_stopping=True"]
    first = f"{', '.join(ways[:-1])} or {ways[-1]}"
    return f"{said} There are {n_parameters} parameters for {n_rows} rows: {first}."


def _listed(names: Sequence[str], most: int = 6) -> str:
    shown = list(names[:most]) + ([f"{len(names) - most} more"] if len(names) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
