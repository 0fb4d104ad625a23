"""The fitted attributes of the linear estimator that come and go."""

# Fitted attributes that are left to be solved for.
SOLVED = (
    *("coef_", "intercept_", "noise_variance_", "noise_covariance_", "log_likelihood_", "aic_", "aicc_", "bic_"),
    *("n_parameters_", "effective_dof_", "rank_", "verdict_", "converged_", "n_iter_", "loss_curve_", "gradient_norm_"),
    *("gradient_curve_", "stop_reason_", "solver_", "solver_reason_", "refined_", "_fit"),
)
# Fitted attributes of a penalty that the data have chosen.
CHOSEN = ("alpha_", "alpha_path_", "loo_score_", "log_marginal_likelihood_")
