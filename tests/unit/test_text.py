"""Text from outside: every encoding that says what it is, and one line with advice that fits for anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiflow.base.errors import InputError, printable
from multiflow.base.text import read_json, read_text, read_yaml, writable
from multiflow.config import read_overlays
from multiflow.datasets.flips import read_flips

CONTENT = {"meta": {"prefix": "Teil für/"}, "train": [1]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_text_of_any_program_is_read(tmp_path: Path, encoding: str, line_end: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(json.dumps(CONTENT, indent=1, ensure_ascii=False).replace("\n", line_end).encode(encoding))
    assert read_json(path, "annotations") == CONTENT
    assert "\r" not in read_text(path, "annotations")
    path.write_bytes(f"class,C1,C2{line_end}thing,0,1{line_end}".encode(encoding))
    assert read_flips(path, "thing", ["C1", "C2"]) == {"C1": 0, "C2": 1}
    path.write_bytes(f"run: für{line_end}seeds: [1]{line_end}".encode(encoding))
    assert read_overlays([path]) == {"run": "für", "seeds": [1]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "found an empty file; restore it"),
        (b"\xef\xbb\xbf\n", "found an empty file; restore it"),
        (
            b'{"meta": {"prefix": "thing/"}, "train": [{"cat',
            "malformed JSON (Unterminated string starting at): the file ends there; restore it",
        ),
        (b'{"meta": {"prefix": "thing/"}, "train": [', "the file ends there; restore it"),
        (b'{"meta": 1,}', "malformed JSON (Expecting property name enclosed in double quotes); mend or restore it"),
        (b'{"meta": "f\xfcr"}', "in UTF-8, found other bytes in line 1; save it in UTF-8"),
        ('{"meta": 1}'.encode("utf-16-le"), "found zero bytes; save it in UTF-8"),
        (b'{"meta": 1}' + bytes(100), "found zero bytes; it is damaged: restore it"),
        (b"[" * 200_000, "restore the file"),
        (b"[" + b"1" * 5000 + b"]", "restore the file"),
        (
            b'{"train": [{"a": 1, "b": 2}], "test": [], "train": []}',
            "with each key once, found 'train' twice; keep one",
        ),
    ],
    ids=[
        "empty",
        "mark",
        "string",
        "list",
        "comma",
        "latin-1",
        "utf-16 without mark",
        "zeros",
        "deep",
        "long number",
        "duplicate",
    ],
)
def test_damaged_json_is_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path, "annotations")
    (line,) = caught.value.problems
    assert line.startswith(f"{path}: ")
    assert expected in line


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "absent.csv" / "a"):
        with pytest.raises(InputError, match="expected a table of flips, cannot read it"):
            read_flips(path, "thing", ["C1"])
    (tmp_path / "overlay.yaml").write_bytes("run: für".encode("latin-1"))
    with pytest.raises(InputError, match="expected a configuration in YAML in UTF-8, found other bytes in line 1"):
        read_overlays([tmp_path / "overlay.yaml"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_of_any_spreadsheet(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "flips.csv"
    path.write_text("\n".join(["class ,C1,C2", "other,1,1", "", "thing,1, 0", ",,"]).replace(",", delimiter))
    assert read_flips(path, "thing", ["C1", "C2"]) == {"C1": 1, "C2": 0}


def test_what_no_terminal_can_show_is_escaped() -> None:
    assert printable("Teil für 5 µm") == "Teil für 5 µm"
    assert printable("caf\udce9\x1b[31m\0") == r"caf\udce9\x1b[31m\x00"
    assert InputError("caf\udce9.png:\nno such file").problems == [r"caf\udce9.png: no such file"]
    assert not writable("caf\udce9")
    assert writable("café")


YAML = """\
run: a
features: {lite0: &lite0 {image_size: 64}, lite1: {<<: *lite0, <<: {node: x}, image_size: 32}}
experiments:
  mine: {scaling: none}
  run: {scaling: none}
"""


def test_a_key_that_is_there_twice_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(YAML)
    assert read_yaml(path, "a configuration")["features"]["lite1"] == {"image_size": 32, "node": "x"}
    path.write_text(YAML + "experiments: {other: {seeds: [0], seeds: [1]}}\n")
    with pytest.raises(InputError) as caught:
        read_yaml(path, "a configuration")
    assert caught.value.problems == [
        f"{path}: line 6: expected the key experiments once, found it in line 3, too; keep one",
        f"{path}: line 6: expected the key seeds once, found it in line 6, too; keep one",
    ]


@pytest.mark.parametrize("content", ["a: [1", "a: &b [*b]", "[1, 2]: {[3]: 4}", "a: \t- b: !!python/object:os.x {}"])
def test_damaged_yaml_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(InputError, match=r"a.yaml: expected a configuration, cannot read it \(") as caught:
        read_yaml(tmp_path / "a.yaml", "a configuration")
    assert len(caught.value.problems) == 1
