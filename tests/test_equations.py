"""Hypotheses in words, whatever the columns are called."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_regression import MLELinearRegressor
from mle_regression.reports.linear.equations import quoted
from mle_regression.reports.linear.hypotheses import describe_hypotheses, parse_hypotheses

AWKWARD = st.text(st.sampled_from("abxQ01 .#=*-+/(),`'\"\\^[:]éα\n\tif"), max_size=6)
COLUMNS = st.lists(AWKWARD | st.text(max_size=4), min_size=2, max_size=6, unique=True)
FACTORS = st.lists(st.integers(-9, 9).filter(bool), min_size=6, max_size=6)


def row_of(factors, k):
    return np.array(factors[:k], dtype=float)


@settings(max_examples=300, deadline=None)
@given(names=COLUMNS, factors=FACTORS, right=st.integers(-5, 5))
def test_quoted_names_are_those_parameters(names, factors, right):
    """Whatever the names, a text that quotes them means what it says."""
    terms = " + ".join(f"{factor}*{quoted(name)}" for factor, name in zip(factors, names, strict=False))
    R, q = parse_hypotheses(f"{terms} = {right}", names)
    np.testing.assert_array_equal(R, [row_of(factors, len(names))])
    np.testing.assert_array_equal(q, [right])


@settings(max_examples=500, deadline=None)
@given(names=COLUMNS, factors=FACTORS, data=st.data())
def test_bare_names_are_those_parameters_or_refused(names, factors, data):
    """A text has one meaning or none: it is never taken for another than the names that it was made of."""
    # Those of numbers and signs alone, or with a backtick, are to be quoted.
    bare = [name for name in names if "`" not in name and any(c.isalpha() and c not in "eE" for c in name)]
    if not bare:
        return
    some = data.draw(st.lists(st.sampled_from(bare), min_size=1, max_size=3, unique=True))
    text = " + ".join(f"{factor} * {name}" for factor, name in zip(factors, some, strict=False)) + " = 1"
    expected = np.zeros(len(names))
    for factor, name in zip(factors, some, strict=False):
        expected[names.index(name)] += factor
    try:
        R, q = parse_hypotheses(text, names)
    except ValueError as error:
        assert "may be read as" in str(error)  # noqa: PT017
    else:
        np.testing.assert_array_equal(R, [expected])
        np.testing.assert_array_equal(q, [1.0])


@settings(max_examples=300, deadline=None)
@given(names=COLUMNS, factors=FACTORS, right=st.integers(-5, 5))
def test_what_is_written_is_read_as_the_same(names, factors, right):
    R, q = row_of(factors, len(names))[None], np.array([float(right)])
    text = describe_hypotheses(np.vstack([R, -R]), np.r_[q, q], names)
    again = parse_hypotheses(text, names)
    np.testing.assert_array_equal(again[0], np.vstack([R, -R]))
    np.testing.assert_array_equal(again[1], np.r_[q, q])


@pytest.mark.parametrize(
    ("names", "text", "row"),
    [
        (["s", "s#2"], "s#2 = 0", [0, 1]),
        (["s", "s#2"], "s = 0", [1, 0]),
        (["lambda", "if", "True"], "lambda - if + True = 0", [1, -1, 1]),
        (["a-b", "c"], "a-b = c", [1, -1]),
        (["a", "b", "a-b"], "a - b = 0", [1, -1, 0]),
        (["a", "b", "a-b"], "`a-b` = 0", [0, 0, 1]),
        (["a", "b", "a-b"], "`a`-`b` = 0", [1, -1, 0]),
        (["f(x)", "x"], "f(x) = (x)", [1, -1]),
        (["sex[T.male]", "C(g)[T.b:c]"], "sex[T.male] = C(g)[T.b:c]", [1, -1]),
        (["age", "bmi", "age bmi"], "age bmi = age", [-1, 0, 1]),
        (["0", "1", "2"], "`1` = 2*`2`", [0, 1, -2]),
        (["0", "1", "2"], 'Q("1") = 2', [0, 1, 0]),
        (["a", "-1", "1,"], "a = -1, a = 1, a", [[1, 0, 0]] * 3),
        (["", "=", "`"], "`=` = Q('`')", [0, 1, -1]),
        (["größe", "α", "年齢"], "größe = α - 年齢", [1, -1, 1]),
        (["x", "x1", "x10"], "x10 = x1 - x", [1, -1, 1]),
        (["", " "], "`` = ` `", [1, -1]),
        (["a`b", 'c"d'], "Q('a`b') = `c\"d`", [1, -1]),
        (["1st", "2nd"], "1st - 2nd", [1, -1]),
        (["Q", "x"], "Q = Q('x')", [1, -1]),
    ],
)
def test_readings(names, text, row):
    np.testing.assert_array_equal(parse_hypotheses(text, names)[0], np.atleast_2d(row))


@pytest.mark.parametrize(
    ("names", "text", "said"),
    [
        (["s", "s#2"], "s#3 = 0", r"names 's#3', which the model has not; did you mean 's#2'"),
        (["a", "b", "a-b"], "a-b = 0", r"may be read as '`a-b` = 0' or as '`a` - `b` = 0': put names in backticks"),
        (["a", "-a"], "-a = 0", "may be read as"),
        (["a-b", "b-c", "a", "c"], "a-b-c = 0", "may be read as"),
        (["a", "b", "a,b"], "a,b = 0", "may be read as"),
        (["x", "x "], "x = 0", "may be read as"),
        (["0", "1", "2"], "1 = 0", "A name that is a number stands in backticks"),
        (["a", "b"], "a = `c`", "names 'c'"),
        (["a", "b"], "a = Q('c')", "names 'c'"),
        (["a", "b"], "(a = 0", "no linear expression"),
        (["a", "b"], "a b = 0", "no linear expression"),
        (["a", "b"], "2 a = 0", "no linear expression"),
        (["a", "b"], "a/0 = b", "not linear"),
        (["a", "b"], "a = " + "1" * 400, "finite"),
        (["a", "b"], "a = 1e999*b", "finite"),
    ],
)
def test_refusals(names, text, said):
    with pytest.raises(ValueError, match=said):
        MLELinearRegressor(fit_intercept=False).fit(*data_of(names)).test_linear(text)


def data_of(names):
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.standard_normal((30, len(names))), columns=names), rng.standard_normal(30)


def test_thousands_of_terms_and_of_parentheses():
    names = [f"x{j}" for j in range(3000)]
    R, q = parse_hypotheses(" + ".join(names) + " = 3", names)
    np.testing.assert_array_equal(R, np.ones((1, 3000)))
    assert q == [3]
    nested = "(" * 2000 + "x7" + ")" * 2000 + " = x8"
    np.testing.assert_array_equal(np.flatnonzero(parse_hypotheses(nested, names)[0]), [7, 8])
    hard = " - ".join(["a - b"] * 200)
    with pytest.raises(ValueError, match="may be read as"):
        parse_hypotheses(hard, ["a", "b", "a - b", "b - a"])


def test_the_test_of_an_awkward_name_is_that_of_a_plain_one(rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    plain = MLELinearRegressor().fit(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    model = MLELinearRegressor().fit(pd.DataFrame(X, columns=["s", "s#2", "s-1"]), y)
    for text, awkward in (("b = 2*a, c = 1", "s#2 = 2*s, `s-1` = 1"), ("a - 1 = 0", "`s` - 1 = 0")):
        assert model.test_linear(awkward).statistic == pytest.approx(plain.test_linear(text).statistic, rel=1e-12)
    again = model.test_linear(model.test_linear("s - 1 = 0").hypothesis)
    assert again.p_value == model.test_linear("`s` = 1").p_value
