"""Frames, series, lists, arrays of objects and sparse matrices: read, or refused with the name of the column."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.utils.validation import _get_feature_names

from mle_regression import MLELinearRegressor, MLPGradientRegressor, compare_models

N = 30
RNG = np.random.default_rng(3)
A, B, Y = RNG.standard_normal(N), np.round(RNG.standard_normal(N), 3), RNG.standard_normal(N)
FRAME = pd.DataFrame({"a": A, "b": B})


def with_item(value, at=3):
    return [value if i == at else float(b) for i, b in enumerate(B)]


def arrow(values, kind):
    pa = pytest.importorskip("pyarrow")
    types = {"decimal": pa.decimal128(12, 3), "float": pa.float64(), "text": pa.string(), "date": pa.timestamp("ns")}
    return pd.array(values, dtype=pd.ArrowDtype(types[kind]))


DECIMALS = [Decimal(str(b)) for b in B]
DATES = pd.date_range("2020-01-01", periods=N)
PANDAS = {
    "NaN": lambda: with_item(np.nan),
    "infinity": lambda: with_item(-np.inf),
    "NA among objects": lambda: with_item(pd.NA),
    "None": lambda: with_item(None),
    "NaT among objects": lambda: with_item(pd.NaT),
    "nullable": lambda: pd.array(with_item(pd.NA), dtype="Float64"),
    "arrow null": lambda: arrow(with_item(None), "float"),
    "arrow decimal null": lambda: arrow([None, *DECIMALS[1:]], "decimal"),
    "text": lambda: with_item("red"),
    "categories": lambda: pd.Categorical(["red", "blue"] * 15),
    "string dtype": lambda: pd.array(["red"] * N, dtype="string"),
    "arrow text": lambda: arrow(["red"] * N, "text"),
    "dates": lambda: DATES,
    "dates with a zone": lambda: DATES.tz_localize("UTC"),
    "durations": lambda: DATES - DATES[0],
    "periods": lambda: pd.period_range("2020", periods=N),
    "a date among objects": lambda: with_item(pd.Timestamp("2020-01-01")),
    "datetime.date": lambda: [datetime.date(2020, 1, 1 + i % 28) for i in range(N)],
    "arrow dates": lambda: arrow(list(DATES), "date"),
    "intervals": lambda: pd.interval_range(0, N),
    "lists": lambda: [[1.0]] * N,
}
SAYS = {
    "text": "text",
    "categories": "text",
    "string dtype": "text",
    "arrow text": "text",
    "dates": "dates or times",
    "dates with a zone": "dates or times",
    "durations": "dates or times",
    "periods": "dates or times",
    "a date among objects": "dates or times",
    "datetime.date": "dates or times",
    "arrow dates": "dates or times",
    "intervals": "Intervals",
    "lists": "lists",
}
POLARS = {
    "null": lambda: pl.Series("b", with_item(None), strict=False),
    "NaN": lambda: pl.Series("b", with_item(np.nan)),
    "decimal null": lambda: pl.Series("b", [None, *DECIMALS[1:]]),
    "all null": lambda: pl.Series("b", [None] * N),
    "text": lambda: pl.Series("b", ["red"] * N),
    "categories": lambda: pl.Series("b", ["red", "blue"] * 15, dtype=pl.Categorical),
    "dates": lambda: pl.Series("b", [datetime.date(2020, 1, 1 + i % 28) for i in range(N)]),
    "durations": lambda: pl.Series("b", [datetime.timedelta(days=i) for i in range(N)]),
    "lists": lambda: pl.Series("b", [[1.0, 2.0]] * N),
}


def models():
    return [MLELinearRegressor(), MLPGradientRegressor((2,), alpha=1e-4, max_iter=2, solver="adam", random_state=0)]


@pytest.fixture(params=range(2), ids=["linear", "network"])
def kind(request):
    return request.param


@pytest.fixture
def fitted(kind):
    with pytest.warns() if kind else _nothing():
        return models()[kind].fit(FRAME, Y)


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def ways_for_x(model, kind):
    """What takes X, as functions of X and of what it is called there."""
    yield "X", lambda X: models()[kind].fit(X, Y)
    yield "X", lambda X: models()[kind].partial_fit(X, Y)
    yield "X", model.predict
    yield "X", lambda X: model.predict_interval(X)
    yield "X", lambda X: model.score(X, Y)
    yield "X", lambda X: model.log_likelihood(X, Y)
    yield "X", lambda X: model.diagnose(X, Y)
    if kind:
        yield "X", lambda X: model.log_predictive_density(X, Y)
        yield "X_val", lambda X: models()[kind].fit(FRAME, Y, X_val=X, y_val=Y)


def ways_for_y(model, kind):
    yield "y", lambda y: models()[kind].fit(FRAME, y)
    yield "y", lambda y: models()[kind].partial_fit(FRAME, y)
    yield "y", lambda y: model.score(FRAME, y)
    yield "y", lambda y: model.log_likelihood(FRAME, y)
    yield "y", lambda y: model.diagnose(FRAME, y)
    if kind:
        yield "y", lambda y: model.log_predictive_density(FRAME, y)
        yield "y_val", lambda y: models()[kind].fit(FRAME, Y, X_val=FRAME, y_val=y)


def expected(what, where, name):
    if what in SAYS:
        return rf"^{where} holds {SAYS[what]}"
    return rf"Input {name} contains NaN or infinity: {where}\. Drop those rows"


@pytest.mark.parametrize("what", PANDAS)
def test_pandas_columns_are_named(what, kind, fitted):
    column = PANDAS[what]()
    for name, call in ways_for_x(fitted, kind):
        with pytest.raises(ValueError, match=expected(what, f"column 'b' of {name}", name)):
            call(pd.DataFrame({"a": A, "b": column}))
    for name, call in ways_for_y(fitted, kind):
        with pytest.raises(ValueError, match=expected(what, name, name)):
            call(pd.Series(column))
        with pytest.raises(ValueError, match=expected(what, f"column 'price' of {name}", name)):
            call(pd.DataFrame({"price": column}))


@pytest.mark.skipif(
    _get_feature_names(pl.DataFrame({"a": [1.0]})) is None,
    reason="this scikit-learn does not read the names of this polars, and warns that they are missing",
)
@pytest.mark.parametrize("what", POLARS)
def test_polars_columns_are_named(what, kind, fitted):
    column = POLARS[what]()
    for name, call in ways_for_x(fitted, kind):
        with pytest.raises(
            ValueError, match=expected(what, f"column 'b' of {name}", name).replace("durations", "dates")
        ):
            call(pl.DataFrame({"a": A, "b": column}))
    for name, call in ways_for_y(fitted, kind):
        with pytest.raises(ValueError, match=expected(what, name, name)):
            call(column)


@pytest.mark.parametrize(
    ("what", "made"),
    [
        ("text", lambda: [[float(a), "red"] for a in A]),
        ("text", lambda: np.array([[a, "red"] for a in A], dtype=object)),
        ("text", lambda: np.array([[str(a), "red"] for a in A])),
        ("NaN", lambda: [[float(a), None] for a in A]),
        ("NaN", lambda: np.array([[a, pd.NA] for a in A], dtype=object)),
        ("NaN", lambda: np.column_stack([A, with_item(np.nan)])),
        ("NaN", lambda: np.column_stack([A, with_item(np.inf)]).astype(np.float32)),
        ("NaN", lambda: sp.csr_array(np.column_stack([A, with_item(np.nan)]))),
        ("NaN", lambda: sp.csc_matrix(np.column_stack([A, with_item(np.inf)]))),
        ("NaN", lambda: sp.coo_array(np.column_stack([A, with_item(np.inf)]))),
        ("dates", lambda: np.column_stack([A.astype(object), DATES.to_numpy().astype(object)])),
        ("a date among objects", lambda: [[float(a), DATES[0]] for a in A]),
        ("lists", lambda: np.array([[a, None] for a in A], dtype=object)),
    ],
)
def test_arrays_and_lists(what, made, kind):
    X = made()
    if what == "lists":
        for row in X:
            row[1] = [1.0]
    if what == "dates":  # datetimes in nanoseconds become whole numbers of objects
        X[:, 1] = DATES.to_pydatetime()
    with pytest.warns() if kind else _nothing():
        model = models()[kind].fit(FRAME.to_numpy(), Y)
    for name, call in ways_for_x(model, kind):
        if name == "X_val":
            continue  # its other part is a frame
        with pytest.raises(ValueError, match=expected(what, f"column 1 of {name}", name)):
            call(X)


def test_remedies_fit_what_is_wrong():
    fit = MLELinearRegressor().fit
    with pytest.raises(ValueError, match=r"SimpleImputer in a Pipeline"):
        fit(FRAME.assign(b=with_item(np.nan)), Y)
    with pytest.raises(ValueError, match=r"turn infinities into NaN, and impute them"):
        fit(FRAME.assign(b=with_item(np.inf)), Y)
    for y in (with_item(np.nan), with_item(np.inf)):
        with pytest.raises(ValueError, match=r"Drop those rows: what was not observed") as caught:
            fit(FRAME, y)
        assert "impute" not in str(caught.value).lower()
    with pytest.raises(ValueError, match=r"Input X .* Input y .*'q'"):
        fit(FRAME.assign(b=with_item(np.nan)), pd.DataFrame({"p": Y, "q": with_item(np.inf)}))
    with pytest.raises(ValueError, match="take a classifier"):
        fit(FRAME, ["red", "blue"] * 15)


@pytest.mark.parametrize(
    "made",
    [
        lambda: pd.DataFrame({"a": A, "b": DECIMALS}),
        lambda: pd.DataFrame({"a": A, "b": arrow(DECIMALS, "decimal")}),
        lambda: pd.DataFrame({"a": arrow(A, "float"), "b": arrow(DECIMALS, "decimal")}),
        lambda: pd.DataFrame({"a": pd.array(A, dtype="Float64"), "b": B.astype(object)}),
        lambda: pl.DataFrame({"a": A, "b": pl.Series(DECIMALS)}),
        lambda: [[float(a), b] for a, b in zip(A, DECIMALS, strict=True)],
        lambda: np.column_stack([A.astype(object), np.array(DECIMALS)]),
        lambda: sp.csc_array(FRAME.to_numpy()),
    ],
)
def test_numbers_in_any_dress(made, kind):
    with pytest.warns() if kind else _nothing():
        plain = models()[kind].fit(FRAME.to_numpy(), Y)
        model = models()[kind].fit(made(), Y)
    # The order in memory, by rows or columns, changes the order of sums.
    np.testing.assert_allclose(model.predict(made()), plain.predict(FRAME.to_numpy()), rtol=1e-12)
    assert model.score(made(), Y) == pytest.approx(plain.score(FRAME.to_numpy(), Y), rel=1e-12)


@pytest.mark.parametrize(
    "made", [lambda: pd.Series(DECIMALS), lambda: pd.Series(arrow(DECIMALS, "decimal")), lambda: pl.Series(DECIMALS)]
)
def test_decimals_as_y_and_weights(made, kind):
    X, weights = FRAME.assign(b=Y), pl.Series([Decimal(i + 1) for i in range(N)])
    with pytest.warns() if kind else _nothing():
        model = models()[kind].fit(X, made(), weights)
        plain = models()[kind].fit(X, B, np.arange(1.0, N + 1))
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    assert model.log_likelihood(X, made(), weights) == plain.log_likelihood(X, B, np.arange(1.0, N + 1))


# -- rows that belong together by their labels ---------------------------------------------------------------------


LABELS = pd.Index([f"row {i}" for i in range(N)])
SHUFFLED = np.random.default_rng(0).permutation(N)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_series_in_another_order_are_told_of(kind):
    X, y = FRAME.set_axis(LABELS), pd.Series(Y, LABELS)
    other, weights = y.iloc[SHUFFLED], pd.Series(np.arange(1.0, N + 1), LABELS).iloc[SHUFFLED]
    model = models()[kind].fit(X, y)

    def calls(y, w):
        yield lambda: models()[kind].fit(X, y, w)
        yield lambda: models()[kind].partial_fit(X, y, w)
        yield lambda: model.score(X, y, w)
        yield lambda: model.log_likelihood(X, y, w)
        yield lambda: model.diagnose(X, y, w)

    for call in calls(other, None):
        with pytest.warns(UserWarning, match=r"The index of y holds .* matched by their place.*y\.loc\[X\.index\]"):
            call()
    for call in calls(y, weights):
        with pytest.warns(UserWarning, match=r"The index of sample_weight holds"):
            call()
    with pytest.warns(UserWarning, match="The index of y holds"):
        compare_models({"model": model}, X, other, cv=2)
    if kind:
        with pytest.warns(UserWarning, match=r"The index of y_val holds the labels of X_val's"):
            models()[kind].fit(X, y, X_val=X, y_val=other)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("of_x", "of_y", "warns"),
    [
        (pd.RangeIndex(N), pd.RangeIndex(N), False),
        (pd.RangeIndex(N), pd.RangeIndex(100, 100 + N), False),
        (LABELS, pd.RangeIndex(N), False),
        (LABELS, LABELS, False),
        (pd.Index(["a"] * N), pd.Index(["a"] * N), False),
        (pd.RangeIndex(N), pd.RangeIndex(N)[::-1], True),
        (pd.Index(["a", "b"] * 15), pd.Index(["a"] * 15 + ["b"] * 15), True),
        (pd.Index(["a", "b"] * 15), pd.Index(["a"] * 29 + ["b"]), False),
        (pd.MultiIndex.from_product([["a", "b"], range(15)]), None, True),
        (pd.DatetimeIndex(DATES), pd.DatetimeIndex(DATES[::-1]), True),
    ],
)
def test_orders(of_x, of_y, warns, kind):
    of_y = of_x[::-1] if of_y is None else of_y
    X, y = FRAME.set_axis(of_x), pd.Series(Y, of_y)
    with pytest.warns(UserWarning, match="another order") if warns else _nothing():
        model = models()[kind].fit(X, y)
    np.testing.assert_array_equal(model.predict(X), models()[kind].fit(FRAME.to_numpy(), Y).predict(FRAME.to_numpy()))


def test_columns_in_another_order(kind):
    X = FRAME.set_axis([10, 20], axis=1)
    Y2 = pd.DataFrame({"p": Y, "q": A * B})
    with pytest.warns() if kind else _nothing():
        model = models()[kind].fit(X, Y2)
    with pytest.warns(UserWarning, match="columns of X are those of the fit in another order"):
        model.predict(X[[20, 10]])
    for call in (model.score, model.log_likelihood, model.diagnose):
        with pytest.warns(UserWarning, match="columns of y are those of the fit in another order"):
            call(X, Y2[["q", "p"]])


# -- other libraries' ----------------------------------------------------------------------------------------------


def test_arrow_tables(kind):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": A, "b": pa.array(DECIMALS, pa.decimal128(12, 3))})
    with pytest.warns() if kind else _nothing():
        model, plain = models()[kind].fit(table, pa.array(Y)), models()[kind].fit(FRAME, Y)
    np.testing.assert_allclose(model.predict(table), plain.predict(FRAME), rtol=1e-12)
    if not kind:
        assert model.coefficients().index.tolist() == ["intercept", "a", "b"]
    for column, said in ((["red"] * N, "holds text"), ([None] * N, "contains NaN")):
        bad = pa.table({"a": A, "b": pa.array(column)})
        for call in (lambda bad=bad: models()[kind].fit(bad, Y), lambda bad=bad: model.predict(bad)):
            with pytest.raises(ValueError, match=rf"{said}|column 'b' of X"):
                call()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: pl.DataFrame({"a": A, "b": B}).lazy(), r"X is a LazyFrame; give X\.collect\(\)"),
        (lambda: {"a": A, "b": B}, r"X is a dict; give pandas\.DataFrame\(X\)"),
        (lambda: (row for row in FRAME.to_numpy()), "X is a generator; give a list"),
    ],
)
def test_what_holds_no_rows(made, said, kind, fitted):
    for call in (lambda X: models()[kind].fit(X, Y), fitted.predict, lambda X: fitted.score(X, Y)):
        with pytest.raises(TypeError, match=said):
            call(made())
    with pytest.raises(TypeError, match="y is a set; give a list or an array"):
        models()[kind].fit(FRAME, set(Y))
