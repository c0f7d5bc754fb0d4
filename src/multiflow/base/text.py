"""The one place in which text from outside is read: annotations, tables of flips, overlays of the configuration."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from multiflow.base.errors import InputError

__all__ = ["read_json", "read_text", "read_yaml", "writable"]

# A mark at the beginning tells the encoding. UTF-32's begins like UTF-16's, so it comes first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: str | Path, what: str, advice: str = "mend it") -> str:
    r"""A text file in UTF-8, or in UTF-16 or UTF-32 with a byte-order mark, as Windows' programs write it.

    Args:
        path: the file.
        what: that is expected, for the message: "a table of flips".
        advice: for a file that is missing or unreadable, and for whatever its bytes do not tell.

    Returns:
        The text with ``\n`` at the end of lines.

    Raises:
        InputError: the file cannot be read, or is no text; the advice fits the cause.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: expected {what}, cannot read it ({reason}); {advice}") from None
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}: expected {what} in UTF-8, found other bytes in line {line}; save it in UTF-8"
        ) from None
    if "\0" in text:
        half = content[:2].count(0) == 1  # of the bytes of English text in UTF-16
        remedy = "save it in UTF-8" if half else "it is damaged: restore it"
        raise InputError(f"{path}: expected {what} in UTF-8, found zero bytes; {remedy}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path, what: str) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: it cannot be read, is no JSON, or has a key twice, of which Python drops the first: where, and why.
    """
    text = read_text(path, what, "restore the file")
    if not text.strip():
        raise InputError(f"{path}: expected {what}, found an empty file; restore it")

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            name = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise InputError(f"{path}: expected {what} with each key once, found {name!r} twice; keep one")
        return found

    try:
        return json.loads(text, object_pairs_hook=mapping)
    except json.JSONDecodeError as error:
        place = f"{path}: line {error.lineno}, column {error.colno}"
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated string"):
            raise InputError(f"{place}: malformed JSON ({error.msg}): the file ends there; restore it") from None
        raise InputError(f"{place}: malformed JSON ({error.msg}); mend or restore it") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise InputError(f"{path}: expected {what}, cannot read it ({error}); restore the file") from None


def read_yaml(path: str | Path, what: str) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: it cannot be read, is no YAML, or has a key twice, of which YAML's readers drop the first.
    """
    text = read_text(path, what)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        problems = [f"{path}: {problem}" for problem in dict.fromkeys(_duplicate_keys(node))]
        content = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected {what}, cannot read it ({reason})") from None
    if problems:
        raise InputError(problems)
    return content


def _duplicate_keys(node: Any) -> Iterator[str]:
    """A line for each key that a mapping of a YAML file has more than once."""
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _duplicate_keys(entry)
    if isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in first and key.value != "<<":  # a second one merges another mapping
                yield f"line {line}: expected the key {key.value} once, found it in line {first[name]}, too; keep one"
            first.setdefault(name, line)
            yield from _duplicate_keys(value)


def writable(text: str) -> bool:
    """Whether a name can be written in UTF-8: a file's name may hold any bytes, which Python keeps as surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
