"""Mutation sampling: does a test fail where a line of the package is wrong?

    python benchmarks/mutants.py --room linalg [--sample 25] [--seed 0] [--calls CALLS.json]
    python benchmarks/mutants.py --file mle_regression/linalg/rank.py [--line 53]

Each mutant changes one comparison, constant, sign, term or connective of a temporary copy of the package; the tests that
call the function in which it lies run on it in a process of their own, the quickest first, until one fails or the time that
each mutant has is used up. Which test calls which function is noted in one run of all tests before the first mutant, and
kept in the file that ``--calls`` names, to go on from; give another after tests or names of functions have changed.
Printed are the mutants that no test noticed. Some of these change nothing that can be seen.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mle_regression"
# what only asks whether scripts run, or runs for minutes without looking at numbers
LEFT_OUT = ("tests/test_benchmarks.py", "tests/peers")

# arguments that change what a call costs and not what it returns
UNSEEN = ("check_finite", "overwrite_a", "overwrite_b", "overwrite_x", "overwrite_c", "slots", "frozen")

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.MatMult: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: file and line, the qualified name of the function ("" for the module), the place, the new node."""

    path: Path
    line: int
    function: str
    place: int
    new: ast.AST
    before: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.before}  ->  {ast.unparse(self.new)}"

    def source(self) -> str:
        """Text of the file with the change."""
        tree = ast.parse(self.path.read_text())
        old = next(node for place, node in enumerate(ast.walk(tree)) if place == self.place)
        return ast.unparse(ast.fix_missing_locations(_Replace(old, self.new).visit(tree)))


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(copy.deepcopy(self.new), node) if node is self.old else self.generic_visit(node)


def alternatives(node: ast.AST, coarse: bool) -> Iterator[ast.AST]:
    """Yield what a mistaken author might have written in the place of an expression.

    Constants of a module are changed ``coarse``: half as much again of a tolerance is another choice and no mistake.
    """
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [other()], node.comparators)
    elif isinstance(node, ast.BinOp) and not _is_text(node):
        if type(node.op) in ARITHMETIC:
            yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        yield node.left
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        yield from node.values[:2]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        if isinstance(node.value, int):
            yield ast.Constant(8 * node.value + 1 if coarse else node.value + 1)
        else:
            yield ast.Constant((1e3 if coarse else 1.5) * node.value or 1.0)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
               for part in ast.walk(node))  # fmt: skip


def mutants(path: Path) -> list[Mutant]:
    """Every mutant of a file, but for those in annotations, decorators and the words of errors."""
    tree = ast.parse(path.read_text())
    words = {inner for node in ast.walk(tree) for part in _not_computed(node) for inner in ast.walk(part)}
    function_of = dict(_functions(tree, ""))
    found = []
    for place, node in enumerate(ast.walk(tree)):
        if node not in words:
            for new in alternatives(node, coarse=node not in function_of):
                line, before = getattr(node, "lineno", 0), ast.unparse(node)
                found.append(Mutant(path, line, function_of.get(node, ""), place, new, before))
    return found


def _functions(node: ast.AST, prefix: str, name: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Yield each node inside a function with the qualified name of the innermost one."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            inner = prefix + child.name
            yield child, inner
            yield from _functions(child, f"{inner}.<locals>.", inner)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.", name)
        else:
            if name:
                yield child, name
            yield from _functions(child, prefix, name)


def _not_computed(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.FunctionDef):
        arguments = [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]
        notes = [argument.annotation for argument in arguments] + [node.returns]
        return [part for part in [*notes, *node.decorator_list] if part is not None]
    if isinstance(node, ast.AnnAssign):
        return [node.annotation]
    if isinstance(node, ast.keyword) and node.arg in UNSEEN:
        return [node]
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
        return [node]
    return []


# -- which test calls which function ----------------------------------------------------------------------------------

RECORDER = """
import json, os, sys, threading, time
import pytest

package, calls, seen = os.environ["MUTANTS_PACKAGE"] + os.sep, {}, set()

def trace(frame, event, argument):
    code = frame.f_code
    if code.co_filename.startswith(package):
        seen.add((code.co_filename[len(package):], code.co_qualname))

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    seen.clear()
    start = time.perf_counter()
    threading.settrace(trace)
    sys.settrace(trace)
    yield
    sys.settrace(None)
    threading.settrace(None)
    calls[item.nodeid] = [time.perf_counter() - start, sorted(seen)]

def pytest_sessionfinish():
    with open(os.environ["MUTANTS_CALLS"], "w") as file:
        json.dump(calls, file)
"""


def pytest_on(package_parent: Path, arguments: list[str], limit: float | None, **environment: str) -> int:
    """Exit status of pytest on a copy of the package; 1 where it takes longer than the limit."""
    # -P: the checkout, from which pytest runs, must not come before the copy
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    path = os.pathsep.join([str(package_parent), str(package_parent / "plugins")])
    names = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"} | environment
    try:
        return subprocess.run(command, cwd=ROOT, env=names, capture_output=True, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        return 1


def record_calls(parent: Path, calls: Path, tests: list[str]) -> None:
    """Run the tests once and note for each how long it took and which functions it called."""
    (parent / "plugins").mkdir(exist_ok=True)
    (parent / "plugins" / "record_calls.py").write_text(RECORDER)
    left_out = [f"--ignore={path}" for path in LEFT_OUT]
    status = pytest_on(parent, ["-p", "record_calls", *left_out, *tests], None,
                       MUTANTS_PACKAGE=str(parent / "mle_regression"), MUTANTS_CALLS=str(calls))  # fmt: skip
    if status not in (0, 1):
        raise SystemExit(f"The tests cannot be run: pytest ends with status {status}.")


def covering(mutant: Mutant, calls: dict[str, tuple[float, list[tuple[str, str]]]], seconds: float) -> list[str]:
    """Tests that call the mutant's function (any of its file, for a constant of the module), the quickest first."""
    file = str(mutant.path.relative_to(PACKAGE))
    able = []
    for test, (duration, called) in calls.items():
        if any(name == file and mutant.function in ("", function) for name, function in called):
            able.append((duration, test))
    chosen, spent = [], 0.0
    for duration, test in sorted(able):
        if chosen and spent + duration > seconds:
            break
        chosen.append(test)
        spent += duration
    return chosen


def noticed(mutant: Mutant, parent: Path, tests: list[str], limit: float) -> bool:
    """Whether a test fails on the mutant."""
    target = parent / "mle_regression" / mutant.path.relative_to(PACKAGE)
    before = target.read_text()
    target.write_text(mutant.source())
    try:
        return pytest_on(parent, ["-x", *tests], limit) != 0
    finally:
        target.write_text(before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--room", action="append", default=[], help="a folder of the package; may be given several times"
    )
    parser.add_argument("--file", type=Path, help="one file in the place of a room")
    parser.add_argument("--line", type=int, help="only mutants of this line")
    parser.add_argument("--sample", type=int, default=25, help="mutants of each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="time for the tests of one mutant")
    parser.add_argument("--calls", type=Path, help="file of which test calls which function")
    parser.add_argument("--tests", nargs="*", default=["tests"], help="where tests are looked for")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parent = Path(folder)
        shutil.copytree(PACKAGE, parent / "mle_regression", ignore=shutil.ignore_patterns("__pycache__"))
        calls_file = options.calls or parent / "calls.json"
        if not calls_file.exists():
            record_calls(parent, calls_file, options.tests)
        calls = json.loads(calls_file.read_text())
        for test in calls.values():
            test[1] = [tuple(place) for place in test[1]]
        for room in options.room or [str(options.file)]:
            files = sorted((PACKAGE / room).rglob("*.py")) if options.room else [options.file.resolve()]
            every = [mutant for path in files for mutant in mutants(path)]
            every = [mutant for mutant in every if options.line in (None, mutant.line)]
            drawn = random.Random(options.seed).sample(every, min(options.sample, len(every)))
            killed = 0
            for mutant in sorted(drawn, key=lambda mutant: (mutant.path, mutant.line)):
                tests = covering(mutant, calls, options.seconds)
                dead = bool(tests) and noticed(mutant, parent, tests, 4.0 * options.seconds + 20.0)
                killed += dead
                if not dead:
                    print(f"  {mutant}  ({len(tests)} tests)", flush=True)
            print(f"{room}: {killed} of {len(drawn)} mutants noticed, of {len(every)} possible", flush=True)


if __name__ == "__main__":
    main()
