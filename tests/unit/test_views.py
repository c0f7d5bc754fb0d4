"""The camera graph: neighbours for any number of views, and what isn't a graph."""

from __future__ import annotations

import pytest

from multiflow.base.errors import InputError
from multiflow.methods.multiflow.camera_graph import CameraGraph, camera_graph


@pytest.mark.parametrize(
    ("views", "connections", "neighbors"),
    [
        (1, "both", ((),)),
        (1, "none", ((),)),
        (2, "both", ((1,), (0,))),
        (2, "top", ((1,), (0,))),
        (2, "neighbors", ((), ())),
        (3, "both", ((1, 2), (0, 2), (0, 1))),
        (3, "neighbors", ((), (2,), (1,))),
        (4, "both", ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2))),
        (5, "both", ((1, 2, 3, 4), (0, 2, 4), (0, 1, 3), (0, 2, 4), (0, 1, 3))),
        (5, "top", ((1, 2, 3, 4), (0,), (0,), (0,), (0,))),
        (5, "neighbors", ((), (2, 4), (1, 3), (2, 4), (1, 3))),
        (5, "none", ((), (), (), (), ())),
    ],
)
def test_neighbors(views: int, connections: str, neighbors: tuple[tuple[int, ...], ...]) -> None:
    graph = camera_graph(views, connections)
    assert graph.neighbors == neighbors
    assert graph.views == views
    assert graph == CameraGraph(neighbors)


@pytest.mark.parametrize("views", range(1, 9))
@pytest.mark.parametrize("connections", ["both", "top", "neighbors", "none"])
def test_messages_run_both_ways(views: int, connections: str) -> None:
    edges = camera_graph(views, connections).edges
    assert len(set(edges)) == len(edges)
    assert {(receiver, sender) for sender, receiver in edges} == set(edges)


def test_edges_are_ordered_by_receiver() -> None:
    assert CameraGraph(((2,), (), (1, 0))).edges == ((2, 0), (1, 2), (0, 2))


def test_text() -> None:
    assert str(camera_graph(3, "top")) == "3 views, 0<-1+2, 1<-0, 2<-0"
    assert str(camera_graph(1)) == "1 view, no messages"


@pytest.mark.parametrize(
    ("neighbors", "message"),
    [
        ((), "at least one view"),
        (((1,), (5,)), r"view 1: expected neighbours from 0 to 1, found \[5\]"),
        (((0,), ()), "view 0: found itself"),
        (((1, 1), ()), "view 0: found a neighbour twice"),
    ],
)
def test_wrong_neighbors(neighbors: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CameraGraph(neighbors)


def test_wrong_arguments_are_all_reported() -> None:
    with pytest.raises(InputError) as caught:
        camera_graph(0, "all")
    assert len(caught.value.problems) == 2
