"""Write envs/lock.txt and the conda environment from the requirements of pyproject.toml (`make lock`).

The lock names every package that is installed, so it is installed with `pip install --no-deps`. ADEval asks for
opencv-python, whose wheel needs libGL, which a cluster node often lacks; opencv-python-headless has the same module.
Conda resolves what pip installs, so there ADEval comes afterwards, alone and without its dependencies.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
# pip comes with the virtual environment and does not replace itself while it works.
LEFT_OUT = {"opencv-python", "pip"}
HEADER = "# Written by `make lock` from pyproject.toml; install with: pip install --no-deps -r envs/lock.txt\n"


def resolve(requirements: list[str]) -> list[str]:
    """Pins of all packages that the requirements need, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*pip, "--report", str(report), *requirements], check=True)
        installed = json.loads(report.read_text())["install"]
    pins = {entry["metadata"]["name"].lower().replace("_", "-"): entry["metadata"]["version"] for entry in installed}
    return [f"{name}=={version}" for name, version in sorted(pins.items()) if name not in LEFT_OUT]


def write_conda(pins: list[str]) -> None:
    """The same pins as a conda environment, for `snakemake --sdm conda`."""
    head = [
        "# Written by `make lock`.",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
    ]
    adeval = next(pin for pin in pins if pin.startswith("adeval=="))
    packages = [f"      - {pin}" for pin in pins if pin != adeval]
    (HERE / "multiflow.yaml").write_text("\n".join([*head, "  - pip:", *packages]) + "\n")
    (HERE / "multiflow.post-deploy.sh").write_text(
        f"#!/usr/bin/env bash\n# Written by `make lock`.\nset -euo pipefail\npip install --no-deps {adeval}\n"
    )


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    pins = resolve(project["project"]["dependencies"] + project["dependency-groups"]["dev"])
    (HERE / "lock.txt").write_text(HEADER + "\n".join(pins) + "\n")
    write_conda(pins)


if __name__ == "__main__":
    main()
