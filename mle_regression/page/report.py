"""The page of a fitted model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mle_regression.displays.subject import (
    chosen_output,
    column_names,
    output_labels,
    outputs_of,
    subject_of,
    target_name,
)
from mle_regression.estimator.base import LikelihoodRegressor
from mle_regression.linear import MLELinearRegressor
from mle_regression.page import common_sections, linear_sections, network_sections
from mle_regression.page.contents import Fitted, Rows, Section, attempt
from mle_regression.page.pictures import GROUNDS, available
from mle_regression.reports.markup import STYLE
from mle_regression.rows.labels import shown
from mle_regression.warnings import collected_warnings, warn_user

_ROWS = "Residuals and rows of influence"


def report(
    estimator: Any,
    X: Any,
    y: Any,
    path: str | os.PathLike[str],
    *,
    X_test: Any = None,
    y_test: Any = None,
    sample_weight: Any = None,
    sample_weight_test: Any = None,
    output: int | str | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    preparation: Sequence[str] = (),
    command: str | None = None,
    pictures: bool = True,
) -> Path:
    """Write what a fit is, how good it is, and what to be wary of, as one HTML file that needs no other.

    Needs jinja2 (``pip install "mle-regression[report]"``), and matplotlib for the pictures; without it the page says so.

    Parameters
    ----------
    estimator : fitted MLELinearRegressor or MLPGradientRegressor
        Or a pipeline or search, nested in any way, of one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The rows it was fitted to.
    path : str or path-like
        Of the file. One that exists is replaced, with a warning that says so.
    X_test, y_test : as X and y, default=None
        Rows that it was not fitted to, to judge it by.
    sample_weight, sample_weight_test : array-like of shape (n_samples,), default=None
        As in ``fit``.
    output : int or str, default=None
        The output that pictures and tests are of, where there are several; the first if None.
    title : str, default=None
    notes : sequence of str, default=()
        Sentences of yours, to stand first.
    preparation : sequence of str, default=()
        Sentences on how the data were prepared.
    command : str, default=None
        What makes the fit again, in the place of the estimator's own line.
    pictures : bool, default=True

    Returns
    -------
    pathlib.Path
        Of the file.

    Raises
    ------
    OSError
        If the file cannot be written; before anything is worked out.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor, report
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = MLELinearRegressor().fit(X, y)
    >>> path = report(model, X, y, pathlib.Path(tempfile.mkdtemp(), "diabetes.html"), pictures=False)
    >>> path.read_text(encoding="utf-8").count("<section")
    10
    """
    path, whole = Path(path), template()
    check_path(path)
    existed = path.exists()
    with collected_warnings() as caught:
        fitted = _fitted(estimator, (X, y, sample_weight), (X_test, y_test, sample_weight_test), output)
        sections, code = _sections(fitted, pictures, notes, preparation, command, caught)
    page = whole.render(
        title=title or f"{fitted.target}: {_kind(fitted.model)} by maximum likelihood",
        subtitle=_subtitle(fitted),
        sections=sections,
        code=code,
        style=STYLE,
        grounds=GROUNDS,
    )
    path.write_text(page, encoding="utf-8")
    if existed:
        warn_user(f"{path} was there before, and has been replaced.", UserWarning)
    return path


def check_path(path: Path) -> None:
    """Raise an OSError that says why a file cannot be written, where that is so."""
    folder = path.parent
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {str(folder)!r}.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise PermissionError(f"{path} cannot be written: there is no permission.")


def template() -> Any:
    """Return the template of the page."""
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise ImportError('A page needs jinja2: pip install "mle-regression[report]".') from error
    text = resources.files("mle_regression.page").joinpath("page.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True).from_string(text)


def _fitted(estimator: Any, rows: tuple[Any, Any, Any], new: tuple[Any, Any, Any], output: Any) -> Fitted:
    """Put the model, its rows and their names together."""
    if (new[0] is None) != (new[1] is None):
        raise ValueError("X_test and y_test go together; one of them is missing.")
    subject = subject_of(estimator, rows[0])
    model = subject.model
    if not isinstance(model, LikelihoodRegressor):
        raise TypeError(
            "A page is of a fitted MLELinearRegressor or MLPGradientRegressor, alone or inside pipelines and searches; "
            f"this is a {type(model).__name__}."
        )
    names = column_names(subject)
    truth = outputs_of(rows[1])
    labels = output_labels(subject, rows[1])
    if truth.shape[1] > 1:
        labels = labels or [str(label) for label in shown(None, truth.shape[1], "y")]
    which = 0 if output is None else chosen_output(labels, truth.shape[1], output)
    return Fitted(
        subject,
        Rows(rows[0], subject.x, rows[1], truth, rows[2]),
        None if new[0] is None else Rows(new[0], subject_of(estimator, new[0]).x, new[1], outputs_of(new[1]), new[2]),
        names,
        labels if truth.shape[1] > 1 else [],
        which,
        target_name(labels, which, rows[1]),
        model.diagnose(subject.x, rows[1], rows[2], feature_names=names),
    )


def _sections(
    fitted: Fitted,
    pictures: bool,
    notes: Sequence[str],
    preparation: Sequence[str],
    command: str | None,
    caught: Sequence[str],
) -> tuple[list[Section], str]:
    """Make all sections, in the order of the page."""
    good = attempt("good", "How good it is", lambda: common_sections.how_good(fitted, pictures))
    linear = isinstance(fitted.model, MLELinearRegressor)
    middle, verdict, doubts = (_of_linear if linear else _of_network)(fitted, pictures)
    said = [*_notes_of_summary(fitted), *caught]
    if pictures and available():
        said.append(available())
    said = list(dict.fromkeys(said))
    last, code = common_sections.how_to_reproduce(fitted, command)
    first = [
        common_sections.in_short(fitted, notes, good, verdict, doubts, len(said)),
        common_sections.what_was_fitted(fitted, preparation),
        good,
    ]
    return [*first, *middle, common_sections.warnings_and_remedies(said), last], code


def _of_linear(fitted: Fitted, pictures: bool) -> tuple[list[Section], str, list[str]]:
    """Return the sections of a linear model alone, its verdict, and which assumptions are in doubt."""
    doubts: list[str] = []

    def assumptions() -> Section:
        section, said = linear_sections.assumptions(fitted)
        doubts.extend(said)
        return section

    sections = [
        attempt("coefficients", "Coefficients", lambda: linear_sections.coefficients(fitted, pictures)),
        attempt("rows", _ROWS, lambda: linear_sections.rows_of_influence(fitted, pictures)),
        attempt("assumptions", "Assumptions", assumptions),
        attempt("columns", "Do columns follow from one another?", lambda: linear_sections.columns(fitted)),
        attempt("optimum", "The optimum", lambda: linear_sections.optimum(fitted, pictures)),
    ]
    return sections, fitted.model.verdict_, doubts


def _of_network(fitted: Fitted, pictures: bool) -> tuple[list[Section], str, list[str]]:
    """Return the sections of a network alone, its verdict, and no assumptions."""
    verdicts: list[str] = []

    def optimum() -> Section:
        section, verdict = network_sections.optimum(fitted, pictures)
        verdicts.append(verdict)
        return section

    sections = [
        attempt("network", "The network", lambda: network_sections.network(fitted, pictures)),
        attempt("training", "Training", lambda: network_sections.training(fitted, pictures)),
        attempt("rows", _ROWS, lambda: network_sections.rows_of_influence(fitted, pictures)),
        attempt("optimum", "Where training ended", optimum),
    ]
    return sections, "".join(verdicts), []


def _notes_of_summary(fitted: Fitted) -> list[str]:
    """Return what the summary says one should be wary of."""
    names = {"feature_names": fitted.names} if isinstance(fitted.model, MLELinearRegressor) else {}
    *_, notes = fitted.model.summary(**names).parts
    return [point for point in notes.points if not point.startswith("Nothing stands out")]


def _kind(model: Any) -> str:
    return "linear regression" if isinstance(model, MLELinearRegressor) else "a network"


def _subtitle(fitted: Fitted) -> str:
    held = "" if fitted.new is None else f", {len(fitted.new.truth):,} held out"
    outputs = f"; {len(fitted.outputs)} outputs" if fitted.outputs else ""
    return f"{len(fitted.rows.truth):,} rows fitted{held}; {len(fitted.names):,} columns{outputs}"
