"""How long a run still takes, from the jobs that it has done."""

from __future__ import annotations

__all__ = ["Forecast", "clock"]


class Forecast:
    """Remaining time of a set of jobs: the mean of each rule's finished jobs, over the number that run at once.

    A rule of which no job has finished is taken to cost the mean of all finished jobs.
    """

    def __init__(self) -> None:
        self._planned: dict[str, int] = {}
        self._running: dict[int, tuple[str, float]] = {}
        self._finished: dict[str, list[float]] = {}
        self._most_at_once = 1

    @property
    def total(self) -> int:
        """Jobs of the run."""
        return sum(self._planned.values())

    @property
    def done(self) -> int:
        """Jobs that have finished."""
        return sum(map(len, self._finished.values()))

    def plan(self, jobs: dict[str, int]) -> None:
        """Take up the number of jobs of each rule."""
        self._planned = dict(jobs)

    def start(self, job: int, rule: str, now: float) -> None:
        """A job starts at ``now``, s."""
        self._running[job] = (rule, now)
        self._most_at_once = max(self._most_at_once, len(self._running))

    def finish(self, job: int, now: float) -> float:
        """A job ends at ``now``, s; returns the seconds that it took."""
        rule, started = self._running.pop(job, ("", now))
        self._finished.setdefault(rule, []).append(now - started)
        return now - started

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the run ends; None before the first job of any length has finished."""
        seconds = [value for values in self._finished.values() for value in values]
        if not seconds:
            return None
        overall = sum(seconds) / len(seconds)
        work = 0.0
        for rule, count in self._planned.items():
            done = self._finished.get(rule, [])
            mean = sum(done) / len(done) if done else overall
            work += mean * (count - len(done))
        elapsed = sum(now - started for _, started in self._running.values())
        return max(0.0, work - elapsed) / self._most_at_once


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, ``3:07``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
