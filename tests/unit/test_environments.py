"""Three environments, one list of pins; and a profile that names what there is."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
import yte

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
LOCK = [line for line in (ENVS / "lock.txt").read_text().splitlines() if not line.startswith("#")]
RULES = {
    name
    for path in (ROOT / "workflow/rules").glob("*.smk")
    for name in re.findall(r"^ *(?:rule|use rule \w+ as) (\w+)(?: with)?:", path.read_text(), re.MULTILINE)
}


def profile(**definitions: Any) -> dict[str, Any]:
    """The Slurm profile as Snakemake reads it, with the first lines changed as a site does."""
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    for name, value in definitions.items():
        text, count = re.subn(rf"^  - {name} = \w+|^  - {name} = \"\w+\"", f"  - {name} = {value!r}", text, flags=re.M)
        assert count == 1, name
    loaded: dict[str, Any] = yte.process_yaml(text, require_use_yte=True)
    return loaded


def install(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installation where all that it would fetch is out of reach."""
    own = {
        "XDG_CACHE_HOME": str(checkout / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
        "PYTHON": sys.executable,
    }
    values = {name: value for name, value in os.environ.items() if name != "MULTIFLOW_ENVS"} | own | environment
    command = ["bash", "envs/install.sh"]
    return subprocess.run(command, cwd=checkout, env=values, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a small lock file, and its environment in another folder than the usual one."""
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/install.sh").write_text((ENVS / "install.sh").read_text())
    (tmp_path / "envs/lock.txt").write_text("not-there==1.0\n")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = hashlib.sha256(f"not-there==1.0 python{version}".encode()).hexdigest()[:16]
    (tmp_path / "shared" / name).mkdir(parents=True)
    (tmp_path / "shared" / name / ".complete").touch()
    (tmp_path / ".venv").symlink_to(tmp_path / "shared" / name)
    return tmp_path


def test_what_a_checkout_has_is_not_installed_again(checkout: Path) -> None:
    result = install(checkout)
    assert (result.returncode, result.stderr, (checkout / "cache").exists()) == (0, "", False)


def test_make_runs_scripts_that_no_disk_marks_as_programs(program: Callable[[str], str], checkout: Path) -> None:
    """A disk of Windows, and a ZIP that was unpacked there, keep no such mark."""
    (checkout / "Makefile").write_text((ROOT / "Makefile").read_text())
    assert not os.access(checkout / "envs/install.sh", os.X_OK)
    (checkout / "workflow").mkdir()
    (checkout / "workflow/run_demo.sh").write_text("echo the demo runs\n")
    environment = {name: value for name, value in os.environ.items() if name != "MULTIFLOW_ENVS"}
    result = subprocess.run(
        [program("make"), "--no-print-directory", "demo"],
        cwd=checkout, env=environment | {"PYTHON": sys.executable}, capture_output=True, text=True,
    )  # fmt: skip
    assert (result.stdout, result.stderr) == ("the demo runs\n", "")


def test_another_place_or_lock_file_is_another_installation(checkout: Path) -> None:
    result = install(checkout, MULTIFLOW_ENVS=str(checkout / "nodes-see-this"))
    assert result.returncode != 0
    assert f"Installing the environment into {checkout}/nodes-see-this/" in result.stderr
    (checkout / "envs/lock.txt").write_text("not-there==2.0\n")
    assert f"Installing the environment into {checkout}/cache/multiflow-bench/" in install(checkout).stderr
    assert (checkout / ".venv").resolve().parent == checkout / "shared", "half an environment was linked"


def test_a_folder_in_place_of_the_link_is_one_line(checkout: Path) -> None:
    (checkout / ".venv").unlink()
    (checkout / ".venv").mkdir()
    result = install(checkout)
    assert result.returncode == 1
    assert result.stderr == (
        "envs/install.sh: expected .venv to be a link to an environment, found a folder; move it away\n"
    )


def test_conda_has_the_same_pins() -> None:
    conda = yaml.safe_load((ENVS / "multiflow.yaml").read_text())
    (pip,) = [entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict)]
    late = re.findall(r"pip install --no-deps (\S+)", (ENVS / "multiflow.post-deploy.sh").read_text())
    assert sorted(pip + late) == sorted(LOCK), "run `make lock`"


def test_the_container_installs_the_lock_file_and_nothing_else() -> None:
    definition = (ENVS / "multiflow.def").read_text()
    assert "envs/lock.txt /opt/lock.txt" in definition
    installed = re.findall(r"pip install (.*)", definition)
    assert installed == ["--no-cache-dir --no-deps --requirement /opt/lock.txt"]
    assert "==" not in definition


def test_all_have_the_same_python() -> None:
    conda = yaml.safe_load((ENVS / "multiflow.yaml").read_text())
    (container,) = re.findall(r"^From: python:(\d+\.\d+)", (ENVS / "multiflow.def").read_text(), re.MULTILINE)
    (virtual,) = re.findall(r"for PYTHON in python(\d+\.\d+)", (ENVS / "install.sh").read_text())
    assert f"python={container}" in conda["dependencies"]
    assert container == virtual
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].startswith(f">={virtual}")


def test_the_installed_packages_are_those_of_the_lock_file() -> None:
    # Another build of torch, from TORCH_INDEX, brings its own CUDA.
    other_build = (Path(sys.prefix) / "torch-index").exists()
    pins = [pin for pin in LOCK if not (other_build and re.match(r"triton==|nvidia-|cuda-", pin))]
    versions = {name: importlib.metadata.version(name) for name in (pin.split("==")[0] for pin in pins)}
    assert [f"{name}=={version.partition('+')[0]}" for name, version in versions.items()] == pins


def test_everything_that_is_required_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {re.split(r"[=><~]", requirement)[0].lower().replace("_", "-") for requirement in required}
    assert names <= {pin.split("==")[0] for pin in LOCK}


def test_every_rule_has_the_environment() -> None:
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text()
        scripts, environments = text.count("script:\n"), text.count("conda:\n")
        assert scripts == environments, path.name
        for name in re.findall(r"\.\./\.\./(envs/\S+\.yaml)", text):
            assert (ROOT / name).is_file(), path.name


def test_the_profile_names_rules_that_exist() -> None:
    assert {"train_model", "extract_features"} <= RULES
    assert set(profile()["set-resources"]) <= RULES
    assert set(profile(group_seeds=True)["groups"]) <= RULES


def test_a_site_changes_the_first_lines_only() -> None:
    changed = profile(cpu_partition="long", gpu_partition="a100s", account="physics", qos="long", gpu_model="a100")
    assert changed["default-resources"] | {"mem_mb": 0, "runtime": 0} == {
        "slurm_partition": "long", "slurm_account": "physics", "qos": "long", "mem_mb": 0, "runtime": 0
    }  # fmt: skip
    for rule, resources in changed["set-resources"].items():
        assert resources["slurm_partition"] == "a100s", rule
        assert resources["gpu_model"] == "a100", rule
    plain = profile()
    assert not {"slurm_account", "qos"} & set(plain["default-resources"])
    assert not any("gpu_model" in resources for resources in plain["set-resources"].values())


def test_seeds_are_grouped_when_the_site_says_so() -> None:
    assert "groups" not in profile()
    groups = profile(group_seeds=True)["groups"]
    assert groups["train_model"] == groups["score_samples"] == "{experiment}.{class_name}"
    assert groups["count_metrics"] not in (groups["train_model"], None)
    assert set(groups.values()) == set(profile(group_seeds=True)["group-components"])


def test_a_clone_has_no_carriage_returns(tmp_path: Path) -> None:
    """Git for Windows, whose clones WSL sees, sets `core.autocrlf`."""
    git = ["git", "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tmp_path / "source").mkdir()
    for name in (".gitattributes", "envs/install.sh", "workflow/run_demo.sh", "config/view_flips.csv"):
        (tmp_path / "source" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "source" / name).write_bytes((ROOT / name).read_bytes())
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, "-C", str(tmp_path / "source"), *command], check=True)
    subprocess.run([*git, "clone", "-q", str(tmp_path / "source"), str(tmp_path / "clone")], check=True)
    for name in ("envs/install.sh", "workflow/run_demo.sh", "config/view_flips.csv"):
        assert (tmp_path / "clone" / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_the_catalog_finds_what_it_asks_for() -> None:
    catalog = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert catalog["report"] is True
    assert catalog["software-stack-deployment"] == {"conda": True, "singularity": True, "singularity+conda": False}
    assert "make env" in catalog["mandatory-flags"]["desc"]
    for name in ("workflow/Snakefile", "config/README.md", "config/config.yaml", "LICENSE"):
        assert (ROOT / name).is_file()
