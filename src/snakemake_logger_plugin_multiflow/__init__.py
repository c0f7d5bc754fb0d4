"""Progress of a run in the terminal: what runs, how far, and how long still.

Used with ``snakemake --logger multiflow``. A line when a job starts or ends, and every quarter of a minute the
last word of each running job's log.
"""

from __future__ import annotations

import sys
import threading
import time
from logging import WARNING, LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_multiflow.forecast import Forecast, clock

__all__ = ["LogHandler"]

_HEARTBEAT_SECONDS = 15.0


class LogHandler(LogHandlerBase):
    """Snakemake's events as short lines on standard error."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._forecast = Forecast()
        self._running: dict[int, tuple[str, str, Path | None]] = {}
        self._last_words: dict[int, str] = {}
        self._started = time.monotonic()
        threading.Thread(target=self._heartbeat, daemon=True).start()

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        with self._lock:
            if event == LogEvent.RUN_INFO:
                self._run_info(record)
            elif event == LogEvent.JOB_INFO:
                self._job_info(record)
            elif event == LogEvent.JOB_FINISHED:
                self._job_finished(record)
            elif event == LogEvent.JOB_ERROR:
                self._job_error(record)
            elif (event is None or event == LogEvent.ERROR) and self._is_news(record):
                self._say(record.getMessage().strip())

    @staticmethod
    def _is_news(record: LogRecord) -> bool:
        message = record.getMessage() if record.msg else ""
        # The failed job has said what is wrong; that its command returned 1 is no news.
        failed_script = message.startswith("RuleException:") and "CalledProcessError" in message
        return (record.levelno >= WARNING and not failed_script) or "Nothing to be done" in message

    def _run_info(self, record: LogRecord) -> None:
        stats = {name: count for name, count in record.__dict__["stats"].items() if name != "total"}
        self._forecast.plan(stats)
        self._say(f"{sum(stats.values())} jobs: " + ", ".join(f"{count} {name}" for name, count in stats.items()))

    def _job_info(self, record: LogRecord) -> None:
        job = record.__dict__
        wildcards = "/".join(map(str, (job["wildcards"] or {}).values()))
        title = job["rule_msg"] or f"{job['rule_name']} {wildcards}".strip()
        log = Path(job["log"][0]) if job["log"] else None
        self._running[job["jobid"]] = (job["rule_name"], title, log)
        self._forecast.start(job["jobid"], job["rule_name"], time.monotonic())
        if not job["local"] or job["rule_name"] != "all":
            self._say(title)

    def _job_finished(self, record: LogRecord) -> None:
        job_id = record.__dict__["job_id"]
        _, title, _ = self._running.pop(job_id, ("", "", None))
        self._last_words.pop(job_id, None)
        seconds = self._forecast.finish(job_id, time.monotonic())
        done, total = self._forecast.done, self._forecast.total
        left = self._forecast.seconds_left(time.monotonic())
        note = "" if left is None or done == total else f", about {clock(left)} left"
        if seconds >= 1 or done == total:
            self._say(f"done: {title} ({clock(seconds)}); {done} of {total} jobs{note}")

    def _job_error(self, record: LogRecord) -> None:
        job = record.__dict__
        _, title, log = self._running.pop(job["jobid"], ("", job["rule_name"], None))
        self._say(f"FAILED: {title}; its log: {log}")

    def _heartbeat(self) -> None:
        while True:
            time.sleep(_HEARTBEAT_SECONDS)
            with self._lock:
                for job_id, (_, title, log) in self._running.items():
                    word = _last_line(log)
                    if word and word != self._last_words.get(job_id):
                        self._last_words[job_id] = word
                        self._say(f"  {title}: {word}")
                left = self._forecast.seconds_left(time.monotonic())
                if left is not None and self._running:
                    self._say(f"  {self._forecast.done} of {self._forecast.total} jobs, about {clock(left)} left")

    def _say(self, text: str) -> None:
        stamp = clock(time.monotonic() - self._started)
        for line in text.splitlines():
            print(f"[{stamp}] {line}", file=sys.stderr, flush=True)


def _last_line(log: Path | None) -> str:
    """The last message of a job's log, without its time and level."""
    if log is None or not log.exists():
        return ""
    with open(log, "rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - 2000))
        lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].split(" ", 3)[-1] if lines else ""
