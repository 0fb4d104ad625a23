"""The command: arguments, and the steps from a file to what is said of it."""

from __future__ import annotations

import argparse
import csv
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from sklearn.pipeline import Pipeline

from mle_regression.command_line import comparison
from mle_regression.command_line.columns import ColumnRule, find_rules
from mle_regression.command_line.comparison import Judged, Rows, sentence
from mle_regression.command_line.paging import page_template, write_page
from mle_regression.command_line.prediction import check_coverage, predict_file
from mle_regression.command_line.preparation import fit_preparation
from mle_regression.command_line.problems import CommandError, unknown_column
from mle_regression.command_line.progress import Progress
from mle_regression.command_line.reading import RawTable, read_table
from mle_regression.command_line.saved import check_writable, save_pipeline, skops_io, write_bytes
from mle_regression.command_line.task import Split, Task, pose_task, split_rows
from mle_regression.command_line.telling import column_lines, comparison_document, data_document, shortened

_PROGRAM = "python -m mle_regression"
_PREDICT = "predict"
_MODELS = ("linear", "network", "both")
_FAILED, _INTERRUPTED = 2, 130


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (--help tells the options).")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        0; 2 with one line on standard error where the user can mend something; 130 after Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == [_PREDICT]:
            _predict(_predict_parser().parse_args(given[1:]))
        else:
            _fit(_fit_parser().parse_args(given))
        sys.stdout.flush()
    except CommandError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return _FAILED
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _fit_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Fit a linear model and a network to a CSV or Parquet file, compare them on rows held out, and say what "
        "it comes to.",
        epilog=f"With the model saved, '{_PROGRAM} predict model.skops new.csv' predicts new rows.",
    )
    parser.add_argument("data", help="CSV (separator, decimal comma and encoding are found out) or Parquet")
    parser.add_argument("--target", required=True, help="column to predict")
    parser.add_argument("--model", choices=_MODELS, default="both")
    parser.add_argument(
        "--report", metavar="FILE", help="write a page of the model that is kept, as HTML (needs jinja2)"
    )
    parser.add_argument("--save", metavar="FILE", help="write the fitted pipeline (needs skops)")
    parser.add_argument("--drop", metavar="A,B", default="", help="columns to leave out")
    parser.add_argument("--keep", metavar="A,B", default="", help="columns to keep that look like identifiers")
    parser.add_argument(
        "--categories", metavar="A,B", default="", help="columns of numbers that are codes of categories"
    )
    parser.add_argument("--weights", metavar="COLUMN", help="column of weights: the variance of a row is σ²/weight")
    parser.add_argument("--test-size", type=float, default=0.2, help="share of the rows to hold out (default 0.2)")
    parser.add_argument("--seed", type=int, default=0, help="which rows are held out, and where a network starts")
    return parser


def _predict_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=f"{_PROGRAM} {_PREDICT}", description="Predict the rows of a file by a saved model, as CSV.")
    parser.add_argument("model", help="file that --save has written")
    parser.add_argument("data", help="CSV or Parquet with the columns of the model")
    parser.add_argument("--intervals", action="store_true", help="add where a new observation lies")
    parser.add_argument("--coverage", type=float, default=0.95, help="probability of the intervals (default 0.95)")
    parser.add_argument("--output", metavar="FILE", help="CSV to write; standard output if not given")
    return parser


def _fit(options: argparse.Namespace) -> None:
    """From a file to models, and what is said of them."""
    _check_numbers(options)
    if options.save:
        skops_io("--save")
        check_writable(Path(options.save), "--save")
    if options.report:
        page_template()
        check_writable(Path(options.report), "--report")
    with Progress(6) as progress:
        progress.stage(f"reading {options.data}")
        table, task, split, rules = _data(options)
        _print(progress, data_document(Path(options.data).name, table, task, split, rules))
        progress.stage("preparing columns")
        preparation, train, test = _prepared(split, rules)
        judged = _models(options, progress, train, test)
        kept = comparison.choose(judged)
        _print(progress, comparison_document(judged, kept, task.target))
        progress.stage("summary")
        _print(progress, shortened(kept.model.summary()))
        if options.report:
            progress.stage("writing the page")
            remarks, said = [*task.remarks, *column_lines(rules)], sentence(judged, kept, task.target)
            written = write_page(options.report, kept, train, test, remarks, said, _command(), task.target)
            progress.clear()
            print(written)
    if options.save:
        size = save_pipeline(Pipeline([*preparation.steps, *kept.steps]), Path(options.save))
        print(f"Saved the {kept.name} model, fitted to {kept.n_fitted:,} rows, as {options.save} ({size}).")


def _data(options: argparse.Namespace) -> tuple[RawTable, Task, Split, list[ColumnRule]]:
    """Read the file, and find what is to be predicted from what."""
    drop, keep, categories = _names(options.drop), _names(options.keep), _names(options.categories)
    table = read_table(Path(options.data), [options.target, *drop, *keep, *categories], categories)
    known = [str(name) for name in table.frame.columns]
    for names, role in ((keep, "--keep"), (categories, "--categories")):
        for name in names:
            if name not in known:
                raise unknown_column(name, known, role)
    task = pose_task(table, options.target, options.weights, drop)
    split = split_rows(task, options.test_size, options.seed)
    rules = find_rules(split.fitted.frame, keep, categories)
    if all(rule.kind == "left out" for rule in rules):
        reasons = ", ".join(f"{rule.name!r} ({rule.detail})" for rule in rules[:3])
        raise CommandError(
            f"No column is left to predict from: {reasons}{', …' if len(rules) > 3 else ''}; --keep keeps one."
        )
    return table, task, split, rules


def _prepared(split: Split, rules: Sequence[ColumnRule]) -> tuple[Pipeline, Rows, Rows]:
    preparation, made = fit_preparation(split.fitted.frame, rules)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        new = preparation.transform(split.held_out.frame)
    return (
        preparation,
        Rows(made, split.fitted.y, split.fitted.weights),
        Rows(new, split.held_out.y, split.held_out.weights),
    )


def _models(options: argparse.Namespace, progress: Progress, train: Rows, test: Rows) -> list[Judged]:
    """Fit the models that are asked for."""
    try:
        judged = [comparison.fit_mean(train, test)]
        if options.model in ("linear", "both"):
            progress.stage("fitting the linear model")
            judged.append(comparison.fit_linear(train, test, judged[0]))
        if options.model in ("network", "both"):
            progress.stage("training the network")
            judged.append(comparison.fit_network(train, test, judged[0], options.seed))
    except (ValueError, np.linalg.LinAlgError, MemoryError) as error:
        raise CommandError(f"The fit has failed: {error}") from error
    return judged


def _predict(options: argparse.Namespace) -> None:
    coverage = check_coverage(options.coverage) if options.intervals else None
    if options.output:
        check_writable(Path(options.output), "--output")
    with Progress(1) as progress:
        progress.stage(f"predicting {options.data}")
        found, remarks = predict_file(Path(options.model), Path(options.data), coverage)
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)
    text = found.to_csv(index=False)
    if not options.output:
        sys.stdout.write(text)
        return
    write_bytes(Path(options.output), text.encode(), "--output")
    print(f"Wrote {len(found):,} predictions to {options.output}.", file=sys.stderr)


def _command() -> str:
    """Return the line that was given."""
    return shlex.join([*_PROGRAM.split(), *sys.argv[1:]])


def _check_numbers(options: argparse.Namespace) -> None:
    if not 0 < options.test_size < 1:
        raise CommandError(f"--test-size {options.test_size:g}: is no share between 0 and 1.")
    if not 0 <= options.seed < 2**32:
        raise CommandError(f"--seed {options.seed}: is not between 0 and {2**32 - 1}.")


def _names(text: str) -> list[str]:
    """Split names at commas; one that has a comma stands in double quotes."""
    return [" ".join(name.split()) for name in next(csv.reader([text], skipinitialspace=True), []) if name.strip()]


def _print(progress: Progress, document: Any) -> None:
    progress.clear()
    print(f"{document}\n", flush=True)
