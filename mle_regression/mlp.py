"""A neural network fitted by maximum likelihood."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils import check_random_state

from mle_regression.estimator.base import LikelihoodRegressor
from mle_regression.estimator.callbacks import FitTask, with_callbacks
from mle_regression.estimator.continuing import network_continues, offered_if
from mle_regression.estimator.network_options import network_options
from mle_regression.estimator.watching import predicting, watch_of
from mle_regression.fit.average_of_networks import train_by_left_out
from mle_regression.fit.column_moments import units_of, units_so_far
from mle_regression.fit.left_out_plan import resolved
from mle_regression.fit.network import Trained, Training
from mle_regression.fit.network_conclusion import add_curvature, averaged, conclude
from mle_regression.fit.network_options import NetworkOptions
from mle_regression.fit.network_rows import rows_to_watch
from mle_regression.fitted.network import CHOSEN, NetworkFit
from mle_regression.linalg.arrays import Array
from mle_regression.models.network import Network
from mle_regression.reports.network import ending, inference
from mle_regression.reports.network.curvature import kept_curvature
from mle_regression.rows.training_data import TrainingData
from mle_regression.validation import checks


class MLPGradientRegressor(LikelihoodRegressor):
    """Multilayer perceptron fitted by maximum likelihood, under Gaussian noise unless `noise` says otherwise.

    Minimises ``J(θ) = (Σ wᵢ‖yᵢ − f(xᵢ; θ)‖² + α‖weights‖²) / Σw`` over weights and biases, in units in which columns of X and
    outputs have mean zero and variance one (unless ``standardize=False``). The noise variance is its maximum-likelihood
    estimate, the mean square of the residuals. Predictions and likelihoods are in the units of y. Several outputs count
    alike, each in its own spread: that is the likelihood's maximum where their noise is, so measured, of one size and
    independent; `noise_covariance_` and the likelihood are those of the residuals as they are.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, int or "auto", default="auto"
        Units of each hidden layer. "auto": (20,) where rows left out choose the penalty, as the mean of several such networks
        predicts better than wider ones; else (50,).
    activation : {"tanh", "relu", "leaky_relu", "logistic", "softplus", "silu", "gelu", "identity"}, default="tanh"
    solver : str or solver instance, default="auto"
        "lm" (Levenberg-Marquardt), "lbfgs", "newton", "gd", and by batches "sgd", "adam", "adamw"; an instance from
        `mle_regression.solvers` holds the options of one algorithm. "auto" takes lm where its step is cheap, parameters or
        rows being few (8e7 multiplications: 600 parameters and 360 rows, 150 and 3,000, 30,000 and 150); lbfgs where rows
        are few enough for all of them in each step; else, or where ``learning_rate`` or ``batch_size`` is set, adam;
        `solver_` says why.
    alpha : float, "auto", "loo" or "evidence", default="auto"
        Penalty on squared weights, as in `sklearn.neural_network.MLPRegressor`; biases are not penalised.

        "loo": the penalty under which rows left out are predicted best. Ten networks, six or four, from starts of their own,
        each trained without a fold of the rows by lm, or where that is dear lbfgs, go down a path of penalties together;
        under the best one they are trained on all rows, and their mean predicts. Rows with the same columns are left out
        together. Where networks are small, each row is left out by itself in the end.

        "evidence": the penalties that make the data likeliest with the parameters integrated out, found while lm trains
        (MacKay, 1992); all parameters but biases of outputs are penalised then, and no rows are held out.

        "auto": "loo" where that takes some ten seconds at most (rows times parameters up to 3 million: 20 units with 2,000
        rows of 70 columns), there are ten different rows and fewer than 10,000 in all, and ``solver``, ``learning_rate``,
        ``batch_size``, ``early_stopping``, ``n_init``, ``warm_start``, the noise and ``X_val`` leave it open; else 1e-4.
    alpha_per : {"auto", "all", "layer", "input"}, default="auto"
        What has a penalty of its own that the data choose: nothing, each layer, or each input besides (of the evidence
        alone), so that inputs that say nothing are switched off. "auto": each layer by the evidence, nothing by rows left
        out, where "layer" goes on from the best common penalty layer by layer, up and down.
    effort : float, default=1.0
        How much time rows left out may take to choose the penalty, in units of about ten seconds on one core. With less there
        are fewer networks, or one under a fixed penalty, on larger data; from 2.5 on there are twenty where time allows, and
        rows are left out of larger data too.
    evidence : str
        The name of `alpha_per` up to now, with "single" for "all".

        .. deprecated:: 0.1
    noise : str, default="gaussian"
    weight_type : {"precision", "frequency"}, default="precision"
        What ``sample_weight`` means: Var(y) = σ²/w, or repeated rows.
    standardize : bool or "auto", default="auto"
        Whether to measure X and y in units of their weighted means and spreads inside; y by its quartiles where the noise
        has heavy tails and a few rows far away make the spread. "auto": as True; where rows left out choose the penalty,
        columns of dense X with heavy tails, whose quartiles are closer than 0.8 times those of a normal column of their
        spread, count as ``asinh((x − median)/scale)``, linear in the middle and a logarithm far out (Burbidge, Magee and
        Robb, 1988); `asinh_center_` and `asinh_scale_` say which.
    learning_rate : float or "auto", default="auto"
        Step of gd, sgd and adam, in standard units. "auto": 0.002 for adam; from the curvature for gd and sgd.
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" takes 200.
    max_iter : int, "auto" or None, default="auto"
        Iterations, or passes over the rows of solvers that draw batches. "auto" or None: 2,000 for lbfgs and gd, whose
        iterations are cheap, else 500; fewer, down to 100, where ``solver="auto"`` takes lm for a large network and holds no
        rows out. Where rows left out choose the penalty: of each network on each level of the path.
    tol : float or None, default=1e-6
        Norm of the gradient (in standard units) at which the fit has converged, and part of the loss that counts as a gain.
        None for zero.
    early_stopping : bool or "auto", default="auto"
        Whether to hold out rows and keep the parameters at which their likelihood is best. "auto": where the penalty is a
        number, with 100 rows or more, and from 40 on where parameters are more than outputs times rows (and the activation
        not identity).
    validation_fraction : float, default=0.1
        Share of the rows held out.
    n_iter_no_change : int, inf or "auto", default="auto"
        Iterations without a better held-out likelihood, or without a lower loss, after which to stop. "auto": 20 and, for the
        likelihood, a third as many more as have led to the best; and up to 100 where the likelihood is about to be at its
        best again, or has lost no more than chance may take while the training loss falls.
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
        Maximum-likelihood estimate σ̂², on the training rows; `log_likelihood` is at this one. It falls without end where
        parameters are many: `predict`, `predict_interval` and `log_predictive_density` estimate that of new rows.
    noise_covariance_ : ndarray of shape (n_outputs, n_outputs)
        For several outputs.
    log_likelihood_ : float
        Of the training rows. With n_parameters_ it gives aic_, aicc_ and bic_, which do not choose between networks, whose
        Fisher information is singular (Watanabe, 2009); compare held-out likelihoods.
    asinh_center_, asinh_scale_ : ndarray of shape (n_features,)
        Medians and scales of the columns that count as their inverse hyperbolic sines, of which `coefs_` are then; NaN of
        others. Not where there are none.
    loss_curve_ : list of float
        J in standard units at the start and after each iteration; mean over the pass for solvers that draw batches.
    validation_curve_ : list of float
        Mean log-likelihood of a row held out after each iteration, at the noise variances, one an output, that make these
        rows likeliest: ``−½ log(2πe · mean squared error)`` for one output. Empty if none are held out.
    loss_, gradient_norm_ : float
        J and the norm of its gradient, in standard units, at the parameters kept.
    gradient_curve_ : list of float
        Norm of the gradient where `loss_curve_` has J, as the solver sees it: of solvers that draw batches a mean or an
        estimate, under evidence or another noise in the solver's own units.
    stop_reason_ : str
        How training ended: "converged", "early_stopped" (rows held out became no likelier; where rows left out choose the
        penalty, steps gained too little), "plateau" (the loss stands still), "max_iter", "stalled" (no step lowers the
        loss), "continuing" (a pass by ``partial_fit``), "stopped" by a callback, or "interrupted".
    converged_ : bool
        Whether that norm is no more than ``tol``, in the units that the solver walks in, and the network is not dead.
    n_iter_ : int
    solver_, solver_reason_ : str
        The solver that ran, and why it was this one; empty where it was asked for.
    hessian_eigenvalues_, condition_number_, verdict_
        Of the Hessian of J on the training rows in standard units, and what they say of the place; with ``curvature`` only.
    alpha_ : float or dict of str to float
        The penalty that rows left out chose, or those of the layers; those that the evidence chose, by group. Not where
        `alpha` is a number.
    alpha_path_ : structured ndarray of shape (n_levels,)
        Each ``"penalty"`` on the path, its ``"score"`` as `loo_score_` and the ``"effective_parameters"`` of a network;
        with penalties by rows left out only.
    loo_score_ : float or ndarray of shape (n_outputs,)
        Mean square of left-out residuals under the penalty chosen, in the units of y squared: an estimate of the mean squared
        error of new rows; of folds, as on the path, or of each row by itself, as `summary` says. The noise of `predict` and
        `predict_interval` is that, less what the networks lie apart.
    effective_parameters_ : float
        How many parameters the data determine, γ, under the penalty chosen; NaN where counting them would take long beside
        the training (1e10 multiplications).
    log_marginal_likelihood_ : float
        Log evidence in the units of y; with ``alpha="evidence"`` only.
    n_features_in_, n_outputs_, n_layers_ : int

    References
    ----------
    .. [1] C. M. Bishop (2006). Pattern Recognition and Machine Learning, chapter 5.
    .. [2] J. B. Burbidge, L. Magee and A. L. Robb (1988). Alternative transformations to handle extreme values of the
       dependent variable. Journal of the American Statistical Association 83, 123-127.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLPGradientRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = MLPGradientRegressor(random_state=0).fit(X, y)  # the penalty by rows left out
    >>> bool(model.loo_score_ < 0.55 * y.var()), len(model.coefs_), model.coefs_[0].shape
    (True, 2, (10, 20))
    >>> model = MLPGradientRegressor((5,), alpha=10.0, early_stopping=False, random_state=0).fit(X, y)
    >>> model.converged_
    True
    """

    _fit: NetworkFit

    def __init__(
        self,
        hidden_layer_sizes: Any = "auto",
        *,
        activation: str = "tanh",
        solver: Any = "auto",
        alpha: float | Literal["auto", "loo", "evidence"] = "auto",
        alpha_per: Literal["auto", "all", "layer", "input"] = "auto",
        effort: float = 1.0,
        evidence: str = "deprecated",
        noise: str = "gaussian",
        weight_type: Literal["precision", "frequency"] = "precision",
        standardize: bool | Literal["auto"] = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int | Literal["auto"] | None = "auto",
        tol: float | None = 1e-6,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: float | Literal["auto"] = "auto",
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
        self.alpha_per = alpha_per
        self.effort = effort
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
        options = network_options(self)
        checks.check_validation_rows(X_val, y_val, sample_weight_val)
        known = options.max_iter not in ("auto", None) and not options.by_evidence
        task = FitTask(self, X, y, sample_weight, options.max_iter if known else None, options.n_init)
        task.begin()
        with checks.all_or_nothing(self):
            data = checks.training_data(self, X, y, sample_weight)
            seeds, rng = self._seeds()
            before = self._fit.sizes if options.warm_start and "_fit" in self.__dict__ else None
            options, plan = resolved(options.going_on(before), data, X_val is not None)
            network = options.network(data.x.shape[1], data.y.shape[1])
            if X_val is None:
                held_out, data = rows_to_watch(options, network, data, rng)
            else:
                held_out = checks.more_data(self, data, X_val, y_val, sample_weight_val)
            earlier = self._earlier(network) if options.warm_start else None
            with checks.named_columns(self, data):
                units = units_of(data, options.standardize, options.family, earlier)
            watch = watch_of(task, data, options)
            training = Training(options, data, held_out, units, network, checks.feature_names(self), watch)
            if plan is not None:
                trained, *others = train_by_left_out(training, plan, seeds)
            elif earlier is None:
                trained, others = training.best_of(seeds)
            else:
                trained, others = training.followed(earlier.theta, rng, earlier.memory)[0], []
            self._assign(self._concluded(trained, others, data, options), data, trained)
        task.end(lambda: {"coefs_": self.coefs_, "intercepts_": self.intercepts_, "_fit": self._fit})
        return self

    @offered_if(network_continues)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go once through some rows by batches, from the parameters and moments there are.

        Units are those of fit or, without it, of the rows of the first calls, until these are a thousand; while the units
        move, the parameters stay as they are in them. Noise and likelihood are those of the rows of this call.
        A call without rows, or with none of any weight, changes nothing.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : MLPGradientRegressor
        """
        options = network_options(self)
        with checks.all_or_nothing(self):
            earlier = self.__dict__.get("_fit")
            data = checks.training_data(self, X, y, sample_weight, more=earlier is not None, some=False)
            if data.empty:
                return self
            rng = np.random.default_rng(self._seeds()[0].spawn(1)[0])  # as the first start of fit
            options = options.going_on(None if earlier is None else earlier.sizes)
            network = options.network(data.x.shape[1], data.y.shape[1])
            if earlier is not None:
                checks.check_same_outputs(data.y.shape[1], data.single_output, earlier.sizes[-1], earlier.single_output)
                ending.check_continuation(earlier, network)
                rng = np.random.default_rng([int(rng.integers(2**31)), int(earlier.memory.get("passes", 0))])
            with checks.named_columns(self, data, in_pipeline=False):
                units, seen = units_so_far(data, options.standardize, earlier)
            training = Training(options, data, None, units, network, checks.feature_names(self))
            start = training.alive(rng) if earlier is None else earlier.theta
            trained = training.one_pass(start, rng, {} if earlier is None else earlier.memory)
            fit = conclude(trained, data, options)
            if seen is not None and not seen.settled:
                fit = replace(fit, memory=fit.memory | seen.remembered())
            self._assign(fit, data, trained)
        return self

    log_predictive_density = inference.log_predictive_density
    summary = inference.summary
    diagnose = inference.diagnose
    hessian_eigenvalues_ = property(inference.hessian_eigenvalues_)
    condition_number_ = property(inference.condition_number_)
    verdict_ = property(inference.verdict_)

    def _seeds(self) -> tuple[np.random.SeedSequence, np.random.Generator]:
        seeds = np.random.SeedSequence(int(check_random_state(self.random_state).randint(2**31 - 1)))
        return seeds, np.random.default_rng(seeds)

    def _earlier(self, network: Network) -> NetworkFit | None:
        """Return the fit to begin from, if there is one of the same network."""
        earlier: NetworkFit | None = self.__dict__.get("_fit")
        if earlier is None or (earlier.sizes, earlier.activation) == (network.sizes, network.activation.name):
            return earlier
        ending.warn_of_another_network(earlier, network)
        return None

    def _concluded(
        self, trained: Trained, others: list[Trained], data: TrainingData, options: NetworkOptions
    ) -> NetworkFit:
        """Conclude: with curvature and posterior as asked for, and the mean over several networks."""
        fit, curvature = add_curvature(conclude(trained, data, options), data, options, trained.path.status)
        if curvature is not None:
            fit = replace(fit, curvature=kept_curvature(curvature, checks.feature_names(self)))
        if not (options.ensemble and others):
            return fit
        fit, left_out = averaged(fit, others, data, options)
        ending.tell_of_average(left_out, 1 + len(others))
        return fit

    def _assign(self, fit: NetworkFit, data: TrainingData, trained: Trained) -> None:
        """Tell what is amiss, and take the fitted attributes."""
        ending.tell_of_fit(self, fit, trained, data)
        for name in CHOSEN:
            self.__dict__.pop(name, None)
        self.__dict__.update(predicting(fit) | fit.chosen_attributes())
        self._assign_shared()
        self.loss_, self.validation_curve_ = fit.loss, list(fit.validation_curve)
        self.n_layers_, self.n_outputs_ = len(fit.sizes), fit.sizes[-1]

    def _mean(self, x: Any) -> Array:
        return self._shaped(self._fit.mean(x))

    def _deviation(self, x: Any, noise_share: float | Array) -> Array:
        inference.warn_of_noise(self._fit)
        return self._shaped(self._fit.deviation(x, noise_share))

    def _noise_scale(self) -> Array:
        inference.warn_of_noise(self._fit)
        return self._fit.noise_scale

    def _mean_deviation(self, x: Any) -> Array:
        return self._shaped(self._fit.disagreement(x))

    def _shaped(self, outputs: Array) -> Array:
        return np.asarray(outputs[:, 0] if self._fit.single_output else outputs)
