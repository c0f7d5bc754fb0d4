"""The file below an HDF5 file that is being written, where a full disk is an error and not a crash."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

__all__ = ["Hdf5Writer"]


class Hdf5Writer(io.FileIO):
    """A new file that HDF5 writes through h5py's driver for file objects.

    HDF5 does not survive an error of writing: it cannot close the file, and ends the process with a segmentation fault.
    So it sees none: the first error is kept, what follows is dropped, and :meth:`check` raises the error when HDF5 is
    done.

    Args:
        path: the file; what is there is replaced.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error of writing.

        Raises:
            OSError: there was one.
        """
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """Write all of the data, or drop it after an error."""
        content = memoryview(data).cast("B")
        left = content
        try:
            while left and self._error is None:
                left = left[super().write(left) :]  # a nearly full disk takes a part of it
        except OSError as error:
            self._error = error
        return len(content)

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; what was dropped reads as zeros."""
        content = memoryview(buffer).cast("B")
        count = super().readinto(content)
        content[count:] = bytes(len(content) - count)
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or leave it after an error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0
