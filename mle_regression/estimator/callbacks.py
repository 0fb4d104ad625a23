"""scikit-learn's callbacks where it has them (from version 1.9 on), and nothing in their place where it has not."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from mle_regression.linalg.arrays import Array

F = TypeVar("F", bound=Callable[..., Any])

try:
    _callback: Any = import_module("sklearn.callback")
except ImportError:  # before version 1.9
    _callback = None


class _NoCallbacks:
    """Stand-in: an estimator without callbacks."""


CallbackSupport: Any = _NoCallbacks if _callback is None else _callback.CallbackSupportMixin


def with_callbacks(method: F) -> F:
    """Let callbacks be set up before a fit and torn down after it, however it ends."""
    managed: F = method if _callback is None else _callback.with_callbacks(method)
    return managed


class FitTask:
    """The task of one ``fit``, which callbacks are told of; no task where scikit-learn has no callbacks.

    Iterations are subtasks of the fit. Where there are several starts, these are the subtasks of the fit, and each has
    iterations of its own.

    Parameters
    ----------
    estimator : estimator
    x, y, sample_weight : as given to ``fit``
    max_iter : int or None
        Of the iterations of a start; 0 for a solver that arrives in one step, None if that is not known yet.
    n_starts : int, default=1
    """

    def __init__(
        self, estimator: Any, x: Any, y: Any, sample_weight: Any, max_iter: int | None, n_starts: int = 1
    ) -> None:
        self.estimator, self.max_iter, self.several = estimator, max_iter, n_starts > 1
        # Callbacks share these, and hand the weights on to scorers.
        self.seen = {"X": x, "y": y, "metadata": {} if sample_weight is None else {"sample_weight": sample_weight}}
        start = getattr(estimator, "_init_callback_context", None)
        self.context = None if start is None else start(max_subtasks=n_starts if self.several else max_iter)
        self.level = self.context
        self.before: Callable[[], dict[str, Any]] | None = None
        self.count = 0

    @property
    def watched(self) -> bool:
        """Whether anyone listens."""
        return self.context is not None and bool(getattr(self.estimator, "_skl_callbacks", None))

    def begin(self) -> None:
        """Say that the fit begins."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(estimator=self.estimator, **self.seen)

    def begin_start(self) -> None:
        """Say that training begins from the next of several starts."""
        if self.watched and self.several and self.context is not None:
            self.level, self.before = self.context.subcontext(task_name="start", max_subtasks=self.max_iter), None
            self.count = 0
            self.level.call_on_fit_task_begin(estimator=self.estimator, **self.seen)

    def end_start(self) -> bool:
        """Say that training from a start has ended; return whether to begin no other."""
        if not self.watched or not self.several or self.level is None:
            return False
        return bool(self.level.call_on_fit_task_end(estimator=self.estimator, **self.seen))

    def begin_path(self, fitted: Callable[[], dict[str, Any]]) -> None:
        """Say what the fit is where a solver starts, which is where the next iteration begins."""
        self.before = fitted

    def iteration(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """Say that an iteration has ended, with what the fit then is; return whether to stop."""
        if not self.watched or self.level is None:
            return False
        self.count += 1
        if self.level.max_subtasks is not None and self.count > self.level.max_subtasks:
            self.level.max_subtasks = None  # a start that has led nowhere is begun anew: nobody knows how many come
        task = self.level.subcontext(task_name="iteration")
        task.call_on_fit_task_begin(estimator=self.estimator, **self.seen, reconstruction_attributes=self.before)
        self.before = fitted
        return bool(task.call_on_fit_task_end(estimator=self.estimator, **self.seen, reconstruction_attributes=fitted))

    def end(self, fitted: Callable[[], dict[str, Any]]) -> None:
        """Say that the fit has ended."""
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.estimator, **self.seen, reconstruction_attributes=fitted)


class SharpnessMonitor:
    """Callback that records the largest eigenvalue of the Hessian while a network is trained.

    ``MLPGradientRegressor(solver="gd").set_callbacks(monitor)``; scikit-learn 1.9 or later. Workers of ``n_jobs`` keep their
    records to themselves.

    Parameters
    ----------
    every : int, default=1
        Iterations from one record to the next; each costs some tens of gradients.

    Attributes
    ----------
    iterations, sharpness : list
        The iteration, counted from one, and λmax after it.
    """

    def __init__(self, every: int = 1) -> None:
        if not every >= 1:
            raise ValueError(f"every={every!r} must be a positive integer.")
        self.every = every
        self.iterations: list[int] = []
        self.sharpness: list[float] = []
        self._count = 0

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin anew."""
        self.iterations, self.sharpness, self._count = [], [], 0

    def teardown(self, estimator: Any, context: Any) -> None:
        """Keep what was recorded."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing to do yet."""

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,
        y: Any = None,
        metadata: dict[str, Any] | None = None,
        fitted_estimator: Any = None,
    ) -> bool:
        """Record the sharpness after an iteration."""
        if context.task_name == "iteration" and fitted_estimator is not None:
            self._count += 1
            if self._count % self.every == 0:
                self.iterations.append(self._count)
                weight = (metadata or {}).get("sample_weight")
                self.sharpness.append(fitted_estimator.diagnose(X, y, weight).sharpness())
        return False


class PathRecorder:
    """Callback that records the parameters along the path of an iterative solver, start included.

    ``MLELinearRegressor(solver="gd").set_callbacks(recorder)``; scikit-learn 1.9 or later. A path can be drawn on the
    objective by `LandscapeDisplay`. Each iteration costs about what predicting the training rows does. Workers of ``n_jobs``
    keep their records to themselves.

    Attributes
    ----------
    paths : list of list of Array
        One path of each start, each network, and each stretch that begins elsewhere than the last has ended. Parameters of a
        linear model are ``(1 + p, m)``, intercepts first, in the units of X and y; those of a network (P,), in the standard
        units that it is trained in.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> recorder = PathRecorder()
    >>> model = MLELinearRegressor(solver="lbfgs")
    >>> if hasattr(model, "set_callbacks"):  # scikit-learn 1.9
    ...     _ = model.set_callbacks(recorder).fit(X, y)
    ...     assert len(recorder.paths[0]) == 1 + model.n_iter_
    """

    def __init__(self) -> None:
        self.paths: list[list[Array]] = []

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin anew."""
        self.paths = []

    def teardown(self, estimator: Any, context: Any) -> None:
        """Keep what was recorded."""

    def on_fit_task_begin(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        """Begin another path where an iteration begins elsewhere than the last has ended."""
        if context.task_name != "iteration" or fitted_estimator is None:
            return
        here = parameters_of(fitted_estimator)
        if context.task_id == 0 or not self.paths or not np.array_equal(self.paths[-1][-1], here):
            self.paths.append([here])

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
        """Record where an iteration has ended."""
        if context.task_name == "iteration" and fitted_estimator is not None:
            here = parameters_of(fitted_estimator)
            self.paths = self.paths or [[]]
            self.paths[-1].append(here)
        return False


def parameters_of(fitted: Any) -> Array:
    """Return the parameters of a fitted estimator: of a network (P,), of a linear model (1 + p, m), intercepts first."""
    theta = getattr(fitted._fit, "theta", None)
    if theta is not None:
        return np.array(theta, dtype=np.float64)
    coef = np.atleast_2d(fitted.coef_).T
    return np.vstack([np.broadcast_to(fitted.intercept_, coef.shape[1]), coef])
