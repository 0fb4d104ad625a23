"""What the command prints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mle_regression.command_line.columns import ColumnRule
from mle_regression.command_line.comparison import Judged, comparison_table, sentence
from mle_regression.command_line.reading import RawTable
from mle_regression.command_line.task import Split, Task
from mle_regression.reports.document import Document, Notes, Panel, Table

# Kinds whose columns are told together, one and several.
_PLAIN = {
    "number": ("number as it is", "numbers as they are"),
    "category": ("category", "categories"),
    "yes or no": ("yes or no", "yes or no"),
}
_MOST_LINES = 40


def data_document(name: str, table: RawTable, task: Task, split: Split, rules: Sequence[ColumnRule]) -> Document:
    """Tell how the file was read, and by which rules its columns."""
    y, n, p = task.y, *table.frame.shape
    items: list[tuple[str, object]] = [
        ("file", f"{n:,} rows, {p:,} columns ({table.source})"),
        ("target", f"{task.target}: {y.min():.6g} to {y.max():.6g}, mean {y.mean():.6g}"),
        ("rows to fit", f"{len(split.fitted.y):,}"),
        ("rows held out", f"{len(split.held_out.y):,}"),
    ]
    parts: list[Panel | Notes] = [Panel("", items)]
    if task.remarks:
        parts.append(Notes("", task.remarks))
    parts.append(Notes("Columns", column_lines(rules)))
    return Document(name, parts)


def column_lines(rules: Sequence[ColumnRule]) -> list[str]:
    """Tell the rules, columns of one kind together where there is nothing more to say."""
    lines = []
    for kind, titles in _PLAIN.items():
        plain = [
            rule for rule in rules if rule.kind == kind and not (rule.doubts or (kind == "number" and rule.detail))
        ]
        if plain:
            names = [f"{rule.name} ({rule.detail})" if rule.detail else rule.name for rule in plain]
            lines.append(f"{len(plain):,} {titles[len(plain) > 1]}: {_shortened(names)}")
    told = [
        rule for rule in rules if rule.kind != "left out" and (rule.doubts or rule.kind not in _PLAIN or _marked(rule))
    ]
    lines += [
        f"{rule.name}: {rule.kind}" + "".join(f"; {word}" for word in (rule.detail, *rule.doubts) if word)
        for rule in told[:_MOST_LINES]
    ]
    if len(told) > _MOST_LINES:
        lines.append(f"… and {len(told) - _MOST_LINES:,} more columns with missing values or the like")
    gone = [f"{rule.name} ({rule.detail})" for rule in rules if rule.kind == "left out"]
    if gone:
        lines.append(f"{len(gone):,} left out: {_shortened(gone)}")
    return lines


def comparison_document(judged: Sequence[Judged], kept: Judged, target: str) -> Document:
    """Tell how the models do on the rows held out."""
    remarks = [remark for one in judged for remark in one.remarks]
    return Document(
        "Rows held out",
        [
            Table("", comparison_table(judged)),
            *([Notes("", remarks)] if remarks else []),
            Notes("What it comes to", [sentence(judged, kept, target)]),
        ],
    )


def shortened(summary: Document) -> Document:
    """Leave the largest ratios of estimate to deviation of a long table of coefficients."""
    return Document(summary.title, [_largest(part) if isinstance(part, Table) else part for part in summary.parts])


def _largest(table: Table) -> Table:
    frame = table.frame
    if len(frame) <= _MOST_LINES:
        return table
    deviation = frame["std_error" if "std_error" in frame else "posterior_sd"]
    ratio = (frame["estimate"] / deviation.where(deviation > 0)).abs().fillna(-1.0).to_numpy()
    shown = np.sort(np.argsort(-ratio, kind="stable")[:_MOST_LINES])
    title = f"{table.title}: the {_MOST_LINES} of {len(frame):,} that are largest beside their deviation"
    return Table(title, frame.iloc[shown], table.digits)


def _marked(rule: ColumnRule) -> bool:
    """Whether a plain kind has something to say all the same."""
    return rule.kind == "number" and bool(rule.detail)


def _shortened(names: Sequence[str], most: int = _MOST_LINES) -> str:
    more = f", and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
