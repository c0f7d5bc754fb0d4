"""When Python looks for objects that only hold each other: seldom, where all but a few stay until the process ends."""

from __future__ import annotations

import atexit
import gc

__all__ = ["leave_out_what_is_there", "look_seldom"]


def leave_out_what_is_there() -> None:
    """Leave the objects that are there, such as all that was imported, out of every later search.

    The search at the end of the process is left out altogether: going through all of torch took a quarter of the
    processor time of a small job. A file that is still open may lose what it has not written yet, as it may in Python
    without this: close it.
    """
    gc.freeze()
    atexit.register(gc.freeze)


def look_seldom() -> None:
    """Look once in 100,000 new objects, in place of some hundreds, and leave out what is there.

    For a process that makes many small objects and hardly any that only hold each other: a Snakemake, whose jobs all
    stay. One that computes makes few objects, but large ones.
    """
    leave_out_what_is_there()
    gc.set_threshold(100_000, 10, 10)
