"""Seeds that one process trains: what is the same for all is read once, and each model is as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import test_anomalib
import test_clscnf
import test_multiscale
import test_patch_methods
import test_training
from anomalib_pictures import made_weights, striped_parts
from lite0 import lite0_weights, work_in, written
from memory_samples import random_samples
from pictured_samples import pictured

from multiflow.methods import load_method
from multiflow.methods.work import Work


class Watched:
    """Samples that count how often they are read."""

    def __init__(self, samples: Any) -> None:
        self._samples, self.reads = samples, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._samples, name)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return self._samples[index]

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def pictures(self, order: Sequence[tuple[int, int]]) -> Generator[Any, None, None]:
        for picture in self._samples.pictures(order):
            self.reads += 1
            yield picture


CASES: dict[str, tuple[Callable[[], Any], Callable[[], Any], int]] = {
    # Settings, samples, and how many readings a second seed does without.
    "multiflow": (test_training.settings, random_samples, 6),
    # A level's features are read for its projection, and for its inputs.
    "multiscale": (test_multiscale.settings, test_multiscale.ScaledSamples, 4 * 6),
    "simplenet": (lambda: test_patch_methods.settings("simplenet"), lambda: striped_parts(6, views=2), 6),
    "anomalib": (lambda: test_anomalib.settings(**test_anomalib.FASTFLOW), lambda: striped_parts(3, views=2), 3),
    # The pictures and foregrounds of its first stage; what its second one reads depends on the seed.
    "clscnf": (test_clscnf.settings, pictured, 4 * 2 + 4),
}


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return lite0_weights(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize("name", CASES)
def test_a_second_seed_reads_nothing_again_and_learns_the_same(
    tmp_path: Path, lite0: dict[str, Path], name: str
) -> None:
    make_settings, make_samples, saved = CASES[name]
    settings, method = make_settings(), load_method(name)
    weights = lite0 if name in ("simplenet", "clscnf") else made_weights(tmp_path, method.needs(settings).weights)
    works: list[Work] = []

    def train(samples: Watched, seed: int, shared: dict[str, Any] | None = None) -> bytes:
        works.append(work_in(tmp_path / str(len(works)), weights))
        works[-1].shared = shared
        model = method.train(samples, settings, seed, works[-1])
        return written(tmp_path, model)

    samples, shared = Watched(make_samples()), {}
    first = train(samples, 0, shared)
    reads = samples.reads
    second = train(samples, 1, shared)
    alone = [train(Watched(make_samples()), seed) for seed in (0, 1)]
    assert [first, second] == alone
    assert first != second
    assert 2 * reads - samples.reads == saved
    if name != "clscnf":
        assert samples.reads == reads
