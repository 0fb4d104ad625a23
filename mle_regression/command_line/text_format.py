"""Found out from a file of text: its encoding, what separates its columns, and whether commas are decimal."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mle_regression.command_line.problems import CommandError

# Separators in the order in which they are preferred where several fit alike; a space stands for any white space.
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar", " ": "white space"}
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# First bytes of files that are no text, and what to do with them.
_OTHERS = {
    b"PK\x03\x04": "is a zip archive or a workbook of a spreadsheet program; save its sheet as CSV",
    b"\xd0\xcf\x11\xe0": "is a workbook of a spreadsheet program; save its sheet as CSV",
    b"\x1f\x8b": "is compressed; unpack it first",
    b"BZh": "is compressed; unpack it first",
    b"\xfd7zXZ": "is compressed; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed; unpack it first",
}
# Share of control characters from which bytes are no text.
_CONTROL_SHARE = 0.01
_HEAD_BYTES, _CHUNK_BYTES = 1 << 18, 1 << 24
_SAMPLED_RECORDS = 500
# Share of records of one length from which a separator is taken to be one.
_REGULAR = 0.8
_DECIMAL_COMMA = re.compile(r"\s*[-+]?(\d{1,3}(\.\d{3})+|\d+),\d+(e[-+]?\d+)?\s*%?\s*", re.IGNORECASE)
_DECIMAL_POINT = re.compile(r"\s*[-+]?(\d{1,3}(,\d{3})+|\d+)\.\d+(e[-+]?\d+)?\s*%?\s*", re.IGNORECASE)
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])", re.IGNORECASE)
_THOUSANDS_COMMA = re.compile(r"\s*[-+]?[1-9]\d{0,2}(,\d{3})+\s*%?\s*")


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a file of text is written.

    ``encoding`` is Python's name, ``separator`` one of `SEPARATORS`, ``decimal`` "." or ","; ``skipped`` lines of comments
    stand before the names.
    """

    encoding: str
    separator: str
    decimal: str
    skipped: int = 0

    def __str__(self) -> str:
        encoding = {"utf-8-sig": "UTF-8 with a mark", "cp1252": "Windows-1252 (Latin-1)"}.get(
            self.encoding, self.encoding.upper()
        )
        return f"{encoding}, separated by {SEPARATORS[self.separator]}, decimal {'comma' if self.decimal == ',' else 'point'}"


def find_text_format(path: Path) -> tuple[TextFormat, list[list[str]]]:
    """Find out how a file of text is written; return also its first records, the header among them.

    Raises
    ------
    CommandError
        If the file is empty, or no text.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise CommandError(f"{path}: the file is empty.")
    encoding = _encoding(path, head)
    text = codecs.getincrementaldecoder(encoding)("strict").decode(head)
    whole = len(head) < _HEAD_BYTES
    if not text.strip():
        raise CommandError(f"{path}: the file holds nothing but white space.")
    text, skipped, told = without_preamble(text)
    separator = told or find_separator(text, whole)
    sample = records(text, separator, whole)
    return TextFormat(encoding, separator, find_decimal(sample[1:], separator), skipped), sample


def without_preamble(text: str) -> tuple[str, int, str]:
    r"""Take comments off the beginning; return the rest, how many lines they are, and the separator that they tell of.

    A line ``sep=;`` is written by spreadsheet programs. A line that begins with # is a comment, unless it is the last of
    them and has as many fields as the line after it: then it holds the names.

    Examples
    --------
    >>> without_preamble("sep=;\na;b\n1;2\n")
    ('a;b\n1;2\n', 1, ';')
    >>> without_preamble("# by hand\n#a,b\n1,2\n")
    ('#a,b\n1,2\n', 1, '')
    """
    lines = text.splitlines(keepends=True)
    told = _SEPARATOR_LINE.fullmatch(lines[0].strip())
    if told:
        return "".join(lines[1:]), 1, told[1]
    count = 0
    while count < len(lines) and lines[count].lstrip().startswith("#"):
        count += 1
    if count and count < len(lines):
        separator = find_separator("".join(lines[count:]))
        last, first = records(lines[count - 1], separator), records(lines[count], separator)
        count -= bool(last and first) and len(last[0]) == len(first[0]) > 1
    return "".join(lines[count:]), count, ""


def find_separator(text: str, whole: bool = True) -> str:
    r"""Find what separates columns: that which gives the most records the same number of fields, two at least.

    Examples
    --------
    >>> find_separator('a;b\n1,5;"x;y"\n2,5;z\n')
    ';'
    """
    fit = {separator: _regularity(records(text, separator, whole)) for separator in SEPARATORS}
    marks = [separator for separator in SEPARATORS if separator != " "]
    best = max(marks, key=lambda separator: fit[separator])
    if fit[best][0] < _REGULAR and fit[" "] > fit[best]:
        return " "
    return best if fit[best][0] > 0 else ","


def find_decimal(sample: Sequence[Sequence[str]], separator: str) -> str:
    """Find whether numbers have a decimal comma, from what the fields of records look like.

    Examples
    --------
    >>> find_decimal([["1.234,5", "x"]], ";"), find_decimal([["1,234", "0.5"]], ";")
    (',', '.')
    """
    fields = [field for record in sample for field in record]
    points = sum(1 for field in fields if _DECIMAL_POINT.fullmatch(field))
    commas = [field for field in fields if _DECIMAL_COMMA.fullmatch(field)]
    if separator != ";":  # elsewhere a comma with three digits after it may as well mark thousands
        commas = [field for field in commas if not _THOUSANDS_COMMA.fullmatch(field)]
    return "," if len(commas) > points else "."


def records(text: str, separator: str, whole: bool = True) -> list[list[str]]:
    r"""Split the beginning of a file into records that are not empty; the last, which may be cut off, is left out.

    Examples
    --------
    >>> records('a,b\n"1,5","two\nlines"\n', ",")
    [['a', 'b'], ['1,5', 'two\nlines']]
    """
    found: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator == " ")
    try:
        for record in reader:
            if any(field.strip() for field in record):
                found.append([field for field in record if field] if separator == " " else record)
            if len(found) > _SAMPLED_RECORDS:
                return found
    except csv.Error:
        return found
    return found if whole else found[:-1]


def _regularity(found: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Share of records with as many fields as most have, and that number; nothing where it is one."""
    if not found:
        return 0.0, 0
    (size, count), *_ = Counter(map(len, found)).most_common(1)
    # Where the header does not go with the rows, this hardly is the separator; names of rows may have none of their own.
    goes_with = len(found[0]) > 1 and len(found[0]) in (size, size - 1)
    share = count / len(found) if goes_with else 0.5 * count / len(found)
    return (round(share, 1), size) if size > 1 else (0.0, 0)


def _encoding(path: Path, head: bytes) -> str:
    """Find the encoding: by its mark, by zeros in every other byte, else UTF-8 if all of the file is, else Windows-1252."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return (
                encoding
                if _decodes(path, encoding)
                else _refuse(path, f"begins as {encoding.upper()} and goes on otherwise")
            )
    for magic, said in _OTHERS.items():
        if head.startswith(magic):
            return _refuse(path, said)
    zeros = head.count(0), head[::2].count(0), head[1::2].count(0)
    if zeros[0]:
        for encoding, of_odd in (("utf-16-le", True), ("utf-16-be", False)):
            rare, often = (zeros[1], zeros[2]) if of_odd else (zeros[2], zeros[1])
            if often > 0.3 * len(head) / 2 and rare < 0.05 * often and _decodes(path, encoding):
                return encoding
        return _refuse(path, "is no text (it holds bytes of zero)")
    if _decodes(path, "utf-8"):
        return "utf-8"
    control = sum(head.count(bytes([code])) for code in range(32) if code not in b"\t\n\r\f\x1a")
    if control > _CONTROL_SHARE * len(head):
        return _refuse(path, "is no text")
    return "cp1252" if _decodes(path, "cp1252") else "latin-1"


def _refuse(path: Path, said: str) -> str:
    raise CommandError(f"{path}: the file {said}.")


def _decodes(path: Path, encoding: str) -> bool:
    """Whether the whole of a file can be read in an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
