"""Loads an installed test module of a peer anew, with other classes under the names that it imports."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from types import CodeType, FunctionType, ModuleType
from typing import Any
from unittest import mock

import pytest


def borrow(module: str, source: str, substitutes: dict[str, type]) -> dict[str, Any]:
    """Names of the test module ``module``, without the tests that never meet a substitute.

    Parameters
    ----------
    module : str
        Dotted name of an installed test module.
    source : str
        Module that the tests import the replaced names from.
    substitutes : dict of str to type
        What stands under each of these names, in bodies of tests and in what they are parametrised over.
    """
    copy = _load(module, source, substitutes)
    affected = _affected(vars(copy), set(substitutes))
    return {
        name: value
        for name, value in vars(copy).items()
        if not name.startswith("__") and (not name.startswith("test") or name in affected)
    }


def meets_substitute(function: FunctionType, params: dict[str, Any], substitutes: dict[str, type]) -> bool:
    """Whether one case of a test meets a substitute, in its code or among its parameters."""
    names = _affected(function.__globals__, set(substitutes), through_marks=False)
    return function.__name__ in names or any(_mentions(value, substitutes, names) for value in params.values())


def _load(module: str, source: str, substitutes: dict[str, type]) -> ModuleType:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    # A name of its own, in the peer's package for the sake of relative imports, and not in sys.modules: what cannot be
    # imported is sent to other processes as code.
    renamed = importlib.util.spec_from_file_location(f"{module}_with_substitutes", spec.origin)
    assert renamed is not None
    assert renamed.loader is not None
    copy = importlib.util.module_from_spec(renamed)
    with ExitStack() as stack:
        for replaced, substitute in substitutes.items():
            stack.enter_context(mock.patch(f"{source}.{replaced}", substitute))
        renamed.loader.exec_module(copy)
    for function in vars(copy).values():
        if isinstance(function, FunctionType) and hasattr(function, "pytestmark"):
            function.pytestmark = [_listed(mark) for mark in function.pytestmark]
    return copy


def _listed(mark: pytest.Mark) -> pytest.Mark:
    """The mark with a list of parameters in the place of a generator, which can be read only once."""
    if mark.name != "parametrize" or not isinstance(mark.args[1], Iterator):
        return mark
    names, values, *rest = mark.args
    return pytest.mark.parametrize(names, list(values), *rest, **mark.kwargs).mark


def _affected(module: dict[str, Any], replaced: set[str], through_marks: bool = True) -> set[str]:
    """Functions of a module that use a replaced name, themselves, through one another, or through their parameters."""
    functions = {name: value for name, value in module.items() if isinstance(value, FunctionType)}
    uses = {name: set(_names(function.__code__)) for name, function in functions.items()}
    substitutes = {name: module[name] for name in replaced if name in module}
    found: set[str] = set()
    while True:
        more = {name for name in functions if uses[name] & (replaced | found)}
        if through_marks:
            more |= {
                name for name, function in functions.items() if _mentions(_parameters(function), substitutes, found)
            }
        if more <= found:
            return found
        found |= more


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _parameters(function: FunctionType) -> list[Any]:
    marks = getattr(function, "pytestmark", [])
    return [list(mark.args[1]) for mark in marks if mark.name == "parametrize"]


def _mentions(value: Any, substitutes: dict[str, type], functions: set[str]) -> bool:
    if isinstance(value, list | tuple):
        return any(_mentions(item, substitutes, functions) for item in value)
    if isinstance(value, dict):
        return any(_mentions(item, substitutes, functions) for item in value.values())
    if type(value).__name__ == "ParameterSet":
        return _mentions(value.values, substitutes, functions)
    if isinstance(value, FunctionType):
        return value.__name__ in functions
    kinds = tuple(substitutes.values())
    if isinstance(value, type):
        return value in kinds
    return isinstance(value, kinds) or (hasattr(value, "get_params") and _holds(value, kinds))


def _holds(estimator: Any, kinds: tuple[type, ...]) -> bool:
    return any(isinstance(value, kinds) for value in estimator.get_params().values())
