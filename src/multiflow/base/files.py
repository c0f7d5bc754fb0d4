"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multiflow.base.errors import InputError

__all__ = ["atomic_path"]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends without an error.

    The temporary file carries the host's name and the process id, so that two processes that write the same
    target never share one; the last rename wins and either result is whole. On an error the temporary file is
    removed and the target stays as it was. What a killed process left is removed first.

    Raises:
        InputError: the disk, or the user's part of it, is full, or the folder is one that this user cannot write.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{platform.node()}.{os.getpid()}.partial")
    try:
        _make(temporary, target)
        # Some libraries write files that nobody else may read; a run's results are a group's.
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except Exception as error:
        reason = _full_disk(error)
        if reason is None:
            raise
        raise InputError(
            f"{target}: cannot be written whole: {reason}; make room in {target.parent} and start again"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _make(temporary: Path, target: Path) -> None:
    """Make the temporary file of a target, with its folder.

    Raises:
        InputError: this user cannot write there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(target)
        temporary.touch()
    except OSError as error:
        if _full_disk(error) is not None:
            raise
        too_long = error.errno == errno.ENAMETOOLONG
        remedy = "shorten its name" if too_long else f"make {target.parent} a folder that can be written"
        raise InputError(f"{target}: cannot be written ({error.strerror}); {remedy}") from error


def _remove_left(target: Path) -> None:
    """Remove a target's temporary files that nobody writes any more.

    Another host's processes cannot be seen: what nobody has written to for an hour is left over.
    """
    own = f".{target.name}.{platform.node()}."
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        process = left.name[len(own) :].removesuffix(".partial")
        with suppress(FileNotFoundError, PermissionError):  # or another user's
            if left.name.startswith(own) and process.isdigit():
                unused = not _is_alive(int(process))
            else:
                unused = time.time() - left.stat().st_mtime > 3600
            if unused:
                left.unlink()


def _full_disk(error: BaseException | None) -> str | None:
    """The system's words for a disk, quota or file-size limit that is full, if that is what an error comes from.

    Libraries report it as errors of their own kinds, with these words in the message; torch drops them.
    """
    while error is not None:
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if os.strerror(number) in str(error):
                return os.strerror(number)
        if re.search(r"PytorchStreamWriter failed writing file|inline_container.*unexpected pos", str(error)):
            return "writing failed, as it does on a full disk"
        error = error.__cause__ or error.__context__
    return None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
