"""A page of the report: one HTML file that needs no other file and no host."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiflow.results.text_files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render", "write_page"]


def write_page(
    path: str | Path, template: str, title: str, script: str | None = None, data: Any = None, **values: Any
) -> None:
    """Write a page; it appears whole or not at all, and stays as it is where it would be the same.

    Snakemake's report shows a page from a ``data:`` address. Chromium's longest address has 2 MiB, which a page
    of 1.5 MB fills, so DataTables (as bundled by itables) and the data are compressed.

    Args:
        path: the file to write.
        template: name of a file in ``templates`` that extends ``page.html``.
        title: what the page shows, plain text.
        script: name of a script beside this module that makes the page interactive; it finds DataTables through
            ``library()``, its usual ``OPTIONS``, and ``data`` through ``unpack("data")``.
        data: what the script shows, as JSON.
        values: what the template shows.
    """
    values |= {"title": title, "style": _asset("page.css"), "packed": {}, "script": ""}
    if script is not None:
        values["style"] = _asset("html/dt_bundle.css", "itables") + values["style"]
        values["script"] = _asset("library.js") + _asset(script)
        values["packed"]["datatables"] = _pack(_asset("html/dt_bundle.js", "itables"))
        if data is not None:
            values["packed"]["data"] = _pack(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    write_text(path, render(template, **values))


def render(template: str, **values: Any) -> str:
    """HTML from a file in ``templates``; what it shows is escaped."""
    return _templates().get_template(template).render(values)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("multiflow.results.pages", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )


def _asset(name: str, package: str = "multiflow.results.pages") -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _pack(text: str) -> str:
    """Text, gzipped and in Base64; the same bytes for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")
