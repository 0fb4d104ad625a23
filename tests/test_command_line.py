"""``python -m mle_regression``: files in any dialect, rules of columns, the comparison, models saved and used, errors."""

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_linnerud, load_wine

from mle_regression import MLELinearRegressor
from mle_regression.command_line import progress, saved
from mle_regression.command_line.applied_rules import apply_rules
from mle_regression.command_line.columns import find_rule, find_rules
from mle_regression.command_line.main import main
from mle_regression.command_line.problems import CommandError
from mle_regression.command_line.reading import read_table
from mle_regression.command_line.task import pose_task, split_rows
from mle_regression.command_line.text_numbers import parse_number

N = 60


def houses(n=N, seed=0):
    rng = np.random.default_rng(seed)
    area, rooms = rng.uniform(30, 1200, n).round(1), rng.integers(1, 7, n)
    price = (1000 * area + 50000 * rooms + rng.normal(0, 9000, n)).round(2)
    return pd.DataFrame({"area": area, "rooms": rooms, "city": rng.choice(["Köln", "Zürich"], n), "price": price})


def written(tmp_path, frame, name="data.csv", **options):
    path = tmp_path / name
    frame.to_csv(path, index=False, **options)
    return path


def failed(capsys, *arguments):
    """Run a command that fails, and return its one line."""
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    return error


# -- reading ---------------------------------------------------------------------------------------------------------

DIALECTS = {
    "plain": {},
    "semicolon, decimal comma, Latin-1": {"sep": ";", "decimal": ",", "encoding": "latin-1"},
    "tab, decimal comma": {"sep": "\t", "decimal": ","},
    "UTF-16 with a mark": {"sep": "\t", "encoding": "utf-16"},
    "UTF-16 without a mark": {"encoding": "utf-16-le"},
    "UTF-8 with a mark": {"encoding": "utf-8-sig"},
    "vertical bars": {"sep": "|"},
    "white space": {"sep": " "},
    "all in quotes": {"quoting": 1},
    "lines of Windows": {"lineterminator": "\r\n"},
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_table_is_the_same_in_any_dialect(tmp_path, dialect):
    frame = houses()
    read = read_table(written(tmp_path, frame, **DIALECTS[dialect])).frame
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = houses()
    frame.to_parquet(tmp_path / "data.bin")  # known by its first bytes, not by its name
    pd.testing.assert_frame_equal(read_table(tmp_path / "data.bin").frame, frame)
    frame.assign(city=["Köln", " N/A "] * (N // 2)).to_parquet(tmp_path / "data.bin")
    assert read_table(tmp_path / "data.bin").frame["city"].isna().sum() == N // 2


@pytest.mark.parametrize(
    ("text", "names", "first"),
    [
        ("a,b,\n1,2,\n3,4,\n", ["a", "b"], [1, 2]),
        ("a b\nr1 1 2\nr2 3 4\n", ["column 1", "a", "b"], ["r1", 1, 2]),
        ("1,2\n3,4\n", ["column 1", "column 2"], [1, 2]),
        ("a,a,a (2)\n1,2,3\n", ["a", "a (3)", "a (2)"], [1, 2, 3]),
        (",b\n1,2\n", ["column 1", "b"], [1, 2]),
        ('"of\nit",b\n"x\ny",2\n', ["of it", "b"], ["x\ny", 2]),
        ("\n\na,b\n1,2\n\n", ["a", "b"], [1, 2]),
        ("sep=;\na;b\n1,5;2\n", ["a", "b"], [1.5, 2]),
        ("# made by hand\n# in May, all of it, in one go\na,b\n1,2\n", ["a", "b"], [1, 2]),
        ("# made by hand\n#a,b\n1,2\n", ["#a", "b"], [1, 2]),
        ("zip,b\n02134,1\n90210,2\n", ["zip", "b"], ["02134", 1]),
        ("a;b\n1.234,5;€ 2.000,25\n3,5;€ 1,5\n", ["a", "b"], ["1234.5", "€ 2000.25"]),
    ],
)
def test_names_and_fields(tmp_path, text, names, first):
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    frame = read_table(path).frame
    assert list(frame.columns) == names
    assert frame.iloc[0].tolist() == first


def test_a_header_of_numbers_that_is_asked_for(tmp_path):
    path = tmp_path / "years.csv"
    path.write_text("2001,2002\n5,6\n7,9\n")
    assert list(read_table(path, ["2002"]).frame.columns) == ["2001", "2002"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5", 1234.5),
        ("1 234", 1234.0),
        ("1'234", 1234.0),
        ("€5", 5.0),
        ("5 EUR", 5.0),
        ("-$3.2", -3.2),
        ("(7)", -7.0),
        ("12%", 12.0),
        ("1e-3", 1e-3),
        ("inf", np.inf),
        ("", np.nan),
        ("(7", np.nan),
        ("12,34", np.nan),
        ("1-2", np.nan),
        ("7 kg", np.nan),
    ],
)
def test_numbers_as_people_write_them(text, value):
    np.testing.assert_equal(parse_number(text), value)


# -- rules of columns ------------------------------------------------------------------------------------------------

WORDS = [f"word {k}" for k in range(N)]
RULES = {
    "numbers": (np.linspace(0, 1, N), "number", ""),
    "large numbers": ([f"${k},{k:03d}" for k in range(1, N + 1)], "number", "written as"),
    "percent": ([f"{k} %" for k in range(N)], "number", "in percent"),
    "mostly numbers": ([*range(N - 2), "about 7", "ask"], "number", ""),
    "yes or no": (["Yes", "no"] * (N // 2), "yes or no", "yes is 1"),
    "truth": ([True, False] * (N // 2), "yes or no", ""),
    "two words": (["red", "blue"] * (N // 2), "category", "2 values"),
    "codes": (["02134", "90210"] * (N // 2), "category", "2 values"),
    "zip": ([10115, 20095] * (N // 2), "category", "2 values"),
    "days": (pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"), "date", "2020-01-01 to 2020-02-29"),
    "day first": (pd.date_range("2020-01-01", periods=N).strftime("%d/%m/%Y"), "date", "2020-01-01 to 2020-02-29"),
    "month first": (pd.date_range("2020-01-01", periods=N).strftime("%m/%d/%Y"), "date", "2020-01-01 to 2020-02-29"),
    "with times": (pd.date_range("2020-01-01", periods=N, freq="h").strftime("%d.%m.%Y %H:%M"), "date", "hour"),
    "with zones": (pd.date_range("2020-01-01", periods=N, freq="h").strftime("%Y-%m-%dT%H:%M:%S+0000"), "date", "hour"),
    "in digits": (pd.date_range("2020-01-01", periods=N).strftime("%Y%m%d").astype(int), "date", "2020-01-01"),
    "months by name": (pd.date_range("2020-01-01", periods=N).strftime("%d %b %Y"), "date", "2020-01-01"),
    "free text": (WORDS, "left out", "60 different values"),
    "nothing": ([np.nan] * N, "left out", "no values"),
    "one number": ([3.0] * N, "left out", "always 3"),
    "one word": (["x"] * N, "left out", "always x"),
    "a word or nothing": (["x", None] * (N // 2), "presence", "1 where it is there"),
    "lists": ([[1]] * N, "left out", "lists"),
    "infinite": ([*range(N - 1), np.inf], "number", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_rules(case):
    values, kind, said = RULES[case]
    rule = find_rule(pd.Series(values, name=case))
    assert rule.kind == kind
    assert said in rule.detail


def test_ambiguous_dates_and_odd_values_are_told():
    short = pd.Series([f"{day:02d}/{month:02d}/2020" for day in range(1, 11) for month in (1, 2, 3)], name="when")
    assert "other way round" in find_rule(short).doubts[0]
    assert "'about 7'" in find_rule(pd.Series([*map(str, range(30)), "about 7"], name="size")).doubts[0]
    assert "infinite" in find_rule(pd.Series([*range(N - 1), np.inf], name="size")).doubts[0]


@pytest.mark.parametrize(
    ("name", "gone"), [("id", True), ("customer_id", True), ("userId", True), ("size", False), ("humid", False)]
)
def test_identifiers(name, gone):
    frame = pd.DataFrame({"first": np.ones(N), name: np.arange(N) * 3})
    assert (find_rules(frame)[1].kind == "left out") == gone
    assert find_rules(frame, keep=[name])[1].kind == "number"
    assert find_rules(frame.assign(**{name: 1 + np.arange(N) % 9}))[1].kind == "number"


def test_categories_that_are_asked_for():
    codes = pd.Series(np.arange(N) % 40, name="code")
    assert find_rule(codes).kind == "number"
    assert find_rule(codes, as_category=True).kind == "category"
    assert find_rule(pd.Series(WORDS, name="name"), as_category=True).kind == "category"


def test_a_first_column_that_counts_the_rows():
    frame = pd.DataFrame({"nr": np.arange(1, N + 1), "t": np.arange(1, N + 1)})
    assert [rule.detail for rule in find_rules(frame)] == ["counts the rows", ""]
    assert find_rules(frame[::2])[0].kind == "left out"  # among rows chosen at random too


def test_rules_applied():
    frame = pd.DataFrame(
        {
            "size": ["$1,000", None, "$30"] * 20,
            "garden": ["yes", "no", None] * 20,
            "city": ["Köln", None, "Bonn"] * 20,
            "when": ["02.01.2020", "05.01.2020", "01.01.2020"] * 20,
        }
    )
    plan = [rule.as_plain() for rule in find_rules(frame)]
    made = apply_rules(frame[:3], plan)
    np.testing.assert_array_equal(made["size"], [1000, np.nan, 30])
    np.testing.assert_array_equal(made["size missing"], [0, 1, 0])
    np.testing.assert_array_equal(made["garden"], [1, 0, np.nan])
    np.testing.assert_array_equal(made["when days"], [1, 4, 0])
    assert made["city"].tolist()[::2] == ["Köln", "Bonn"]
    assert pd.isna(made["city"][1])


def test_categories_of_numbers_are_the_same_with_and_without_missing_values():
    whole, holes = pd.Series([3, 4, 3], name="code"), pd.Series([3.0, np.nan, 4.0], name="code")
    plan = [find_rule(pd.Series([3, 4] * 5, name="code"), as_category=True).as_plain()]
    assert apply_rules(whole.to_frame(), plan)["code"].tolist() == ["3", "4", "3"]
    assert apply_rules(holes.to_frame(), plan)["code"].tolist()[::2] == ["3", "4"]


# -- the comparison --------------------------------------------------------------------------------------------------


def test_the_linear_model_is_that_of_the_rows_to_fit(tmp_path, capsys):
    path = written(tmp_path, houses())
    assert main([str(path), "--target", "price", "--model", "linear"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    split = split_rows(pose_task(read_table(path), "price"), 0.2, 0)
    assert (len(split.fitted.y), len(split.held_out.y)) == (48, 12)

    def design(frame):
        return np.column_stack([frame["area"], frame["rooms"], frame["city"] == "Köln"])

    usual = split.fitted.frame["city"].value_counts().sort_index().idxmax()
    x, new = design(split.fitted.frame), design(split.held_out.frame)
    if usual == "Köln":
        x[:, 2], new[:, 2] = 1 - x[:, 2], 1 - new[:, 2]
    model = MLELinearRegressor().fit(x, split.fitted.y)
    error = np.sqrt(np.mean((split.held_out.y - model.predict(new)) ** 2))
    of_mean = np.sqrt(np.mean((split.held_out.y - split.fitted.y.mean()) ** 2))
    text = " ".join(said.out.split())
    assert f"the linear model by {error:,.0f}" in text
    assert f"is off by {of_mean:,.0f}" in text
    assert f"{1 - error**2 / of_mean**2:.0%} of the squared error" in text


def test_weights(tmp_path, capsys):
    frame = houses().assign(w=np.where(np.arange(N) % 5 == 0, 0.0, 2.0))
    assert main([str(written(tmp_path, frame)), "--target", "price", "--model", "linear", "--weights", "w"]) == 0
    out = capsys.readouterr().out
    assert "Left out: 12 rows in which 'w' is missing or 0." in out
    assert "2 numbers as they are: area, rooms" in out


@pytest.mark.parametrize(
    ("make", "kept", "said"),
    [
        (lambda x, noise: 2 * x[:, 0] + 0.3 * noise, "linear", "does no better beyond chance"),
        (lambda x, noise: np.sin(3 * x[:, 0]) + 0.1 * noise, "network", "standard errors of the difference"),
        (lambda x, noise: noise, "linear", "beyond chance, these columns do not foretell it better than its mean"),
        (lambda x, noise: x[:, 0] + x[:, 1], "linear", "Does a column hold the target itself?"),
    ],
)
def test_the_sentence_that_matters(tmp_path, capsys, make, kept, said):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(250, 2))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(y=make(x, rng.normal(size=250)))
    assert main([str(written(tmp_path, frame)), "--target", "y"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert said in text
    assert ("Network by maximum likelihood" if kept == "network" else "Linear regression by maximum likelihood") in text


def test_extreme_units(tmp_path, capsys):
    plain = houses()[["area", "rooms", "price"]]
    errors = []
    for number, frame in enumerate([plain, plain * [1e200, 1e100, 1e250]]):
        path = written(tmp_path, frame, f"{number}.csv")
        assert main([str(path), "--target", "price", "--model", "linear"]) == 0
        (found,) = re.findall(r"the linear model by ([\d.,e+]+):", " ".join(capsys.readouterr().out.split()))
        errors.append(float(found.replace(",", "")))
    assert errors[1] / errors[0] == pytest.approx(1e250, rel=1e-3)


def test_names_with_commas(tmp_path, capsys):
    frame = houses().rename(columns={"area": "area, net"})
    assert (
        main([str(written(tmp_path, frame)), "--target", "price", "--model", "linear", "--drop", '"area, net", city'])
        == 0
    )
    assert "1 number as it is: rooms" in capsys.readouterr().out


@pytest.mark.parametrize("n", [5, 6, 10])
def test_few_rows(tmp_path, capsys, n):
    assert main([str(written(tmp_path, houses(n))), "--target", "price", "--model", "linear"]) == 0
    assert "held out the mean of" in capsys.readouterr().out


def test_more_columns_than_rows(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(60, 100))
    frame = pd.DataFrame(x, columns=[f"c{j}" for j in range(100)]).assign(y=x[:, 0])
    assert main([str(written(tmp_path, frame)), "--target", "y", "--model", "linear"]) == 0
    out = capsys.readouterr().out
    assert "100 columns for 48 rows" in out
    assert "the 40 of 101" in out  # of a long table the coefficients that stand out


@pytest.mark.parametrize(
    ("load", "target"),
    [(load_iris, "petal width (cm)"), (load_diabetes, "target"), (load_wine, "alcohol"), (load_linnerud, "Chins")],
)
def test_real_files(tmp_path, capsys, load, target):
    frame = load(as_frame=True).frame
    assert main([str(written(tmp_path, frame)), "--target", target, "--model", "linear"]) == 0
    assert "Rows held out" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["linear", "network"])
def test_the_page(tmp_path, capsys, model):
    pytest.importorskip("jinja2")
    page, frame = (
        tmp_path / "page.html",
        houses().assign(day=pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d")),
    )
    fitted = split_rows(pose_task(read_table(written(tmp_path, frame)), "price"), 0.2, 0).fitted.frame.index[3]
    frame.loc[fitted, "price"] *= 40
    if model == "network":
        page.touch()
    command = [str(written(tmp_path, frame)), "--target", "price", "--model", model, "--report", str(page)]
    assert main(command) == 0
    said = ", in the place of an older file" if model == "network" else ""
    assert f"Wrote the page to {page}{said}." in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "On 12 rows held out the mean of" in text
    assert "day: date; 2020-01-01 to 2020-02-29" in text or "day: date; 2020-01-0" in text
    if model == "linear":  # the row that leads the fit, by its number in the file from 1 on
        assert "city = " in text
        assert re.search(r"<th scope=row>(\d+)</th>", text.split('<section id="rows">')[1])[1] == str(fitted + 1)


def test_places_of_the_page(tmp_path, capsys, monkeypatch):
    pytest.importorskip("jinja2")
    data = written(tmp_path, houses())
    assert "there is no folder" in failed(capsys, data, "--target", "price", "--report", tmp_path / "no" / "page.html")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "pip install" in failed(capsys, data, "--target", "price", "--report", tmp_path / "page.html")


# -- saved, and used -------------------------------------------------------------------------------------------------


@pytest.fixture(params=["linear", "network"])
def model_file(request, tmp_path, capsys):
    pytest.importorskip("skops")
    frame = houses(80).assign(when=pd.date_range("2020-01-01", periods=80).strftime("%d.%m.%Y"), code=["01", "02"] * 40)
    frame.loc[::9, "area"] = np.nan
    path = tmp_path / "model.skops"
    data = written(tmp_path, frame, sep=";", decimal=",")
    assert main([str(data), "--target", "price", "--model", request.param, "--save", str(path)]) == 0
    assert f"as {path}" in capsys.readouterr().out
    return path, frame


def predicted(*arguments):
    assert main(["predict", *map(str, arguments)]) == 0


def test_predictions_are_those_of_the_pipeline_in_any_dialect(model_file, tmp_path, capsys):
    path, frame = model_file
    pipeline = saved.load_pipeline(path)
    mean, (lower, upper) = pipeline.predict(frame), pipeline[-1].predict_interval(pipeline[:-1].transform(frame), 0.8)
    inputs = frame.drop(columns="price")[["city", "when", "code", "rooms", "area"]].assign(other=1)
    for name, options in {"a.csv": {}, "b.csv": {"sep": "\t", "decimal": ",", "encoding": "utf-16"}}.items():
        predicted(
            path,
            written(tmp_path, inputs, name, **options),
            "--intervals",
            "--coverage",
            "0.8",
            "--output",
            tmp_path / "out.csv",
        )
        assert capsys.readouterr().err.splitlines()[-1].startswith("Wrote 80 predictions")
        found = pd.read_csv(tmp_path / "out.csv")
        assert list(found.columns) == ["prediction", "lower", "upper"]
        np.testing.assert_allclose(found, np.column_stack([mean, lower, upper]), rtol=1e-12)


def test_new_values_are_told(model_file, tmp_path, capsys):
    path, frame = model_file
    new = frame[:5].assign(city="Wien", area="large")
    predicted(path, written(tmp_path, new, "new.csv"))
    said = capsys.readouterr()
    assert said.out.count("\n") == 6
    assert "'city': 5 values that the model was not fitted on ('Wien')" in said.err
    assert "'area': 5 values missing or no numbers" in said.err


def test_rows_without_an_interval_are_told(tmp_path, capsys):
    pytest.importorskip("skops")
    frame, path = houses().assign(twin=lambda one: one["area"]), tmp_path / "model.skops"
    assert main([str(written(tmp_path, frame)), "--target", "price", "--model", "linear", "--save", str(path)]) == 0
    capsys.readouterr()
    predicted(path, written(tmp_path, frame[:4].assign(twin=[1.0, 2.0, *frame["area"][2:4]]), "new.csv"), "--intervals")
    said = capsys.readouterr()
    assert "2 rows have no interval" in said.err
    assert pd.read_csv(io.StringIO(said.out))["lower"].isna().tolist() == [True, True, False, False]


def test_errors_of_predict(model_file, tmp_path, capsys):
    path, frame = model_file
    lacking = written(tmp_path, frame.rename(columns={"rooms": "room"}), "lacking.csv")
    assert "'rooms': the file has no such column; the nearest is 'room'" in failed(capsys, "predict", path, lacking)
    assert "between 0 and 1" in failed(capsys, "predict", path, lacking, "--intervals", "--coverage", "95")
    assert "no such file" in failed(capsys, "predict", tmp_path / "none.skops", lacking)
    assert "no model that --save has written" in failed(capsys, "predict", lacking, lacking)


def test_a_file_with_other_types_is_not_loaded(tmp_path, capsys):
    skops = pytest.importorskip("skops.io")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    path = tmp_path / "model.skops"
    skops.dump(make_pipeline(FunctionTransformer(os.system)), path)
    assert "it is not loaded" in failed(capsys, "predict", path, written(tmp_path, houses()))


def test_the_file_is_one_pipeline_for_skops(model_file):
    skops = pytest.importorskip("skops.io")
    path, frame = model_file
    pipeline = skops.load(path, trusted=skops.get_untrusted_types(file=path))
    assert [*pipeline.named_steps][:2] == ["rules", "columns"]
    assert np.isfinite(pipeline.predict(frame)).all()


# -- errors ----------------------------------------------------------------------------------------------------------

BAD_FILES = {
    "no such file": (None, "no such file"),
    "empty": (b"", "the file is empty"),
    "blank": (b"\n \n", "nothing but white space"),
    "binary": (bytes(range(256)) * 20, "no text"),
    "png": (b"\x89PNG\r\n\x1a\n\x01\x02\x03\x04", "no text"),
    "workbook": (b"PK\x03\x04rest", "save its sheet as CSV"),
    "compressed": (b"\x1f\x8brest", "unpack it first"),
    "only a header": (b"a,y\n", "no rows"),
    "one column": (b"y\n1\n2\n", "one column"),
    "one row": (b"a,y\n1,2\n", "one row"),
    "three rows": (b"a,y\n1,2\n2,3\n3,4\n", "3 rows; at least 5"),
    "ragged": (b"a,y\n1,2\n1,2,3\n" + b"1,2\n" * 9, "line 3 has 3 fields, and there are 2 columns"),
    "text target": (b"a,y\n" + b"1,red\n2,blue\n" * 9, "holds text ('red', 'blue'), and a regression predicts numbers; "
                    "columns of numbers are 'a'"),
    "nothing numeric": (b"a,y\n" + b"u,red\nv,blue\n" * 9, "no other column of the file holds numbers either"),
    "dates as target": (b"a,y\n" + b"1,2020-01-01\n2,2020-01-02\n" * 9, "holds text ('2020-01-01'"),
    "constant target": (b"a,y\n" + b"1,3\n2,3\n" * 9, "is 3 in every row"),
    "no target": (b"a,y\n" + b"1,\n2,\n" * 9, "has no values"),
    "no column": (b"x,target\n" + b"1,3\n2,3\n" * 9, "the file has no such column; it has 'x', 'target'"),
    "near name": (b"x,Y2\n" + b"1,3\n2,3\n" * 9, "the nearest is 'Y2'"),
    "identifiers alone": (b"id,y\n" + b"".join(b"%d,%d\n" % (3 * k, k % 5) for k in range(30)), "'id' (an identifier"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(tmp_path, capsys, case):
    content, said = BAD_FILES[case]
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content)
    assert said in failed(capsys, path, "--target", "y")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--target"),
        (("--target", "price", "--drop", "aera"), "--drop 'aera': the file has no such column; the nearest is 'area'"),
        (("--target", "price", "--keep", "aera"), "--keep 'aera'"),
        (("--target", "price", "--weights", "city"), "--weights 'city': holds no numbers"),
        (("--target", "price", "--weights", "negative"), "is negative in row 3"),
        (("--target", "price", "--weights", "price"), "is the target itself"),
        (("--target", "price", "--drop", "price"), "also the target"),
        (("--target", "price", "--drop", "area,rooms,city,negative"), "No column is left"),
        (("--target", "price", "--test-size", "1"), "--test-size 1"),
        (("--target", "price", "--test-size", "many"), "--test-size"),
        (("--target", "price", "--seed", "-1"), "--seed -1"),
        (("--target", "price", "--model", "tree"), "--model"),
        (("--target", "price", "--frobnicate"), "--frobnicate"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, said):
    frame = houses().assign(negative=[1.0, 1.0, -1.0] * 20)
    assert said in failed(capsys, written(tmp_path, frame), *arguments)


def test_places_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    pytest.importorskip("skops")
    data = written(tmp_path, houses())
    asked = (data, "--target", "price", "--model", "linear", "--save")
    assert "there is no folder" in failed(capsys, *asked, tmp_path / "no" / "m.skops")
    assert "is a folder" in failed(capsys, *asked, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        assert "no permission" in failed(capsys, *asked, tmp_path / "m.skops")
    monkeypatch.setattr(
        Path, "write_bytes", lambda path, data: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    assert main([str(argument) for argument in (*asked, tmp_path / "m.skops")]) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err


def test_without_skops(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    data = written(tmp_path, houses())
    assert "pip install skops" in failed(capsys, data, "--target", "price", "--save", tmp_path / "m.skops")


def test_without_pyarrow(tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1rest")

    def missing(path):
        raise ImportError

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(CommandError, match="install pyarrow"):
        read_table(path)


# -- as a process ----------------------------------------------------------------------------------------------------


def run(*arguments, **options):
    command = [sys.executable, "-m", "mle_regression", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def test_the_command(tmp_path):
    path = written(tmp_path, houses())
    done = run(path, "--target", "price", "--model", "linear")
    assert (done.returncode, done.stderr) == (0, "")
    assert "held out the mean of 'price' is off by" in done.stdout
    done = run(path, "--target", "prise")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --target 'prise': the file has no such column; the nearest is 'price'.\n"


def test_an_output_that_is_closed(tmp_path):
    path = written(tmp_path, houses())
    command = f'"{sys.executable}" -m mle_regression "{path}" --target price --model linear | head -1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout.strip(), done.stderr) == ("data.csv", "")


def test_progress_is_for_terminals(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(progress, "_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0.0)
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.Progress(2) as bar:
            bar.stage("reading")
            bar.stage("training")
            time.sleep(0.2)
        assert ("[##########..........] training, 0 s" in stream.getvalue()) == shown
        assert stream.getvalue().endswith("\r\x1b[K") == shown
