"""The fitted pipeline as a file of skops, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from mle_regression.command_line.problems import CommandError

# What a file holds besides what skops trusts by itself.
TRUSTED_TYPES = [
    "mle_regression.command_line.applied_rules.apply_rules",
    "mle_regression.command_line.preparation.value_name",
    "mle_regression.linear.MLELinearRegressor",
    "mle_regression.mlp.MLPGradientRegressor",
    "numpy.dtype",
    "sklearn.compose._column_transformer._RemainderColsList",  # of scikit-learn 1.6
]
_INSTALL = "install skops (pip install skops)"


def check_writable(path: Path, option: str) -> None:
    """Raise where a file cannot be written, before any work is done for it."""
    folder = path.parent
    if path.is_dir():
        raise CommandError(f"{option} {path}: is a folder; name a file in it.")
    if not folder.is_dir():
        raise CommandError(f"{option} {path}: there is no folder {str(folder)!r}.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise CommandError(f"{option} {path}: no permission to write there.")


def skops_io(option: str) -> Any:
    """Return skops.io, or say how to get it."""
    try:
        import skops.io
    except ImportError:
        raise CommandError(f"{option} needs skops: {_INSTALL}.") from None
    return skops.io


def save_pipeline(pipeline: Pipeline, path: Path) -> str:
    """Write a pipeline, and return its size in words."""
    io = skops_io("--save")
    data = io.dumps(pipeline)
    write_bytes(path, data, "--save")
    return f"{len(data) / 1000:,.0f} kB"


def load_pipeline(path: Path) -> Pipeline:
    """Read a pipeline that `save_pipeline` has written; a file with types of others is refused."""
    io = skops_io("predict")
    if not path.is_file():
        raise CommandError(
            f"{path}: no such file." if not path.exists() else f"{path}: is a folder, no file of --save."
        )
    try:
        unknown = set(io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES)
    except Exception as error:  # whatever skops meets in a file that is none of its own
        raise CommandError(f"{path}: is no model that --save has written ({type(error).__name__}).") from None
    if unknown:
        raise CommandError(
            f"{path}: holds {', '.join(sorted(unknown)[:3])}, which --save does not write; it is not loaded."
        )
    loaded = io.load(path, trusted=TRUSTED_TYPES)
    if not (isinstance(loaded, Pipeline) and [*loaded.named_steps][:2] == ["rules", "columns"]):
        raise CommandError(f"{path}: is no model that --save has written, but a {type(loaded).__name__}.")
    return loaded


def write_bytes(path: Path, data: bytes, option: str) -> None:
    """Write a file; raise with one line where that fails."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(f"{option} {path}: cannot be written ({error.strerror or error}).") from None
