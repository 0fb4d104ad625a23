"""A table becomes columns of numbers: scikit-learn's imputers and encoders behind the rules of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from mle_regression.command_line.applied_rules import apply_rules
from mle_regression.command_line.columns import ColumnRule

# Most values of a category that have a column each, and rows from which one has; the others are pooled.
MOST_VALUES, LEAST_ROWS = 50, 5
_ROWS_A_VALUE = 20
_MISSING, _POOLED, _POOLED_BY_SKLEARN = "missing", "rare", "infrequent_sklearn"


def fit_preparation(frame: pd.DataFrame, rules: Sequence[ColumnRule]) -> tuple[Pipeline, pd.DataFrame]:
    """Fit the steps before a model to rows; return them, and what they make of these rows.

    Steps are "rules" (`apply_rules`) and "columns": numbers with missing values at the median, yes or no at the more
    frequent, categories with a column for each value but the most frequent.
    """
    plan = [rule.as_plain() for rule in rules if rule.kind != "left out"]
    typed = apply_rules(frame, plan)
    flags = {rule.name for rule in rules if rule.kind == "yes or no"}
    numbers = [str(name) for name in typed if pd.api.types.is_numeric_dtype(typed[name].dtype) and name not in flags]
    words = [str(name) for name in typed if name not in flags and name not in numbers]
    steps: list[tuple[str, Any, list[str]]] = [
        ("numbers", SimpleImputer(strategy="median"), numbers),
        ("yes or no", SimpleImputer(strategy="most_frequent"), [str(name) for name in typed if name in flags]),
        ("categories", _encoder(typed[words]), words),
    ]
    columns = ColumnTransformer([step for step in steps if step[2]], verbose_feature_names_out=False)
    columns.set_output(transform="pandas")
    try:
        made = columns.fit_transform(typed)
    except ValueError as error:
        if "not unique" not in str(error):
            raise
        columns.set_params(verbose_feature_names_out=True)  # "a = b" may be a column and a value of another
        made = columns.fit_transform(typed)
    pipeline = Pipeline([("rules", FunctionTransformer(apply_rules, kw_args={"plan": plan})), ("columns", columns)])
    pipeline[0].fit(frame)
    return pipeline, made


def value_name(column: str, value: Any) -> str:
    """Name the column that is 1 where a category has a value.

    Examples
    --------
    >>> value_name("color", "red"), value_name("color", "infrequent_sklearn")
    ('color = red', 'color = rare')
    """
    return f"{column} = {_POOLED if value == _POOLED_BY_SKLEARN else value}"


def _encoder(words: pd.DataFrame) -> Pipeline:
    """Return the steps for categories: missing ones are a value, rare ones one together, the most frequent the reference."""
    filled = words.fillna(_MISSING)
    references = [filled[name].value_counts().sort_index().idxmax() for name in filled]
    rare = min(LEAST_ROWS, max(1, len(words) // _ROWS_A_VALUE))
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_MISSING),
        OneHotEncoder(
            drop=references or None,
            handle_unknown="infrequent_if_exist",
            min_frequency=rare,
            max_categories=MOST_VALUES,
            sparse_output=False,
            feature_name_combiner=value_name,
        ),
    )
