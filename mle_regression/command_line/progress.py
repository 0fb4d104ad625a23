"""A line on the terminal that tells what long work is at; nothing where no one looks."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self

_BAR, _PATIENCE_SECONDS, _INTERVAL_SECONDS = 20, 0.5, 0.25


class Progress:
    """A bar of stages with the seconds of the present one, written to standard error if that is a terminal.

    Parameters
    ----------
    n_stages : int
    """

    def __init__(self, n_stages: int) -> None:
        self._n, self._done, self._text, self._since = n_stages, -1, "", time.monotonic()
        self._shown = sys.stderr.isatty()
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def stage(self, text: str) -> None:
        """Begin the next stage."""
        self._done, self._text, self._since = self._done + 1, text, time.monotonic()

    def clear(self) -> None:
        """Wipe the line, before something is printed."""
        if self._shown:
            with self._lock:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def __enter__(self) -> Self:
        if self._shown:
            threading.Thread(target=self._write, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.clear()

    def _write(self) -> None:
        while not self._ended.wait(_INTERVAL_SECONDS):
            seconds = time.monotonic() - self._since
            if seconds < _PATIENCE_SECONDS or not self._text:
                continue
            full = _BAR * self._done // self._n
            with self._lock:
                if not self._ended.is_set():
                    bar = "#" * full + "." * (_BAR - full)
                    sys.stderr.write(f"\r\x1b[K[{bar}] {self._text}, {seconds:.0f} s")
                    sys.stderr.flush()
