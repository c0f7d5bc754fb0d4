"""Settings that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from multiflow.base.import_path import share_library

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
