"""Settings that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from multiflow.job import share_library

# Processes that tests start import the library as the tests do.
share_library()


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Path of a program that no Python package brings (a browser, LaTeX): without it the test is skipped.

    Where the environment variable ``REQUIRE_PROGRAMS`` is set, as in CI, a missing program is a failure.
    """

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            message = f"this test needs the program {name}, which is not installed"
            if os.environ.get("REQUIRE_PROGRAMS"):
                pytest.fail(message)
            pytest.skip(message)
        return found

    return find


@pytest.fixture
def emulated_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that seems to have a GPU: its tensors lie on the CPU, ADEval's histogram counts as CUDA does."""
    from gpu_emulation import emulate_gpu  # torch takes seconds to import

    with emulate_gpu(monkeypatch):
        yield
