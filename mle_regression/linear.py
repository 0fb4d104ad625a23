"""Linear regression as maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils import check_random_state

from mle_regression.estimator.base import LikelihoodRegressor
from mle_regression.estimator.callbacks import FitTask, with_callbacks
from mle_regression.estimator.continuing import linear_continues, offered_if
from mle_regression.estimator.linear_attributes import CHOSEN, SOLVED
from mle_regression.estimator.linear_options import linear_options
from mle_regression.estimator.merging import check_mergeable
from mle_regression.estimator.watching import teller
from mle_regression.fit import incremental
from mle_regression.fit.incremental import RunningSums
from mle_regression.fit.linear import LinearProblem, iterative
from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fit.penalty.linear_choice import choose_penalty
from mle_regression.fit.separate import SeparateProblem, SeparateSolution, conclude, pose, solve, whole_of
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.penalty import LinearPenalty
from mle_regression.fitted.predictions import prediction_deviations
from mle_regression.linalg.arrays import Array
from mle_regression.models.linear import linear_mean, sizes_of_terms
from mle_regression.reports.linear import inference
from mle_regression.reports.linear.ending import tell_of_fit, warn_of_choice
from mle_regression.solvers.base import Need, Solution
from mle_regression.validation import checks
from mle_regression.validation.penalties import penalties_of_outputs


class MLELinearRegressor(LikelihoodRegressor):
    """Linear regression by maximum likelihood under Gaussian noise.

    Minimises ``J(β, b) = (1/Σw) (Σ wᵢ (yᵢ − xᵢβ − b)² + α ‖β‖²)``, whose minimum is the maximum of the likelihood (with a
    Gaussian prior if α > 0), and keeps what the fit knows: log-likelihood, standard errors, the eigenvalues of the Hessian
    of J, and whether the minimum is the only one.

    Parameters
    ----------
    solver : str or solver instance, default="auto"
        "normal": Cholesky of the normal equation. "qr": Householder QR by blocks of rows. "svd": singular values.
        "auto": the cheapest of these that gives all the digits; `solver_` tells which.
        "gd", "lbfgs", "newton": iterations, in columns centred and of unit length, on the sums over the rows, O(p²) a step.
        "lsmr": iterations on products with X and its transpose; of more than 500 columns no p × p matrix is formed, and
        standard errors come of ``diagnose(X, y)``. "auto" takes it where a triangle would not fit into memory.
        "sgd", "adam", "adamw": on batches of rows. An instance from `mle_regression.solvers`, such as
        ``GradientDescent(acceleration="polyak")``, has options of its own.
    fit_intercept : bool, default=True
        Whether to fit the constant b. It is never penalised.
    alpha : float, array-like of shape (n_outputs,), "evidence" or "loo", default=0.0
        Ridge penalty, as in `sklearn.linear_model.Ridge`: a Gaussian prior of variance σ²/α on each coefficient; of several
        outputs one for each, if so given. "evidence": that which makes the data likeliest with the coefficients integrated
        out (MacKay, 1992). "loo": that under which rows left out, one at a time, are foretold best (Allen, 1974): the minimum
        itself, without refitting; it may be 0, and a large number stands for infinity, with a warning. Both in `alpha_`.
    alpha_per : {"all", "output"}, default="all"
        Whether "loo" chooses one penalty for all outputs, by the mean of their squares in their units, or one for each.
    noise : str, default="gaussian"
        Noise family, a name in `mle_regression.noise.registry.NOISES`. Gaussian noise is fitted by least squares; another
        family from there on by "newton" ("auto"), "lbfgs", "gd", "sgd", "adam" or "adamw", on the likelihood of the rows.
    weight_type : {"precision", "frequency"}, default="precision"
        What `sample_weight` means. "precision": Var(yᵢ) = σ²/wᵢ. "frequency": row i stands for wᵢ equal rows.
    rank_tol : float, default=None
        Singular value, relative to the largest, at which a direction of the equilibrated columns counts as none. None
        stands for ``8 · √(number of parameters) · eps`` with the eps of the dtype of X, about what rounding X leaves.
    on_rank_deficiency : {"warn", "raise", "drop", "min_norm"}, default="warn"
        What to do where columns are dependent. "warn": the coefficients of smallest norm, and a warning that names the
        columns and their relation. "min_norm": the same, silently. "drop": fit the first independent columns, coefficient
        0 for the others, as R's lm does. "raise": `numpy.linalg.LinAlgError`.
    refine : {"auto", True, False}, default="auto"
        Whether to work coefficients, residual sum of squares and standard errors out to the last digit, in exact
        arithmetic. "auto": where it costs little, which is up to 100,000 numbers in X (those of outputs beside the first
        counted twice) and about 120 columns; `refined_` tells. Direct solvers only.
    learning_rate : float or "auto", default="auto"
        Step of gradient solvers, in columns and outputs of unit length. "auto" follows from the spectrum of the Hessian.
    batch_size : int, default=None
        Rows of a batch, of "sgd", "adam" and "adamw"; None for about 1/256 of all, 32 at least.
    max_iter : int or None, default=1000
        Iterations; of solvers that draw batches, passes over the rows. None for the default.
    tol : float or None, default=1e-8
        Distance to the optimum, relative to the length of the parameters, at which an iterative solver ends: the norm of
        the gradient over the smallest curvature, which bounds it. The loss is then within ``tol`` of itself, too. What is
        below rounding is not asked for, with 0 or None either.
    warm_start : bool, default=False
        Whether an iterative solver starts from the coefficients of the last fit.
    random_state : int, RandomState instance or None, default=None
        For the order of batches.
    verbose : bool, default=False
        Whether to print the progress of an iterative solver.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients, in units of y per unit of the column.
    intercept_ : float or ndarray of shape (n_outputs,)
        The constant, 0.0 with ``fit_intercept=False``.
    noise_variance_ : float or ndarray of shape (n_outputs,)
        Maximum-likelihood estimate σ̂² = weighted RSS / n.
    noise_covariance_ : ndarray of shape (n_outputs, n_outputs)
        Its matrix, where y has two dimensions.
    log_likelihood_ : float
        At the optimum, in the units of y; infinite where the fit is exact or the noise covariance of the outputs singular.
    aic_, aicc_, bic_ : float
        Information criteria; σ² counts as a parameter (R's convention; statsmodels' AIC is 2 lower, its BIC log n).
    n_parameters_ : float
        Parameters that the criteria count: rank, or effective degrees of freedom under a penalty, for each output, and the
        variances and covariances of the noise.
    alpha_ : float or ndarray of shape (n_outputs,)
        The penalty chosen by ``alpha="evidence"`` or ``"loo"``; an array with ``alpha_per="output"``.
    log_marginal_likelihood_ : float
        With ``alpha="evidence"``: the log density of y with the coefficients integrated out.
    loo_score_ : float or ndarray of shape (n_outputs,)
        With ``alpha="loo"``: Σ w e₍ᵢ₎² / Σ w of the residuals e₍ᵢ₎ = e/(1 − h) of rows left out. Of a row that stands for
        several (frequency weights) one leaves. Rows that have a parameter of their own are not counted.
    alpha_path_ : ndarray with fields "penalty", "score" and "effective_parameters"
        With ``alpha="loo"``: penalties that were tried, from 0 to infinity, their scores (the mean over outputs, or of each
        with ``alpha_per="output"``) and tr H.
    effective_dof_ : float or ndarray of shape (n_outputs,)
        tr(XᵀWX (XᵀWX + αI₀)⁻¹), intercept included; the rank without penalty. By products alone it is estimated. An array,
        as `residual_dof_` and `condition_number_` are then, and `hessian_eigenvalues_` a row an output, where outputs have
        different penalties.
    rank_ : int
        Numerical rank of the Hessian over (intercept, coef); by products alone, the largest that it may be; of several
        penalties, the lowest of any output.
    verdict_ : str
        "unique minimum", "flat minimum", "not stationary" where an iterative solver has not arrived, or "undetermined" where
        products alone do not tell the rank.
    converged_ : bool
        Whether the solver has arrived; a direct one does in one step.
    n_iter_ : int
        Iterations, 1 of a direct solver.
    loss_curve_ : list of float
        J after each iteration, the start before them; of several outputs in units that make the last value J.
    gradient_norm_ : float
        Norm of the gradient of J in columns and outputs of about unit length.
    gradient_curve_ : list of float
        That norm where `loss_curve_` has J; empty of direct solvers.
    stop_reason_ : str
        How the solver ended: "converged", "rank_deficient" (arrived, but columns are dependent), "max_iter", "stalled" (no
        step lowers the loss), "plateau" (the loss stands still), "continuing" (a pass by ``partial_fit``), "stopped" by a
        callback, or "interrupted".
    solver_, solver_reason_ : str
        The solver that ran, and why it was this one; empty where it was asked for.
    refined_ : bool
        Whether the solution was worked out in exact arithmetic.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has string column names.

    See Also
    --------
    sklearn.linear_model.LinearRegression : Least squares without likelihood or standard errors.

    References
    ----------
    Björck, Å. (1996). Numerical Methods for Least Squares Problems. SIAM.

    Examples
    --------
    >>> import numpy as np
    >>> from mle_regression import MLELinearRegressor
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> y = np.array([1.0, 3.0, 2.0, 5.0])
    >>> model = MLELinearRegressor().fit(X, y)
    >>> model.coef_, model.verdict_, model.solver_
    (array([1.1]), 'unique minimum', 'normal')
    >>> round(model.log_likelihood_, 6)
    -4.889669

    Rows may come in batches:

    >>> X, y = np.arange(12.0).reshape(6, 2) ** 3, np.arange(6.0) ** 2
    >>> whole = MLELinearRegressor().fit(X, y)
    >>> parts = MLELinearRegressor().partial_fit(X[:1], y[:1]).partial_fit(X[1:], y[1:])
    >>> bool(np.allclose(parts.coef_, whole.coef_, rtol=1e-14)), parts.rank_
    (True, 3)
    """

    _fit: LinearFit | JointFit
    _sums: RunningSums

    def __init__(
        self,
        *,
        solver: Any = "auto",
        fit_intercept: bool = True,
        alpha: float | Sequence[float] | Array | Literal["evidence", "loo"] = 0.0,
        alpha_per: Literal["all", "output"] = "all",
        noise: str = "gaussian",
        weight_type: Literal["precision", "frequency"] = "precision",
        rank_tol: float | None = None,
        on_rank_deficiency: Literal["warn", "raise", "drop", "min_norm"] = "warn",
        refine: bool | Literal["auto"] = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        batch_size: int | None = None,
        max_iter: int | None = 1000,
        tol: float | None = 1e-8,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.solver = solver
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.alpha_per = alpha_per
        self.noise = noise
        self.weight_type = weight_type
        self.rank_tol = rank_tol
        self.on_rank_deficiency = on_rank_deficiency
        self.refine = refine
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model; an earlier fit survives if this one fails.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative; what they mean is `weight_type`. Rows of weight zero are as if absent.

        Returns
        -------
        self : MLELinearRegressor

        Raises
        ------
        ValueError
            NaN or infinity (the message names the columns), lengths that differ, invalid options.
        numpy.linalg.LinAlgError
            Dependent columns, with ``on_rank_deficiency="raise"``.
        """
        options = linear_options(self)
        task = FitTask(self, X, y, sample_weight, 0 if iterative(options.solver) is None else options.max_iter)
        task.begin()
        with checks.all_or_nothing(self):
            data = checks.training_data(self, X, y, sample_weight)
            earlier = self._fit if options.warm_start and "_fit" in self.__dict__ else None
            with checks.named_columns(self, data):
                chosen = choose_penalty(data, options)
                penalty = options.alpha if chosen is None else chosen.alpha
                problem = pose(data, options, penalties_of_outputs(penalty, data.y.shape[1]))
                checks.warn_of_batches(options.batch_size, len(data.y))
                tell = teller(task, options, whole_of(problem)) if options.verbose or task.watched else None
                solution = solve(problem, options, self._rng, tell, earlier)
            self._assign(problem, solution, options, chosen)
            for name in ("_sums", *CHOSEN):
                self.__dict__.pop(name, None)
            if chosen is not None:
                self.__dict__.update(chosen.attributes(data.single_output))
                warn_of_choice(chosen, data.single_output)
        task.end(lambda: {"coef_": self.coef_, "intercept_": self.intercept_})
        return self

    @offered_if(linear_continues)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Add rows to the fit. After any batches, in any order, the fit is that of ``fit`` to all their rows.

        Kept are sums of cross-products, O(p²) numbers, in exact arithmetic while rows are few or columns nearly dependent (or
        with ``refine=True``), else in float64 where no more than three digits can be lost by that. More than 80 columns and
        outputs are summed in float64 unless ``refine=True``; a warning tells if few digits are left. They are solved when a
        fitted attribute or a method is asked for, under the parameters that the estimator then has. After ``fit`` it goes on
        from the triangular factor, as right as a QR decomposition of all rows. Solvers that draw batches ("sgd", "adam",
        "adamw") go once through the rows given, from the coefficients that they had; standard errors are of all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Any number of rows, none included.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            As `fit`; and for other columns or outputs than before.
        """
        options = linear_options(self)
        with checks.all_or_nothing(self):
            data = checks.training_data(self, X, y, sample_weight, more=self.__sklearn_is_fitted__(), some=False)
            sums = incremental.sums_before(vars(self).get("_sums"), vars(self).get("_fit"), data)
            if data.empty and self.__sklearn_is_fitted__():
                return self
            checks.check_same_outputs(data.y.shape[1], data.single_output, sums.n_outputs, sums.single_output)
            with checks.named_columns(self, data, in_pipeline=False):
                sums = incremental.with_rows(sums, data, options.refine)
            start = np.atleast_2d(self.coef_).T if "coef_" in self.__dict__ else None
            penalty = penalties_of_outputs(options.alpha, sums.n_outputs)
            self._keep(sums)
            if options.solver.continues_from is Need.BATCHES and sums.totals.n_rows:
                problem = incremental.pose_from_sums(sums, options, penalty)
                self._assign(problem, incremental.solve_by_pass(problem, options, data, start, self._rng), options)
        return self

    def merge(self, other: MLELinearRegressor) -> Self:
        """Add the rows that another estimator has been given by ``partial_fit``, on another machine perhaps.

        Parameters
        ----------
        other : estimator
            With the same columns, outputs, alpha, intercept and weight type. It is left as it is.

        Returns
        -------
        self : estimator
            As if all rows had been given to it.
        """
        check_mergeable(self, other)
        self._keep(incremental.merged(self._sums, other._sums))
        return self

    coefficients = inference.coefficients
    coefficient_covariance = inference.coefficient_covariance
    fisher_information = inference.fisher_information
    f_test = inference.f_test
    test_linear = inference.test_linear
    summary = inference.summary
    diagnose = inference.diagnose
    hessian_eigenvalues_ = property(inference.hessian_eigenvalues_)
    condition_number_ = property(inference.condition_number_)
    standard_errors_ = property(inference.standard_errors_)
    intercept_standard_error_ = property(inference.intercept_standard_error_)
    r2_ = property(inference.r2_)
    adjusted_r2_ = property(inference.adjusted_r2_)
    residual_variance_ = property(inference.residual_variance_)
    residual_dof_ = property(inference.residual_dof_)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))

    def _assign(
        self,
        problem: LinearProblem | SeparateProblem,
        solution: Solution | SeparateSolution,
        options: LinearOptions,
        chosen: LinearPenalty | None = None,
    ) -> None:
        """Conclude, tell what is amiss, and take the fitted attributes."""
        fit = tell_of_fit(self, *conclude(problem, solution), options)
        fit = fit if chosen is None else replace(fit, chosen=chosen)
        self._fit = fit
        self.coef_ = fit.coef[:, 0].copy() if fit.single_output else fit.coef.T.copy()
        self.intercept_ = 0.0 if not fit.centred else fit.intercept[0] if fit.single_output else fit.intercept.copy()
        self.rank_, self.effective_dof_, self.refined_ = fit.rank, fit.effective_dof, fit.refined
        self.verdict_ = fit.optimum.verdict
        self._assign_shared()

    def _keep(self, sums: RunningSums) -> None:
        """Keep sums, to be solved when someone looks, and forget what was solved from fewer rows."""
        for name in (*SOLVED, *CHOSEN):
            self.__dict__.pop(name, None)
        self._sums = sums

    def __getattr__(self, name: str) -> Any:
        if name in SOLVED and "_sums" in self.__dict__:
            options = linear_options(self)
            penalty = penalties_of_outputs(options.alpha, self._sums.n_outputs)
            problem = incremental.pose_from_sums(self._sums, options, penalty)
            self._assign(problem, incremental.solve_from_sums(problem, options, self._rng), options)
            if name in self.__dict__:
                return self.__dict__[name]
        return object.__getattribute__(self, name)  # raises, with the reason if there is one

    def __sklearn_is_fitted__(self) -> bool:
        return "coef_" in self.__dict__ or "_sums" in self.__dict__

    def _mean(self, x: Any) -> Array:
        coef = np.atleast_2d(self.coef_).T
        return linear_mean(x, coef, np.asarray(self.intercept_)).reshape((-1, *self.coef_.shape[:-1]))

    def _terms(self, x: Any) -> Array | None:
        coef = np.atleast_2d(self.coef_).T
        return sizes_of_terms(x, coef, np.asarray(self.intercept_)).reshape(-1, coef.shape[1])

    def _deviation(self, x: Any, noise_share: float | Array) -> Array:
        return prediction_deviations(self._fit, x, noise_share).reshape((-1, *self.coef_.shape[:-1]))
