"""HTML of panels, tables and notes: for a notebook and for a page, light or dark, without any other file."""

from __future__ import annotations

import html
from collections.abc import Sequence

from mle_regression.reports.digits import aligned

# As wide as a digit, and as a decimal point, in figures of one width.
_FIGURE_SPACE, _POINT_SPACE = "\u2007", "\u2008"
# Rows of a table that are shown at once; the others are folded away.
MOST_ROWS, _SHOWN_ROWS = 40, 20

# Lines and shades are of the colour of the text, so that they go with any ground.
STYLE = """
.mle-report{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif;
font-size:.9rem;line-height:1.45;color:inherit;font-variant-numeric:tabular-nums lining-nums;max-width:76rem;
padding-bottom:.6rem}
.mle-report h3{font-size:1.1rem;font-weight:650;margin:.2rem 0 .6rem;overflow-wrap:anywhere}
.mle-report h4{font-size:.95rem;font-weight:650;margin:1.3rem 0 .4rem;overflow-wrap:anywhere}
.mle-report dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));
column-gap:2.2rem;margin:.3rem 0}
.mle-report dl>div{display:flex;justify-content:space-between;gap:1rem;padding:.2rem 0;
border-bottom:1px solid rgba(128,128,128,.22)}
.mle-report dl>.wide{grid-column:1/-1;justify-content:flex-start}
.mle-report dl>.wide>dt{flex:0 0 min(17rem,45%)}
.mle-report dt{opacity:.72;font-weight:400}
.mle-report dd{margin:0;text-align:right;white-space:pre}
.mle-report .wide>dd{text-align:left;white-space:pre-wrap;overflow-wrap:anywhere}
.mle-report .scroll{overflow-x:auto;max-width:100%}
.mle-report table{border-collapse:collapse;border:0;margin:.2rem 0;font-size:inherit;color:inherit;background:none}
.mle-report th,.mle-report td{padding:.22rem .7rem;border:0;background:none;vertical-align:top;color:inherit}
.mle-report thead th{font-weight:600;text-align:right;vertical-align:bottom;white-space:nowrap;
border-bottom:1.5px solid rgba(128,128,128,.6)}
.mle-report tbody th{font-weight:500;text-align:left;padding-left:0;
min-width:min(8.5rem,24vw);max-width:22rem;overflow-wrap:anywhere}
.mle-report thead th:first-child{padding-left:0}
.mle-report td{text-align:right;white-space:nowrap}
.mle-report .text{text-align:left;white-space:normal;min-width:11rem}
.mle-report thead .text{text-align:left}
.mle-report .group th{font-weight:650;padding-top:.7rem}
.mle-report .group~tr:not(.group) th{padding-left:.9rem}
.mle-report tbody tr{border-bottom:1px solid rgba(128,128,128,.18)}
.mle-report tbody tr:nth-child(even){background:none}
.mle-report tbody tr:hover{background:rgba(128,128,128,.1)}
.mle-report ul{margin:.3rem 0;padding-left:1.2rem}
.mle-report li{margin:.25rem 0;overflow-wrap:anywhere}
.mle-report summary{cursor:pointer;padding:.35rem 0;opacity:.8}
@media (max-width:32rem){.mle-report table{font-size:.82em}.mle-report th,.mle-report td{padding:.22rem .4rem}
.mle-report thead th{white-space:normal}}
@media print{.mle-report .scroll{overflow:visible}.mle-report tr{break-inside:avoid}}
"""
# Letters from which a value of a panel has a line of its own.
_WIDE = 22


def panel(items: Sequence[tuple[str, str]]) -> str:
    """Write labels and values as a list of definitions in as many columns as there is room for."""
    rows = "".join(
        f"<div{' class=wide' if len(value) > _WIDE else ''}><dt>{escaped(label)}</dt><dd>{escaped(value)}</dd></div>"
        for label, value in items
    )
    return f"<dl>{rows}</dl>"


def table(
    index: Sequence[tuple[str, ...]], names: Sequence[str], columns: Sequence[Sequence[str]], is_text: Sequence[bool]
) -> str:
    """Write a table, numbers with their decimal points below one another; of a long one most rows are folded away.

    ``index`` has the levels of each row's label; all but the last are written above the rows that share them.
    """
    cells = [
        list(column) if text else aligned(column, _FIGURE_SPACE, _POINT_SPACE)
        for column, text in zip(columns, is_text, strict=True)
    ]
    if len(index) <= MOST_ROWS:
        return _part(index, names, cells, is_text)
    first, rest = slice(0, _SHOWN_ROWS), slice(_SHOWN_ROWS, None)
    return (
        _part(index[first], names, [column[first] for column in cells], is_text)
        + f"<details><summary>{len(index) - _SHOWN_ROWS:,} more rows</summary>"
        + _part(index[rest], names, [column[rest] for column in cells], is_text)
        + "</details>"
    )


def notes(points: Sequence[str]) -> str:
    """Write sentences as a list."""
    return f"<ul>{''.join(f'<li>{escaped(point)}</li>' for point in points)}</ul>"


def document(title: str, parts: Sequence[tuple[str, str]]) -> str:
    """Put parts, each a title and its HTML, together under a title, with their style."""
    body = "".join((f"<h4>{escaped(head)}</h4>" if head else "") + part for head, part in parts)
    return f"<div class=mle-report><style>{STYLE}</style><h3>{escaped(title)}</h3>{body}</div>"


def escaped(text: str) -> str:
    """Write text so that HTML shows it as it is."""
    return html.escape(text)


def _part(
    index: Sequence[tuple[str, ...]], names: Sequence[str], columns: Sequence[Sequence[str]], is_text: Sequence[bool]
) -> str:
    style = [" class=text" if text else "" for text in is_text]
    head = "".join(
        f"<th scope=col{kind}>{escaped(name.replace('_', ' '))}</th>" for name, kind in zip(names, style, strict=True)
    )
    rows, above = "", tuple[str, ...]()
    for label, row in zip(index, zip(*columns, strict=True) if columns else [()] * len(index), strict=True):
        if label[:-1] != above:
            above = label[:-1]
            rows += f"<tr class=group><th scope=rowgroup colspan={len(names) + 1}>{escaped('  '.join(above))}</th></tr>"
        cells = "".join(f"<td{kind}>{escaped(cell)}</td>" for cell, kind in zip(row, style, strict=True))
        rows += f"<tr><th scope=row>{escaped(label[-1])}</th>{cells}</tr>"
    return f"<div class=scroll><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
