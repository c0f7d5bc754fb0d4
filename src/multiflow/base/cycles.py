"""When Python looks for objects that only hold each other: seldom, where all but a few stay until the process ends."""

from __future__ import annotations

import atexit
import gc

__all__ = ["keep_what_is_there", "look_seldom"]


def keep_what_is_there() -> None:
    """Leave what has been imported out of every later search for cycles, and leave out the search at the end.

    That search went through all of torch, which took a quarter of the processor time of a small job.
    """
    gc.freeze()
    atexit.register(gc.freeze)


def look_seldom() -> None:
    """Look for cycles once in 100,000 new objects, in place of 700, and leave out what is there.

    For a process that makes many small objects and hardly any cycles: a Snakemake, whose jobs all stay. One that
    computes makes few objects, but large ones.
    """
    keep_what_is_there()
    gc.set_threshold(100_000, 10, 10)
