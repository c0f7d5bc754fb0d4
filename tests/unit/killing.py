"""A training in a process of its own that is killed as a scheduler kills a job: without a last word."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["kill_when"]

_PROGRAM = """
import importlib, pickle, sys
module, arguments, changes, folders = pickle.loads(bytes.fromhex(sys.argv[1]))
sys.path[:0] = folders
importlib.import_module(module).trained(*arguments, **changes)
"""


def kill_when(ready: Callable[[], bool], module: str, *arguments: Any, **changes: Any) -> None:
    """Run a test module's ``trained`` in a process of its own, and kill it once something is there.

    Args:
        ready: whether it is there.
        module: name of the test module, in this folder.
        arguments, changes: of ``trained``.
    """
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    data = pickle.dumps((module, arguments, changes, folders)).hex()
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, data])
    deadline = time.monotonic() + 120
    try:
        while not ready():
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline, "nothing to kill it for"
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
