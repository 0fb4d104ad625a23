"""scikit-learn's tests that ours need not pass, by module and test id (``*`` stands for anything), each with its reason.

An excluded test has to fail: one that passes is told as stale, and so is an id that names no test.
"""

_POSITIVE = "coefficients are not constrained in sign"
_IN_PLACE = "X is never overwritten, so there is nothing to allow"
_FLOAT64 = "fitted numbers stay float64, whatever the dtype of X"
_WORDS = "the error is ours, in other words"
_SERVED = "what scikit-learn refuses here is served"
_TASK_NAME = "iterations are tasks by the name of 'iteration', without their number, which is task_id"

EXCLUSIONS: dict[str, dict[str, str]] = {
    "test_sklearn_base": {
        "test_raises_value_error_if_positive_and_sparse": _POSITIVE,
        "test_linear_regression_positive*": _POSITIVE,
        "test_inplace_data_preprocessing[*-None]": _IN_PLACE,
    },
    "test_sklearn_ridge": {
        "test_positive_ridge_loss*": _POSITIVE,
        "test_ridge_positive*": _POSITIVE,
        "test_ridge_ground_truth_positive_test*": _POSITIVE,
        "test_lbfgs_solver_error": _POSITIVE,
        "test_ridge_fit_intercept_sparse[*lbfgs]": _POSITIVE,
        "test_ridge_sample_weight_consistency[lbfgs*": _POSITIVE,
        "test_dtype_match*": _FLOAT64,
        "test_raises_value_error_if_sample_weights_greater_than_1d": _WORDS,
        "test_ridge_fit_intercept_sparse_error*": _SERVED,
        "test_ridge_fit_intercept_sparse_sag*": _SERVED,
        "test_ridge_shapes_type": "coef_ has two dimensions if y has, as LinearRegression's does, and Ridge's only sometimes",
        "test_ridge_individual_penalties": _WORDS,
        "test_n_iter": "n_iter_ is one number, and 1 for a direct solver",
    },
    "test_sklearn_mlp": {
        "test_lbfgs_regression_maxfun*": "there is no limit on evaluations beside max_iter",
        "test_shuffle": "batches are always shuffled",
        "test_early_stopping[MLPRegressor]": "what it reads is in loss_curve_ and validation_curve_",
        "test_mlp_param_dtypes[MLPRegressor-float32]": _FLOAT64,
        "test_mlp_partial_fit_after_fit[MLPRegressor]": _SERVED,
        "test_mlp_diverging_loss": "a fit that diverges is an error, which leaves an earlier fit as it was",
        "test_mlp_vs_poisson_glm_equivalent": "the noise is Gaussian",
        "test_nonfinite_params": _WORDS,
        "test_minimum_input_sample_size": _WORDS,
    },
    "test_sklearn_callback_context": {},
    "test_sklearn_callback_support": {},
    "test_sklearn_callback_pickle": {},
    "test_sklearn_scoring_monitor": {
        "test_logged_values[*": _TASK_NAME,
        "test_logged_values_meta_estimator*": _TASK_NAME,
        "test_scoring_monitor_no_callback_support*": _TASK_NAME,
    },
}

# Excluded cases that are not even run, since the processes that they start cost seconds each.
SLOW = ("test_logged_values_meta_estimator*processes*", "test_scoring_monitor_no_callback_support*")
