"""How numbers are written in tables: digits that mean something, points below one another, the same as text and as HTML."""

import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.reports.digits import aligned, number, p_value, with_error, written
from mle_regression.reports.document import Document, Notes, Panel, Table, width_of


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 4)) * [1.0, 1e-3, 1e4, 50.0], columns=["age", "面積", "<script>", "x" * 70])
    return MLELinearRegressor().fit(X, X.to_numpy() @ [3.0, 2e3, 1e-4, 0.0] + rng.normal(size=80))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23456, 0.0321, "1.235"),
        (1.23456, 0.0996, "1.23"),
        (1.23456, 0.00996, "1.235"),
        (-123456.0, 4321.0, "-123500"),
        (0.001, 0.5, "0.00"),
        (-0.001, 0.5, "0.00"),
        (3.2e-9, 4.5e-10, "3.20e-09"),
        (1.2e12, 3.4e10, "1.200e+12"),
        (2e7, 3e9, "0"),
        (1.5, 2e-15, "1.50000000"),
        (1.5e150, 1e-3, "1.50000000e+150"),
        (1.23456, 0.0, "1.235"),
        (1.23456, np.nan, "1.235"),
        (np.inf, 1.0, "inf"),
    ],
)
def test_an_estimate_has_the_digits_that_its_error_leaves(value, error, text):
    assert with_error(value, error) == text


def test_rounding_is_small_beside_the_error():
    rng = np.random.default_rng(1)
    values = rng.normal(size=2000) * 10.0 ** rng.uniform(-12, 12, 2000)
    errors = np.abs(values) * 10.0 ** rng.uniform(-6, 3, 2000)
    for value, error in zip(values, errors, strict=True):
        assert abs(float(with_error(value, error)) - value) <= 0.051 * error
        assert 0.95 < float(with_error(error, error)) / error < 1.05


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.5, "0.5000"), (1e-4, "0.0001"), (9.99e-5, "<0.0001"), (0.0, "<0.0001"), (1.0, "1.0000"), (np.nan, "nan")],
)
def test_small_p_values_are_written_as_such(p, text):
    assert p_value(p) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 20.0, np.nan], ["1", "20", ""]),
        ([0.90054, 0.8803, 0.0], ["0.9005", "0.8803", "0.0000"]),
        ([79393.2, 25038.0], ["79393", "25038"]),
        ([1e-9, 1.0], ["1e-09", "1"]),
        ([1.5e9, 3.0], ["1.5e+09", "3"]),
        ([-np.inf, 0.25], ["-inf", "0.2500"]),
        ([-0.0, 0.0], ["0", "0"]),
    ],
)
def test_columns(values, text):
    assert written(pd.DataFrame({"some": values})) == [text]


def test_numbers_of_any_kind():
    assert [number(v) for v in (True, np.int64(3), np.float32(0.5), 1e-300, "as it is")] == [
        "True",
        "3",
        "0.5",
        "1e-300",
        "as it is",
    ]


def test_points_stand_below_one_another(model):
    lines = Table("", model.coefficients()[["std_error", "estimate"]]).to_text(200).splitlines()
    cells = [re.split(r"  +(?=\S+ *$)", line)[1] for line in lines[1:]]
    ends = {
        width_of(line) - len(cell) + cell.index(".") for line, cell in zip(lines[1:], cells, strict=True) if "." in cell
    }
    assert len(lines) == 6
    assert len(ends) == 1
    padded = aligned(["1.25", "-3", "10.5", "", "inf"])
    assert [cell.rjust(7).find(".") for cell in padded if "." in cell] == [4, 4]


def test_wide_letters_keep_columns_in_line():
    table = Table("", pd.DataFrame({"n": [1.5, 2.5]}, index=["area", "面積 m"])).to_text(60).splitlines()
    assert [width_of(line) for line in table[1:]] == [width_of(table[1])] * 2


class Tags(HTMLParser):
    """Raises where tags do not close in order; keeps the texts of cells."""

    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "dd", "th", "dt"):
            self.cells.append(data)


def read(document):
    tags = Tags()
    tags.feed(document.to_html())
    assert not tags.open
    return tags.cells


def documents():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    linear = MLELinearRegressor().fit(X, y)
    network = MLPGradientRegressor((3,), alpha=0.1, early_stopping=False, random_state=0).fit(X, y)
    yield linear.summary()
    yield MLELinearRegressor(alpha=1.0).fit(X, np.column_stack([y, y**2])).summary()
    yield linear.diagnose(X, y).report()
    yield linear.diagnose(X, y).curvature().document()
    yield network.summary()
    yield network.diagnose(X, y).curvature().document()


def test_text_and_html_have_the_same_digits():
    for document in documents():
        cells = [" ".join(cell.split()) for cell in read(document)]
        text = " ".join(document.to_text(400).split())
        assert [cell for cell in cells if cell.replace(" ", "_") not in text.replace(" ", "_")] == []


def test_html_needs_nothing_else_and_has_no_stars():
    for document in documents():
        page = document.to_html()
        assert not re.search(r"https?:|url\(|@import|<script|<link|src=", page)
        assert "*" not in re.sub(r"\d\*\w+", "", unescape(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))
        assert document.to_text().count("**") == 0


def test_outputs_stand_above_their_rows():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 2)), pd.DataFrame(rng.normal(size=(60, 2)), columns=["<height>", "weight"])
    cells = read(MLELinearRegressor().fit(X, Y).summary())
    first, second = cells.index("<height>", cells.index("upper")), cells.index("weight", cells.index("upper"))
    assert cells[first + 1] == cells[second + 1] == "intercept"
    assert second - first == 1 + 3 * 7


def test_html_is_escaped(model):
    for page in (
        model.summary().to_html(),
        Document("<b>", [Panel("<i>", [("<u>", "<s>")]), Notes("", ["<p>"])]).to_html(),
    ):
        assert not re.search(r"<(script|b|i|u|s|p)>", page)
    assert "&lt;script&gt;" in model.summary().to_html()


def test_long_tables_are_folded():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 500)), columns=[f"c{j}" for j in range(500)])
    page = MLELinearRegressor().fit(X, rng.normal(size=600)).summary().to_html()
    shown, folded = page.split("<details>")
    assert "481 more rows" in folded
    assert shown.count("<tr>") == 21
    assert folded.count("<tr>") == 482
    assert "c499" in folded
