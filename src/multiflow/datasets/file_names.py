"""Sample and camera in the name of a picture, as Real-IAD's pictures and photographs for an inspection are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["split_name"]


def split_name(stem: str, cameras: Sequence[str]) -> tuple[str, str] | None:
    """Sample and camera in the name of a picture, ``<sample>_<camera>_<time>``; None for another name.

    Example:
        >>> split_name("usb_0012_NG_HS_C3_20231023", ["C1", "C2", "C3"])
        ('usb_0012_NG_HS', 'C3')

    Args:
        stem: the file's name without its suffix.
        cameras: names of cameras that are known besides ``C<n>``.
    """
    names = "|".join(["C[0-9]+", *map(re.escape, cameras)])
    match = re.fullmatch(rf"(.+)_({names})(?:_.*)?", stem)
    return None if match is None else (match[1], match[2])
