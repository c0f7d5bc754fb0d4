"""What a process has imported is not looked through for cycles; what it makes still is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from multiflow.base import cycles, job

PROGRAM = """
import atexit, gc, json, sys, weakref
import pandas

class Node: pass

def print_frozen():
    print(json.dumps([start, gc.get_threshold()[0], gc.get_freeze_count() - start, freed]))

atexit.register(print_frozen)  # runs after what is registered later
{begin}
    start = gc.get_freeze_count()
    node = Node()
    node.itself, known = node, weakref.ref(node)
    del node
    gc.collect()
    freed = known() is None
    more = [[number] for number in range(2000)]
"""
BEGIN = {
    "job": f"from {job.__name__} import job\nwith job(sys.argv[1]):",
    "snakemake": f"from {cycles.__name__} import look_seldom\nlook_seldom()\nif True:",
}


@pytest.mark.parametrize(("process", "threshold"), [("job", 700), ("snakemake", 100_000)])
def test_imports_are_left_out_and_new_cycles_are_found(process: str, threshold: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM.format(begin=BEGIN[process]), str(tmp_path / "own.log")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    imported, found, at_the_end, freed = json.loads(printed)
    assert imported > 10_000
    assert found == threshold
    assert at_the_end > 1000
    assert freed
