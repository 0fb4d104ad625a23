"""`report`: the page of a fit. What it tells, what it does with hostile fits and names, and how it looks in a browser."""

import os
import re
import sys
from html.parser import HTMLParser

import browser
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor, report
from mle_regression.page import pictures as pictures_module

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

SECTIONS = [
    "short",
    "model",
    "good",
    "coefficients",
    "rows",
    "assumptions",
    "columns",
    "optimum",
    "warnings",
    "reproduce",
]
HOSTILE = {"age": "<script>alert(1)</script>", "bmi": "面積", "bp": "x" * 70, "s5": "a & b \"quoted\" 'twice'"}


class Page(HTMLParser):
    """Text by section; raises where tags do not close in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.section, self.text, self.ids = [], "head", {}, []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("meta", "link", "img", "source"):
            self.open.append(tag)
        if tag == "section":
            self.section = attributes["id"]
            self.ids.append(self.section)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text[self.section] = self.text.get(self.section, "") + data

    def said(self, section):
        return " ".join(self.text[section].split())


def diabetes():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    return X[:330], y[:330], X[330:], y[330:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def linear_page(folder):
    X, y, X_test, y_test = diabetes()
    X, X_test = X.rename(columns=HOSTILE), X_test.rename(columns=HOSTILE)
    return report(MLELinearRegressor().fit(X, y), X, y, folder / "linear.html", X_test=X_test, y_test=y_test)


@pytest.fixture(scope="module")
def network_page(folder):
    X, y, X_test, y_test = diabetes()
    model = MLPGradientRegressor((4,), alpha=1.0, random_state=0).fit(X, y)
    return report(model, X, y, folder / "network.html", X_test=X_test, y_test=y_test)


@pytest.fixture(scope="module")
def wide_page(folder):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 500)), columns=[f"column number {j}" for j in range(500)])
    y = pd.Series(rng.normal(size=600), name="z")
    return report(MLELinearRegressor().fit(X, y), X, y, folder / "wide.html", pictures=False)


PAGES = ["linear_page", "network_page", "wide_page"]


# -- what it tells ---------------------------------------------------------------------------------------------------


def test_a_linear_page(linear_page):
    page, (X, y, X_test, y_test) = Page(linear_page), diabetes()
    model = MLELinearRegressor().fit(X, y)
    assert page.ids == SECTIONS
    assert f"takes {model.score(X, y):.1%} of the variance" in page.said("short")
    assert f"{model.score(X_test, y_test):.1%} in rows held out" in page.said("short")
    assert f"{np.sqrt(np.mean((y_test - model.predict(X_test)) ** 2)):.2f}" in page.said("good")
    assert f"{model.coef_[2]:.2f}" in page.said("coefficients")
    rows = model.diagnose(X, y).rows()
    assert str(rows["cooks_distance"].idxmax()) in page.said("rows")
    tests = model.diagnose(X, y).tests()
    doubtful = int((tests["p_value"] < 0.05).sum())
    assert f"{doubtful} of {tests['p_value'].notna().sum()} tests speak against" in page.said("assumptions")
    assert page.said("assumptions").count("Doubtful: ") == doubtful
    assert "unique minimum" in page.said("optimum")
    assert "Nearly dependent columns" in page.said("warnings")
    assert "MLELinearRegressor()" in page.said("reproduce")
    assert page.source.count("<figure") == 12


def test_a_network_page(network_page):
    page = Page(network_page)
    assert page.ids == ["short", "model", "good", "network", "training", "rows", "optimum", "warnings", "reproduce"]
    assert "iterations" in page.said("training")
    assert "eigenvalues seen" in page.said("optimum")
    assert "Watanabe" in page.said("warnings")
    assert page.source.count("<figure") >= 11


@pytest.mark.parametrize("name", PAGES)
def test_it_needs_no_other_file(name, request):
    source = request.getfixturevalue(name).read_text(encoding="utf-8")
    assert not re.search(r"<script|@import|url\(", source)
    assert set(re.findall(r'(?:src|srcset|href)="([^"#]{5})', source)) <= {"data:"}
    assert "*" not in re.sub(r"<style>.*?</style>|data:[^\"]*|\d\*|\*{box", "", source, flags=re.DOTALL).replace(
        "*{", ""
    )


def test_names_and_values_are_escaped(linear_page, tmp_path):
    source = linear_page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source
    assert "a &amp; b &#34;quoted&#34;" in source or "a &amp; b &quot;quoted&quot;" in source
    X, y, *_ = diabetes()
    page = Page(
        report(
            MLELinearRegressor().fit(X, y.rename("<b>y</b>")),
            X.set_index(pd.Index([f"<i>{k}</i>" for k in X.index])),
            y.rename("<b>y</b>").to_numpy(),
            tmp_path / "page.html",
            title="<u>title</u>",
            notes=["<s>note</s>"],
            command="a <pre>",
            pictures=False,
        )
    )
    assert not re.search(r"<(b|i|u|s)>", page.source)
    assert "<s>note</s>" in page.said("short")
    assert "a <pre>" in page.said("reproduce")


def test_five_hundred_columns_are_folded(wide_page):
    page = Page(wide_page)
    assert page.source.count("<details>") == 2
    assert "481 more rows" in page.said("coefficients")
    assert "column number 499" in page.said("coefficients")
    assert page.source.count("<figure") == 0


# -- all kinds of fits -----------------------------------------------------------------------------------------------


def small(n=40, p=3, m=1, seed=0):
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(n, p)), rng.normal(size=(n, m))
    return X, (X[:, :1] + 0.3 * noise) if m > 1 else X[:, 0] + 0.3 * noise[:, 0]


def exact():
    X, _ = small()
    return MLELinearRegressor(), X, X @ [1.0, 2.0, 3.0]


FITS = {
    "several outputs": (lambda: (MLELinearRegressor(), *small(m=3)), "3 outputs"),
    "network of several outputs": (lambda: (MLPGradientRegressor((3,), alpha=0.1, random_state=0), *small(m=2)), "2 outputs"),
    "fewer rows than columns": (lambda: (MLELinearRegressor(), *small(5, 8)), "minimum is flat"),
    "no noise": (exact, "no larger than rounding"),
    "a penalty": (lambda: (MLELinearRegressor(alpha="loo"), *small()), "Gaussian prior"),
    "penalties by output": (lambda: (MLELinearRegressor(alpha=[0.0, 1.0]), *small(m=2)), "2 outputs"),
    "sparse": (lambda: (MLELinearRegressor(), sp.csr_array(small()[0]), small()[1]), "40 rows fitted"),
    "one column": (lambda: (MLELinearRegressor(), *small(p=1)), "1 columns"),
    "no intercept": (lambda: (MLELinearRegressor(fit_intercept=False), *small()), "Without an intercept"),
    "an iterative solver": (lambda: (MLELinearRegressor(solver="lbfgs"), *small()), "lbfgs"),
    "dependent columns": (lambda: (MLELinearRegressor(), small()[0][:, [0, 1, 2, 0]], small()[1]), "combinations of others"),
    "a pipeline": (lambda: (make_pipeline(StandardScaler(), MLELinearRegressor()), *small()), "StandardScaler"),
    "a search": (lambda: (GridSearchCV(MLELinearRegressor(), {"alpha": [0.0, 1.0]}, cv=3), *small()), "GridSearchCV"),
    "a default network": (lambda: (MLPGradientRegressor(random_state=0), *small()), "networks"),
    "relu": (lambda: (MLPGradientRegressor((3,), activation="relu", alpha=0.1, random_state=0), *small()), "kinks"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", FITS)
def test_any_fit_has_a_page(case, tmp_path):
    make, said = FITS[case]
    estimator, X, y = make()
    fitted = estimator.fit(X, y)
    page = Page(report(fitted, X, y, tmp_path / "page.html", X_test=X[:4], y_test=y[:4], pictures=False))
    assert said in " ".join(" ".join(page.text.values()).split())
    assert "could not be worked out" not in page.source or case in ("no noise", "fewer rows than columns", "one column")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["several outputs", "no noise", "fewer rows than columns", "sparse"])
def test_pictures_of_any_fit(case, tmp_path):
    estimator, X, y = FITS[case][0]()
    page = Page(report(estimator.fit(X, y), X, y, tmp_path / "page.html", output=1 if np.ndim(y) == 2 else None))
    assert page.source.count("<figure") >= 2


def test_weights(tmp_path):
    X, y = small()
    weights = np.r_[np.zeros(5), np.full(35, 2.0)]
    model = MLELinearRegressor().fit(X, y, weights)
    page = Page(report(model, X, y, tmp_path / "page.html", sample_weight=weights, pictures=False))
    assert "0 to 2, 35 above zero" in page.said("model")
    assert f"takes {model.score(X, y, weights):.1%}" in page.said("short")
    assert "sample_weight=weights" in page.said("reproduce")


# -- bad input -------------------------------------------------------------------------------------------------------


def test_paths(tmp_path, monkeypatch):
    X, y = small()
    model = MLELinearRegressor().fit(X, y)
    path = report(model, X, y, str(tmp_path / "page.html"), pictures=False)
    with pytest.warns(UserWarning, match=r"page\.html was there before, and has been replaced"):
        report(model, X, y, path, title="another", pictures=False)
    assert "another" in path.read_text(encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        report(model, X, y, tmp_path / "no" / "page.html")
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        report(model, X, y, tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="no permission"):
        report(model, X, y, tmp_path / "other.html")


def test_what_is_no_fit(tmp_path):
    X, y = small()
    model, path = MLELinearRegressor().fit(X, y), tmp_path / "page.html"
    with pytest.raises(NotFittedError):
        report(MLELinearRegressor(), X, y, path)
    with pytest.raises(TypeError, match="this is a LinearRegression"):
        report(LinearRegression().fit(X, y), X, y, path)
    with pytest.raises(ValueError, match="X_test and y_test go together"):
        report(model, X, y, path, X_test=X)
    with pytest.raises(ValueError, match="features"):
        report(model, X[:, :2], y, path)
    with pytest.raises(ValueError, match="NaN"):
        report(model, np.where(X[0, 0] == X, np.nan, X), y, path)
    with pytest.raises(ValueError, match="output=7"):
        report(model, X, y, path, output=7)
    assert not path.exists()


def test_without_matplotlib(tmp_path, monkeypatch):
    def missing():
        raise ImportError('Pictures need matplotlib: pip install "mle-regression[plot]".')

    monkeypatch.setattr(pictures_module, "pyplot", missing)
    X, y = small()
    page = Page(report(MLELinearRegressor().fit(X, y), X, y, tmp_path / "page.html"))
    assert "Pictures need matplotlib" in page.said("warnings")
    assert page.source.count("<figure") == 0


def test_without_jinja2(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    X, y = small()
    with pytest.raises(ImportError, match=r'pip install "mle-regression\[report\]"'):
        report(MLELinearRegressor().fit(X, y), X, y, tmp_path / "page.html")


# -- in a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("name", PAGES)
def test_in_a_browser(name, width, dark, request, folder):
    browser.find()
    page = request.getfixturevalue(name)
    seen, console = browser.look(page, folder, width, dark)
    assert console == []
    assert seen["width"] == width
    assert seen["scrolled"] <= width
    assert seen["n"] > 80
    assert seen["overlaps"] == []
    assert seen["outside"] == []
    assert len(seen["pictures"]) == page.read_text(encoding="utf-8").count("<figure")
    for picture in seen["pictures"]:
        assert picture["loaded"]
        assert picture["width"] > 250
        assert picture["height"] == pytest.approx(picture["width"] * picture["ratio"], rel=0.02)
        assert picture["dark"] == dark
    ground, ink = (np.mean([int(part) for part in re.findall(r"\d+", seen[part])[:3]]) for part in ("ground", "ink"))
    assert ground < 40 < 180 < ink if dark else ink < 60 < 220 < ground


def test_the_browser_sees_what_is_wrong(linear_page, folder):
    browser.find()
    broken = folder / "broken.html"
    source = linear_page.read_text(encoding="utf-8").replace(
        "data:image/png;base64,iVBOR", "data:image/png;base64,broken"
    )
    wrong = "figcaption{margin-top:-4rem} nav{margin-left:-3rem} main{min-width:90rem}"
    broken.write_text(source.replace("</head>", f"<style>{wrong}</style></head>"), encoding="utf-8")
    seen, _ = browser.look(broken, folder, 400, False)
    assert seen["overlaps"]
    assert seen["outside"]
    assert seen["scrolled"] > 1000
    assert not any(picture["loaded"] for picture in seen["pictures"])


@pytest.mark.parametrize("name", ["linear_page", "wide_page"])
def test_printed(name, request, folder):
    browser.find()
    pdf = browser.print_to_pdf(request.getfixturevalue(name), folder)
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
