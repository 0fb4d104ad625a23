"""Linear dependencies between columns, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mle_regression.diagnostics.collinearity import decompose_variances, variance_inflation
from mle_regression.diagnostics.near_dependencies import (
    HARMFUL_INFLATION,
    NearDependency,
    intercept_inflation,
    near_dependencies,
)
from mle_regression.diagnostics.noise_factor import SingularNoise
from mle_regression.linalg.information import InformationFactor
from mle_regression.linalg.rank import Relation
from mle_regression.reports.document import Document, Notes, Table
from mle_regression.solvers.base import Status

_MAX_TERMS = 6
# Exact dependencies that are written as equations.
_MOST_EXACT = 5
# Standard error of the intercept, in those of the mean of y, that is worth a word.
_FAR_ORIGIN = 30.0


def describe_relation(relation: Relation, names: Sequence[str]) -> str:
    """Write a dependency as an equation between named columns.

    Examples
    --------
    >>> describe_relation(Relation(2, ((0, 1.0), (1, -2.5)), 3.0), ["age", "bmi", "bp"])
    'bp = age - 2.5*bmi + 3'
    """
    ordered = sorted(relation.terms, key=lambda term: term[1] < 0)
    shown = ordered[:_MAX_TERMS]
    terms = [(f"{abs(c):.6g}*{names[j]}" if f"{abs(c):.6g}" != "1" else names[j], c) for j, c in shown]
    if len(ordered) > _MAX_TERMS:
        terms.append((f"{len(ordered) - _MAX_TERMS} more terms", 1.0))
    if relation.constant or not terms:
        terms.append((f"{abs(relation.constant):.6g}", relation.constant))
    head = ("-" if terms[0][1] < 0 else "") + terms[0][0]
    tail = "".join(f" {'-' if sign < 0 else '+'} {text}" for text, sign in terms[1:])
    return f"{names[relation.dependent]} = {head}{tail}"


def describe_dependent_column(relation: Relation, names: Sequence[str]) -> str:
    """Say what a column follows from, to four digits.

    Examples
    --------
    >>> describe_dependent_column(Relation(1, ((0, 2.0),), 0.0), ["age", "bmi"])
    'bmi = 2*age'
    >>> describe_dependent_column(Relation(1, (), 3.0), ["age", "bmi"])
    'bmi does not vary'
    """
    if not relation.terms:
        return f"{names[relation.dependent]} does not vary"
    return describe_relation(_shortened(relation), names)


def _shortened(relation: Relation) -> Relation:
    terms = tuple((j, float(f"{c:.4g}")) for j, c in relation.terms)
    return Relation(relation.dependent, terms, float(f"{relation.constant:.4g}"))


def describe_deficiency(rank: int, size: int, relations: Sequence[Relation], names: Sequence[str], n_rows: int) -> str:
    """Say that the coefficients are not determined, and name the columns that make it so, unless it is a lack of rows."""
    if n_rows < size:
        return (
            f"There are fewer rows than parameters: {n_rows} rows determine only {rank} of {size} parameters, the minimum is "
            "a flat valley, and infinitely many coefficients fit these rows alike."
        )
    n_dependent = size - rank
    shown = "; ".join(describe_relation(relation, names) for relation in relations)
    more = f"; and {n_dependent - len(relations)} more" if n_dependent > len(relations) else ""
    return (
        f"The data determine only {rank} of {size} parameters: the minimum is a flat valley, and these columns are "
        f"combinations of others: {shown}{more}."
    )


def remedy_of_deficiency(size: int, n_rows: int, drops: bool) -> str:
    """Say what to do where the coefficients are not determined; ``drops`` tells whether the solver can drop columns."""
    if n_rows >= size and drops:
        return str(Status.RANK_DEFICIENT.value)
    if n_rows >= size:
        return (
            "remove the dependent columns, set a penalty alpha > 0, or set on_rank_deficiency='min_norm' to accept the "
            "minimum-norm solution silently"
        )
    return (
        "take fewer columns, give more rows, set a penalty alpha > 0, or set on_rank_deficiency='min_norm' to accept the "
        "minimum-norm solution silently"
    )


def describe_singular_noise(found: SingularNoise, names: Sequence[str]) -> str:
    """Say that outputs have no noise of their own: those that follow from others, or more than the rows can bear.

    Examples
    --------
    >>> describe_singular_noise(SingularNoise((), 2), ["a", "b", "c"]).split(":")[0]
    'The noise covariance of the 3 outputs is singular'
    """
    m, bearable = len(names), found.bearable
    if m == 1:
        return (
            "No residual degrees of freedom are left to tell the noise from: the likelihood has no finite maximum, and "
            "log_likelihood_ is infinite. Give more rows."
        )
    if bearable < m:
        why = f"{bearable} residual degrees of freedom can bear {bearable} output{'s' * (bearable != 1)} at most"
        remedy = "Fit fewer outputs together, or give more rows"
    else:
        shown = "; ".join(describe_relation(relation, names) for relation in found.relations)
        why = f"to rounding, {shown}, but for a function of X" if shown else "to rounding, some follow from others"
        remedy = "Leave out outputs that follow from others"
    return (
        f"The noise covariance of the {m} outputs is singular: {why}. The likelihood of all of them together has no finite "
        f"maximum, and log_likelihood_ is infinite; predictions and standard errors of each output stand. {remedy}."
    )


def describe_near_dependency(found: NearDependency, names: Sequence[str]) -> str:
    """Write a near-dependency as an equation, with how closely it holds.

    Examples
    --------
    >>> describe_near_dependency(NearDependency(50.0, Relation(1, ((0, 2.0),), 3.0), 0.998), ["age", "bmi"])
    'bmi ≈ 2*age + 3 (R² 0.998)'
    """
    equation = describe_relation(_shortened(found.relation), names)
    return f"{equation.replace(' = ', ' ≈ ', 1)} (R² {found.r2:.4g})"


@dataclass(frozen=True)
class CollinearityReport:
    """How nearly the columns depend on each other.

    Attributes
    ----------
    vif : pandas.DataFrame
        By column: ``vif``, the variance inflation factor 1/(1 − R²) of the column on the others, and ``tolerance``, 1/vif.
    condition_indices : pandas.DataFrame
        By condition index, ascending (columns of unit length, not centred, the intercept among them; Belsley, Kuh and
        Welsch, 1980): for each parameter the proportion of its variance that goes with the index.
    dependencies : tuple of str
        Columns of a variance inflation of 30 or more, as an equation in the fewest others that explain them nearly as well as
        all do. A column that has been told is left out before the next is looked for.
    constant : str
        What the intercept suffers where columns are far from zero, and slopes do not; empty if it does not.
    """

    vif: pd.DataFrame
    condition_indices: pd.DataFrame
    dependencies: tuple[str, ...]
    constant: str = ""

    def document(self) -> Document:
        """Lay the report out."""
        said = self.dependencies or (
            f"No variance inflation is {HARMFUL_INFLATION:g} or more: the columns do no harm to each other.",
        )
        proportions = self.condition_indices.tail(3).round(2)
        proportions.index = pd.Index([f"{index:.4g}" for index in proportions.index], name="condition index")
        return Document(
            "Collinearity",
            [
                Table("Variance inflation", self.vif.T, digits=3),
                Table(
                    "Largest condition indices, and each one's share of the variances",
                    proportions,
                    digits=2,
                ),
                Notes("Near dependencies", [*said, *([self.constant] if self.constant else [])]),
            ],
        )

    def __str__(self) -> str:
        return str(self.document())

    def _repr_html_(self) -> str:
        return self.document().to_html()


def collinearity_report(
    information: InformationFactor, features: Sequence[str], names: Sequence[str], n_rows: int
) -> CollinearityReport:
    """Report on the near dependencies of the columns (p) of X on n rows, with c + p ``names`` of parameters."""
    vif = variance_inflation(information)
    found = decompose_variances(information)
    return CollinearityReport(
        vif=pd.DataFrame({"vif": vif, "tolerance": 1.0 / vif}, index=pd.Index(list(features), name="column")),
        condition_indices=pd.DataFrame(
            found.proportions, index=pd.Index(found.indices, name="condition_index"), columns=pd.Index(list(names))
        ),
        dependencies=_describe_dependencies(information, features, n_rows),
        constant=_describe_constant(information, features),
    )


def _describe_dependencies(information: InformationFactor, features: Sequence[str], n_rows: int) -> tuple[str, ...]:
    if n_rows < information.size:
        return (
            f"There are fewer rows than parameters, {n_rows} for {information.size}: any column follows from others.",
        )
    told = [describe_near_dependency(dependency, features) for dependency in near_dependencies(information)]
    more = information.size - information.rank - _MOST_EXACT
    return (*told, f"and {more} more columns that depend on others") if more > 0 else tuple(told)


def _describe_constant(information: InformationFactor, features: Sequence[str]) -> str:
    """Say that the intercept is unsure because the origin is far from the data; nothing if it is not."""
    ratio, far = intercept_inflation(information)
    if ratio < _FAR_ORIGIN:
        return ""
    shown = ", ".join(features[j] for j in far[:_MAX_TERMS]) + (" and others" if len(far) > _MAX_TERMS else "")
    which = f" ({shown})" if far.size else ""
    return (
        f"The intercept's standard error is {ratio:.3g} times that of the mean of y, as the origin is far from the "
        f"data{which}. That does no harm to slopes; centre the columns if the intercept matters."
    )
