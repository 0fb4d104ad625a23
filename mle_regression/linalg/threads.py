"""Who owns the cores: BLAS inside one call, or the loop over blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas_threads() -> int:
    """Return how many threads BLAS may use now (a limit set by the user or by joblib is respected)."""
    counts = [int(lib.num_threads) for lib in _controller().lib_controllers if lib.user_api == "blas"]
    return max([1, *counts])


class _Limit:
    """The limit in force and how many ask for it; of the process, since that is what BLAS knows."""

    lock = Lock()
    holders = 0
    before = 1
    limiter: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: small products lose more to the hand-off than they gain.

    The limit is the process's, not the thread's, so it is entered where the work is handed out, never inside a worker.
    Fits in several threads may overlap in any order: the first sets the limit, the last lifts it.
    """
    with _Limit.lock:
        if _Limit.holders == 0:
            _Limit.before = blas_threads()
            _Limit.limiter = _controller().limit(limits=1, user_api="blas")
        _Limit.holders += 1
    try:
        yield
    finally:
        with _Limit.lock:
            _Limit.holders -= 1
            if _Limit.holders == 0:
                _Limit.limiter.restore_original_limits()


def row_workers() -> int:
    """Return how many threads may go through blocks of rows: as many as BLAS may use, or might before it was held to one."""
    with _Limit.lock:
        return _Limit.before if _Limit.holders else blas_threads()


# Up to these numbers of values and of multiplications, measured on two cores, one thread beats two: what the second
# core adds is less than the hand-off takes, and other libraries' idle workers still spin on it.
_SMALL_SIZE = 1_500_000
_SMALL_WORK = 1_000_000_000


def suitable_threads(n: int, p: int) -> AbstractContextManager[None]:
    """Return the context to fit n rows of p columns in: of one BLAS thread where they are few, else as it is."""
    small = n * p < _SMALL_SIZE and n * p * p < _SMALL_WORK
    return one_blas_thread() if small else nullcontext()
