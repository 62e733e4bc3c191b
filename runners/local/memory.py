"""Keeps memory in the process between batches, instead of returning it and having it cleared page by page.

Arrays of some megabytes come and go with each batch. The C library maps each anew, and the system clears its pages: a
third of a backfill's processor time went there. With these settings blocks up to 32 MiB, the most that glibc takes,
stay in one heap. On another C library they have no effect.
"""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Final

import pyarrow as pa

__all__ = ["keep_memory"]

_BLOCK: Final = 32 << 20
_TRIM: Final = 256 << 20
"""Free memory at the heap's end beyond this goes back to the system."""
_SETTINGS: Final = {  # name in the environment: (number for mallopt, value)
    "MALLOC_MMAP_THRESHOLD_": (-3, _BLOCK),
    "MALLOC_TRIM_THRESHOLD_": (-1, _TRIM),
    "MALLOC_ARENA_MAX": (-8, 1),
}


def keep_memory() -> None:
    """Apply the settings to this process, and to those that it starts from now on.

    Imported objects are frozen as well, so that the garbage collector doesn't scan them again and again: with Beam each
    scan takes 0.2 s, in which nothing else runs.
    """
    gc.collect()
    gc.freeze()
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for name, (number, value) in _SETTINGS.items():
        mallopt(number, value)
        os.environ.setdefault(name, str(value))
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    pa.set_memory_pool(pa.system_memory_pool())
