"""Checksums of content that large files carry, so that their times decide nothing: a copy is what it was copied from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["compare_stored_checksums", "stored_checksum"]


def stored_checksum(path: str | Path) -> str | None:
    """The SHA-256 of a file's content that stands in the file itself; None where there is none.

    The HDF5 files of the stations have it as an attribute, files of weights and of models in their header.
    """
    try:
        match Path(path).suffix:
            case ".h5":
                return _of_hdf5(path)
            case ".safetensors":
                return _of_safetensors(path)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        pass  # the job that reads the file says what is wrong with it
    return None


def _of_hdf5(path: str | Path) -> str | None:
    import h5py  # most starts of Snakemake need none

    with h5py.File(path, "r", locking=False) as file:
        found = file.attrs.get("content_sha256")
    return found if isinstance(found, str) else None


def _of_safetensors(path: str | Path) -> str | None:
    with open(path, "rb") as stream:
        metadata = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))["__metadata__"]
    (header,) = (json.loads(text) for text in metadata.values())
    found = header.get("tensors_sha256")
    return found if isinstance(found, str) else None


def compare_stored_checksums() -> None:
    """Let Snakemake (9.27) compare large files, too, by the checksum that they carry.

    By itself it takes a file above a limit for changed when its time is newer than that of what was made from it, as
    after a copy of the checkout without times.
    """
    from snakemake.io import _IOFile

    eligible, computed = _IOFile.is_checksum_eligible, _IOFile.checksum

    async def is_checksum_eligible(self: Any, threshold: int | None) -> bool:
        return await eligible(self, threshold) or stored_checksum(self.file) is not None

    async def checksum(
        self: Any, threshold: int | None = None, force: bool = False, algorithm: Any = None
    ) -> str | None:
        if await eligible(self, threshold):
            return await computed(self, threshold, force, algorithm)
        found = stored_checksum(self.file)
        return f"sha256:{found}" if found else None

    _IOFile.is_checksum_eligible, _IOFile.checksum = is_checksum_eligible, checksum
