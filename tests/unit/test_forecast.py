"""The remaining time of a run."""

from __future__ import annotations

import pytest

from snakemake_logger_plugin_multiflow.forecast import Forecast, clock


def test_remaining_time_counts_what_is_planned_and_what_runs() -> None:
    forecast = Forecast()
    forecast.plan({"train_flow": 4, "make_table": 2})
    assert forecast.seconds_left(0.0) is None
    forecast.start(1, "train_flow", 0.0)
    forecast.start(2, "train_flow", 0.0)
    assert forecast.finish(1, 10.0) == 10.0
    forecast.start(3, "train_flow", 10.0)
    # 3 trainings and 2 tables of unknown cost, 10 s each, 10 s of them done, two at once.
    assert forecast.seconds_left(10.0) == pytest.approx((5 * 10 - 10) / 2)
    assert (forecast.done, forecast.total) == (1, 6)


def test_a_job_that_takes_longer_than_its_kind_leaves_no_negative_time() -> None:
    forecast = Forecast()
    forecast.plan({"train_flow": 2})
    forecast.start(1, "train_flow", 0.0)
    forecast.finish(1, 1.0)
    forecast.start(2, "train_flow", 1.0)
    assert forecast.seconds_left(100.0) == 0.0


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.9, 60, 754)] == ["0:00", "0:59", "1:00", "12:34"]
