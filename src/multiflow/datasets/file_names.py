"""Sample and camera in the name of a picture, as Real-IAD's pictures and photographs for an inspection are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PICTURES", "is_hidden", "similar_name", "split_name", "visible"]

PICTURES = frozenset(
    {".avif", ".bmp", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes of pictures, in small letters."""

_NOT_THE_USERS = {
    "Thumbs.db",
    "desktop.ini",
    "__MACOSX",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
}


def visible(folder: Path) -> list[Path]:
    """What a folder holds, by name, without what a file manager leaves in it; nothing where there is no such folder.

    macOS leaves ``._C1.jpg`` beside ``C1.jpg`` on foreign disks, and ``.DS_Store``; Windows leaves ``Thumbs.db``, and a
    file server thumbnails in ``@eaDir``.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if not is_hidden(path.name)]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is the system's, and so nobody's picture."""
    return name.startswith(".") or name in _NOT_THE_USERS


def similar_name(path: Path) -> str:
    """The name of what lies beside it and differs in case, or in how an accent is stored; empty where nothing does.

    Other systems take such names for the same.
    """

    def same(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()

    found = path.parent.iterdir() if path.parent.is_dir() else ()
    return next((other.name for other in found if other.name != path.name and same(other.name) == same(path.name)), "")


def split_name(stem: str, cameras: Sequence[str]) -> tuple[str, str] | None:
    """Sample and camera in the name of a picture, ``<sample>_<camera>_<time>``; None for another name.

    Example:
        >>> split_name("usb_0012_NG_HS_C3_20231023", ["C1", "C2", "C3"])
        ('usb_0012_NG_HS', 'C3')

    Args:
        stem: the file's name without its suffix.
        cameras: names of cameras that are known besides ``C<n>``.
    """
    names = "|".join([*map(re.escape, sorted(cameras, key=len, reverse=True)), "C[0-9]+"])
    found = [match for match in re.finditer(rf"(?=_({names})(?:_|$))", stem) if match.start() > 0]
    if not found:
        return None
    # The last one; of those that end there the longest, since one camera may be called left and another top_left.
    last = max(found, key=lambda match: (match.end(1), len(match[1])))
    return stem[: last.start()], last[1]
