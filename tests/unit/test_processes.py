"""Worker processes: results in order, few at a time, errors passed on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from multiflow.base.errors import InputError
from multiflow.base.processes import ordered_map


def _square(number: int) -> int:
    return number * number


def _fail(number: int) -> int:
    raise InputError([f"problem {number}", "another"])


def _process(number: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_results_come_in_order(processes: int) -> None:
    assert list(ordered_map(_square, range(20), processes)) == [n * n for n in range(20)]
    assert list(ordered_map(_square, [], processes)) == []


def test_items_are_taken_as_results_are_used() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered_map(_square, items(), processes=2, ahead=2)
    for used in range(1, 10):
        next(results)
        assert len(taken) <= used + 4
    results.close()


@pytest.mark.parametrize("processes", [0, 2])
def test_a_mistake_keeps_its_lines(processes: int) -> None:
    with pytest.raises(InputError) as caught:
        list(ordered_map(_fail, [7], processes))
    assert caught.value.problems == ["problem 7", "another"]


def test_zero_processes_work_in_this_one() -> None:
    assert set(ordered_map(_process, range(3), 0)) == {os.getpid()}
    assert os.getpid() not in set(ordered_map(_process, range(3), 2))
