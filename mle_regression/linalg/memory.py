"""How much memory there is, and a refusal in words where a matrix would ask for more."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

# Bytes of a number in float64, and of a gibibyte.
NUMBER_BYTES, GIB = 8, 2.0**30
# What a process may be limited to by its control group (Linux): version 2, version 1.
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@lru_cache(maxsize=1)
def _installed_bytes() -> float:
    """Memory of the machine, or of the control group where that is less; infinite where neither is known."""
    limits = [float("inf")]
    with suppress(AttributeError, ValueError, OSError):  # not a POSIX system
        limits.append(float(os.sysconf("SC_PAGE_SIZE")) * float(os.sysconf("SC_PHYS_PAGES")))
    for path in _GROUP_LIMITS:
        try:
            limits.append(float(Path(path).read_text().strip().replace("max", "inf")))
        except (OSError, ValueError):
            continue
    return min(limit for limit in limits if limit > 0)


class MemoryNeededError(ValueError):
    """What is asked for needs more memory than there is; the message says how much, and what to do instead."""


def memory_bytes() -> float:
    """Return the bytes that this process may use at most: those of the machine, its control group, or its own limit."""
    limit = float("inf")
    if resource is not None:
        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        limit = float("inf") if soft == resource.RLIM_INFINITY else float(soft)
    return min(limit, _installed_bytes())


def fits_memory(size: float) -> bool:
    """Tell whether so many bytes can be had at all."""
    return size <= memory_bytes()


def require_memory(size: float, what: str, remedy: str) -> None:
    """Raise a `MemoryNeededError`, before anything is allocated, unless so many bytes can be had.

    Parameters
    ----------
    size : float
        In bytes.
    what : str
        Beginning of the message: what asks for them.
    remedy : str
        Its end: what to do instead.
    """
    if not fits_memory(size):
        raise MemoryNeededError(
            f"{what}: about {size / GIB:.3g} GiB of memory, and this process may have {memory_bytes() / GIB:.3g} GiB. "
            f"{remedy}."
        )
