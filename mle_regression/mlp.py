"""A neural network fitted by maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Literal, Self, TypeVar

import numpy as np
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from mle_regression import checks
from mle_regression.base import LikelihoodRegressor
from mle_regression.callbacks import CallbackSupport, FitTask, with_callbacks
from mle_regression.evidence import GROUPINGS, Chosen, first_penalties, parameter_groups, train_by_evidence
from mle_regression.fitted_network import FittedNetwork, posterior_of, refusal
from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.network_diagnosis import NetworkDiagnosis
from mle_regression.noise.registry import find_noise
from mle_regression.objective.network import NetworkObjective
from mle_regression.objective.scaled import ScaledSumOfSquares
from mle_regression.rows.standard import Units
from mle_regression.solvers.base import NonFiniteRowsError, Status
from mle_regression.solvers.path import Control, Path
from mle_regression.solvers.registry import find_network_solver
from mle_regression.training import (
    HeldOut,
    likelihood_attributes,
    measured_units,
    network_attributes,
    noise_of,
    observations,
    relative_alpha,
    settled,
    standard_rows,
)
from mle_regression.warnings import NoiseFreeWarning, warn_user

F = TypeVar("F", bound=Callable[..., Any])

WEIGHT_TYPES = ("precision", "frequency")
_OF_EVIDENCE = ("effective_parameters_", "log_marginal_likelihood_")
# With fewer rows than this, "auto" holds none out: a tenth of them would tell little.
_HELD_OUT_FROM = 100
# What "auto" may spend on one Gauss-Newton step: parameters, and multiplications.
_LM_PARAMETERS, _LM_WORK = 1500, 3e10
_BATCH = 200
# Multiplications in one product of a batch from which on two threads are faster than one.
_THREADED_PRODUCT = 4_000_000


def _goes_on(estimator: Any) -> bool:
    """Whether the solver can go on with other rows."""
    try:
        return estimator.solver == "auto" or bool(find_network_solver(estimator.solver).goes_on)
    except ValueError:
        return True  # an error that partial_fit itself will tell


def _where_it_goes_on(method: F) -> F:
    """Offer a method only where the solver can go on with other rows."""
    offered: F = available_if(_goes_on)(method)
    return offered


class MLPGradientRegressor(CallbackSupport, LikelihoodRegressor):
    """Multilayer perceptron fitted by maximum likelihood under Gaussian noise.

    Minimises ``J(θ) = (Σ wᵢ‖yᵢ − f(xᵢ; θ)‖² + α‖weights‖²) / Σw`` over weights and biases, in units in which columns of X and
    outputs have mean zero and variance one (with ``standardize=True``). The noise variance is its maximum-likelihood
    estimate, the mean square of the residuals. Predictions and likelihoods are in the units of y.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or int, default=(50,)
        Units of each hidden layer.
    activation : {"tanh", "relu", "leaky_relu", "logistic", "softplus", "silu", "gelu", "identity"}, default="tanh"
    solver : str or solver instance, default="auto"
        "lm" (Levenberg-Marquardt), "lbfgs", "newton", "gd", and by batches "sgd", "adam", "adamw"; an instance from
        `mle_regression.solvers` holds the options of one algorithm. "auto" takes lm where parameters are few enough for a
        matrix of second derivatives in each step, else adam; `solver_` says why.
    alpha : float or "evidence", default=1e-4
        Penalty on squared weights, as in `sklearn.neural_network.MLPRegressor`; biases are not penalised. "evidence": the
        penalties that make the data likeliest with the parameters integrated out, found while lm trains (MacKay, 1992); all
        parameters but biases of outputs are penalised then, and no rows are held out.
    evidence : {"layer", "single", "input"}, default="layer"
        What has a penalty of its own under ``alpha="evidence"``: each layer, nothing, or each input besides, so that inputs
        that say nothing are switched off.
    noise : {"gaussian"}, default="gaussian"
    weight_type : {"precision", "frequency"}, default="precision"
        What ``sample_weight`` means: Var(y) = σ²/w, or repeated rows.
    standardize : bool, default=True
        Whether to measure X and y in units of their weighted means and spreads inside.
    learning_rate : float or "auto", default="auto"
        Step of gd, sgd and adam, in standard units. "auto": 0.002 for adam, 0.02 for sgd, from the curvature for gd.
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" takes 200.
    max_iter : int, default=500
        Iterations, or passes over the rows of solvers that draw batches.
    tol : float, default=1e-6
        Norm of the gradient (in standard units) at which the fit has converged, and part of the loss that counts as a gain.
    early_stopping : bool or "auto", default="auto"
        Whether to hold out rows and keep the parameters at which their likelihood is best. "auto": with 100 rows or more.
    validation_fraction : float, default=0.1
        Share of the rows held out.
    n_iter_no_change : int, default=20
        Iterations without a better held-out likelihood, or without a lower loss, after which to stop.
    n_init : int, default=1
        Starts from different random parameters, of which the best is kept: by evidence where that is known, by held-out
        likelihood, else by loss.
    ensemble : bool, default=False
        Whether predictions are the mean over all ``n_init`` networks, and their variance that of the mixture; coefficients
        and curvature remain those of the best.
    curvature : {None, "extremes", "full"}, default=None
        Whether `fit` works out the Hessian's eigenvalues, the verdict on where training ended, and the uncertainty of the
        parameters: "full" by the Hessian as a matrix, "extremes" by products with it.
    dtype : {"float64", "float32"}, default="float64"
        Of the numbers that are multiplied.
    warm_start : bool, default=False
        Whether `fit` goes on from the parameters, units and moments of an earlier fit.
    random_state : int, RandomState or None, default=None
        Seed of start, rows held out, and batches.
    verbose : bool, default=False

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (below, units) and biases (units,) layer by layer, for X and y in their own units.
    noise_variance_ : float or ndarray of shape (n_outputs,)
        Maximum-likelihood estimate σ̂², on the training rows.
    noise_covariance_ : ndarray of shape (n_outputs, n_outputs)
        For several outputs.
    log_likelihood_ : float
        Of the training rows. With n_parameters_ it gives aic_, aicc_ and bic_, which do not choose between networks, whose
        Fisher information is singular (Watanabe, 2009); compare held-out likelihoods.
    loss_curve_ : list of float
        J in standard units at the start and after each iteration; mean over the pass for solvers that draw batches.
    validation_curve_ : list of float
        Mean log-likelihood of a row held out after each iteration; empty if none are.
    loss_, gradient_norm_ : float
        J and the norm of its gradient, in standard units, at the parameters kept.
    converged_ : bool
        Whether that norm is no more than ``tol``, in the units that the solver walks in.
    n_iter_ : int
    solver_ : str
        The solver, and why, if it was "auto".
    hessian_eigenvalues_, condition_number_, verdict_
        Of the Hessian of J on the training rows in standard units, and what they say of the place; with ``curvature`` only.
    alpha_ : dict of str to float
        Penalties that the evidence chose, by group; with ``alpha="evidence"`` only.
    effective_parameters_, log_marginal_likelihood_ : float
        How many parameters the data determine, γ, and the log evidence in the units of y; likewise.
    n_features_in_, n_outputs_, n_layers_ : int

    References
    ----------
    .. [1] C. M. Bishop (2006). Pattern Recognition and Machine Learning, chapter 5.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLPGradientRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = MLPGradientRegressor((5,), alpha=10.0, early_stopping=False, random_state=0).fit(X, y)
    >>> model.converged_, len(model.coefs_), model.coefs_[0].shape
    (True, 2, (10, 5))
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (50,),
        *,
        activation: str = "tanh",
        solver: Any = "auto",
        alpha: float | Literal["evidence"] = 1e-4,
        evidence: Literal["layer", "single", "input"] = "layer",
        noise: str = "gaussian",
        weight_type: Literal["precision", "frequency"] = "precision",
        standardize: bool = True,
        learning_rate: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 500,
        tol: float = 1e-6,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        n_init: int = 1,
        ensemble: bool = False,
        curvature: Literal["extremes", "full"] | None = None,
        dtype: Literal["float64", "float32"] = "float64",
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.evidence = evidence
        self.noise = noise
        self.weight_type = weight_type
        self.standardize = standardize
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_init = n_init
        self.ensemble = ensemble
        self.curvature = curvature
        self.dtype = dtype
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network; an earlier fit survives if this one fails.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative. Rows of weight zero are as if absent.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            Rows to watch the likelihood on in the place of some held out; it decides when to stop unless
            ``early_stopping=False``.

        Returns
        -------
        self : MLPGradientRegressor

        Raises
        ------
        ValueError
            NaN or infinity (the message names the columns), lengths that differ, invalid options, a fit that diverges.
        """
        hidden = self._check_options()
        if (X_val is None) != (y_val is None) or (X_val is None and sample_weight_val is not None):
            raise ValueError("X_val and y_val (and weights for them) go together; pass both or none.")
        task = FitTask(self, self.max_iter)
        task.begin(X, y)
        with checks.all_or_nothing(self):
            data = checks.training_data(self, X, y, sample_weight)
            seeds = np.random.SeedSequence(int(check_random_state(self.random_state).randint(2**31 - 1)))
            watched, data = self._rows_to_watch(data, X_val, y_val, sample_weight_val, np.random.default_rng(seeds))
            units = self._units(data)
            network = Network((data.x.shape[1], *hidden, data.y.shape[1]), find_activation(self.activation))
            earlier = self.__dict__.get("_state") if self.warm_start else None
            if earlier is not None and earlier["sizes"] == network.sizes:
                units = Units(*earlier["units"][0]), Units(*earlier["units"][1])
            else:
                earlier = None
            best: tuple[float, Path, NetworkObjective, HeldOut | None, Chosen | None] | None = None
            trained: list[tuple[Array, NetworkObjective]] = []
            for child in seeds.spawn(self.n_init):
                rng = np.random.default_rng(child)
                start = network.initial(rng) if earlier is None else earlier["theta"]
                objective, held_out = self._pose(data, watched, units, network, start)
                memory = {} if earlier is None else earlier["memory"]
                chosen = None
                if self._by_evidence:
                    path, objective, chosen = self._train_by_evidence(objective, held_out, task, X, y, rng, data)
                    score = chosen.log_marginal_likelihood
                else:
                    path = settled(self._train(objective, held_out, task, X, y, rng, memory), held_out)
                    score = -min(path.losses[-1], path.losses[0]) if held_out is None else held_out.best
                trained.append((np.array(path.theta, dtype=np.float64), objective))
                if best is None or score > best[0]:
                    best = score, path, objective, held_out, chosen
                if path.status in (Status.STOPPED, Status.INTERRUPTED) or earlier is not None:
                    break
            assert best is not None
            self._assign(best[1], best[2], best[3], data, units, data.single_output, best[4])
            self._look_round(data)
            if self.ensemble and len(trained) > 1:
                self._average([one for one in trained if one[1] is not best[2]], data)
        task.end(X, y, lambda: {"coefs_": self.coefs_, "intercepts_": self.intercepts_, "_state": self._state})
        return self

    @_where_it_goes_on
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go once through some rows by batches, from the parameters and moments there are.

        The units are those of the rows of the first call (or fit). Noise and likelihood are those of the rows of this call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : MLPGradientRegressor
        """
        hidden = self._check_options()
        if self._by_evidence:
            raise ValueError("alpha='evidence' is chosen from all rows together: call fit, or give a number as alpha.")
        with checks.all_or_nothing(self):
            earlier = self.__dict__.get("_state")
            data = checks.training_data(self, X, y, sample_weight, more=earlier is not None)
            rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
            network = Network((data.x.shape[1], *hidden, data.y.shape[1]), find_activation(self.activation))
            units = self._units(data)
            start, memory, single = network.initial(rng), {}, data.single_output
            if earlier is not None:
                if earlier["sizes"] != network.sizes or earlier["single_output"] != single:
                    raise ValueError(
                        f"The network has layers {earlier['sizes']}, and these rows call for {network.sizes}; fit() anew."
                    )
                units = Units(*earlier["units"][0]), Units(*earlier["units"][1])
                start, memory = earlier["theta"], earlier["memory"]
                rng = np.random.default_rng([int(rng.integers(2**31)), int(memory.get("passes", 0))])
            objective, _ = self._pose(data, None, units, network, start)
            solver = find_network_solver("adam" if self.solver == "auto" else self.solver)
            control = replace(self._control(objective, rng, memory), max_iter=1, patience=None)
            with self._threads(objective):
                path = solver.minimise(objective, control)
            path.memory = path.memory | {"passes": np.array(int(memory.get("passes", 0)) + 1)}
            path.status = path.status if path.status is Status.CONVERGED else Status.CONTINUING
            self._solver_said = solver.name
            self._assign(path, objective, None, data, units, single)
        return self

    def _check_options(self) -> tuple[int, ...]:
        """Check the parameters; return the sizes of the hidden layers."""
        sizes = self.hidden_layer_sizes
        hidden = tuple(np.atleast_1d(np.asarray(sizes, dtype=object)).tolist())
        for size in hidden:
            checks.check_positive_integer("hidden_layer_sizes", size)
        find_activation(self.activation)
        find_noise(self.noise)
        if self.solver != "auto":
            find_network_solver(self.solver)
        checks.check_choice("weight_type", self.weight_type, WEIGHT_TYPES)
        checks.check_choice("early_stopping", self.early_stopping, ("auto", True, False))
        checks.check_choice("dtype", self.dtype, ("float64", "float32"))
        if self.ensemble is True and (self.n_init == 1 or self.warm_start is True):
            raise ValueError("ensemble=True averages several networks: set n_init to 2 or more, and warm_start=False.")
        for name in ("standardize", "warm_start", "ensemble"):
            checks.check_choice(name, getattr(self, name), (True, False))
        checks.check_choice("curvature", self.curvature, (None, "extremes", "full"))
        checks.check_choice("evidence", self.evidence, GROUPINGS)
        if self._by_evidence:
            self._check_evidence()
        else:
            checks.check_non_negative("alpha", self.alpha)
        checks.check_non_negative("tol", self.tol)
        checks.check_probability("validation_fraction", self.validation_fraction)
        for name in ("max_iter", "n_iter_no_change", "n_init"):
            checks.check_positive_integer(name, getattr(self, name))
        if self.batch_size != "auto":
            checks.check_positive_integer("batch_size", self.batch_size)
        if not (isinstance(self.learning_rate, str) and self.learning_rate == "auto"):
            checks.check_positive("learning_rate", self.learning_rate)
        return tuple(int(size) for size in hidden)

    @property
    def _by_evidence(self) -> bool:
        """Whether the data choose the penalty."""
        return isinstance(self.alpha, str) and self.alpha == "evidence"

    def _check_evidence(self) -> None:
        if self.solver != "auto" and find_network_solver(self.solver).name != "lm":
            raise ValueError(
                "alpha='evidence' is estimated while lm trains; set solver='lm' or 'auto', or a number as alpha."
            )
        if self.early_stopping is True:
            raise ValueError(
                "alpha='evidence' needs the optimum under its penalties, and no rows held out; set early_stopping='auto' or "
                "False."
            )
        if self.noise != "gaussian":
            raise ValueError("alpha='evidence' is defined for noise='gaussian' only; set a number as alpha.")

    def _rows_to_watch(
        self, data: checks.TrainingData, x: Any, y: Any, weights: Any, rng: np.random.Generator
    ) -> tuple[checks.TrainingData | None, checks.TrainingData]:
        """Return the rows to watch the likelihood on, if any, and those to train on."""
        if x is not None:
            inner = checks.new_data(self, x)
            outputs = checks.new_outputs(y, inner.shape[0], data.y.shape[1])
            given = checks.check_weights(weights, len(outputs))
            return replace(data, x=inner, y=outputs, weights=given), data
        counted = np.arange(len(data.y)) if data.weights is None else np.flatnonzero(data.weights)
        if (
            self.early_stopping is False
            or self._by_evidence
            or (self.early_stopping == "auto" and len(counted) < _HELD_OUT_FROM)
        ):
            return None, data
        size = int(np.ceil(self.validation_fraction * len(counted)))
        if size >= len(counted):
            raise ValueError(
                f"early_stopping would hold out {size} of {len(counted)} rows; lower validation_fraction, give more rows, or "
                "set early_stopping=False."
            )
        order = rng.permutation(counted)
        parts = []
        x_rows = data.x if isinstance(data.x, np.ndarray) else data.x.tocsr()
        for pick in (np.sort(order[:size]), np.sort(order[size:])):
            w = None if data.weights is None else data.weights[pick]
            parts.append(replace(data, x=x_rows[pick], y=data.y[pick], weights=w))
        return parts[0], parts[1]

    def _units(self, data: checks.TrainingData) -> tuple[Units, Units]:
        try:
            return measured_units(data, bool(self.standardize))
        except NonFiniteRowsError as error:
            raise ValueError(checks.non_finite_message(self, error.columns, data)) from None

    def _pose(
        self,
        data: checks.TrainingData,
        watched: checks.TrainingData | None,
        units: tuple[Units, Units],
        network: Network,
        start: Array,
    ) -> tuple[NetworkObjective, HeldOut | None]:
        alpha = 0.0 if self._by_evidence else relative_alpha(float(self.alpha), data.weights)
        objective = NetworkObjective(network, standard_rows(data, units, self.dtype), alpha, start)
        if watched is None:
            return objective, None
        weights = watched.weights
        if weights is not None:
            weights = weights[weights > 0]
            largest = 1.0 if data.weights is None or self.weight_type == "frequency" else float(data.weights.max())
            weights = weights / largest
        held_out = HeldOut(
            network,
            standard_rows(watched, units, self.dtype),
            weights,
            self.n_iter_no_change,
            self.early_stopping is not False and not self._by_evidence,
            self.weight_type == "frequency",
        )
        return objective, held_out

    def _train(
        self,
        objective: NetworkObjective,
        held_out: HeldOut | None,
        task: FitTask,
        x: Any,
        y: Any,
        rng: np.random.Generator,
        memory: dict[str, AnyArray],
        max_iter: int | None = None,
        scale: Any = None,
    ) -> Path:
        """Let the solver minimise, in units ``scale`` of the parameters; callbacks and rows held out follow it."""
        solver, why = self._choose(objective)
        scale = 1.0 if scale is None else scale
        share = 1.0 if self.weight_type == "frequency" else objective.rows.total / objective.n_rows
        self._solver_said = f"{solver.name} ({why})" if why else solver.name
        units = objective.rows.of_x, objective.rows.of_y

        def tell(iteration: int, theta: AnyArray, loss: float, norm: float) -> Status | None:
            theta = scale * theta
            stop = held_out is not None and held_out.look(theta, objective.cross * share)
            if self.verbose and (iteration < 10 or iteration % max(1, self.max_iter // 20) == 0):
                watched = "" if held_out is None else f", held-out log-likelihood {held_out.curve[-1]:.6g}"
                print(f"{solver.name} {iteration:6d}: loss {loss:.8g}, gradient {norm:.3g}{watched}")
            if task.watched:
                asked = task.iteration(
                    x,
                    y,
                    lambda: (
                        network_attributes(objective.network, theta, units)
                        | {"_state": self._predicting(objective, theta, y)}
                    ),
                )
                if asked:
                    return Status.STOPPED
            return Status.EARLY_STOPPED if stop else None

        control = replace(self._control(objective, rng, memory), tell=tell, max_iter=max_iter or self.max_iter)
        posed: Any = objective
        if np.ndim(scale):
            posed, control = ScaledSumOfSquares(objective, scale), replace(control, patience=None)
        with self._threads(objective):
            path: Path = solver.minimise(posed, control)
        path.theta = scale * path.theta
        return path

    def _train_by_evidence(
        self,
        objective: NetworkObjective,
        held_out: HeldOut | None,
        task: FitTask,
        x: Any,
        y: Any,
        rng: np.random.Generator,
        data: checks.TrainingData,
    ) -> tuple[Path, NetworkObjective, Chosen]:
        """Let lm minimise under penalties that the evidence chooses."""
        memory: dict[str, AnyArray] = {}

        def train(posed: NetworkObjective, max_iter: int, last: bool) -> Path:
            if not last:
                path = self._train(posed, held_out, task, x, y, rng, memory, max_iter)
                memory.update(path.memory)
                return path
            # In units of the prior's spread no group of parameters is steep where another is flat.
            spread = (n * np.where(posed.penalty > 0, posed.penalty, 1.0 / n)) ** -0.5
            return self._train(posed, held_out, task, x, y, rng, {}, max_iter, spread)

        frequency = self.weight_type == "frequency"
        n, log_weights = observations(data.weights, len(data.y), frequency)
        grouping = parameter_groups(objective.network, self.evidence, checks.feature_names(self))
        best: tuple[Path, NetworkObjective, Chosen] | None = None
        with self._threads(objective):
            for first in first_penalties(n, objective.network.n_parameters):
                memory.clear()
                rival = -np.inf if best is None else best[2].log_marginal_likelihood
                found = train_by_evidence(objective, train, grouping, first, self.max_iter, n, log_weights, rival)
                if best is None or found[2].log_marginal_likelihood > best[2].log_marginal_likelihood:
                    best = found
                if found[0].status in (Status.STOPPED, Status.INTERRUPTED):
                    break
        assert best is not None
        return best

    def _choose(self, objective: NetworkObjective) -> tuple[Any, str]:
        if self.solver != "auto":
            return find_network_solver(self.solver), ""
        if self._by_evidence:
            return find_network_solver("lm"), "penalties by evidence"
        size, work = objective.network.n_parameters, objective.n_residuals * objective.network.n_parameters**2
        said = f"{size:,} parameters, {objective.n_rows:,} rows"
        if size <= _LM_PARAMETERS and work <= _LM_WORK:
            return find_network_solver("lm"), f"{said}: few enough for second derivatives in each step"
        return find_network_solver("adam"), f"{said}: too many for a matrix of second derivatives in each step"

    def _control(self, objective: NetworkObjective, rng: np.random.Generator, memory: dict[str, AnyArray]) -> Control:
        size = _BATCH if self.batch_size == "auto" else int(self.batch_size)
        if size > objective.n_rows:
            if self.batch_size != "auto":
                warn_user(
                    f"batch_size={size} is more than the {objective.n_rows} rows, all of which are taken.", UserWarning
                )
            size = objective.n_rows
        return Control(
            learning_rate=self.learning_rate,
            batch_size=size,
            max_iter=self.max_iter,
            tol=float(self.tol),
            rng=rng,
            patience=self.n_iter_no_change,
            memory=memory,
        )

    def _threads(self, objective: NetworkObjective) -> AbstractContextManager[None]:
        """Return the context to train in: one BLAS thread where products are small."""
        size = _BATCH if self.batch_size == "auto" else int(self.batch_size)
        widest = max(units * inputs for units, inputs in objective.network.shapes)
        return nullcontext() if min(size, objective.n_rows) * widest >= _THREADED_PRODUCT else one_blas_thread()

    def _predicting(self, objective: NetworkObjective, theta: AnyArray, y: Any) -> dict[str, Any]:
        """Return what predictions from some parameters need."""
        of_x, of_y = objective.rows.of_x, objective.rows.of_y
        return {
            "theta": np.array(theta, dtype=np.float64),
            "sizes": objective.network.sizes,
            "activation": objective.network.activation.name,
            "units": ((of_x.center, of_x.spread), (of_y.center, of_y.spread)),
            "single_output": np.ndim(y) == 1,
            "alpha": np.asarray(objective.alpha),
        }

    def _assign(
        self,
        path: Path,
        objective: NetworkObjective,
        held_out: HeldOut | None,
        data: checks.TrainingData,
        units: tuple[Units, Units],
        single_output: bool,
        chosen: Chosen | None = None,
    ) -> None:
        """Warn, and take the fitted attributes from where the path ended."""
        theta = np.array(path.theta, dtype=np.float64)
        loss, gradient = objective.value_and_gradient(theta)
        frequency = self.weight_type == "frequency"
        eps = float(np.finfo(objective.dtype).eps)
        noise = noise_of(objective.cross, units[1].spread, data.weights, len(data.y), eps, frequency)
        norm = float(np.linalg.norm(gradient))
        self._report(path, noise.noise_free)
        for name in ("noise_covariance_", "validation_curve_", "alpha_", *_OF_EVIDENCE):
            self.__dict__.pop(name, None)
        largest = 1.0 if data.weights is None else float(data.weights.max())
        shift = noise.n * float(np.log(units[1].spread).sum())
        by_evidence: dict[str, Any] = {}
        if chosen is not None:
            levels = {name: level * largest for name, level in chosen.alpha.items()}
            density = chosen.log_marginal_likelihood - shift
            by_evidence = {"alpha_": levels} | dict(zip(_OF_EVIDENCE, (chosen.effective, density), strict=True))
            self._report_bounds(chosen)
        fitted = {
            **network_attributes(objective.network, theta, units),
            **likelihood_attributes(noise, units[1].spread, objective.network.n_parameters, single_output),
            "loss_": loss,
            "loss_curve_": [float(value) for value in path.losses],
            "validation_curve_": [] if held_out is None else held_out.curve,
            "gradient_norm_": norm,
            "converged_": norm <= self.tol or path.status is Status.CONVERGED,
            "n_iter_": max(1, path.n_iter),
            "n_layers_": len(objective.network.sizes),
            "n_outputs_": objective.network.sizes[-1],
            "solver_": self.__dict__.pop("_solver_said"),
            **by_evidence,
            "_state": self._predicting(objective, theta, data.y)
            | {
                "single_output": single_output,
                "memory": path.memory,
                "noise": self.noise,
                "noise_covariance": noise.covariance,
                "output_unit": units[1].spread,
                "noise_free": noise.noise_free,
                "frequency": frequency,
                "residual_dof": np.inf,
                "alpha": np.asarray(objective.alpha) * largest,
                "n": noise.n,
                "posterior": None,
                "curvature": None,
                "edge": path.edge,
            },
        }
        self.__dict__.update(fitted)

    def _look_round(self, data: checks.TrainingData) -> None:
        """Work out the curvature where training ended, and the uncertainty of the parameters, if they are asked for."""
        if self.curvature is None and not self._by_evidence:
            return
        fitted = FittedNetwork(self._state)
        objective = fitted.objective(data.x, data.y, data.weights)
        verdict = None
        if self.curvature is not None:
            report = self._diagnosis(objective, data).curvature(spectrum=self.curvature)
            verdict = report.verdict
            self._state["curvature"] = {
                "eigenvalues": report.eigenvalues,
                "error_bounds": report.error_bounds,
                "condition_number": report.condition_number,
                "verdict": report.verdict,
                "reason": report.reason,
            }
        posterior = posterior_of(objective, fitted.theta, self._state["n"])
        # Without noise there are no standard deviations to be away by.
        posterior["refusal"] = "" if self._state["noise_free"] else refusal(posterior, verdict)
        self._state["posterior"] = posterior
        if not posterior["refusal"]:
            self._state["residual_dof"] = self._state["n"] - posterior["effective"] / objective.network.sizes[-1]

    def _average(self, others: list[tuple[Array, NetworkObjective]], data: checks.TrainingData) -> None:
        """Let predictions be the mean over all networks, and noise and likelihood those of their mean."""
        state, frequency = self._state, self.weight_type == "frequency"
        spread, eps = state["output_unit"], float(np.finfo(self.dtype).eps)
        shared = {name: state[name] for name in ("sizes", "activation", "units", "single_output", "n", "output_unit")}
        members = []
        for theta, objective in others:
            objective.value_and_gradient(theta)
            noise = noise_of(objective.cross, spread, data.weights, len(data.y), eps, frequency)
            alpha = np.asarray(objective.alpha) * (1.0 if data.weights is None else float(data.weights.max()))
            member = shared | {"theta": theta, "alpha": alpha, "noise_covariance": noise.covariance, "posterior": None}
            if state["posterior"] is not None:
                posed = FittedNetwork(member).objective(data.x, data.y, data.weights)
                member["posterior"] = posterior_of(posed, theta, state["n"])
                member["posterior"]["refusal"] = refusal(member["posterior"], None)
                if member["posterior"]["refusal"]:
                    continue
            members.append(member)
        if len(members) < len(others):
            warn_user(
                f"{len(others) - len(members)} of {self.n_init} networks have not reached an optimum, and are not part of "
                "the average; raise max_iter.",
                ConvergenceWarning,
            )
        first = shared | {name: state[name] for name in ("theta", "alpha", "noise_covariance", "posterior")}
        state["members"] = (first, *members)
        residual = (
            data.y - np.mean([FittedNetwork(member).mean(data.x) for member in state["members"]], axis=0)
        ) / spread
        weights = np.ones(len(residual)) if data.weights is None else data.weights
        cross = residual.T @ (residual * weights[:, None]) / weights.sum()
        noise = noise_of(cross, spread, data.weights, len(data.y), eps, frequency)
        n_parameters = len(state["theta"]) * len(state["members"])
        self.__dict__.update(likelihood_attributes(noise, spread, n_parameters, state["single_output"]))
        state.update(noise_covariance=noise.covariance, noise_free=noise.noise_free)

    def _report_bounds(self, chosen: Chosen) -> None:
        if chosen.bounded and len(chosen.bounded) == len(chosen.alpha):
            warn_user(
                f"The evidence has taken every penalty ({', '.join(chosen.bounded)}) to the end of its range: the data "
                "show nothing but noise, or none. Give alpha as a number to compare.",
                ConvergenceWarning,
            )

    def _diagnosis(self, objective: NetworkObjective, data: checks.TrainingData) -> NetworkDiagnosis:
        weights = np.ones(len(data.y)) if data.weights is None else data.weights
        outputs = data.y / objective.rows.of_y.spread
        center = np.average(outputs, axis=0, weights=weights)
        variance = float(np.average((outputs - center) ** 2, axis=0, weights=weights).sum())
        names = ["y"] if data.single_output else [f"y{k}" for k in range(data.y.shape[1])]
        edge = float(self._state.get("edge", np.nan))
        return NetworkDiagnosis(objective, variance, checks.feature_names(self), names, edge)

    def diagnose(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkDiagnosis:
        """Look at the place where training ended through rows, those it was trained on as a rule.

        Of rows that were held out, or others, the objective is another, and its gradient does not vanish there.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            As in ``fit``.

        Returns
        -------
        NetworkDiagnosis
            Eigenvalues of the Hessian with their error bounds, verdict, trace, log-determinant, spectral density; each worked
            out when asked for.
        """
        check_is_fitted(self)
        x = checks.new_data(self, X)
        fitted = FittedNetwork(self._state)
        outputs = checks.new_outputs(y, x.shape[0], fitted.network.sizes[-1])
        weights = checks.check_weights(sample_weight, x.shape[0])
        data = checks.TrainingData(x, outputs, weights, self._state["single_output"], 0.0)
        return self._diagnosis(fitted.objective(x, outputs, weights), data)

    def _from_curvature(self, name: str) -> Any:
        check_is_fitted(self)
        found = self._state.get("curvature")
        if found is None:
            raise AttributeError(
                "The curvature of this network has not been worked out: fit with curvature='full' or 'extremes', or call "
                "diagnose(X, y).curvature()."
            )
        return found[name]

    @property
    def hessian_eigenvalues_(self) -> Array:
        """Eigenvalues of the Hessian of J in standard units, ascending: all, or some at each end."""
        return np.asarray(self._from_curvature("eigenvalues"))

    @property
    def condition_number_(self) -> float:
        """λmax/λmin of the Hessian; infinite where λmin is zero to its error bound, NaN where it is negative."""
        return float(self._from_curvature("condition_number"))

    @property
    def verdict_(self) -> str:
        """Where training ended: "minimum", "flat minimum", "saddle point", "not stationary" or "undetermined"."""
        return str(self._from_curvature("verdict"))

    def _report(self, path: Path, noise_free: bool) -> None:
        if path.status in (Status.MAX_ITER, Status.STOPPED, Status.INTERRUPTED):
            remedy = "raise max_iter, or take another solver" if path.status is Status.MAX_ITER else path.status.value
            warn_user(
                f"{self._solver_said} has not converged in {path.n_iter} iterations; the gradient is "
                f"{path.gradient_norms[-1]:.3g}, in standard units. To go on, {remedy}.",
                ConvergenceWarning,
            )
        if noise_free:
            warn_user(
                "The residuals are no larger than rounding: the noise variance is zero to working precision and "
                "log_likelihood_ is infinite. Take fewer hidden units, a larger alpha, or early_stopping=True.",
                NoiseFreeWarning,
            )

    def _mean(self, x: Any) -> Array:
        mean = np.mean([FittedNetwork(member).mean(x) for member in self._members], axis=0)
        return np.asarray(mean[:, 0] if self._state["single_output"] else mean)

    @property
    def _members(self) -> tuple[dict[str, Any], ...]:
        """States of the networks that predictions are averaged over."""
        return tuple(self._state.get("members") or (self._state,))

    def _deviation(self, x: Any, noise_share: float) -> Array:
        means, variances = zip(*(self._moments(member, x, noise_share) for member in self._members), strict=True)
        spread = np.sqrt(np.mean(variances, axis=0) + np.var(means, axis=0))
        return np.asarray(spread[:, 0] if self._state["single_output"] else spread)

    def _moments(self, state: dict[str, Any], x: Any, noise_share: float) -> tuple[Array, Array]:
        """Return mean and variance (n, m) of what one network predicts."""
        fitted, posterior = FittedNetwork(state), state["posterior"]
        mean = fitted.mean(x)
        variance = noise_share * np.diagonal(state["noise_covariance"]) * state["output_unit"] ** 2
        if posterior is None:
            if not noise_share:
                raise ValueError(
                    "The uncertainty of this network's mean is not known: fit with curvature='full', 'extremes', or "
                    "alpha='evidence'; or ask for kind='observation', which has the noise alone."
                )
            return mean, np.broadcast_to(variance, mean.shape)
        if posterior["refusal"]:
            raise ValueError(posterior["refusal"])
        left = state["n"] - posterior["effective"] / mean.shape[1]
        return mean, variance * state["n"] / max(left, 0.01 * state["n"]) + fitted.variance(x)

    def log_predictive_density(self, X: Any, y: Any, pointwise: bool = False) -> Any:
        """Log density of new rows with the parameters' uncertainty: a Gaussian, or the mixture of an ensemble's.

        Where the parameters' uncertainty is not known (see ``curvature``), of the noise alone. Outputs are taken as
        independent given the inputs. Compare models by this on rows that they were not fitted on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        pointwise : bool, default=False
            Whether to return one value a row instead of their sum.

        Returns
        -------
        float or ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        x = checks.new_data(self, X)
        outputs = checks.new_outputs(y, x.shape[0], len(self._state["noise_covariance"]))
        each = []
        for member in self._members:
            mean, variance = self._moments(member, x, 1.0)
            with np.errstate(divide="ignore", over="ignore"):
                density = -0.5 * (np.log(2.0 * np.pi * variance) + (outputs - mean) ** 2 / variance)
            each.append(density.sum(axis=1))
        whole = logsumexp(each, axis=0) - np.log(len(each))
        return whole if pointwise else float(whole.sum())

    def summary(self) -> str:
        """Describe the fit in a few lines.

        Returns
        -------
        str
        """
        check_is_fitted(self)
        state = self._state
        lines = [
            f"Network {' - '.join(map(str, state['sizes']))}, {state['activation']}, {len(state['theta']):,} parameters",
            f"solver          {self.solver_}",
            f"iterations      {self.n_iter_}, gradient {self.gradient_norm_:.3g}"
            + (" (stationary)" if self.converged_ else " (not stationary)"),
            f"log-likelihood  {self.log_likelihood_:.6g} on the training rows",
            f"noise variance  {np.array2string(np.asarray(self.noise_variance_), precision=6)}",
        ]
        if self.validation_curve_:
            lines.append(f"held out        {max(self.validation_curve_):.6g} log-likelihood a row at its best")
        return "\n".join(lines)
