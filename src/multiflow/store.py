"""Files that appear whole or not at all, and the HDF5 files that pass between the stations."""

from __future__ import annotations

import errno
import glob
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from multiflow.errors import InputError

__all__ = [
    "FeatureFile",
    "FeatureSplit",
    "ForegroundFile",
    "ForegroundSplit",
    "Hdf5File",
    "atomic_path",
    "create_hdf5",
    "write_strings",
]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends without an error.

    The temporary file carries the host's name and the process id, so that two processes that write the same
    target never share one; the last rename wins and either result is whole. On an error the temporary file is
    removed and the target stays as it was. What a killed process left is removed first.

    Raises:
        InputError: the disk, or the user's part of it, is full.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(target)
    temporary = target.with_name(f".{target.name}.{platform.node()}.{os.getpid()}.partial")
    try:
        # Some libraries write files that nobody else may read; a run's results are a group's.
        temporary.touch()
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
        temporary.unlink(missing_ok=True)


def _remove_left(target: Path) -> None:
    """Remove a target's temporary files that nobody writes any more.

    Another host's processes cannot be seen: what nobody has written to for an hour is left over.
    """
    own = f".{target.name}.{platform.node()}."
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        process = left.name[len(own) :].removesuffix(".partial")
        with suppress(FileNotFoundError):
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


@contextmanager
def create_hdf5(path: str | Path, kind: str, attributes: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that appears at ``path`` when the block ends without an error.

    Args:
        path: the file.
        kind: what the file holds (``features``, ``foreground``); its readers ask for the same word.
        attributes: root attributes; strings, numbers and lists of them.
    """
    with (
        atomic_path(path) as temporary,
        h5py.File(temporary, "w", libver="v110", locking="best-effort") as file,
    ):
        file.attrs["kind"] = kind
        for name, value in attributes.items():
            file.attrs[name] = value
        yield file


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


class FeatureSplit(Split):
    """One split of a feature file."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Labels of the views [N, V]: 1 is anomalous."""
        return self._array("label")

    @property
    def anomaly_classes(self) -> list[list[str]]:
        """Anomaly classes of the views [N][V], as the data set names them."""
        values: list[list[str]] = self._array("anomaly_class").tolist()
        return values

    def features(self, index: int) -> NDArray[np.float32]:
        """Features of one sample [V, C, H, W]."""
        return self._array("features", index).astype(np.float32, copy=False)

    def ground_truth(self, index: int) -> NDArray[np.uint8]:
        """Ground truth of one sample [V, S, S]: 1 is anomalous."""
        return self._array("ground_truth", index)


class FeatureFile(Hdf5File):
    """The features of one class, written by :func:`multiflow.features.extract_features`.

    Args:
        path: the file.

    Raises:
        InputError: at the first use, the file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "features")

    @property
    def cameras(self) -> list[str]:
        """The views of a sample, in order."""
        return list(self.attribute("cameras"))

    @property
    def channels(self) -> int:
        """Channels C of the features."""
        return self.shape("train/features")[2]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the feature maps."""
        height, width = self.shape("train/features")[3:]
        return height, width

    @property
    def channel_mean(self) -> NDArray[np.float64]:
        """Mean of every channel over the training set [C]."""
        return self.array("train/channel_mean")

    @property
    def channel_std(self) -> NDArray[np.float64]:
        """Standard deviation of every channel over the training set [C]; 0 where it never varies."""
        return self.array("train/channel_std")

    def split(self, name: str) -> FeatureSplit:
        """The split ``train`` or ``test``."""
        return FeatureSplit(self, name)

    def load_features(self, split: str) -> NDArray[np.float32]:
        """All features of a split [N, V, C, H, W], in memory."""
        source = self.split(split)
        features = np.empty(self.shape(f"{split}/features"), np.float32)
        for index in range(len(source)):
            features[index] = source.features(index)
        return features


class ForegroundSplit(Split):
    """One split of a foreground file."""

    @property
    def empty(self) -> str:
        """What a view without foreground is: ``foreground`` or ``background``."""
        value: str = self._source.file.attrs.get("empty", "foreground")
        return value

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Foreground of one sample [V, S, S]: 1 is foreground."""
        return self._array("mask", index)


class ForegroundFile(Hdf5File):
    """The foreground of one class, written by :func:`multiflow.foreground.segment_foreground`.

    Args:
        path: the file.

    Raises:
        InputError: at the first use, the file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "foreground")

    @property
    def cameras(self) -> list[str]:
        """The views of a sample, in order."""
        return list(self.attribute("cameras"))

    def split(self, name: str) -> ForegroundSplit:
        """The split ``train`` or ``test``."""
        return ForegroundSplit(self, name)
