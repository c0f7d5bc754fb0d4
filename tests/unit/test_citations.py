"""What to cite for a run: every entry once, from what the run uses, and a line for what has none."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from multiflow.__main__ import main
from multiflow.base.errors import InputError
from multiflow.citations import bibtex_entries, cite, missing_references
from multiflow.config import Config, load_config, read_overlays
from multiflow.methods import METHODS, load_method

ROOT = Path(__file__).parents[2]
OWN_METHOD = """
from multiflow.base.settings import Block
from multiflow.methods.contract import Needs

class Settings(Block):
    model: str = "first"

class Mine:
    heading, reference, Settings = "Mine & yours", "Me, Journal_of {braces}, 50 %", Settings
    def needs(self, settings): return Needs()
    def train(self, samples, settings, seed, work): ...
    def scorer(self, model, settings, device): ...

class Several(Mine):
    heading = "Several"
    def bibtex(self, settings):
        return "@misc{" + settings.model + ", title = {One of many}}" if settings.model != "broken" else "@misc{half, {"
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data sets' references and two methods of one's own."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "mine.py").write_text(OWN_METHOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configuration(*overlays: str, **blocks: Any) -> Config:
    values = read_overlays([Path("config") / name for name in ("config.yaml", *overlays)])
    return load_config(values | blocks)


def keys(text: str) -> list[str]:
    return list(bibtex_entries(text, "the output"))


def test_a_run_of_the_paper(checkout: Path) -> None:
    config = configuration()
    text = cite(config)
    assert keys(text) == [
        "multi_flow_bench", "wang2024realiad", "kruse2025multiflow", "wightman2019timm", "tan2019efficientnet",
        "yu2024mvanet", "fawcett2006roc", "bergmann2020uninformed", "zhang2024ader", "adeval",
    ]  # fmt: skip
    assert missing_references(config) == []
    assert "% Data set: Real-IAD\n" in text
    assert len(re.findall(r"^@", text, re.MULTILINE)) == len(keys(text)), "no entry is there twice"


def test_rendered_parts_are_this_software(checkout: Path) -> None:
    config = configuration("demo.yaml")
    assert keys(cite(config))[:2] == ["multi_flow_bench", "kruse2025multiflow"]
    assert missing_references(config) == []


def test_a_data_set_and_a_network_without_a_reference_are_named(checkout: Path) -> None:
    dataset = {"name": "My Parts (2026)", "root": "data", "classes": ["nut"], "published": None, "flips": None}
    features = {"b5": {"backbone": "convnext_base.fb_in22k", "node": "stages.2"}}
    config = configuration(dataset=dataset, features=features)
    assert "Data set" not in cite(config)
    missing = missing_references(config)
    assert missing == [
        "config/references/my-parts-2026.bib: expected the BibTeX entry of My Parts (2026), found no file; write it "
        "there",
        "convnext_base.fb_in22k: expected the reference of this network, found only that of its library; cite its "
        "paper, too",
    ]
    path = checkout / "config/references/my-parts-2026.bib"
    path.write_text("Taken in May.\n@dataset{parts2026, title = {My {Parts}}}\n")
    assert "% Data set: My Parts (2026)\n\n@dataset{parts2026, title = {My {Parts}}}\n" in cite(config)
    assert len(missing_references(config)) == 1
    for content in (b"Taken in May.", b"@misc{parts2026, title = {My Parts}", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^config/references/my-parts-2026.bib: .*expected") as error:
            cite(config)
        assert len(error.value.problems) == 1


def test_methods_of_ones_own(checkout: Path) -> None:
    """One says nothing but its reference, another has several papers; experiments of one method are one entry."""
    experiments = {
        "multiflow": {},
        "again": {"heading": "Longer", "training": {"epochs": 3}},
        "mine": {"method": "mine.py:Mine"},
        "first": {"method": "mine.py:Several"},
        "second": {"method": "mine.py:Several", "model": "second"},
    }
    text = cite(configuration(experiments=experiments))
    assert len(re.findall(r"^@", text, re.MULTILINE)) == len(keys(text)), "no entry is there twice"
    assert [key for key in keys(text) if key in ("kruse2025multiflow", "mineyours", "first", "second")] == [
        "kruse2025multiflow", "mineyours", "first", "second",
    ]  # fmt: skip
    assert "@misc{mineyours,\n  title = {Mine \\& yours},\n  note  = {Me, Journal\\_of \\{braces\\}, 50 \\%}\n}" in text
    broken = configuration(experiments={"broken": {"method": "mine.py:Several", "model": "broken"}})
    with pytest.raises(InputError, match=r"^method Several: bibtex: half: expected a closing brace"):
        cite(broken)


@pytest.mark.parametrize("name", [name for name in METHODS if hasattr(load_method(name), "bibtex")])
def test_what_registered_methods_say_of_themselves_is_bibtex(name: str) -> None:
    method: Any = load_method(name)
    assert bibtex_entries(method.bibtex(method.Settings()), name)


@pytest.mark.parametrize("path", sorted((ROOT / "config/references").glob("*.bib")), ids=lambda path: path.stem)
def test_every_data_set_has_an_entry(path: Path) -> None:
    assert bibtex_entries(path.read_text(encoding="utf-8"), path.name)


def test_methods_of_one_run_are_cited_each_once(checkout: Path) -> None:
    entries = bibtex_entries(cite(configuration("clscnf.yaml", "multiscale.yaml")), "the output")
    assert {"kruse2025multiflow", "oh2024clscnfs", "multiscale_multiflow"} <= set(entries)
    assert "10.1109/ACCESS.2024.3406376" in entries["oh2024clscnfs"]
    assert "docs/multiscale.md" in entries["multiscale_multiflow"]
    assert (ROOT / "docs/multiscale.md").is_file()
    alone = {"multiscale": {"method": "multiscale"}}
    assert "kruse2025multiflow" in keys(cite(configuration("multiscale.yaml", experiments=alone)))


def test_entries_end_at_their_own_brace() -> None:
    text = "text\n@misc{a, title = {{B}e}, url = {https://a.b/@c}}\n@book{b,\n  title = {C}\n} @comment\n"
    assert bibtex_entries(text, "here") == {
        "a": "@misc{a, title = {{B}e}, url = {https://a.b/@c}}",
        "b": "@book{b,\n  title = {C}\n}",
    }
    with pytest.raises(InputError, match="here: expected BibTeX such as"):
        bibtex_entries("no entry", "here")


@pytest.mark.skipif(shutil.which("bibtex") is None, reason="needs BibTeX")
def test_bibtex_reads_it(checkout: Path) -> None:
    (checkout / "run.bib").write_text(cite(configuration(experiments={"multiflow": {}, "cflow": {"method": "cflow"}})))
    (checkout / "run.aux").write_text("\\citation{*}\n\\bibstyle{plain}\n\\bibdata{run}\n")
    result = subprocess.run(["bibtex", "run"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert (checkout / "run.bbl").read_text().count("\\bibitem") == 12


def test_the_tool_prints_a_runs_citations(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cite", "--run", "small"]) == 1
    assert "results/small/configuration.yaml: expected the configuration of a run that has" in capsys.readouterr().err
    values = read_overlays([Path("config/config.yaml")])
    values["dataset"] |= {"name": "Parts", "published": None}
    (checkout / "results/small").mkdir(parents=True)
    (checkout / "results/small/configuration.yaml").write_text(yaml.safe_dump(values))
    assert main(["cite", "--run", "small"]) == 0
    printed = capsys.readouterr()
    assert keys(printed.out)[:2] == ["multi_flow_bench", "kruse2025multiflow"]
    assert printed.err.startswith("warning: config/references/parts.bib: expected")
    assert len(printed.err.splitlines()) == 1


def test_models_of_one_method_are_cited_each(checkout: Path) -> None:
    entries = bibtex_entries(cite(configuration("demo.yaml", "demo_baselines.yaml")), "the output")
    assert {"patchcore", "padim"} <= set(entries)
    assert "Roth" in entries["patchcore"]
    assert "Defard" in entries["padim"]
