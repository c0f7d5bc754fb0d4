"""Settings that all tests share."""

from __future__ import annotations

from multiflow.job import share_library

# Processes that tests start import the library as the tests do.
share_library()
