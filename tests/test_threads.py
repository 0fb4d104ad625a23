"""Fits in threads and beside forks: no limit, lock or filter of the process is left otherwise than it was."""

import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread, get_ident

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import mle_regression
from mle_regression import MLELinearRegressor
from mle_regression.linalg import threads
from mle_regression.linalg.threads import blas_threads, each_in_threads, one_blas_thread, row_workers
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers import Adam
from mle_regression.solvers.path import Control
from mle_regression.warnings import collected_warnings, warn_user

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


class Library:
    """A BLAS library as threadpoolctl shows it, from version 3.7 on: who sets a limit first owns it."""

    user_api = "blas"

    def __init__(self, count):
        self.count, self.owned = count, False

    @property
    def num_threads(self):
        return self.count

    def set_num_threads(self, count):
        if not self.owned:
            self.count, self.owned = count, True

    def _real_set_num_threads(self, count):
        self.count = count


@pytest.fixture
def libraries(monkeypatch):
    """Two libraries in the place of those of the process."""
    found = [Library(4), Library(2)]
    monkeypatch.setattr(threads, "_libraries", lambda: found)
    monkeypatch.setattr(threads, "_LIMIT", threads._Limit())
    return found


def counts(libraries):
    return [library.count for library in libraries]


def test_a_limit_that_one_thread_has_set_is_lifted_by_another(libraries):
    inside, leave = Event(), Event()

    def first():
        with one_blas_thread():
            inside.set()
            leave.wait()

    thread = Thread(target=first)
    thread.start()
    inside.wait()
    with one_blas_thread():
        assert counts(libraries) == [1, 1]
        assert row_workers() == 4
        leave.set()
        thread.join()
        assert counts(libraries) == [1, 1]  # this thread still asks for it
    assert counts(libraries) == [4, 2]
    assert not any(library.owned for library in libraries)


def test_a_limit_within_a_limit_and_after_an_error(libraries):
    with one_blas_thread(), one_blas_thread():
        assert counts(libraries) == [1, 1]
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert counts(libraries) == [4, 2]


def test_what_someone_else_sets_meanwhile_is_left(libraries):
    with one_blas_thread():
        libraries[0].count = 3
    assert counts(libraries) == [3, 2]
    libraries[0].count = libraries[1].count = 1
    with one_blas_thread():
        assert row_workers() == 1
    assert counts(libraries) == [1, 1]


@needs_fork
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 and later: a fork beside threads may deadlock
@pytest.mark.parametrize("mine", [True, False])
def test_a_child_forked_beside_a_fit_begins_anew(libraries, mine):
    inside, leave = Event(), Event()

    def other():
        with one_blas_thread(), threads._LIMIT.lock:
            inside.set()
            leave.wait()

    def in_child():
        threads._LIMIT.in_child()  # the registered one is that of the process's own libraries
        right = counts(libraries) == ([1, 1] if mine else [4, 2])
        with one_blas_thread():
            return right and counts(libraries) == [1, 1] and row_workers() == 4

    def fork():
        pid = os.fork()
        if not pid:
            os._exit(0 if in_child() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    if mine:
        threads._LIMIT.hold(1)
    thread = Thread(target=other)
    thread.start()
    inside.wait()
    code = fork()
    leave.set()
    thread.join()
    threads._LIMIT.hold(0)
    assert code == 0
    assert counts(libraries) == [4, 2]


def run(script):
    """Run a script in a process of its own whose BLAS has two threads."""
    env = os.environ | {f"{name}_NUM_THREADS": "2" for name in ("OPENBLAS", "MKL", "OMP", "BLIS")}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(mle_regression.__file__).parents[1]), env.get("PYTHONPATH", "")])
    head = (
        "import numpy as np, os, signal, sys, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from threading import Event, Thread\n"
        "from threadpoolctl import threadpool_limits\n"
        "from mle_regression import MLELinearRegressor as M, MLPGradientRegressor as N\n"
        "from mle_regression.linalg.threads import blas_threads\n"
        "r = np.random.default_rng(0)\n"
        "A, b = r.standard_normal((300, 5)), r.standard_normal(300)\n"
        "if blas_threads() < 2: sys.exit()\n"
    )
    done = subprocess.run([sys.executable, "-c", head + script], env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("model", ["M()", "N((3,), solver='lbfgs', max_iter=3, early_stopping=False, tol=1e9)"])
def test_fits_in_threads_leave_blas_as_it_was(model):
    run(
        f"before = blas_threads()\n"
        f"with ThreadPoolExecutor(4) as pool: list(pool.map(lambda i: {model}.fit(A, b), range(60)))\n"
        f"assert blas_threads() == before, blas_threads()\n"
    )


def test_limits_of_the_user_hold_in_and_after_fits():
    run(
        "M().fit(A, b)\n"
        "def limited(_):\n"
        "    with threadpool_limits(1, 'blas'):\n"
        "        assert blas_threads() == 1\n"
        "        M().fit(A, b)\n"
        "        assert blas_threads() == 1\n"
        "    assert blas_threads() == 2\n"
        "with ThreadPoolExecutor(1) as pool: list(pool.map(limited, range(3)))\n"
        "limited(0)\n"
        "threadpool_limits(1, 'blas')\n"
        "M().fit(A, b)\n"
        "assert blas_threads() == 1\n"
    )


@needs_fork
def test_forks_beside_fits_do_not_hang():
    run(
        "import warnings; warnings.simplefilter('ignore')\n"
        "end, children, codes = Event(), [], []\n"
        "def fits():\n"
        "    while not end.is_set(): M().fit(A[:20], b[:20])\n"
        "others = [Thread(target=fits) for _ in range(2)]\n"
        "for other in others: other.start()\n"
        "for _ in range(40):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        right = blas_threads() == 2\n"
        "        M().fit(A, b)\n"
        "        os._exit(0 if right and blas_threads() == 2 else 3)\n"
        "    children.append(pid)\n"
        "    time.sleep(0.002)\n"
        "end.set()\n"
        "for other in others: other.join()\n"
        "late = time.monotonic() + 40\n"
        "for pid in children:\n"
        "    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:\n"
        "        if time.monotonic() > late: os.kill(pid, signal.SIGKILL)\n"  # it hangs, and its code says so
        "        time.sleep(0.01)\n"
        "    codes.append(os.waitstatus_to_exitcode(ended[1]))\n"
        "codes = set(codes)\n"
        "assert codes == {0}, codes\n"
        "assert blas_threads() == 2\n"
    )


def test_threads_work_under_the_error_state_of_who_hands_out():
    with np.errstate(over="ignore"):
        assert each_in_threads(lambda x: x * x, [np.float64(1e200)] * 3) == [np.inf] * 3
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        each_in_threads(lambda x: x * x, [np.float64(1.0), np.float64(1e200)])


def test_what_no_thread_has_begun_is_done_by_who_hands_out():
    """A core that another process keeps busy runs no thread of ours; here all threads of the pool wait for the end."""
    end = Event()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(end.wait) for _ in range(2)]
        try:
            assert each_in_threads(lambda k: (k, get_ident()), range(4), pool) == [(k, get_ident()) for k in range(4)]
            with pytest.raises(ZeroDivisionError):
                each_in_threads(lambda k: 1 // (k - 2), range(4), pool)
        finally:
            end.set()
        assert all(one.result() for one in waiting)
        assert each_in_threads(lambda k: k, range(4), pool) == [0, 1, 2, 3]


@pytest.mark.parametrize("weighted", [True, False])
def test_gradients_of_batches_in_threads_are_those_of_one(rng, monkeypatch, weighted):
    network = Network((5, 40, 30, 2), find_activation("tanh"))
    weights = rng.uniform(0.5, 1, 101) if weighted else None
    same = Units(np.zeros(5), np.ones(5)), Units(np.zeros(2), np.ones(2))
    rows = StandardRows(
        as_rows(rng.standard_normal((101, 5)), rng.standard_normal((101, 2)), weights), *same, np.dtype(float)
    )
    theta = network.initial(rng)

    def found(workers):
        monkeypatch.setattr("mle_regression.objective.network.row_workers", lambda: workers)
        monkeypatch.setattr("mle_regression.objective.network._THREADED_FROM", 1)
        objective = NetworkObjective(network, rows, 0.1, theta)
        results = []
        for batch in objective.batches(np.random.default_rng(0), 50):
            loss, gradient = objective.batch_gradient(theta, batch)
            results.append(np.r_[loss, gradient])
        return np.array(results)

    alone = found(1)
    for workers in (2, 3):
        together = found(workers)
        np.testing.assert_allclose(together, alone, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(together[:, 0], alone[:, 0], rtol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_of_adam_in_threads_are_those_of_one(rng, monkeypatch, decay):
    network = Network((3, 20, 1), find_activation("relu"))
    same = Units(np.zeros(3), np.ones(3)), Units(np.zeros(1), np.ones(1))
    rows = StandardRows(as_rows(rng.standard_normal((60, 3)), rng.standard_normal((60, 1))), *same, np.dtype(float))
    objective, found = NetworkObjective(network, rows, 0.1, network.initial(rng)), []
    for workers, least in ((1, 1), (3, 1), (3, 100)):
        monkeypatch.setattr("mle_regression.solvers.stochastic.row_workers", lambda workers=workers: workers)
        monkeypatch.setattr("mle_regression.solvers.stochastic._LEAST_SHARE", least)
        path = Adam(weight_decay=decay).minimise(objective, Control("auto", 16, 3, 0.0, np.random.default_rng(0)))
        found.append([path.theta, path.memory["first"], path.memory["second"], path.losses])
    for other in found[1:]:
        for one, expected in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("way", ["exact", "by pairs", "by Jacobian"])
@pytest.mark.parametrize("hidden", [(12,), (9, 7)])
def test_second_derivatives_in_threads_are_those_of_one(rng, monkeypatch, hidden, way):
    network = Network((5, *hidden, 2), find_activation("tanh"))
    same = Units(np.zeros(5), np.ones(5)), Units(np.zeros(2), np.ones(2))
    rows = StandardRows(as_rows(rng.standard_normal((301, 5)), rng.standard_normal((301, 2))), *same, np.dtype(float))
    theta, found = network.initial(rng), []
    monkeypatch.setattr("mle_regression.objective.network._PAIRS_SHARE", np.inf if way == "by pairs" else 0.0)
    monkeypatch.setattr("mle_regression.objective.network._SECOND_ORDER_SIZE", 1 << 12)  # blocks of a few rows
    for workers in (1, 3):
        monkeypatch.setattr("mle_regression.objective.network.row_workers", lambda workers=workers: workers)
        monkeypatch.setattr("mle_regression.objective.network._THREADED_FROM", 1)
        objective = NetworkObjective(network, rows, 0.1, theta)
        found.append(objective.hessian(theta) if way == "exact" else objective.gauss_newton(theta))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-11, atol=1e-13 * np.abs(found[0]).max())
    np.testing.assert_array_equal(found[0], found[0].T)


def test_reports_in_threads_change_no_filter_of_warnings(rng):
    X = np.c_[rng.standard_normal(9), np.arange(9) == 4]  # a row of leverage one: there is a reason to tell
    y = rng.standard_normal(9)
    model = MLELinearRegressor().fit(X, y)
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: str(model.diagnose(X, y).report()), range(4)))
    assert warnings.filters == before
    assert all("leverage one" in report for report in reports)


def test_the_package_changes_no_state_that_all_threads_share():
    package = Path(mle_regression.__file__).parent
    for file in package.rglob("*.py"):
        if file.relative_to(package).parts[0] == "command_line":  # a process of its own
            continue
        for name in ("catch_warnings", "simplefilter", "filterwarnings", "np.seterr", "set_option", "np.random.seed"):
            assert name not in file.read_text(encoding="utf-8"), (file, name)


def test_the_limit_of_the_libraries_of_this_process():
    before = blas_threads()
    with threadpool_limits(1, "blas"), one_blas_thread():
        assert blas_threads() == 1
    assert blas_threads() == before


def test_warnings_are_collected_in_one_thread_alone():
    with collected_warnings() as kept:
        warn_user("here", UserWarning)
        with ThreadPoolExecutor(1) as other, pytest.warns(UserWarning, match="there"):
            other.submit(warn_user, "there", UserWarning).result()
    assert kept == ["here"]
    with pytest.warns(UserWarning, match="again"):
        warn_user("again", UserWarning)
