"""The cluster, and a finished local run that all tests start from and compare with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from checkout import Checkout
from cluster import NODES, PROGRAMS, SYSTEM_PATH, Cluster
from slurm_checkout import OVERLAYS, SUMMARY, SlurmCheckout, slurm_run


@pytest.fixture(scope="session")
def daemons(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", SYSTEM_PATH)
        for name in PROGRAMS:
            program(name)
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(daemons: Cluster) -> Iterator[Cluster]:
    """The running cluster, all nodes idle; jobs that a test leaves are cancelled."""
    daemons.wait(lambda: daemons.node_states() == dict.fromkeys(NODES, "idle"), "all nodes to be idle")
    yield daemons
    daemons.cancel_all()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the small run has been made on this machine, without Slurm."""
    checkout = Checkout(tmp_path_factory.mktemp("local"))
    checkout.write_config(slurm_run())
    checkout.succeed(OVERLAYS, str(SUMMARY))
    return checkout


@pytest.fixture
def checkout(finished: Checkout, cluster: Cluster, tmp_path: Path) -> SlurmCheckout:
    """A copy of the finished run, but for one training and scoring."""
    return SlurmCheckout(tmp_path / "checkout", cluster, finished)
