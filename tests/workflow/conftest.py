"""A checkout of its own for every test that runs the workflow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout, small_run


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh checkout."""
    return Checkout(tmp_path)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which a small rendered run has been made, from parts to tables."""
    checkout = Checkout(tmp_path_factory.mktemp("rendered"))
    overlay = checkout.write_config(small_run())
    checkout.succeed(["config/demo.yaml", overlay])
    return checkout


@pytest.fixture
def finished(rendered: Checkout, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of the rendered checkout, for tests that change its run."""
    copy = rendered.copy(tmp_path / "copy")
    yield copy
    shutil.rmtree(copy.folder)
