"""Whether rows left out choose a network's penalty, and how many networks that may take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mle_regression.fit.network import gradient_work, step_work
from mle_regression.fit.network_options import WIDTH, WIDTH_OF_SEVERAL, NetworkOptions, is_auto
from mle_regression.models.network import Network
from mle_regression.rows.duplicates import groups_of_rows
from mle_regression.rows.registry import in_memory
from mle_regression.rows.training_data import TrainingData

# Of how many levels a path usually is, and how many steps of lm are taken at its end; steps of lbfgs that go as far as one of
# lm; and how much longer a multiplication of a gradient takes, whose matrices are small.
_USUAL_LEVELS, _USUAL_LAST_STEPS, _SHORT_STEPS, _SLOWER_GRADIENTS = 8.0, 20.0, 8.0, 1.6


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows are left out, and what that may cost.

    Attributes
    ----------
    folds : int
        Into which the rows are divided.
    repeats : int
        How often, twice at least.
    steps : int
        Iterations of a network on a level, at most.
    solver : {"lm", "lbfgs"}
        Where hardly any noise is left lm gets further; where its matrices are large, lbfgs gets as far much sooner.
    singly : bool
        Whether rows are left out by themselves in the end, where networks are small.
    """

    folds: int
    repeats: int
    steps: int
    solver: str = "lm"
    singly: bool = False

    @property
    def networks(self) -> int:
        """How many there are."""
        return self.folds * self.repeats

    @property
    def shortness(self) -> float:
        """About how many steps of the solver are one of lm."""
        return _SHORT_STEPS if self.solver == "lbfgs" else 1.0

    def work(self, network: Network, n_rows: int) -> float:
        """Return about how many multiplications all networks take, in units of those of lm, which are the quickest."""
        steps = self.networks * (self.steps * _USUAL_LEVELS + self.shortness * _USUAL_LAST_STEPS)
        if self.solver == "lbfgs":
            return steps * _SLOWER_GRADIENTS * gradient_work(network, n_rows)
        return steps * step_work(network, n_rows * network.sizes[-1])


# What is tried, the best first, and the multiplications that the first one within reach may take: about eight seconds. Twenty
# networks are for who asks for so many times the effort.
_MORE, _MORE_FROM = Plan(10, 2, 15), 2.5
_PLANS = (
    *(Plan(5, 2, 15), Plan(5, 2, 8)),
    *(Plan(5, 2, 120, "lbfgs"), Plan(3, 2, 120, "lbfgs"), Plan(2, 2, 120, "lbfgs")),
)
_BUDGET = 1.6e11
# Different rows from which on "auto" leaves some out, and the least that there must be; and rows from which on a tenth of
# them, held out from one network, tell as much at a fraction of the time; both times the effort.
_ENOUGH_ROWS, _LEAST_ROWS, _MANY_ROWS = 10, 3, 10_000


def resolved(options: NetworkOptions, data: TrainingData, watched: bool) -> tuple[NetworkOptions, Plan | None]:
    """Return options without "auto" for penalty and width, and how rows are left out where these choose the penalty.

    ``standardize`` remains "auto" where columns with heavy tails are to be bent: where rows are left out, of networks with
    hidden units.

    ``watched`` says whether other rows end the training. Under ``alpha="auto"`` rows are left out where the options leave
    that open, and it is within reach; else the penalty is `FIXED_PENALTY`.
    """
    several = options if options.hidden_layer_sizes != "auto" else replace(options, hidden_layer_sizes=WIDTH_OF_SEVERAL)
    plan = _plan_of(several, data, watched)
    if plan is not None:
        linear = several.network(data.x.shape[1], data.y.shape[1]).linear
        standardize = True if linear and is_auto(options.standardize) else options.standardize
        return replace(several, alpha="loo", ensemble=True, standardize=standardize), plan
    hidden = WIDTH if options.hidden_layer_sizes == "auto" else options.hidden_layer_sizes
    return replace(options, hidden_layer_sizes=hidden, standardize=bool(options.standardize)), None


def _plan_of(options: NetworkOptions, data: TrainingData, watched: bool) -> Plan | None:
    """Return how rows are left out; None where the penalty is a number, or chosen otherwise."""
    if not (options.by_left_out or is_auto(options.alpha)):
        return None
    network = options.network(data.x.shape[1], data.y.shape[1])
    each = (_MORE, *_PLANS) if options.effort >= _MORE_FROM else _PLANS
    plans = [plan for plan in each if is_auto(options.solver) or plan.solver == "lm"]
    affordable = [plan for plan in plans if plan.work(network, len(data.y)) <= options.effort * _BUDGET]
    if options.by_left_out:
        _check_rows(data, watched)
        return replace(affordable[0] if affordable else plans[-1], singly=True)
    open_to_it = (
        options.family.sums_suffice
        and is_auto(options.solver)
        and options.early_stopping is not True
        and options.n_init == 1
        and not (watched or options.warm_start or options.calls_for_batches)
    )
    few = len(data.y) < options.effort * _MANY_ROWS
    if not (open_to_it and few and affordable and in_memory(data.x) and _different_rows(data) >= _ENOUGH_ROWS):
        return None
    return affordable[0]


def _different_rows(data: TrainingData) -> int:
    x = data.x if data.weights is None else data.x[np.flatnonzero(data.weights)]
    return int(groups_of_rows(x).max(initial=-1)) + 1


def _check_rows(data: TrainingData, watched: bool) -> None:
    """Raise where no rows can be left out."""
    if watched:
        raise ValueError(
            "alpha='loo' leaves out training rows and has no use for X_val and y_val: leave these away, or give a number as "
            "alpha."
        )
    if not in_memory(data.x):
        raise ValueError(
            f"alpha='loo' takes arrays and sparse matrices; X is of type {type(data.x).__name__}: give a number as alpha."
        )
    if (found := _different_rows(data)) < _LEAST_ROWS:
        raise ValueError(
            f"alpha='loo' leaves out rows that are the same together, and of {found} different rows too few are left; "
            f"{_LEAST_ROWS} are the least. Give a number as alpha."
        )
