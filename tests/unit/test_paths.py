"""Paths of the configuration, as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiflow.base.paths import expand_path


def test_home_and_variables_are_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    for text, expected in (
        ("~", "/home/me"),
        ("~/Real-IAD", "/home/me/Real-IAD"),
        ("$SCRATCH/parts", f"{tmp_path}/parts"),
        ("${SCRATCH}/parts of {2024}", f"{tmp_path}/parts of {{2024}}"),
        ("${SCRATCH}-2/ü", f"{tmp_path}-2/ü"),
        ("data/Real-IAD", "data/Real-IAD"),
        ("/data/5$ parts/100%", "/data/5$ parts/100%"),
        ("hub", "hub"),
    ):
        assert expand_path(text) == expected


def test_a_path_that_is_there_is_meant_as_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    folder = tmp_path / "$RECYCLE"
    folder.mkdir()
    assert expand_path(str(folder)) == str(folder)
    assert expand_path("$SCRATCH/$RECYCLE") == str(folder)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    assert expand_path("~") == "~"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$NOT_SET/parts", r"^\$NOT_SET/parts: the variable NOT_SET is not set; export it, or write the whole path$"),
        ("${NOT_SET}", r"the variable NOT_SET is not set"),
        ("~nobody-of-this-name/parts", r"the home directory of ~nobody-of-this-name is not known"),
    ],
)
def test_what_is_not_known_is_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand_path(text)
