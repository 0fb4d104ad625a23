"""Equations between named parameters: all the ways to read a text, of which there must be just one.

Names may hold anything, spaces and signs among them, so that where a name ends is a matter of which names there are. A text
is read from left to right along every road that the grammar allows::

    equations   chain, chain, …
    chain       sum = sum = …            a sum alone stands for "sum = 0"
    sum         product ± product ± …
    product     factor */ factor */ …
    factor      ± … name | number | (sum)

Roads are counted where they meet, so that the work grows with the length of the text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_Q = re.compile(r"""Q\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*\)""", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_WORD = re.compile(r"[^\s+*/=,()\-]+")
# What may come next: the begin of an equation, an operand, or a sign after one.
_BEGIN, _OPERAND, _SIGN = range(3)
_SIGNS = "+-*/=,() \t\n\r\f\v"
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: ``kind`` is "name", "number", "unary" or "sign"; a name is without its quotes."""

    kind: str
    text: str
    end: int


@dataclass(slots=True)
class _Node:
    """A place in the text, reached by one road or more: the last steps of the first two."""

    roads: int
    back: list[tuple[tuple[int, int, int], Token | None]]


@dataclass(frozen=True, slots=True)
class _Names:
    """The names that may stand bare, and their lengths."""

    names: set[str]
    lengths: list[int]

    def at(self, text: str, at: int) -> Iterator[str]:
        """Names that stand at a place and do not go on there as longer words."""
        for length in self.lengths:
            end = at + length
            if end > len(text):
                return
            name = text[at:end]
            if name in self.names and not (end < len(text) and _wordlike(name[-1]) and _wordlike(text[end])):
                yield name


def quoted(name: str) -> str:
    """Write a name so that it cannot be taken for anything else.

    Examples
    --------
    >>> quoted("age in days"), quoted("`x`")
    ('`age in days`', "Q('`x`')")
    """
    return f"Q({name!r})" if "`" in name else f"`{name}`"


def read(text: str, names: Sequence[str]) -> list[Token]:
    """Cut a text into names, numbers and signs.

    Examples
    --------
    >>> [token.text for token in read("s#2 = 2*bmi", ["s", "s#2", "bmi"])]
    ['s#2', '=', '2', '*', 'bmi']
    """
    all_names = set(names)
    # A name of numbers and signs alone, or with a backtick in it, can only be meant in quotes.
    bare = {name for name in all_names if _NUMBER.sub("", name).strip(_SIGNS) and "`" not in name}
    known = _Names(bare, sorted({len(name) for name in bare}))
    waiting: list[dict[tuple[int, int, int], _Node]] = [{} for _ in range(len(text) + 1)]
    waiting[0][0, _BEGIN, 0] = _Node(1, [])
    quotes: dict[int, Token] = {}
    for at in range(len(text)):
        for place, node in waiting[at].items():
            for token, state, depth in _steps(text, place, known, quotes):
                end = at + 1 if token is None else token.end
                if token is not None and token.kind == "quoted" and token.text not in all_names:
                    continue
                reached = waiting[end].setdefault((end, state, depth), _Node(0, []))
                reached.roads = min(2, reached.roads + node.roads)
                if len(reached.back) < 2:
                    reached.back.append((place, token))
    ends = [(len(text), state, 0) for state in (_BEGIN, _SIGN) if (len(text), state, 0) in waiting[-1]]
    if not ends:
        raise ValueError(_why_not(text, names, waiting, quotes))
    if len(ends) > 1 or waiting[-1][ends[0]].roads > 1:
        first, second = (_along(waiting, end, turn) for end, turn in ((ends[0], False), (ends[-1], len(ends) == 1)))
        raise ValueError(
            f"{_short(text)} may be read as {_short(_written(first))} or as {_short(_written(second))}: put names in "
            "backticks."
        )
    return _along(waiting, ends[0], False)


def _steps(
    text: str, place: tuple[int, int, int], known: _Names, quotes: dict[int, Token]
) -> Iterator[tuple[Token | None, int, int]]:
    """Where a place leads: what is read, what may come next, and how many parentheses are open then."""
    at, state, depth = place
    character = text[at]
    if character.isspace():
        yield None, state, depth
    if state == _SIGN:
        if character in "+-*/":
            yield Token("sign", character, at + 1), _OPERAND, depth
        elif character == ")" and depth:
            yield Token("sign", character, at + 1), _SIGN, depth - 1
        elif character == "=" and not depth:
            yield Token("sign", "=", at + 1 + text.startswith("==", at)), _OPERAND, 0
        elif character == "," and not depth:
            yield Token("sign", character, at + 1), _BEGIN, 0
        return
    if character in "+-":
        yield Token("unary", character, at + 1), _OPERAND, depth
    elif character == "(":
        yield Token("sign", character, at + 1), _OPERAND, depth + 1
    elif character == "," and state == _BEGIN:
        yield Token("sign", character, at + 1), _BEGIN, 0
    for name in known.at(text, at):
        yield Token("name", name, at + len(name)), _SIGN, depth
    quote = _quote(text, at)
    if quote is not None:
        quotes[at] = quote
        yield quote, _SIGN, depth
    number = _NUMBER.match(text, at)
    if number:
        yield Token("number", number.group(), number.end()), _SIGN, depth


def _quote(text: str, at: int) -> Token | None:
    """Return the quoted name that begins here, if one does."""
    if text[at] == "`":
        end = text.find("`", at + 1)
        return Token("quoted", text[at + 1 : end], end + 1) if end >= 0 else None
    found = _Q.match(text, at)
    if found is None:
        return None
    inner = found.group(1) if found.group(1) is not None else found.group(2)
    return Token("quoted", _ESCAPE.sub(_meant, inner), found.end())


def _meant(escape: re.Match[str]) -> str:
    code = escape.group(1)
    return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROLS.get(code, code)


def _wordlike(character: str) -> bool:
    return character.isalnum() or character == "_"


def _along(waiting: list[dict[tuple[int, int, int], _Node]], end: tuple[int, int, int], turn: bool) -> list[Token]:
    """Return the tokens of the road to an end; with ``turn``, of another one than the first."""
    tokens, place = [], end
    while back := waiting[place[0]][place].back:
        turning = turn and len(back) > 1
        place, token = back[1] if turning else back[0]
        turn = turn and not turning
        if token is not None:
            tokens.append(token)
    return tokens[::-1]


def _written(tokens: Sequence[Token]) -> str:
    pieces = [quoted(token.text) if token.kind in ("name", "quoted") else token.text for token in tokens]
    return " ".join(pieces)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _why_not(
    text: str, names: Sequence[str], waiting: list[dict[tuple[int, int, int], _Node]], quotes: dict[int, Token]
) -> str:
    """Say where a text cannot be read on."""
    at = max(position for position, nodes in enumerate(waiting) if nodes)
    here = waiting[at]
    if at in quotes:
        return unknown_name(quotes[at].text, names)
    if at < len(text) and not all(state == _SIGN for _, state, _ in here):
        word = _WORD.match(text, at)
        if text[at] == "`":
            return f"A backtick in {_short(text)} is not closed."
        if word:
            return unknown_name(word.group(), names)
        if text[at - 1 : at + 1] == "**":
            return not_linear(text)
    elif at < len(text) and not text[at - 1].isspace():
        # It goes on without a space: not the name that it begins with, but a longer one.
        place, _ = next(iter(here.values())).back[0]
        start = _WORD.match(text, place[0])
        if start and start.end() > at:
            return unknown_name(start.group(), names)
    return f"{_short(text)} is no linear expression in the parameters."


def unknown_name(name: str, names: Sequence[str]) -> str:
    """Say that there is no such parameter, and which may be meant."""
    close = get_close_matches(name, names, n=3)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"the parameters are: {shown}."
    return f"The hypothesis names {name!r}, which the model has not; {hint}"


def not_linear(text: str) -> str:
    """Say that an expression cannot be tested."""
    return f"{_short(text)} is not linear in the parameters: only sums and multiples can be tested."


class _Sum(dict[int, float]):
    """A linear expression: coefficients by the number of the parameter, the constant under −1."""

    @property
    def constant(self) -> bool:
        return not any(value for key, value in self.items() if key >= 0)

    def times(self, factor: float) -> _Sum:
        return _Sum({key: factor * value for key, value in self.items()})


def evaluate(tokens: Sequence[Token], position: dict[str, int], text: str) -> list[list[_Sum]]:
    """Work out the sides of each equation."""
    equations: list[list[_Sum]] = [[]]
    values: list[_Sum] = []
    signs: list[str] = []

    def work_down(strength: int) -> None:
        while signs and _STRENGTH[signs[-1]] >= strength:
            _apply(signs.pop(), values, text)

    for token in [*tokens, Token("sign", ",", len(text))]:
        if token.kind == "number":
            values.append(_Sum({-1: float(token.text)}))
        elif token.kind in ("name", "quoted"):
            values.append(_Sum({position[token.text]: 1.0}))
        elif token.kind == "unary":
            signs.append(f"u{token.text}")
        elif token.text == "(":
            signs.append("(")
        elif token.text == ")":
            work_down(1)
            signs.pop()
        elif token.text in "=,":
            work_down(1)
            equations[-1] += [values.pop()] if values else []
            if token.text == ",":
                equations.append([])
        else:
            work_down(_STRENGTH[token.text])
            signs.append(token.text)
    return [sides for sides in equations if sides]


_STRENGTH = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2, "u+": 3, "u-": 3}


def _apply(sign: str, values: list[_Sum], text: str) -> None:
    """Do what a sign says with the last values."""
    right = values.pop()
    if sign in ("u+", "u-"):
        values.append(right if sign == "u+" else right.times(-1.0))
        return
    left = values.pop()
    if sign in "+-":
        for key, value in right.items():
            left[key] = left.get(key, 0.0) + (value if sign == "+" else -value)
        values.append(left)
    elif sign == "*" and (left.constant or right.constant):
        whole, factor = (right, left) if left.constant else (left, right)
        values.append(whole.times(factor.get(-1, 0.0)))
    elif sign == "/" and right.constant and right.get(-1, 0.0):
        values.append(_Sum({key: value / right[-1] for key, value in left.items()}))
    else:
        raise ValueError(not_linear(text))
