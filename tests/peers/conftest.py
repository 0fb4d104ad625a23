"""What scikit-learn's own tests expect of the run: their fixture, and the table of those that ours need not pass."""

import re
from pathlib import Path

import numpy as np
import pytest
from peers.borrowed import meets_substitute
from peers.exclusions import EXCLUSIONS, SLOW

# scikit-learn's tests feed degenerate data and stop early on purpose, and its own estimators say nothing of it
WARNINGS = (
    "ignore::mle_regression.RankDeficiencyWarning",
    "ignore::mle_regression.NoiseFreeWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.UndefinedMetricWarning",
    "ignore:One or more of the test scores are non-finite:UserWarning",
)


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture(autouse=True)
def same_start_each_time():
    """Seed what estimators without a random_state draw from: some tests make an error of a start that takes long."""
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture(autouse=True)
def importable_substitutes(monkeypatch):
    """Let processes that a test starts import the substitutes."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")


def matches(key, name):
    return re.fullmatch(re.escape(key).replace(r"\*", ".*"), name) is not None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Drop the cases that meet no substitute; expect the excluded ones to fail, and each exclusion to name some."""
    borrowed = [item for item in items if hasattr(getattr(item, "module", None), "SUBSTITUTES")]
    dropped, named, present = set(), set(), set()
    for item in borrowed:
        callspec = getattr(item, "callspec", None)
        if not meets_substitute(item.function, {} if callspec is None else callspec.params, item.module.SUBSTITUTES):
            dropped.add(item)
            continue
        table = item.module.__name__.rpartition(".")[2]
        present.add((table, item.originalname))
        for expected in WARNINGS:
            item.add_marker(pytest.mark.filterwarnings(expected))
        run = not any(matches(key, item.name) for key in SLOW)
        for key in (key for key in EXCLUSIONS[table] if matches(key, item.name)):
            named.add((table, key))
            item.add_marker(pytest.mark.xfail(reason=EXCLUSIONS[table][key], strict=True, run=run))
    stale = [
        (table, key)
        for table, reasons in EXCLUSIONS.items()
        for key in reasons
        if (table, key) not in named
        and any(table == here and matches(key.partition("[")[0], test) for here, test in present)
    ]
    if stale:
        raise pytest.UsageError(f"Exclusions of tests that are not there: {stale}")
    items[:] = [item for item in items if item not in dropped]
