"""The benchmarks still run."""

import numpy as np
import pytest

pytest.importorskip("statsmodels")

from cliff_directions import DIRECTIONS
from cliffs import exponent, timings
from mutants import PACKAGE, mutants

CONTESTANTS = [(name, who) for name, direction in DIRECTIONS.items() for who in direction.contestants]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "who"), CONTESTANTS, ids=[" - ".join(pair) for pair in CONTESTANTS])
def test_cliffs_contestant_does_its_tasks(name, who):
    direction = DIRECTIONS[name]
    done = [
        task for task, run in direction.contestants[who](direction.build(direction.quick[0])) if run() is not Ellipsis
    ]
    assert done
    assert len(set(done)) == len(done)


def test_cliffs_measures_in_a_process_of_its_own():
    found = timings("deficiency", 2, "ours", limit=60.0)
    assert set(found) == {"fit", "predict", "intervals", "likelihood", "summary"}
    assert all(0 < timing.seconds < 60 and timing.mebibytes >= 0 and not timing.note for timing in found.values())


def test_cliffs_tells_of_a_task_over_its_limit():
    found = timings("columns", 2_000, "statsmodels", limit=0.01)
    assert all(timing.note == "over 0 s" and timing.seconds == np.inf for timing in found.values())


def test_cliffs_exponent():
    assert exponent({10: 1.0, 100: 8.0, 200: 64.0, 400: np.inf}) == pytest.approx(3.0)
    assert np.isnan(exponent({10: 1.0}))


@pytest.mark.skipif(not PACKAGE.exists(), reason="the package is installed, and not in the checkout")
def test_mutants_are_other_programs():
    """One of each kind that an author might have written; annotations and words of errors are left as they are."""
    path = PACKAGE / "linalg" / "scaling.py"
    found = mutants(path)
    sources = {mutant.source() for mutant in found}
    assert len(sources) > 0.9 * len(found) > 10
    for mutant in found:
        compile(mutant.source(), str(path), "exec")
        assert mutant.source() != path.read_text()
    assert {mutant.function for mutant in found} >= {"exponents", "column_norms"}
