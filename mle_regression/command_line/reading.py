"""A file becomes a table: CSV in any of its dialects, or Parquet."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from mle_regression.command_line.problems import CommandError
from mle_regression.command_line.text_format import TextFormat, find_text_format
from mle_regression.command_line.text_numbers import is_code, is_number, with_decimal_points

_PARQUET = b"PAR1"
# What stands for a missing value in a file of text, in any case of letters.
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing")
_MISSING_AS_WRITTEN = sorted(
    {form for word in MISSING for form in (word, word.upper(), word.capitalize(), word.title())}
)


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as it was read: columns of numbers, of text, or of what Parquet holds.

    ``frame`` (n, p) has names that are all different; ``source`` says in words how the file was read, ``remarks`` what was
    done about its names.
    """

    frame: pd.DataFrame
    source: str
    remarks: tuple[str, ...] = ()


def read_table(path: Path, wanted: Collection[str] = (), as_text: Collection[str] = ()) -> RawTable:
    """Read a CSV or Parquet file.

    Parameters
    ----------
    path : Path
    wanted : collection of str, default=()
        Names that the caller will ask for: where the first line holds one, it is a header even if all of it are numbers.
    as_text : collection of str, default=()
        Columns to read as text, whatever they look like, in addition to those that hold codes such as 02134.

    Raises
    ------
    CommandError
        No such file, a folder, an empty or binary file, no rows, one column, rows of different lengths.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            parquet = file.read(len(_PARQUET)) == _PARQUET
        table = _read_parquet(path) if parquet else _read_text(path, wanted, as_text)
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file{_nearest_file(path)}") from None
    except OSError as error:
        raise CommandError(f"{path}: the file cannot be read ({error.strerror or error}).") from None
    if table.frame.shape[1] < 2:
        raise CommandError(
            f"{path}: the file has one column, {table.frame.columns[0]!r}; a target needs another to predict it from."
        )
    if table.frame.empty:
        raise CommandError(f"{path}: the file has names of columns and no rows.")
    return table


def _nearest_file(path: Path) -> str:
    """Name a file of nearly that name in the same folder."""
    try:
        near = get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1, cutoff=0.75)
    except OSError:
        return "."
    return f"; did you mean {str(path.parent / near[0])!r}?" if near else "."


def _read_parquet(path: Path) -> RawTable:
    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise CommandError(
            f"{path}: to read Parquet, install pyarrow (pip install pyarrow), or save it as CSV."
        ) from None
    except (ValueError, OSError) as error:
        raise CommandError(f"{path}: the Parquet file cannot be read ({_first_line(error)}).") from None
    names, remarks = _unique([str(name) for name in frame.columns])
    frame.columns = pd.Index(names)
    return RawTable(frame.apply(_without_missing_words).reset_index(drop=True), "Parquet", tuple(remarks))


def _without_missing_words(column: pd.Series) -> pd.Series:
    """Take words that stand for nothing out of a column of text, as they are of a file of text."""
    if not pd.api.types.is_string_dtype(column.dtype):
        return column
    return column.mask(column.str.strip().str.lower().isin(MISSING))


def _read_text(path: Path, wanted: Collection[str], as_text: Collection[str]) -> RawTable:
    written, sample = find_text_format(path)
    names, remarks, headed = _names(sample, wanted)
    rows = sample[int(headed) :]
    codes = {name for j, name in enumerate(names) if any(len(row) > j and is_code(row[j]) for row in rows)}
    frame = _parsed(path, written, names, headed, {name: str for name in names if name in codes or name in as_text})
    if written.decimal == ",":
        for j in np.flatnonzero([not pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]):
            frame.isetitem(int(j), with_decimal_points(frame.iloc[:, int(j)]).to_numpy())
    return RawTable(frame, str(written), tuple(remarks))


def _parsed(path: Path, written: TextFormat, names: list[str], headed: bool, dtypes: dict[str, type]) -> pd.DataFrame:
    """Read all rows of a file of text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ParserWarning)  # fields beyond the last column, which are empty
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        try:
            return pd.read_csv(
                path,
                sep=r"\s+" if written.separator == " " else written.separator,
                decimal=written.decimal,
                encoding=written.encoding,
                header=0 if headed else None,
                skiprows=written.skipped,
                names=names,
                index_col=False,
                dtype=dtypes or None,
                keep_default_na=False,
                na_values=_MISSING_AS_WRITTEN,
                skipinitialspace=True,
                low_memory=False,
            )
        except pd.errors.EmptyDataError:
            return pd.DataFrame({name: [] for name in names})
        except (pd.errors.ParserError, ValueError) as error:
            raise CommandError(f"{path}: the file cannot be read as a table ({_reason(error)}).") from None


def _names(sample: Sequence[Sequence[str]], wanted: Collection[str]) -> tuple[list[str], list[str], bool]:
    """Return names that are all different, what was done about them, and whether the first line holds them."""
    first, rows = list(sample[0]), sample[1:]
    if first and all(is_number(field) for field in first) and not {field.strip() for field in first} & set(wanted):
        return (
            [f"column {j + 1}" for j in range(len(first))],
            ["The first line holds numbers, no names: columns are called 'column 1', 'column 2' and so on."],
            False,
        )
    remarks = []
    if rows and all(len(row) == len(first) + 1 for row in rows):
        first = ["", *first]
        remarks.append("Rows have one field more than there are names: the first is taken as the name of the row.")
    while (
        len(first) > 1 and not first[-1].strip() and all(len(row) < len(first) or not row[-1].strip() for row in rows)
    ):
        first = first[:-1]  # a separator at the end of each line
    names, more = _unique([" ".join(name.split()) for name in first])
    return names, remarks + more, True


def _unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Make names all different, and say which were not."""
    found, twice, nameless = list[str](), list[str](), list[str]()
    for j, name in enumerate(names):
        new = name or f"column {j + 1}"
        if not name:
            nameless.append(new)
        elif name in names[:j]:
            twice.append(name)
        k = 2
        while new in found or (new != name and new in names):
            new, k = f"{name or 'column'} ({k})", k + 1
        found.append(new)
    remarks = [f"Columns without a name are called {', '.join(map(repr, nameless))}."] if nameless else []
    if twice:
        shown = ", ".join(map(repr, dict.fromkeys(twice)))
        remarks.append(f"Several columns are called {shown}: the later ones are renamed, with a number after the name.")
    return found, remarks


def _reason(error: Exception) -> str:
    """Say why pandas could not read the rows."""
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if found:
        return f"line {found[2]} has {found[3]} fields, and there are {found[1]} columns"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
