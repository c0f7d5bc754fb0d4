"""The code of a method that is no part of this package: it changes without a new version, and decides a training."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path

from multiflow.methods.contract import Method

__all__ = ["source_sha256"]


def source_sha256(method: Method) -> str | None:
    """Checksum of a method's code: its file, or, where that lies in a package's folder, all ``.py`` files below it.

    Returns:
        Hexadecimal; None for a method that comes with this package, and for one whose code is in no file.
    """
    found = type(method)
    if found.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return None
    try:
        source = inspect.getsourcefile(found)
    except TypeError:  # a class that was typed in, as in an interpreter
        source = None
    if source is None or not Path(source).is_file():
        return None
    file = Path(source)
    folder = file.parent
    files = sorted(folder.rglob("*.py")) if (folder / "__init__.py").is_file() else [file]
    checksum = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        checksum.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        checksum.update(content)
    return checksum.hexdigest()
