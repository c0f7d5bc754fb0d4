"""What the header of a safetensors file says, without the libraries that read its tensors."""

from __future__ import annotations

import json
from pathlib import Path

from multiflow.base.errors import InputError

__all__ = ["read_provenance"]


def read_provenance(path: str | Path) -> dict[str, str]:
    """The provenance that :func:`multiflow.base.weights.write_weights` put into a file's header.

    Its ``tensors_sha256`` is the checksum of the tensors alone: the same weights from another place have the same.

    Raises:
        FileNotFoundError: the file is not there yet, which Snakemake expects of a job's parameters.
        InputError: it is no such file.
    """
    with open(path, "rb") as stream:
        try:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            provenance: dict[str, str] = json.loads(header["__metadata__"]["provenance"])
        except (ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
            raise InputError(
                f"{path}: expected weights of this program, cannot read their header ({type(error).__name__}); "
                "delete it and rerun"
            ) from None
    if "tensors_sha256" not in provenance:
        raise InputError(f"{path}: expected weights with a checksum, found those of an older version; delete it")
    return provenance
