"""Which view of a sample receives messages from which other views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from multiflow.base.errors import InputError

__all__ = ["CameraGraph", "Connections", "camera_graph"]

Connections = Literal["both", "top", "neighbors", "none"]


@dataclass(frozen=True)
class CameraGraph:
    """A directed graph over the views of a sample (paper section 3.3).

    Args:
        neighbors: for every view the views whose messages it receives, in the order in which their
            parameters are kept. The messages into a view are averaged, so their order has no meaning.

    Raises:
        InputError: no view at all, a neighbour outside of the views, a view that is its own neighbour,
            or a neighbour named twice.
    """

    neighbors: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        problems = []
        if not self.neighbors:
            problems.append("camera graph: expected at least one view, found none: list the neighbours per view")
        for view, senders in enumerate(self.neighbors):
            place = f"camera graph: view {view}"
            unknown = sorted({sender for sender in senders if not 0 <= sender < self.views})
            if unknown:
                problems.append(
                    f"{place}: expected neighbours from 0 to {self.views - 1}, found {unknown}: "
                    "correct the list, or add a list for each missing view"
                )
            if view in senders:
                problems.append(f"{place}: found itself among its neighbours {list(senders)}: remove it")
            if len(set(senders)) < len(senders):
                problems.append(f"{place}: found a neighbour twice in {list(senders)}: name each once")
        if problems:
            raise InputError(problems)

    @property
    def views(self) -> int:
        """Number of views."""
        return len(self.neighbors)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All messages as (sending view, receiving view), ordered by receiver."""
        return tuple((sender, view) for view, senders in enumerate(self.neighbors) for sender in senders)

    def __str__(self) -> str:
        arrows = ", ".join(
            f"{view}<-{'+'.join(map(str, senders))}" for view, senders in enumerate(self.neighbors) if senders
        )
        return f"{self.views} view{'s' if self.views > 1 else ''}, {arrows or 'no messages'}"


def camera_graph(views: int, connections: Connections = "both") -> CameraGraph:
    """Return the graph of a top view (view 0) surrounded by a ring of side views (paper figure 2, table 2).

    Args:
        views: number of views, at least one.
        connections: ``top`` connects the top view with every side view in both directions, ``neighbors``
            connects every side view with the next one on either side, ``both`` does both, ``none`` neither.

    Raises:
        InputError: fewer than one view, or unknown connections.
    """
    problems = []
    if views < 1:
        problems.append(f"camera graph: expected at least 1 view, found {views}")
    if connections not in get_args(Connections):
        problems.append(
            f"camera graph: connections: expected one of {', '.join(get_args(Connections))}, found {connections!r}"
        )
    if problems:
        raise InputError(problems)

    senders: list[set[int]] = [set() for _ in range(views)]
    sides = views - 1
    for side in range(1, views):
        if connections in ("both", "top"):
            senders[0].add(side)
            senders[side].add(0)
        if connections in ("both", "neighbors"):
            following = side % sides + 1
            # A ring of one has no edge; a ring of two has one, met from either end.
            if following != side:
                senders[side].add(following)
                senders[following].add(side)
    return CameraGraph(tuple(tuple(sorted(names)) for names in senders))
