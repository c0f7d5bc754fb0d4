"""The HDF5 files that pass between the stations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.hdf5_writer import Hdf5Writer

__all__ = ["Hdf5File", "Split", "create_hdf5", "write_strings"]


@contextmanager
def create_hdf5(path: str | Path, kind: str, attributes: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that appears at ``path`` when the block ends without an error.

    Args:
        path: the file.
        kind: what the file holds (``features``, ``foreground``); its readers ask for the same word.
        attributes: root attributes; strings, numbers and lists of them.

    Raises:
        InputError: the disk, or the user's part of it, is full.
    """
    with atomic_path(path) as temporary, Hdf5Writer(temporary) as writer:
        try:
            with h5py.File(writer, "w", libver="v110") as file:
                file.attrs["kind"] = kind
                for name, value in attributes.items():
                    file.attrs[name] = value
                yield file
        finally:
            writer.check()


def write_strings(group: h5py.Group, name: str, values: Any) -> None:
    """Store an array of strings of any shape as UTF-8."""
    group.create_dataset(name, data=np.asarray(values, dtype=object), dtype=h5py.string_dtype())


class Hdf5File:
    """An HDF5 file of one kind, opened at its first use, once in every process that reads it.

    It can be pickled and survives a fork: a handle is never shared between processes.

    Args:
        path: the file.
        kind: the kind that :func:`create_hdf5` wrote.

    Raises:
        InputError: at the first use, the file is missing, truncated, damaged, or of another kind.
    """

    def __init__(self, path: str | Path, kind: str) -> None:
        self.path = Path(path)
        self.kind = kind
        self._file: h5py.File | None = None
        self._owner = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None, "_owner": 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._file is not None and self._owner == os.getpid():
            self._file.close()
        self._file = None

    @property
    def file(self) -> h5py.File:
        """The open file."""
        if self._file is None or self._owner != os.getpid():
            self._file = self._open()
            self._owner = os.getpid()
        return self._file

    def attribute(self, name: str) -> Any:
        """A root attribute."""
        with self.guard():
            value = self.file.attrs[name]
        return value.tolist() if isinstance(value, np.ndarray | np.generic) else value

    def array(self, name: str, index: Any = ()) -> NDArray[Any]:
        """A data set, or the part of it that ``index`` names; strings come as ``str`` objects."""
        with self.guard():
            dataset = self.file[name]
            if h5py.check_string_dtype(dataset.dtype) is not None:
                return np.asarray(dataset.asstr()[index], dtype=object)
            return np.asarray(dataset[index])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a data set."""
        with self.guard():
            return tuple(self.file[name].shape)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what h5py raises on a damaged file into an :class:`InputError`."""
        try:
            yield
        except (OSError, KeyError, RuntimeError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error

    def _open(self) -> h5py.File:
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file; run the rule that writes it")
        try:
            file = h5py.File(self.path, "r", locking=False)  # a file appears whole and never changes
        except OSError as error:
            raise self._damaged(str(error)) from error
        found = file.attrs.get("kind")
        if found != self.kind:
            file.close()
            raise InputError(
                f"{self.path}: expected a {self.kind} file of this program, found "
                f"{'another HDF5 file' if found is None else f'a {found} file'}; delete it and rerun"
            )
        return file

    def _damaged(self, reason: str) -> InputError:
        reason = " ".join(reason.split())
        return InputError(
            f"{self.path}: expected a whole {self.kind} file, cannot read it ({reason}); delete it and rerun"
        )


class Split:
    """What the files of both stations hold of one split: N samples of V views.

    Args:
        source: the open file.
        name: ``train`` or ``test``.
    """

    def __init__(self, source: Hdf5File, name: str) -> None:
        self._source = source
        self._name = name

    def __len__(self) -> int:
        return self._source.shape(f"{self._name}/sample")[0]

    @property
    def samples(self) -> list[str]:
        """Sample keys [N]."""
        values: list[str] = self._array("sample").tolist()
        return values

    @property
    def images(self) -> list[list[str]]:
        """Paths of the images [N][V], relative to the data set's root."""
        values: list[list[str]] = self._array("image").tolist()
        return values

    def _array(self, name: str, index: Any = ()) -> NDArray[Any]:
        return self._source.array(f"{self._name}/{name}", index)
