"""What ends the command with one line and exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_SHOWN_NAMES = 8


class CommandError(Exception):
    """Something that the user can mend; the message is one line that says what, where and what to do."""


def unknown_column(name: str, known: Sequence[str], role: str) -> CommandError:
    """Say that a file has no such column, with the nearest name.

    Examples
    --------
    >>> str(unknown_column("prise", ["price", "area"], "--target"))
    "--target 'prise': the file has no such column; the nearest is 'price'."
    """
    plain = {other.casefold(): other for other in reversed(known)}
    near = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.5)
    if near:
        return CommandError(f"{role} {name!r}: the file has no such column; the nearest is {plain[near[0]]!r}.")
    shown = ", ".join(map(repr, known[:_SHOWN_NAMES])) + (", …" if len(known) > _SHOWN_NAMES else "")
    return CommandError(f"{role} {name!r}: the file has no such column; it has {shown}.")
