"""A page of the report: one HTML file that needs no other file and no host."""

from __future__ import annotations

import base64
import gzip
import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from multiflow.store import atomic_path

__all__ = ["write_page"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def write_page(path: str | Path, title: str, body: str, script: str | None = None, data: Any = None) -> None:
    """Write a page; it appears whole or not at all.

    Snakemake's report shows a page from a ``data:`` address. Chromium's longest address has 2 MiB, which a page
    of 1.5 MB fills, so DataTables (as bundled by itables) and the data are compressed.

    Args:
        path: the file to write.
        title: what the page shows, plain text.
        body: HTML.
        script: name of a script beside this module that makes the page interactive; it finds DataTables through
            ``library()``, its usual ``OPTIONS``, and ``data`` through ``unpack("data")``.
        data: what the script shows, as JSON.
    """
    style = _asset("page.css")
    if script is not None:
        style = _asset("html/dt_bundle.css", "itables") + style
        packed = {"datatables": _asset("html/dt_bundle.js", "itables")}
        if data is not None:
            packed["data"] = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        blocks = [
            f'<script type="application/gzip" id="{name}">{_pack(text)}</script>' for name, text in packed.items()
        ]
        blocks.append(f'<script type="module">\n{_asset("library.js")}{_asset(script)}</script>')
        body = "\n".join([body, *blocks])
    with atomic_path(path) as temporary:
        text = _PAGE.format(title=html.escape(title), style=style, body=body)
        temporary.write_text(text, encoding="utf-8", newline="")


def _asset(name: str, package: str = "multiflow.report") -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _pack(text: str) -> str:
    """Text, gzipped and in Base64; the same bytes for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")
