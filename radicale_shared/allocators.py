"""How the two allocators of a server process are kept from holding on to what was freed.

The C library's serves Python's larger objects, SQLite and argon2; granian has jemalloc. Both keep memory apart for each
thread, for programs whose threads run at the same time: of ours, one runs and many wait. Measured after 32 clients had
listed, fetched and written for a while: 117 MB for each worker, and 68 MB with what stands here.
"""

from __future__ import annotations

import ctypes
import gc
import os

# Options of glibc's mallopt (malloc.h): names in the environment, numbers in the call. The last two would grow with the
# first block that is freed, as argon2's 19 MB: from then on none of them would be given back.
_GLIBC = {
    "MALLOC_ARENA_MAX": (-8, 1),
    "MALLOC_MMAP_THRESHOLD_": (-3, 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": (-1, 1024 * 1024),
}
_JEMALLOC = ("_RJEM_MALLOC_CONF", "narenas:1,tcache:false")


def set_up() -> None:
    """Before granian is imported: set up the allocators of this process, and of all that it will start or fork.

    What the environment has already stays; where the C library is another one, its allocator is left alone.
    """
    os.environ.setdefault(*_JEMALLOC)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for name, (option, value) in _GLIBC.items():
        if os.environ.setdefault(name, str(value)) == str(value) and mallopt is not None:
            mallopt(option, value)


def give_back() -> None:
    """Before workers are forked: give back what starting took, and let the collector pass by what stays.

    A worker shares this process' memory until it writes there, and the collector writes to each object it looks at.
    """
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
