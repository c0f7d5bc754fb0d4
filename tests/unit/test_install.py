"""`make env`: which Python, where to, from which index; with made-up wheels in place of 7 GB."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TOOLS = (
    "bash",
    "dirname",
    "cat",
    "sed",
    "sha256sum",
    "cut",
    "basename",
    "readlink",
    "mkdir",
    "flock",
    "false",
    "rm",
    "grep",
)
LOCKED = ["adeval", "snakemake", "timm", "torch", "torchvision", "triton", "cuda-toolkit", "nvidia-cublas", "h5py"]


def write_wheel(index: Path, name: str, version: str, requires: str = "") -> None:
    """A package with one module, and its page in a package index."""
    module, folder = name.replace("-", "_"), index / name
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{module}-{version}.dist-info"
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{module}.py", f"version = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + f"Requires-Dist: {requires}\n" * bool(requires),
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{module}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    (folder / "index.html").write_text(f'<a href="{wheel.name.replace("+", "%2B")}">{wheel.name}</a>\n')


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual index, and one with builds for another CUDA."""
    folder = tmp_path_factory.mktemp("indexes")
    for name in LOCKED:
        write_wheel(folder / "usual", name, "1.0")
    write_wheel(folder / "cu126", "torch", "1.0+cu126", "nvidia-cublas-cu12")
    write_wheel(folder / "cu126", "torchvision", "1.0+cu126", "torch")
    write_wheel(folder / "cu126", "nvidia-cublas-cu12", "12.6")
    return folder


class Clone:
    """A checkout with a small lock file."""

    def __init__(self, folder: Path, indexes: Path) -> None:
        self.folder = folder
        (folder / "envs").mkdir(parents=True)
        (folder / "envs/install.sh").write_text((ROOT / "envs/install.sh").read_text())
        (folder / "envs/lock.txt").write_text("".join(f"{name}==1.0\n" for name in LOCKED))
        own = ("MULTIFLOW_ENVS", "PYTHON", "TORCH_INDEX", "XDG_CACHE_HOME", "PYTHONPATH")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", *own))}
        self.environment = kept | {
            "PIP_CONFIG_FILE": os.devnull,
            "HOME": str(folder / "home"),
            "PIP_INDEX_URL": (indexes / "usual").as_uri(),
            "PIP_NO_CACHE_DIR": "1",
            "PYTHON": sys.executable,
        }

    def install(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "envs/install.sh"],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def installed(self) -> dict[str, str]:
        """Packages of the linked environment, by name."""
        printed = subprocess.run(
            [
                self.folder / ".venv/bin/python",
                "-I",
                "-m",
                "pip",
                "list",
                "--format=freeze",
                "--disable-pip-version-check",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = dict(line.split("==") for line in printed.splitlines())
        return {name: version for name, version in found.items() if name not in ("pip", "setuptools")}


@pytest.fixture(scope="module")
def other_build(indexes: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose torch came from another index, while a cluster's modules named packages of their own."""
    clone = Clone(tmp_path_factory.mktemp("clone"), indexes)
    modules = clone.folder / "modules"
    (modules / "h5py-1.0.dist-info").mkdir(parents=True)
    (modules / "h5py.py").write_text("version = 'foreign'\n")
    (modules / "h5py-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: h5py\nVersion: 1.0\n")
    foreign = {"PYTHONPATH": str(modules), "PYTHONHOME": str(modules), "PIP_TARGET": str(clone.folder / "elsewhere")}
    result = clone.install(TORCH_INDEX=(indexes / "cu126").as_uri(), **foreign)
    assert result.returncode == 0, result.stderr
    return clone


def test_another_build_of_torch_takes_the_place_of_the_locked_one_and_its_cuda(other_build: Clone) -> None:
    kept = dict.fromkeys(("adeval", "snakemake", "timm", "h5py"), "1.0")
    other = {"torch": "1.0+cu126", "torchvision": "1.0+cu126", "nvidia-cublas-cu12": "12.6"}
    assert other_build.installed() == kept | other


def test_a_later_start_keeps_the_other_build(other_build: Clone) -> None:
    before = (other_build.folder / ".venv").resolve()
    for changed in ({}, {"PYTHON": ""}):
        result = other_build.install(**changed)
        assert (result.returncode, result.stderr) == (0, "")
        assert (other_build.folder / ".venv").resolve() == before


def test_the_foreign_packages_were_no_reason_to_leave_any_out(other_build: Clone) -> None:
    site = next((other_build.folder / ".venv/lib").glob("python3.*")) / "site-packages"
    assert (site / "h5py.py").read_text() == "version = '1.0'\n"
    assert not (other_build.folder / "elsewhere").exists()


def test_an_index_without_the_locked_torch_is_one_line(indexes: Path, tmp_path: Path) -> None:
    clone = Clone(tmp_path, indexes)
    result = clone.install(TORCH_INDEX=(tmp_path / "empty").as_uri())
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"envs/install.sh: expected torch==1.0 and torchvision for Python {VERSION} in file://{tmp_path}/empty, cannot "
        "install them; give another TORCH_INDEX"
    )
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("variable", ["MULTIFLOW_ENVS", "XDG_CACHE_HOME", "HOME"])
@pytest.mark.parametrize("name", ["my envs", "a'b", "a$b", "a(b)", "a\nb", "a;b", "[a]", "a{b}"])
def test_a_path_that_a_shell_would_take_apart_is_refused_in_one_line(
    indexes: Path, tmp_path: Path, variable: str, name: str
) -> None:
    result = Clone(tmp_path, indexes).install(**{variable: str(tmp_path / name)})
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        "envs/install.sh: expected a folder without spaces, quotes and other characters that a shell"
    )
    assert line.endswith(f"(from {variable}); name another: export MULTIFLOW_ENVS=<folder>")
    assert not (tmp_path / ".venv").exists()


def test_the_first_python_that_is_there_is_taken(indexes: Path, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", indexes)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in TOOLS:
        (programs / name).symlink_to(Path("/usr/bin") / name)
    result = clone.install(PYTHON="", PATH=str(programs))
    assert result.stderr.startswith(
        "envs/install.sh: expected python3.11, python3.12 or python3.13 with its venv module, "
    )
    for name, version in (("python3.11", "false"), ("python3.12", "echo 3.12"), ("python3.13", "echo 3.13")):
        (programs / name).write_text(f"#!/usr/bin/bash\n[ $1 = -I ] && {version} && exit\necho $0 $@ >&2; exit 1\n")
        (programs / name).chmod(0o755)
    assert f"{programs}/python3.12 -m venv " in clone.install(PYTHON="", PATH=str(programs)).stderr
    (programs / "python3.14").write_text("#!/usr/bin/bash\necho 3.14\n")
    (programs / "python3.14").chmod(0o755)
    result = clone.install(PYTHON="python3.14", PATH=str(programs))
    assert result.stderr == (
        "envs/install.sh: expected Python 3.11, 3.12 or 3.13, found 3.14 (python3.14); name another: make env "
        "PYTHON=python3.12\n"
    )
