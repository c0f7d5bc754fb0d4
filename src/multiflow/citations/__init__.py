"""What to cite for a run, as BibTeX: its data set, its methods, the networks that read its pictures, its metrics.

Each reference lies beside what it is of: a method's in its folder, a data set's in ``config/references`` under the data
set's name, those of networks and metrics here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from multiflow.base.errors import InputError
from multiflow.base.text import read_text
from multiflow.methods.hooks import ask

if TYPE_CHECKING:
    from multiflow.config import Config
    from multiflow.methods.experiment import Experiment

__all__ = ["bibtex_entries", "cite", "missing_references"]

_LIBRARY = "wightman2019timm"
_NETWORKS = {
    "tf_efficientnet": (_LIBRARY, "tan2019efficientnet"),
    "efficientnet": (_LIBRARY, "tan2019efficientnet"),
    "wide_resnet": (_LIBRARY, "zagoruyko2016wide"),
    "resnet": (_LIBRARY, "he2016resnet"),
    "mvanet": ("yu2024mvanet",),
}
"""Entries of ``networks.bib`` by how a network's name begins."""

_DATASETS = Path("config/references")
_SOFTWARE = Path(__file__).parents[3] / "CITATION.cff"


def cite(config: Config) -> str:
    """BibTeX of all that a run uses, each entry once, in groups with a comment above them.

    Args:
        config: the run.

    Raises:
        InputError: the data set's file, or what a method says, is not BibTeX.
    """
    printed: set[str] = set()
    parts = []
    for heading, text, place in _groups(config):
        entries = {key: entry for key, entry in bibtex_entries(text, place).items() if key not in printed}
        printed |= set(entries)
        if entries:
            parts.append("\n\n".join([f"% {heading}", *entries.values()]))
    return "\n\n".join(parts) + "\n"


def missing_references(config: Config) -> list[str]:
    """What a run uses and has no reference, a line each that says what to do."""
    lines = []
    reference = _of_dataset(config)
    if reference is not None and not reference.is_file():
        lines.append(f"{reference}: expected the BibTeX entry of {config.dataset.name}, found no file; write it there")
    lines += [
        f"{network}: expected the reference of this network, found only that of its library; cite its paper, too"
        for network in config.networks_read
        if _references(network) == (_LIBRARY,)
    ]
    return lines


def bibtex_entries(text: str, place: str) -> dict[str, str]:
    """The entries of a BibTeX text by key; what stands between them is left out.

    Args:
        text: the text.
        place: where it comes from, for errors.

    Raises:
        InputError: there is no entry, or one has a brace too few.
    """
    entries: dict[str, str] = {}
    for start in re.finditer(r"^\s*@\w+\s*\{\s*([^\s,{}]+)\s*,", text, re.MULTILINE):
        depth = 0
        for offset, character in enumerate(text[start.start() :], start=start.start()):
            depth += {"{": 1, "}": -1}.get(character, 0)
            if character == "}" and depth == 0:
                entries.setdefault(start[1], text[start.start() : offset + 1].strip())
                break
        else:
            raise InputError(f"{place}: {start[1]}: expected a closing brace, found the end; close the entry")
    if not entries:
        raise InputError(f"{place}: expected BibTeX such as @misc{{key, title = {{...}}}}, found {text.strip()!r:.60}")
    return entries


def _groups(config: Config) -> Iterator[tuple[str, str, str]]:
    """Heading, BibTeX, and where it comes from."""
    yield "The software", _software(), str(_SOFTWARE)
    reference = _of_dataset(config)
    if reference is not None and reference.is_file():
        yield f"Data set: {_line(config.dataset.name)}", _read(reference), str(reference)
    for heading, experiment in {(own.heading, _of_method(own)): own for own in _experiments(config)}:
        yield f"Method: {_line(heading)}", experiment, f"method {heading}: bibtex"
    networks = bibtex_entries(_packaged("networks.bib"), "networks.bib")
    if config.networks_read:
        keys = dict.fromkeys(key for network in config.networks_read for key in _references(network))
        found = "\n\n".join(networks[key] for key in keys)
        yield f"Networks that read pictures: {', '.join(config.networks_read)}", found, "networks.bib"
    yield "Metrics: AUROC; AUPRO; AP and F1-max; how pixels are counted", _packaged("metrics.bib"), "metrics.bib"


def _experiments(config: Config) -> list[Experiment]:
    return [config.experiment(name) for name in config.experiments]


def _of_method(experiment: Experiment) -> str:
    """What a method says, or an entry that holds its reference."""
    text = ask(experiment.method, "bibtex", str, experiment.settings)
    if text is not None:
        return text
    from multiflow.methods.experiment import title_of
    from multiflow.results.tables.latex import escape

    heading, reference = title_of(experiment.method, experiment.settings)
    key = re.sub(r"\W+", "", heading.lower(), flags=re.ASCII) or "method"
    title, note = escape(heading), escape(reference)
    return f"@misc{{{key},\n  title = {{{title}}},\n  note  = {{{note}}}\n}}"


def _of_dataset(config: Config) -> Path | None:
    """The file of a data set's reference, which need not be there; None for parts that this software has rendered."""
    if config.rendering is not None:
        return None
    slug = re.sub(r"[^a-z0-9]+", "-", config.dataset.name.lower()).strip("-")
    return _DATASETS / f"{slug or 'dataset'}.bib"


def _read(path: Path) -> str:
    return read_text(path, "BibTeX", "restore or correct it")


def _references(network: str) -> tuple[str, ...]:
    return next((keys for name, keys in _NETWORKS.items() if network.startswith(name)), (_LIBRARY,))


def _software() -> str:
    """This software, from its own citation file."""
    import yaml

    values = yaml.safe_load(_read(_SOFTWARE))
    authors = " and ".join(f"{{{author['name']}}}" for author in values["authors"])
    return (
        f"@misc{{multi_flow_bench,\n  author  = {{{authors}}},\n  title   = {{{{{values['title']}}}}},\n"
        f"  note    = {{Version {values['version']}}}\n}}"
    )


def _packaged(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


def _line(text: str) -> str:
    """A text as a comment: one line, without the sign that begins an entry."""
    return " ".join(text.split()).replace("@", "(at)")
