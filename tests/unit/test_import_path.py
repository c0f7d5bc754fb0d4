"""What the processes of a run import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_clusters_modules_do_not_take_the_place_of_the_environments_packages(tmp_path: Path) -> None:
    for name in ("modules/h5py/__init__.py", "modules/numpy/__init__.py", "single/h5py.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("raise ImportError('a foreign package')\n")
    (tmp_path / "my lab/my_detector").mkdir(parents=True)
    (tmp_path / "my lab/my_detector/__init__.py").write_text("")
    paths = [tmp_path / "modules", ROOT / "src", tmp_path / "nowhere", tmp_path / "my lab", tmp_path / "single"]
    child = "import h5py, my_detector, multiflow; print(h5py.File.__name__)"
    program = (
        "from multiflow.base.import_path import share_library; share_library()\n"
        f"import h5py, my_detector, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "File\n"), result.stderr
