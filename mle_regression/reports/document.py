"""Panels and tables as text for a terminal of any width, and as HTML for a notebook."""

from __future__ import annotations

import shutil
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mle_regression.reports import markup
from mle_regression.reports.digits import aligned, number, written

_GAP = 2
_NARROWEST_TEXT = 24
_NARROWEST = 40


@dataclass(frozen=True, slots=True)
class Panel:
    """Labels and values, side by side as the width allows."""

    title: str
    items: Sequence[tuple[str, object]]

    def to_text(self, width: int) -> str:
        """Lay the items out in as many columns as fit, of three at most; long values are wrapped."""
        pairs = [(label, number(value)) for label, value in self.items]
        left = max((width_of(label) for label, _ in pairs), default=0)
        right = max((width_of(value) for _, value in pairs), default=0)
        per_line = min(3, (width + 2 * _GAP) // (left + right + 3 * _GAP))
        if per_line < 2:
            return "\n".join(_hanging(label, left + _GAP, value, width) for label, value in pairs)
        cells = [_padded(label, left) + " " * _GAP + _padded(value, right, right=True) for label, value in pairs]
        depth = -(-len(cells) // per_line)
        return "\n".join((" " * 2 * _GAP).join(cells[row::depth]).rstrip() for row in range(depth))

    def to_html(self) -> str:
        """Write the items as a list of definitions."""
        return markup.panel([(label, number(value)) for label, value in self.items])


@dataclass(frozen=True, slots=True)
class Table:
    """A data frame; a last column of text is wrapped, numbers that do not fit go on below."""

    title: str
    frame: pd.DataFrame
    digits: int = 4

    def to_text(self, width: int) -> str:
        """Lay the columns out within the width."""
        index = [_index_text(label) for label in self.frame.index]
        head = max(map(width_of, index), default=0)
        columns = [
            [name, *(cells if self._is_text(j) else aligned(cells))]
            for j, (name, cells) in enumerate(zip(self._names(), written(self.frame, self.digits), strict=True))
        ]
        widths = [max(map(width_of, cells)) for cells in columns]
        wrapped = self._is_text(self.frame.shape[1] - 1) if columns else False
        room = width - head - sum(w + _GAP for w in widths[:-1]) - _GAP
        if wrapped:
            # Beside the numbers if there is room, else below them.
            widths[-1] = min(widths[-1], room if room >= _NARROWEST_TEXT else max(width - head - _GAP, _NARROWEST_TEXT))
        chunks = _chunks(widths, width - head)
        return "\n\n".join(self._chunk_text(chunk, index, head, columns, widths) for chunk in chunks)

    def to_html(self) -> str:
        """Write the frame as a table."""
        texts = [self._is_text(j) for j in range(self.frame.shape[1])]
        index = [tuple(map(str, label)) if isinstance(label, tuple) else (str(label),) for label in self.frame.index]
        return markup.table(index, self._names(), written(self.frame, self.digits), texts)

    def _names(self) -> list[str]:
        return [str(name) for name in self.frame.columns]

    def _is_text(self, j: int) -> bool:
        return not pd.api.types.is_numeric_dtype(self.frame.iloc[:, j])

    def _chunk_text(
        self, chunk: Sequence[int], index: list[str], head: int, columns: list[list[str]], widths: list[int]
    ) -> str:
        lines = []
        for i, label in enumerate(["", *index]):
            cells = [
                (textwrap.wrap(columns[j][i], widths[j]) or [""]) if self._is_text(j) else [columns[j][i]]
                for j in chunk
            ]
            for depth in range(max(map(len, cells), default=1)):
                line = _padded(label if depth == 0 else "", head)
                for j, cell in zip(chunk, cells, strict=True):
                    text = cell[depth] if depth < len(cell) else ""
                    line += " " * _GAP + _padded(text, widths[j], right=not self._is_text(j))
                lines.append(line.rstrip())
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences, one a point."""

    title: str
    points: Sequence[str]

    def to_text(self, width: int) -> str:
        """Wrap each point."""
        wrapped = [
            textwrap.fill(point, max(width, 20), initial_indent="* ", subsequent_indent="  ") for point in self.points
        ]
        return "\n".join(wrapped)

    def to_html(self) -> str:
        """Write the points as a list."""
        return markup.notes(self.points)


class Document:
    """A report: printed as text, shown as HTML in a notebook.

    Parameters
    ----------
    title : str
    parts : sequence of Panel, Table or Notes
    width : int, default=None
        Columns of text; those of the terminal if None.
    """

    def __init__(self, title: str, parts: Sequence[Panel | Table | Notes], width: int | None = None) -> None:
        self.title = title
        self.parts = tuple(parts)
        self.width = width

    def to_text(self, width: int | None = None) -> str:
        """Write the report for a terminal of ``width`` columns, 40 at least."""
        columns = max(width or self.width or min(shutil.get_terminal_size((100, 24)).columns, 120), _NARROWEST)
        blocks = ["\n".join([*_fold(self.title, columns), "=" * min(columns, max(40, len(self.title)))])]
        for part in self.parts:
            heading = "\n".join(_fold(part.title, columns))
            rule = f"{heading}\n{'-' * min(columns, len(part.title))}\n" if part.title else ""
            blocks.append(rule + part.to_text(columns))
        return "\n\n".join(blocks)

    def to_html(self) -> str:
        """Write the report as HTML that needs no other file, without scripts, for a light or a dark ground."""
        return markup.document(self.title, [(part.title, part.to_html()) for part in self.parts])

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes, two a letter in the scripts of East Asia.

    Examples
    --------
    >>> width_of("area"), width_of("面積")
    (4, 4)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text
    )


def _padded(text: str, width: int, right: bool = False) -> str:
    blank = " " * max(width - width_of(text), 0)
    return blank + text if right else text + blank


def _index_text(label: object) -> str:
    return "  ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _hanging(label: str, indent: int, value: str, width: int) -> str:
    """Write a label and its value, wrapped into the room beside it or, where that is too narrow, below it."""
    if width - indent < _NARROWEST_TEXT and indent + len(value) > width:
        return "\n".join([label, *(f"    {line}" for line in textwrap.wrap(value, max(width - 4, 20)))])
    lines = [value] if indent + len(value) <= width else textwrap.wrap(value, width - indent)
    return "\n".join(f"{label if not i else '':<{indent}}{line}" for i, line in enumerate(lines))


def _fold(text: str, width: int) -> list[str]:
    """Wrap a line only if it is too long, so that aligned spaces survive."""
    return [text] if len(text) <= width else textwrap.wrap(text, max(width, 20), subsequent_indent="    ") or [""]


def _chunks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Distribute columns over as many lines as they need."""
    chunks: list[list[int]] = [[]]
    used = 0
    for j, width in enumerate(widths):
        if chunks[-1] and used + width + _GAP > room:
            chunks.append([])
            used = 0
        chunks[-1].append(j)
        used += width + _GAP
    return chunks
