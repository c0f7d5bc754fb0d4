"""What is there is not looked through for garbage; what a process makes later still is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from multiflow.base import garbage, job

PROGRAM = """
import atexit, gc, json, sys, weakref
import pandas

class Node: pass

def print_found():
    print(json.dumps([start, gc.get_threshold()[0] / usual, gc.get_freeze_count() - start, freed]))

usual = gc.get_threshold()[0]
atexit.register(print_found)  # runs after what is registered later
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
    "snakemake": f"from {garbage.__name__} import look_seldom\nlook_seldom()\nif True:",
}


@pytest.mark.parametrize(("process", "seldom"), [("job", 1), ("snakemake", 10)])
def test_what_is_there_is_left_out_and_later_garbage_is_found(process: str, seldom: float, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM.format(begin=BEGIN[process]), str(tmp_path / "own.log")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    there, threshold, at_the_end, freed = json.loads(printed)
    assert there > 10_000
    assert threshold >= seldom
    assert at_the_end > 1000
    assert freed
