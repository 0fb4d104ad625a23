"""Networks on all rows, under the penalty that rows left out have chosen; their mean predicts.

Each goes on from where the path of penalties has left it. Where that is asked for, and parameters take up little of the
residuals, they go on to their minima, and each row is left out once more, by itself, from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mle_regression.diagnostics.left_out_refits import refits_work, refitted_without_each
from mle_regression.fit.cross_fitting import CrossFit, Level
from mle_regression.fit.left_out_plan import Plan
from mle_regression.fit.network import Trained, Training
from mle_regression.fit.network_options import is_auto
from mle_regression.fitted.penalty import LeftOutChoice
from mle_regression.fitted.predictive_noise import CROSS_FITTED, LEFT_OUT, PredictiveNoise
from mle_regression.linalg.arrays import Array
from mle_regression.objective.dead import is_dead
from mle_regression.rows.duplicates import groups_of_rows
from mle_regression.solvers.base import ENDED_FROM_OUTSIDE, Status
from mle_regression.solvers.path import Path

# Steps on all rows, and part of the loss that they must gain for training to go on.
_LAST_STEPS, _CLOSE = 50, 1e-4
# Share of the residuals, of rows that differ, that effective parameters may take up. To 0.4 the score of rows left out by
# themselves was as near to the error of new rows as that of folds; beyond 0.5 it was a half of it or less.
_TAKEN_UP = 0.4
# Multiplications that leaving out each row by itself may take: one or two seconds.
_REFITS_WORK = 4e9
# The share of the score that is left for the noise, at least, where networks lie far apart.
_LEAST_NOISE = 0.5


@dataclass(frozen=True, slots=True)
class _Outside:
    """What rows left out say of the mean over networks, in standard units.

    Attributes
    ----------
    score : Array of shape (m,)
        Mean square of their residuals.
    apart : Array of shape (m,)
        Variance between the networks there.
    source : str
        How they have been left out.
    """

    score: Array
    apart: Array
    source: str

    def noise(self, n: float) -> PredictiveNoise:
        """Return how far new rows lie from the mean, less how far networks lie from each other."""
        return PredictiveNoise(np.maximum(self.score - self.apart, _LEAST_NOISE * self.score), n, self.source)


def train_by_left_out(training: Training, plan: Plan, seeds: np.random.SeedSequence) -> list[Trained]:
    """Return networks whose mean predicts, under the penalty that rows left out have chosen; the best one first."""
    run = CrossFit(training, plan, np.random.default_rng(seeds.spawn(1)[0]))
    if training.watch is not None:
        training.watch.begin_start()
    levels, best = run.walk()
    if levels and training.options.grouping == "layer":
        best = run.by_layer(best)
    trained, outside = _on_all_rows(run, best)
    if training.watch is not None:
        training.watch.end_start()
    choice = LeftOutChoice(
        alpha=best.alpha,
        effective=best.effective,
        score=outside.score,
        penalties=np.array([level.alpha for level in levels]),
        scores=np.array([level.score for level in levels]).reshape(-1, len(best.score)),
        effectives=np.array([level.effective for level in levels]),
        folds=run.plan.folds,
        networks=len(run.networks),
        singly=outside.source == LEFT_OUT,
        ratios=tuple(best.ratios.tolist()) if training.options.grouping == "layer" else (),
    )
    noise = outside.noise(float(len(run.y)))
    return [replace(one, left_out=choice, held_out=noise) for one in sorted(trained, key=lambda one: -one.score)]


def _on_all_rows(run: CrossFit, level: Level) -> tuple[list[Trained], _Outside]:
    """Train the networks of a level on all rows; return them, and what rows left out say of their mean."""
    trained: list[Trained] = []
    for theta, memory in zip(level.thetas, level.memories, strict=True):
        if run.ended and trained:
            break
        trained.append(_trained_on(run, level, theta, memory))
    rested = _at_rest(run, level, trained)
    return (trained, _Outside(level.score, level.apart, CROSS_FITTED)) if rested is None else rested


def _trained_on(run: CrossFit, level: Level, theta: Array, memory: dict[str, Array]) -> Trained:
    """Take the last steps of a network."""
    training, plan = run.training, run.plan
    objective = training.pose(run.data, run.penalty(level.alpha, level.ratios), theta)
    path = training.walk(objective, plan.solver, int(_LAST_STEPS * plan.shortness), _CLOSE / plan.shortness, memory)
    if training.options.curvature is not None and path.status not in ENDED_FROM_OUTSIDE:
        path = training.to_rest(objective, path.theta)
    run.note(path)
    ended = run.ended or (path.status if path.status is Status.CONVERGED else Status.EARLY_STOPPED)
    most = training.options.max_iter
    if not run.ended and path.status is Status.MAX_ITER and not (most is None or is_auto(most)):
        ended = Status.MAX_ITER  # the user's own bound is told; those of the path belong to it
    return Trained(
        path=replace(path, status=ended),
        objective=objective,
        solver=plan.solver,
        reason="penalty by rows left out",
        score=-path.losses[-1],
        validation_curve=[],
        dead=is_dead(objective, np.asarray(path.theta, dtype=np.float64)),
    )


def _at_rest(run: CrossFit, level: Level, trained: list[Trained]) -> tuple[list[Trained], _Outside] | None:
    """Return the networks at their minima, and what each row left out by itself says of their mean.

    None where nobody asks for it or it is out of reach; where effective parameters take up much of the residuals; and where
    a network stands at no minimum, or has none close by without some row: fitted anew it would be another network.
    """
    groups = groups_of_rows(run.data.x)
    objective, different = trained[0].objective, int(groups.max()) + 1
    work = len(trained) * refits_work(objective, different)
    near = level.effective <= _TAKEN_UP * different * run.y.shape[1] * run.networks[0].share
    if not run.plan.singly or run.ended or not near or work > _REFITS_WORK:
        return None
    outside, rested = list[Array](), list[Trained]()
    for one in trained:
        path = run.training.to_rest(one.objective, one.path.theta)
        run.note(path)
        theta = np.asarray(path.theta, dtype=np.float64)
        found = None if run.ended else refitted_without_each(one.objective, theta, groups, _REFITS_WORK / len(trained))
        if found is None:
            return None
        outside.append(found)
        rested.append(replace(one, path=_joined(one.path, path), score=-path.losses[-1]))
    gap, weights = np.array(outside) - run.y, run.weights / run.weights.sum()
    score, apart = weights @ gap.mean(axis=0) ** 2, weights @ gap.var(axis=0, ddof=1)
    return rested, _Outside(score, apart, LEFT_OUT)


def _joined(first: Path, then: Path) -> Path:
    """Return one path of two that follow each other."""
    losses, norms = first.losses + then.losses[1:], first.gradient_norms + then.gradient_norms[1:]
    return replace(then, losses=losses, gradient_norms=norms)
