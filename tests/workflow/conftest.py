"""A checkout of its own for every test that runs the workflow."""

from __future__ import annotations

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
