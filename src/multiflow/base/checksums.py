"""Checksums of their content that the files between the stations carry."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["stored_checksum"]


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
