"""How far a long piece of work is, in one form for all stations: a line every few seconds, with the time left."""

from __future__ import annotations

import logging
import time

__all__ = ["Progress"]

_SECONDS = 5.0


class Progress:
    """Counts steps and logs, every five seconds, how many are done and how long the rest will take.

    Example:
        >>> progress = Progress(logging.getLogger(__name__), "scored", 3, "samples")
        >>> for _ in range(3):
        ...     progress.step()

    Args:
        logger: of the module that works; the log names it.
        verb: what is done, in the past tense.
        total: number of steps.
        unit: what a step is, in the plural.
        done: steps that were done before, which tell nothing of the speed.
        per_step: images of a step, where images per second are worth a word.
    """

    def __init__(
        self, logger: logging.Logger, verb: str, total: int, unit: str, *, done: int = 0, per_step: int | None = None
    ) -> None:
        self._logger = logger
        self._verb, self._unit = verb, unit
        self._total = total
        self._first = self._done = done
        self._per_step = per_step
        self._started = self._shown = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def step(self, remark: str = "") -> None:
        """One more is done.

        Args:
            remark: shown with the line, such as a loss.
        """
        self._done += 1
        now = time.monotonic()
        if now - self._shown < _SECONDS and self._done < self._total:
            return
        self._shown = now
        seconds, steps = now - self._started, self._done - self._first
        parts = [f"{self._verb} {self._done} of {self._total} {self._unit}"]
        if remark:
            parts.append(remark)
        if self._per_step is not None and seconds > 0:
            parts.append(f"{steps * self._per_step / seconds:.1f} images/s")
        if self._done < self._total:
            parts.append(f"{seconds / steps * (self._total - self._done):.0f} s left")
        else:
            parts.append(f"{seconds:.1f} s")
        self._logger.info(", ".join(parts))
