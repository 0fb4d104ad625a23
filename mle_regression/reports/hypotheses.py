"""Linear hypotheses: from words to numbers, and the result in words."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import Array

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class HypothesisTest:
    """Result of a test of linear hypotheses on the coefficients.

    Attributes
    ----------
    statistic : float or Array of shape (n_outputs,)
        F statistic (χ² of a likelihood-ratio test).
    df_num : float
        Number of independent restrictions.
    df_denom : float
        Residual degrees of freedom; infinite for χ².
    p_value : float or Array of shape (n_outputs,)
    hypothesis : str
    """

    statistic: Any
    df_num: float
    df_denom: float
    p_value: Any
    hypothesis: str

    def __str__(self) -> str:
        law = f"chi2({self.df_num:.6g})" if np.isinf(self.df_denom) else f"F({self.df_num:.6g}, {self.df_denom:.6g})"
        pairs = zip(np.atleast_1d(self.statistic), np.atleast_1d(self.p_value), strict=True)
        results = [f"{law} = {statistic:.5g}, p = {p_value:.4g}" for statistic, p_value in pairs]
        if len(results) > 1:
            results = [f"output {k}: {result}" for k, result in enumerate(results)]
        return "\n".join([f"H0: {self.hypothesis}", *results])


def parse_hypotheses(text: str | Sequence[str], names: Sequence[str]) -> tuple[Array, Array]:
    """Read equations between named parameters; return R (q, k) and q (q,) with ``R β = q``.

    Parameters
    ----------
    text : str or sequence of str
        Equations such as ``"bmi = 2*bp"`` or ``"age = sex = 0"``, separated by commas. Names may hold spaces, since the
        known ones are looked for first, the longest before the others; in backticks, anything may.
    names : sequence of str
        Of the k parameters.

    Examples
    --------
    >>> R, q = parse_hypotheses("bmi = 2*bp + 1", ["intercept", "bmi", "bp"])
    >>> R, q
    (array([[ 0.,  1., -2.]]), array([1.]))
    """
    equations = [part for item in ([text] if isinstance(text, str) else text) for part in _split(item, ",", names)]
    rows: list[Array] = []
    for equation in equations:
        sides = [_read(side, names) for side in _split(equation.replace("==", "="), "=", names)]
        if len(sides) < 2:
            raise ValueError(f"{_plain(equation)!r} is no equation; write for instance '{names[-1]} = 0'.")
        rows += [left - right for left, right in pairwise(sides)]
    if not rows:
        raise ValueError("There is no hypothesis to test.")
    table = np.array(rows)
    if not table[:, 1:].any(axis=1).all():
        raise ValueError(f"In {text!r} is an equation without any parameter, or one whose parameters cancel.")
    return table[:, 1:], 0.0 - table[:, 0]


def describe_hypotheses(restriction: Array, value: Array, names: Sequence[str]) -> str:
    """Write R β = q as equations between named parameters.

    Examples
    --------
    >>> import numpy as np
    >>> describe_hypotheses(np.array([[0.0, 1.0, -2.0]]), np.array([0.0]), ["intercept", "bmi", "bp"])
    'bmi - 2*bp = 0'
    """
    equations = []
    for row, right in zip(restriction, value, strict=True):
        text = ""
        for j in np.flatnonzero(row).tolist():
            size = "" if abs(row[j]) == 1 else f"{abs(row[j]):.6g}*"
            text += (" - " if row[j] < 0 else " + ") + size + names[j]
        text = text[3:] if text.startswith(" + ") else text.replace(" - ", "-", 1)
        equations.append(f"{text} = {right + 0.0:.6g}")
    return ", ".join(equations)


def _tokens(text: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Cut text into names, numbers and signs."""
    known = sorted((name for name in set(names) if name.strip() and not _NUMBER.fullmatch(name)), key=len, reverse=True)
    tokens, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at] == "`":
            end = text.find("`", at + 1)
            if end < 0:
                raise ValueError(f"A backtick in {text!r} is not closed.")
            tokens.append(("name", text[at + 1 : end]))
            at = end + 1
            continue
        name = next((name for name in known if _is_at(text, name, at)), None)
        number = _NUMBER.match(text, at)
        word = re.compile(r"[^\W\d]\w*|\d+[^\W\d]\w*").match(text, at)
        if name:
            tokens.append(("name", name))
            at += len(name)
        elif number and not (word and word.end() > number.end()):
            tokens.append(("number", number.group()))
            at = number.end()
        elif word:
            tokens.append(("name", word.group()))
            at = word.end()
        else:
            tokens.append(("sign", text[at]))
            at += 1
    return tokens


def _is_at(text: str, name: str, at: int) -> bool:
    """Whether a name stands at this place, and does not go on as a longer word."""
    end = at + len(name)
    return text.startswith(name, at) and not (end < len(text) and _wordlike(name[-1]) and _wordlike(text[end]))


def _wordlike(character: str) -> bool:
    return character.isalnum() or character == "_"


def _split(text: str, sign: str, names: Sequence[str]) -> list[str]:
    """Split at a sign that stands outside of names."""
    parts = [""]
    for kind, token in _tokens(text, names):
        if kind == "sign" and token == sign:
            parts.append("")
        else:
            parts[-1] += f" `{token}`" if kind == "name" else f" {token}" if kind == "number" else token
    return [part for part in parts if part.strip()] if sign == "," else parts


def _read(text: str, names: Sequence[str]) -> Array:
    """Return the linear expression as an array (1 + k,): constant first."""
    placed: dict[str, int] = {}
    source = ""
    for kind, token in _tokens(text, names):
        if kind == "name":
            placed[f"v{len(placed)}"] = _position(token, names)
            source += f" v{len(placed) - 1}"
        else:
            source += token if kind == "sign" else f" {token}"
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{_plain(text)!r} is no linear expression in the parameters.") from None
    return _value(tree, placed, len(names), text)


def _plain(text: str) -> str:
    return text.replace("`", "").strip()


def _position(name: str, names: Sequence[str]) -> int:
    found = [j for j, known in enumerate(names) if known == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name!r} names {len(found)} parameters; rename the column, or give R as a matrix.")
    close = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"the parameters are: {', '.join(names)}."
    raise ValueError(f"The hypothesis names {name!r}, which the model has not; {hint}")


def _value(node: ast.expr, placed: dict[str, int], k: int, text: str) -> Array:
    """Evaluate a linear expression."""
    value = np.zeros(1 + k)
    match node:
        case ast.Constant(value=int() | float() as number):
            value[0] = number
            return value
        case ast.Name(id=name):
            value[1 + placed[name]] = 1.0
            return value
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, placed, k, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner, placed, k, text)
        case ast.BinOp(left=a, op=op, right=b):
            left, right = _value(a, placed, k, text), _value(b, placed, k, text)
            match op:
                case ast.Add():
                    return left + right
                case ast.Sub():
                    return left - right
                case ast.Mult() if not (left[1:].any() and right[1:].any()):
                    return np.asarray(left * right[0] if left[1:].any() else left[0] * right)
                case ast.Div() if not right[1:].any() and right[0] != 0:
                    return np.asarray(left / right[0])
    raise ValueError(f"{_plain(text)!r} is not linear in the parameters: only sums and multiples can be tested.")
