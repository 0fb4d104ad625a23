"""How a fit was found: objective, gradient and held-out likelihood along the iterations, the path of penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from mle_regression.displays.drawing import Palette, axes_for, grid_for, palette_of
from mle_regression.displays.lettering import fonts, title_and_axes
from mle_regression.displays.subject import (
    chosen_output,
    output_labels,
    outputs_of,
    require_own,
    subject_of,
    weights_of,
)
from mle_regression.displays.words import few_decades
from mle_regression.linalg.arrays import Array
from mle_regression.rows.labels import shown as numbered
from mle_regression.validation import checks

Kind = Literal["grid", "loss", "gradient", "held_out", "penalty"]
KINDS = ("grid", "loss", "gradient", "held_out", "penalty")
# How a solver may end, in words that follow "lbfgs, 57 iterations: ".
ENDINGS = {
    "converged": "the gradient vanishes",
    "rank_deficient": "the gradient vanishes, columns are dependent",
    "max_iter": "max_iter reached",
    "plateau": "the loss stands still",
    "early_stopped": "held-out rows become no likelier",
    "stalled": "no step lowers the loss",
    "continuing": "one pass by partial_fit",
    "stopped": "a callback asked to stop",
    "interrupted": "it was interrupted",
}
_UNDER_A_PENALTY = "steps gain little under the penalty chosen"
_IN_ONE_STEP = "solved in one step"
_ARRIVED = ("converged", "rank_deficient")
# A curve whose ends are further apart than this is drawn on a logarithmic axis.
_WIDE = 5.0


@dataclass(frozen=True, slots=True)
class PenaltyPath:
    """Penalties that were tried.

    Attributes
    ----------
    penalty, score, effective : Array of shape (levels,)
        α, mean square of left-out residuals in the units of y squared, and effective parameters; NaN where not counted.
    chosen : float
        The penalty that was taken.
    """

    penalty: Array
    score: Array
    effective: Array
    chosen: float


class TrainingDisplay:
    """The way to a fit: objective, gradient, held-out likelihood and penalties, and where it stopped and why.

    Use `from_estimator` rather than the constructor.

    Parameters
    ----------
    loss : array of shape (1 + n_iter,)
        Objective J after each iteration, the start before them.
    gradient : array of shape (1 + n_iter,), default=()
        Norm of its gradient.
    held_out : array of shape (n_iter,), default=()
        Mean log-likelihood of a row held out, after each iteration.
    penalties : PenaltyPath, default=None
    solver : str, default=""
    stop_reason : str, default=""
        As the estimators' ``stop_reason_``.
    kept : int, default=None
        Iteration whose parameters were kept; the last one if None.
    unit : str, default="J"
        What the objective is called.

    Attributes
    ----------
    loss, gradient, held_out : ndarray
    penalties, solver, stop_reason, kept, unit
        As above.
    ending : str
        Why it stopped, in words.
    panels : tuple of str
        What there is to draw.
    ax_ : matplotlib axes, or ndarray of them
    figure_ : matplotlib figure

    Examples
    --------
    >>> from mle_regression.displays import TrainingDisplay
    >>> TrainingDisplay(loss=[1.0, 0.5, 0.4], held_out=[-1.0, -1.2], stop_reason="early_stopped", kept=1).panels
    ('loss', 'held_out')
    """

    def __init__(
        self,
        *,
        loss: Any,
        gradient: Any = (),
        held_out: Any = (),
        penalties: PenaltyPath | None = None,
        solver: str = "",
        stop_reason: str = "",
        kept: int | None = None,
        unit: str = "J",
    ) -> None:
        self.loss, self.gradient, self.held_out = (np.asarray(one, float) for one in (loss, gradient, held_out))
        self.penalties, self.solver, self.stop_reason, self.unit = penalties, solver, stop_reason, unit
        self.kept = len(self.loss) - 1 if kept is None else kept
        self.ending = ENDINGS.get(stop_reason, "")
        if stop_reason == "early_stopped" and penalties is not None and not len(self.held_out):
            self.ending = _UNDER_A_PENALTY
        if stop_reason in _ARRIVED and not len(self.gradient):
            self.ending = self.ending.replace(ENDINGS["converged"], _IN_ONE_STEP)
        there = {"gradient": len(self.gradient) > 1, "held_out": len(self.held_out), "penalty": penalties is not None}
        self.panels = ("loss", *(name for name, found in there.items() if found))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        output: int | str | None = None,
        kind: Kind = "grid",
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw how a model was fitted; the fit itself tells, and rows are needed for a solver of one step alone.

        Parameters
        ----------
        estimator : fitted MLELinearRegressor or MLPGradientRegressor
            Or a pipeline or search of one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Of a direct solver J of the best constant is drawn as where it starts.
        sample_weight : array-like of shape (n_samples,), default=None
            As in ``fit``.
        output : int or str, default=None
            Which output's penalties and scores to draw, where y has several; all other curves are of all outputs.
        kind : {"grid", "loss", "gradient", "held_out", "penalty"}, default="grid"
            One picture, or all there are.
        ax : matplotlib axes, default=None
            Of a grid: axes that have a place in a figure's grid and are divided, or a sequence of one a picture.
        width : float, default=None
            Width of a new figure in inches.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        ValueError
            If ``kind`` is not known of this fit.
        """
        checks.check_choice("kind", kind, KINDS)
        subject = subject_of(estimator, X)
        model = subject.model
        require_own(subject, "does not tell how it was fitted")
        if X is not None:
            checks.new_data(model, subject.x)
        loss, held_out = np.asarray(model.loss_curve_), np.asarray(getattr(model, "validation_curve_", ()))
        if len(loss) == 1 and y is not None:
            loss = np.r_[_constant_objective(y, sample_weight), loss]
        labels = output_labels(subject, y)
        if output is not None:
            chosen_output(labels, np.atleast_1d(model.noise_variance_).size, output)
        decides = len(held_out) and model.early_stopping is not False and model.alpha != "evidence"
        display = cls(
            loss=loss,
            gradient=model.gradient_curve_,
            held_out=held_out,
            penalties=_penalties(model, labels, output),
            solver=model.solver_,
            stop_reason=model.stop_reason_,
            kept=int(held_out.argmax()) + 1 if decides else None,
            unit="J, in standard units" if hasattr(model, "coefs_") else "J, mean square",
        )
        return display.plot(ax, kind=kind, width=width)

    def plot(self, ax: Any = None, *, kind: Kind = "grid", width: float | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax, kind, width
            As in `from_estimator`.

        Returns
        -------
        TrainingDisplay
            With ``ax_`` and ``figure_``.
        """
        checks.check_choice("kind", kind, KINDS)
        if kind not in ("grid", *self.panels):
            raise ValueError(f"kind={kind!r} is not known of this fit, which has {', '.join(map(repr, self.panels))}.")
        names: Sequence[str] = self.panels if kind == "grid" else (kind,)
        with fonts():
            axes = grid_for(ax, len(names), width) if kind == "grid" else [axes_for(ax, width)]
            for place, name in zip(axes, names, strict=True):
                _DRAWN[name](self, place)
        self.ax_ = np.array(axes, dtype=object) if kind == "grid" else axes[0]
        self.figure_ = axes[0].figure
        return self


def _constant_objective(y: Any, sample_weight: Any) -> float:
    """Return J of the best constant: the variance of y, of all outputs together."""
    values = outputs_of(y)
    weights = weights_of(sample_weight, len(values))
    center = np.average(values, axis=0, weights=weights)
    return float(np.average((values - center) ** 2, axis=0, weights=weights).sum())


def _penalties(model: Any, labels: Sequence[str], output: Any) -> PenaltyPath | None:
    """Return the penalties that were tried, scored on one output."""
    path = getattr(model, "alpha_path_", None)
    if path is None or not len(path):
        return None
    score, chosen = path["score"], np.atleast_1d(model.alpha_)
    which = 0
    if score.ndim == 2:
        names = list(labels) or numbered(None, score.shape[1], "y")
        which = chosen_output(names, score.shape[1], output)
        score = score[:, which]
    return PenaltyPath(
        np.asarray(path["penalty"]),
        np.asarray(score),
        np.asarray(path["effective_parameters"]),
        float(chosen[which if len(chosen) > 1 else 0]),
    )


def _draw_loss(shown: TrainingDisplay, ax: Any) -> None:
    _curve(ax, np.arange(0.0, len(shown.loss)), shown.loss, shown.kept)
    taken = "iteration" if len(shown.loss) == 2 else "iterations"
    title = f"{shown.solver}, {len(shown.loss) - 1} {taken}" if shown.solver and len(shown.gradient) else shown.solver
    if shown.ending:
        title = f"{title}: {shown.ending}" if title else shown.ending
    title_and_axes(ax, title or "Objective", "Iteration", shown.unit)
    if not len(shown.gradient) and len(shown.loss) == 2:
        ax.set_xticks([0, 1], ["best constant", "fit"])
        ax.set_xlabel("")


def _draw_gradient(shown: TrainingDisplay, ax: Any) -> None:
    _curve(ax, np.arange(0.0, len(shown.gradient)), shown.gradient, shown.kept, named=False)
    title_and_axes(ax, "Gradient", "Iteration", "Norm of the gradient")


def _draw_held_out(shown: TrainingDisplay, ax: Any) -> None:
    _curve(ax, np.arange(1.0, 1 + len(shown.held_out)), shown.held_out, shown.kept)
    title_and_axes(ax, "Rows held out", "Iteration", "Log-likelihood of a row")


def _draw_penalty(shown: TrainingDisplay, ax: Any) -> None:
    path, colours = shown.penalties, palette_of(ax)
    assert path is not None
    order = np.argsort(path.penalty)
    ax.plot(path.penalty[order], path.score[order], color=colours.second, marker="o", markersize=4, linewidth=1.4)
    positive = path.penalty[path.penalty > 0]
    if len(positive):
        ax.set_xscale("log" if (path.penalty > 0).all() else "symlog", **_threshold(path.penalty, positive))
        few_decades(ax, "x", float(positive.min()), float(positive.max()))
    _mark(ax, colours, path.chosen, f"chosen: {path.chosen:.3g}")
    at = int(np.argmin(np.abs(path.penalty - path.chosen)))
    told = f": {path.effective[at]:.3g} effective parameters" if np.isfinite(path.effective[at]) else ""
    title_and_axes(ax, f"Rows left out{told}", "Penalty alpha", "Mean square left out")


_DRAWN = {"loss": _draw_loss, "gradient": _draw_gradient, "held_out": _draw_held_out, "penalty": _draw_penalty}


def _threshold(penalty: Array, positive: Array) -> dict[str, float]:
    return {} if (penalty > 0).all() else {"linthresh": float(positive.min())}


def _curve(ax: Any, x: Array, y: Array, kept: int, *, named: bool = True) -> None:
    """Draw a curve along the iterations, on a logarithmic axis where it goes far down."""
    colours = palette_of(ax)
    marker = "o" if len(x) <= 30 else None
    ax.plot(x, y, color=colours.second, linewidth=1.6, marker=marker, markersize=3.5)
    finite = y[np.isfinite(y)]
    if len(finite) and finite.min() > 0 and finite.max() > _WIDE * finite.min():
        ax.set_yscale("log")
        few_decades(ax, "y", float(finite.min()), float(finite.max()))
    if kept < x[-1]:
        _mark(ax, colours, kept, f"kept: iteration {kept}" if named else None)
    ax.margins(x=0.03, y=0.08)
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _mark(ax: Any, colours: Palette, place: float, name: str | None) -> None:
    ax.axvline(place, color=colours.line, linestyle="--", linewidth=1.4, label=name)
    if name is not None:
        ax.legend(fontsize="small", frameon=False)
