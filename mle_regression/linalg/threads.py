"""Who owns the cores: loops over blocks of rows, each with one BLAS thread, or BLAS inside one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from functools import cache
from threading import Lock, get_ident
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

P = TypeVar("P")
T = TypeVar("T")


@cache
def _libraries() -> list[Any]:
    """Return the controllers of the BLAS libraries of this process; NumPy and SciPy may have one each."""
    return [lib for lib in ThreadpoolController().lib_controllers if lib.user_api == "blas"]


def _set_threads(library: Any, count: int) -> None:
    """Set how many threads a BLAS library may use, whichever thread asks.

    threadpoolctl after 3.6 lets the first thread that sets a limit of OpenBLAS own it: what others ask for is ignored
    in silence. Here a lock says whose turn it is, so that any fit may set the limit, another may lift it, and nobody who
    sets one of his own afterwards finds it owned.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(count)


def blas_threads() -> int:
    """Return how many threads BLAS may use now (a limit set by the user or by joblib is respected)."""
    return max([1, *(int(library.num_threads) for library in _libraries())])


# Longest wait of a fork, in seconds, for another thread that is setting a limit (which takes microseconds).
_FORK_WAITS = 1.0


class _Limit:
    """The limit of one BLAS thread while anyone asks for it; of the process, since that is what BLAS knows.

    Attributes
    ----------
    depths : dict of int to int
        How often each thread, by its identity, has asked and not yet given back.
    before : list of int
        What each library was allowed before the first asked; empty while nobody does.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.depths: dict[int, int] = {}
        self.before: list[int] = []
        self.waited = False

    @property
    def depth(self) -> int:
        """How often this thread has asked."""
        return self.depths.get(get_ident(), 0)

    def hold(self, depth: int) -> None:
        """Note how many times this thread asks for the limit; the first thread sets it, the last lifts it."""
        with self.lock:
            if depth:
                self.depths[get_ident()] = depth
            else:
                self.depths.pop(get_ident(), None)
            if self.depths and not self.before:
                self.before = [int(library.num_threads) for library in _libraries()]
                for library, count in zip(_libraries(), self.before, strict=True):
                    if count > 1:
                        _set_threads(library, 1)
            elif not self.depths:
                self._lift()

    def _lift(self) -> None:
        """Give back what was allowed before; a limit that someone else has set meanwhile is left."""
        for library, count in zip(_libraries(), self.before, strict=False):
            if count > 1 and int(library.num_threads) == 1:
                _set_threads(library, count)
        self.before = []

    def before_fork(self) -> None:
        """Wait until no thread is setting a limit: a lock of BLAS taken meanwhile would stay locked in the child.

        Not for long, since a handler of signals may fork in the midst of it.
        """
        self.waited = self.lock.acquire(timeout=_FORK_WAITS)

    def in_parent(self) -> None:
        """Go on after a fork."""
        if self.waited:
            self.lock.release()

    def in_child(self) -> None:
        """Begin anew in a forked process: of all threads the one that forked is left, and only what it asked for holds."""
        mine = self.depth
        self.lock = Lock()
        self.depths = {get_ident(): mine} if mine else {}
        if not mine:
            self._lift()

    def workers(self) -> int:
        """Return how many threads BLAS may use, or might before it was held to one."""
        return max([1, *self.before]) if self.before else blas_threads()


_LIMIT = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_LIMIT.before_fork, after_in_parent=_LIMIT.in_parent, after_in_child=_LIMIT.in_child)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: small products lose more to the hand-off than they gain.

    The limit is the process's, not the thread's, so it is entered where the work is handed out, never inside a worker.
    Fits in several threads, one inside another too, may overlap in any order: the first sets the limit, the last lifts it.
    """
    depth = _LIMIT.depth
    try:
        _LIMIT.hold(depth + 1)
        yield
    finally:
        _LIMIT.hold(depth)


def row_workers() -> int:
    """Return how many threads may go through blocks of rows: as many as BLAS may use, or might before it was held to one."""
    return _LIMIT.workers()


def hand_out(pool: Executor, task: Callable[..., T], *given: Any) -> Future[T]:
    """Let a pool work under the floating-point error state of this thread, which its threads would not have."""
    return pool.submit(copy_context().run, task, *given)


def each_in_threads(task: Callable[[P], T], parts: Sequence[P], pool: Executor | None = None) -> list[T]:
    """Return ``task(part)`` of each part, the first in this thread and the others in one each; BLAS has one thread.

    Of a ``pool`` the threads live on: to start one takes as long as a small batch. What no thread has begun by the time this
    one is free, it does itself: while another process keeps a core busy, it would wait for a thread that does not run.
    """
    if len(parts) == 1:
        return [task(parts[0])]
    with one_blas_thread(), ThreadPoolExecutor(len(parts) - 1) if pool is None else nullcontext(pool) as team:
        others = [hand_out(team, task, part) for part in parts[1:]]
        found = [task(parts[0])]
        found += [
            task(part) if other.cancel() else other.result() for part, other in zip(parts[1:], others, strict=True)
        ]
        return found


# From this many multiplications in a factorisation (2000 x 2000), BLAS may use its own threads. Up
# to 1000 x 1000 a second thread gains little on two idle cores; if another process keeps one of them busy, BLAS waits at
# each of its many hand-offs for a thread that does not run: measured are 2 to 40 times the time of one thread.
_LARGE_WORK = 8e9


def suitable_threads(n: int, p: int) -> AbstractContextManager[None]:
    """Return the context to fit n rows of p columns in.

    Sums over rows have threads of their own. What is factorised besides has min(n, p) rows: BLAS is held to one thread
    unless that is large.
    """
    return nullcontext() if min(n, p) ** 2 * p >= _LARGE_WORK else one_blas_thread()
