"""Where the processes of a run import from: the library from this checkout, packages from their environment."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

__all__ = ["share_library"]


def share_library() -> None:
    """Let the processes that this one starts import the library from the same checkout.

    Folders of ``PYTHONPATH`` with packages that the environment has itself, as a cluster's modules name them, are left
    out: another version would be imported in their place. Those with a user's own packages stay.
    """
    source = str(Path(__file__).parents[2])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    foreign = {path for path in paths if _packages(path) & _packages(sysconfig.get_paths()["purelib"])}
    kept = [path for path in paths if path not in foreign]
    os.environ["PYTHONPATH"] = os.pathsep.join(kept if source in kept else [source, *kept])
    sys.path[:] = [path for path in sys.path if path not in foreign]


def _packages(folder: str) -> set[str]:
    """Packages and modules in a folder, by the names under which they are imported."""
    try:
        names = os.listdir(folder)
    except OSError:
        return set()
    packages = {name for name in names if os.path.exists(os.path.join(folder, name, "__init__.py"))}
    return packages | {name.partition(".")[0] for name in names if name.endswith((".py", ".so"))}
