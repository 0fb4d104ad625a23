"""Linear regression as maximum likelihood."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from mle_regression.diagnostics import covariance
from mle_regression.diagnostics.hypotheses import explained_squares
from mle_regression.diagnostics.noise_factor import SingularNoise
from mle_regression.estimator import storage
from mle_regression.estimator.base import LikelihoodRegressor
from mle_regression.estimator.callbacks import CallbackSupport, FitTask, with_callbacks
from mle_regression.estimator.incremental import IncrementalFit
from mle_regression.fit.linear import (
    at_level,
    attributes_on_the_way,
    bearable_outputs,
    evidence_of,
    fitted_linear,
    noise_factor,
    pose_problem,
)
from mle_regression.fit.penalty.ridge_evidence import RidgeEvidence
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.threads import suitable_threads
from mle_regression.models.linear import linear_map
from mle_regression.noise.registry import find_noise
from mle_regression.reports.linear.dependencies import (
    describe_deficiency,
    describe_singular_noise,
    remedy_of_deficiency,
)
from mle_regression.reports.linear.exact_fits import describe_exact_fit
from mle_regression.reports.linear.inference import LinearInference
from mle_regression.rows.registry import as_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import UNFINISHED, LeastSquares, NonFiniteRowsError, Solution, Solver, Status
from mle_regression.solvers.linear_path import Iterative, solve_by_path
from mle_regression.solvers.path import Control
from mle_regression.solvers.registry import find_solver
from mle_regression.validation import checks
from mle_regression.warnings import InferenceWarning, NoiseFreeWarning, RankDeficiencyWarning, warn_user

_MAX_ITER = 1000
WEIGHT_TYPES = ("precision", "frequency")
ON_RANK_DEFICIENCY = ("warn", "raise", "drop", "min_norm")
# What X explains of y, beside its mean, that is no more than rounding.
_STILL = 1e-14


class MLELinearRegressor(LinearInference, IncrementalFit, CallbackSupport, LikelihoodRegressor):
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
    alpha : float or "evidence", default=0.0
        Ridge penalty, as in `sklearn.linear_model.Ridge`: a Gaussian prior of variance σ²/α on each coefficient. "evidence":
        that which makes the data likeliest with the coefficients integrated out (MacKay, 1992), in `alpha_`.
    noise : {"gaussian"}, default="gaussian"
        Noise family.
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
    alpha_, log_marginal_likelihood_ : float
        With ``alpha="evidence"``: the penalty chosen, and the log density of y with the coefficients integrated out.
    effective_dof_ : float
        tr(XᵀWX (XᵀWX + αI₀)⁻¹), intercept included; the rank without penalty. By products alone it is estimated.
    rank_ : int
        Numerical rank of the Hessian over (intercept, coef); by products alone, the largest that it may be.
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
    solver_ : str
        The solver that ran.
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
    """

    _kept = storage.LINEAR

    def __init__(
        self,
        *,
        solver: Any = "auto",
        fit_intercept: bool = True,
        alpha: float | Literal["evidence"] = 0.0,
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
        self._check_options()
        solver = find_solver(self.solver, self.noise)
        task = FitTask(self, X, y, sample_weight, self._iterations if hasattr(solver, "minimise") else 0)
        task.begin()
        with checks.all_or_nothing(self):
            data = checks.training_data(self, X, y, sample_weight)
            chosen: RidgeEvidence | None = None
            try:
                if self._by_evidence:
                    bare, k = self._pose(data, 0.0)
                    bare = replace(bare, refine=False, deficiency="min_norm")
                    direct = find_solver("auto", self.noise)
                    assert not isinstance(direct, Iterative)
                    with suitable_threads(*bare.rows.shape[:2]):
                        chosen = evidence_of(bare, direct.solve(bare), k, self.weight_type == "frequency")
                problem, k = self._pose(data, checks.check_penalty(self.alpha) if chosen is None else chosen.alpha)
                with suitable_threads(*problem.rows.shape[:2]):
                    solution = self._solve(problem, solver, task, k, data.single_output)
            except NonFiniteRowsError as error:
                raise ValueError(checks.non_finite_message(self, error.columns, data)) from None
            self._assign(problem, solution, k, single_output=data.single_output, eps=data.eps)
            self.__dict__.pop("_sums", None)
            self._assign_evidence(chosen)
        task.end(lambda: {"coef_": self.coef_, "intercept_": self.intercept_})
        return self

    @property
    def _iterations(self) -> int:
        """How many iterations a solver has."""
        return _MAX_ITER if self.max_iter is None else int(self.max_iter)

    @property
    def _by_evidence(self) -> bool:
        """Whether the data choose the penalty."""
        return isinstance(self.alpha, str) and self.alpha == "evidence"

    def _pose(self, data: TrainingData, alpha: float) -> tuple[LeastSquares, int]:
        return pose_problem(
            data.x,
            data.y,
            data.weights,
            eps=data.eps,
            fit_intercept=bool(self.fit_intercept),
            alpha=alpha,
            rank_tol=None if self.rank_tol is None else float(self.rank_tol),
            deficiency=self.on_rank_deficiency,
            refine=self.refine,
        )

    def _assign_evidence(self, chosen: RidgeEvidence | None) -> None:
        for name in ("alpha_", "log_marginal_likelihood_"):
            self.__dict__.pop(name, None)
        if chosen is None:
            return
        self.alpha_, self.log_marginal_likelihood_ = chosen.alpha, chosen.log_marginal_likelihood
        if chosen.bounded and chosen.alpha == 0.0:
            warn_user(
                "No column of X varies: there is no coefficient to penalise, and alpha_ is 0.", ConvergenceWarning
            )
        elif chosen.bounded:
            small = chosen.effective > 0.5
            warn_user(
                "The evidence grows to the end of its range: the data "
                + ("ask for no penalty" if small else "show no effect of any column")
                + f", and alpha_={chosen.alpha:.3g} stands for {'zero' if small else 'infinity'}.",
                ConvergenceWarning,
            )

    def _solve(
        self, problem: LeastSquares, solver: Solver | Iterative, task: FitTask, k: int, single_output: bool
    ) -> Solution:
        """Let the solver minimise, and callbacks follow it."""
        # What a solver offers, and not isinstance: of a protocol with many members that costs a small fit some percent.
        if not hasattr(solver, "minimise"):
            return solver.solve(problem)
        assert isinstance(solver, Iterative)
        n, p, m = problem.rows.shape
        batch_size = self.batch_size
        if batch_size is not None and batch_size > n:
            warn_user(f"batch_size={batch_size} is more than the {n} rows, all of which are taken.", UserWarning)
            batch_size = n

        def tell(iteration: int, params: Array, loss: float, norm: float) -> Status | None:
            if self.verbose and (iteration < 10 or iteration % max(1, self._iterations // 20) == 0):
                print(f"{solver.name} {iteration:6d}: loss {loss:.8g}, gradient {norm:.3g}")
            stop = task.iteration(
                lambda: attributes_on_the_way(
                    problem, params, k, self.noise, self.weight_type == "frequency", single_output
                )
            )
            return Status.STOPPED if stop else None

        control = self._control(batch_size, tell if self.verbose or task.watched else None)
        start = None
        if self.warm_start and "coef_" in self.__dict__ and np.atleast_2d(self.coef_).shape == (m, p):
            start = np.atleast_2d(self.coef_).T
            control = replace(control, memory=self._state["memory"])
        return solve_by_path(problem, solver, control, start)

    def _control(self, batch_size: int | None, tell: Any) -> Control:
        """Return what an iterative solver is told to keep to."""
        return Control(
            learning_rate=self.learning_rate,
            batch_size=batch_size,
            max_iter=self._iterations,
            tol=checks.check_tolerance(self.tol),
            remember=bool(self.warm_start),
            rng=np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1)),
            tell=tell,
        )

    def _assign(self, problem: LeastSquares, solution: Solution, k: int, *, single_output: bool, eps: float) -> None:
        """Warn, and take the fitted attributes from a solution."""
        solution = at_level(problem, solution)
        factor = noise_factor(problem, solution)
        singular = ""
        if factor.singular and not solution.noise_free.any():
            dependent = SingularNoise(factor.relations, bearable_outputs(problem, solution))
            singular = describe_singular_noise(dependent, checks.output_names(self, len(solution.noise_free)))
        notes = self._report(problem, solution)
        if singular:
            notes = (*notes, singular)
            warn_user(singular, NoiseFreeWarning)
        fitted = fitted_linear(
            problem,
            solution,
            k,
            factor=factor,
            singular=singular,
            noise=self.noise,
            frequency=self.weight_type == "frequency",
            single_output=single_output,
            eps=eps,
            notes=notes,
        )
        self.__dict__.pop("noise_covariance_", None)
        self.__dict__.update(fitted)

    def _check_options(self) -> None:
        checks.check_choice("fit_intercept", self.fit_intercept, (True, False))
        checks.check_choice("weight_type", self.weight_type, WEIGHT_TYPES)
        checks.check_choice("on_rank_deficiency", self.on_rank_deficiency, ON_RANK_DEFICIENCY)
        checks.check_choice("refine", self.refine, ("auto", True, False))
        if not self._by_evidence:
            checks.check_penalty(self.alpha)
        if self.rank_tol is not None:
            checks.check_non_negative("rank_tol", self.rank_tol)
        checks.check_choice("warm_start", self.warm_start, (True, False))
        checks.check_tolerance(self.tol)
        if self.max_iter is not None:
            checks.check_positive_integer("max_iter", self.max_iter)
        if self.batch_size is not None:
            checks.check_positive_integer("batch_size", self.batch_size)
            if not getattr(find_solver(self.solver, self.noise), "goes_on", False):
                raise ValueError(
                    f"batch_size={self.batch_size!r} has no effect: this solver takes all rows in each step. Leave "
                    "batch_size=None, or take a solver that draws batches: 'sgd', 'adam', 'adamw'."
                )
        if not (isinstance(self.learning_rate, str) and self.learning_rate == "auto"):
            checks.check_positive("learning_rate", self.learning_rate)
        find_noise(self.noise)

    def _report(self, problem: LeastSquares, solution: Solution) -> tuple[str, ...]:
        """Turn the status into warnings, which are returned too, or an error."""
        beyond = np.flatnonzero(~np.isfinite(solution.coef).all(axis=1))
        if beyond.size:
            raise ValueError(
                f"The coefficient of {checks.describe_column(self, int(beyond[0]))} is beyond the range of float64; "
                "measure the column in smaller units, or y in larger ones."
            )
        notes, n_rows = list(solution.notes), problem.totals.n_rows
        for note in notes:
            warn_user(note, InferenceWarning)
        if solution.status in UNFINISHED:
            said = f"solver={solution.solver!r} has not converged in {len(solution.losses) - 1} iterations"
            said += UNFINISHED[solution.status]
            if solution.status is not Status.STALLED:
                few = np.isfinite(solution.remaining)
                said += f"; it needs {f'about {solution.remaining:.0f} more' if few else 'more than can be foretold'}"
            notes.append(f"{said}. To go on, {solution.status.value}.")
            warn_user(notes[-1], ConvergenceWarning)
        if solution.relations and solution.status is not Status.CONTINUING:
            rank, size = solution.geometry.rank, solution.geometry.size
            said = describe_deficiency(rank, size, solution.relations, checks.feature_names(self), n_rows)
            drops = not getattr(find_solver(self.solver, self.noise), "draws_batches", False)
            way_out = remedy_of_deficiency(size, n_rows, drops)
            if self.on_rank_deficiency == "raise":
                raise np.linalg.LinAlgError(f"{said} To go on, {way_out}.")
            notes.append(said)
            if self.on_rank_deficiency == "warn":
                remedy = f"The coefficients are those of smallest norm. Instead, {way_out}."
                warn_user(f"{said} {remedy}", RankDeficiencyWarning)
        if solution.noise_free.any():
            geometry, names = solution.geometry, checks.output_names(self, len(solution.noise_free))
            coef, mean = (scale(part, -solution.output_exponent) for part in (solution.coef, solution.intercept))
            constant = explained_squares(geometry, coef) <= _STILL**2 * geometry.total * mean**2
            names = ["y"] if len(names) == 1 else names
            notes.append(
                describe_exact_fit(geometry.rank, n_rows, constant.tolist(), solution.noise_free.tolist(), names)
            )
            warn_user(notes[-1], NoiseFreeWarning)
        return tuple(notes)

    def _mean(self, x: Any) -> Array:
        coef = np.atleast_2d(self.coef_).T
        return linear_map(x, coef, np.asarray(self.intercept_)).reshape((-1, *self.coef_.shape[:-1]))

    def _terms(self, x: Any) -> Array | None:
        coef = np.abs(np.atleast_2d(self.coef_).T)
        return linear_map(abs(x), coef, np.abs(np.asarray(self.intercept_))).reshape(-1, coef.shape[1])

    def _deviation(self, x: Any, noise_share: float | Array) -> Array:
        geometry = self._geometry()
        rows = as_rows(x, np.zeros((x.shape[0], 0)))
        lever = rows.map(lambda block: covariance.leverage(geometry, block.x), dense=not geometry.sparse)
        share = scale(noise_share, 2 * self._state["weight_exponent"])
        spread = np.sqrt(share + lever)[:, None] * scale(self._state["residual_scale"], self._state["output_exponent"])
        return spread.reshape((-1, *self.coef_.shape[:-1]))
