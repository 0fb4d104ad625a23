"""Linear dependencies between columns, in words."""

from __future__ import annotations

from collections.abc import Sequence

from mle_regression.linalg.rank import Relation

_MAX_TERMS = 6


def describe_relation(relation: Relation, names: Sequence[str]) -> str:
    """Write a dependency as an equation between named columns.

    Examples
    --------
    >>> describe_relation(Relation(2, ((0, 1.0), (1, -2.5)), 3.0), ["age", "bmi", "bp"])
    'bp = age - 2.5*bmi + 3'
    """
    terms = [(f"{abs(c):.6g}*{names[j]}" if f"{abs(c):.6g}" != "1" else names[j], c) for j, c in relation.terms]
    terms.sort(key=lambda term: term[1] < 0)
    if len(terms) > _MAX_TERMS:
        left_out = len(terms) - _MAX_TERMS
        terms = [*terms[:_MAX_TERMS], (f"{left_out} more terms", 1.0)]
    if relation.constant or not terms:
        terms.append((f"{abs(relation.constant):.6g}", relation.constant))
    head = ("-" if terms[0][1] < 0 else "") + terms[0][0]
    tail = "".join(f" {'-' if sign < 0 else '+'} {text}" for text, sign in terms[1:])
    return f"{names[relation.dependent]} = {head}{tail}"


def describe_deficiency(
    rank: int, size: int, relations: Sequence[Relation], names: Sequence[str], n_dependent: int
) -> str:
    """Say that the coefficients are not determined, and name the columns that make it so."""
    shown = "; ".join(describe_relation(relation, names) for relation in relations)
    more = f"; and {n_dependent - len(relations)} more" if n_dependent > len(relations) else ""
    return (
        f"The data determine only {rank} of {size} parameters: the minimum is a flat valley, and these columns are "
        f"combinations of others: {shown}{more}."
    )
