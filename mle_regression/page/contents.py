"""What a page is made of: a fitted model with its rows, and sections that may fail without the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mle_regression.displays.subject import Subject
from mle_regression.linalg.arrays import Array
from mle_regression.page.pictures import Picture, available, drawn, made
from mle_regression.reports.document import Notes, Panel, Table

# What a section may meet in a fit or in rows and tell of; other errors are ours, and are raised.
_TOLD = (ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError, MemoryError)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to judge a model by: ``given`` as the estimator takes them, ``x`` as they reach the model, ``y``, ``weights``."""

    given: Any
    x: Any
    y: Any
    truth: Array
    weights: Any


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted estimator, the rows it was fitted to and new ones, and what they are called.

    ``names`` of the model's columns, ``outputs`` of several outputs (empty of one), ``output`` the one that pictures show,
    ``target`` its name.
    """

    subject: Subject
    rows: Rows
    new: Rows | None
    names: Sequence[str]
    outputs: Sequence[str]
    output: int
    target: str
    diagnosis: Any

    @property
    def model(self) -> Any:
        """The estimator inside of pipelines and searches."""
        return self.subject.model

    @property
    def output_option(self) -> dict[str, Any]:
        """The option of pictures that chooses an output, where there are several."""
        return {"output": self.output} if self.outputs else {}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: sentences, then tables and the like, then pictures."""

    key: str
    title: str
    said: Sequence[str] = ()
    parts: Sequence[Panel | Table | Notes] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, slots=True)
class View:
    """One kind of a display: what it is called, and what to look for in it."""

    kind: str
    title: str
    caption: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Gallery:
    """Pictures of a section; those that cannot be drawn are told of."""

    wanted: bool
    pictures: list[Picture] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(
        self, make: Callable[..., Any], arguments: Sequence[Any], options: dict[str, Any], views: Sequence[View]
    ) -> None:
        """Draw a display, each kind of it with a title and a caption; kind "" is the only one that a display has."""
        first = {"kind": "grid"} if len(views) > 1 else {"kind": views[0].kind} if views[0].kind else {}
        for display in self._made(views[0].title, make, *arguments, **options, **first):
            reasons = getattr(display, "missing", {})
            for view in views:
                if view.kind and view.kind in reasons:
                    self.missing.append(f"{view.title}: {reasons[view.kind]}")
                else:
                    self._draw(display, view)

    def add_each(
        self,
        split: Callable[[Any], Sequence[tuple[Any, View]]],
        make: Callable[..., Any],
        arguments: Sequence[Any],
        options: dict[str, Any],
        title: str,
    ) -> None:
        """Draw each of the displays that one is split into."""
        for display in self._made(title, make, *arguments, **options):
            for part, view in split(display):
                self._draw(part, view)

    def _made(self, title: str, make: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
        """Return a display in a list, which is empty where it cannot be made."""
        if not self.wanted or available():
            return []
        try:
            return [made(make, *arguments, **options)]
        except _TOLD as error:
            self.missing.append(f"{title}: {sentence(error)}")
            return []

    def _draw(self, display: Any, view: View) -> None:
        try:
            self.pictures.append(
                drawn(view.title, view.caption, display, {**view.options, **({"kind": view.kind} if view.kind else {})})
            )
        except _TOLD as error:
            self.missing.append(f"{view.title}: {sentence(error)}")

    @property
    def told(self) -> list[str]:
        """Say which pictures are not there, and why."""
        return [f"No picture of {reason}" for reason in self.missing]


def component_views(display: Any) -> list[tuple[Any, View]]:
    """Split partial residuals into a display a column."""
    caption = "Where the smoothed rows leave the effect, the mean is bent in another way."
    return [
        (
            type(display)([one], target=display.target, coverage=display.coverage),
            View("", f"partial residuals of {one.name}", caption),
        )
        for one in display.components
    ]


def attempt(key: str, title: str, function: Callable[[], Section]) -> Section:
    """Return a section, or one that says why it could not be made."""
    try:
        return function()
    except _TOLD as error:
        return Section(key, title, [f"This could not be worked out: {sentence(error)}"])


def sentence(error: Exception) -> str:
    """Write an error as a sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def of_output(table: pd.DataFrame, fitted: Fitted) -> pd.DataFrame:
    """Return the part of a table that is of one output, where its first level is outputs."""
    if table.index.nlevels < 2 or not fitted.outputs:
        return table
    label = table.index.get_level_values(0).unique()[fitted.output]
    part = table.loc[label]
    return part if isinstance(part, pd.DataFrame) else part.to_frame().T
