"""The tools beside the workflow."""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from multiflow.__main__ import main
from multiflow.methods.model import read_metadata, read_model, write_model
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.checkpoint import from_model, to_model
from multiflow.methods.multiflow.inputs import Scaling
from multiflow.methods.multiflow.network import MultiFlow
from multiflow.methods.multiflow.released import RELEASED, export_released
from multiflow.methods.multiflow.settings import Network, Settings

Write = Callable[..., Path]
CONFIG = Path(__file__).parents[2] / "config"
SMALL = RELEASED.model_copy(update={"blocks": 2, "hidden": 4, "kernels": [3, 3]})
RUN = ["--experiment", "released", "--class", "usb", "--seed", "0"]


def small_flow(channels: int = 6, settings: Network = SMALL) -> MultiFlow:
    return MultiFlow(channels, camera_graph(3), settings, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A checkpoint of the released code."""
    path = tmp_path / "released.pt"
    torch.save(export_released(small_flow()), path)
    return path


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configuration, in which the tools run."""
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def overlay(folder: Path, name: str = "small.yaml", **values: Any) -> str:
    """An overlay whose network is that of the small checkpoint."""
    network = {"blocks": 2, "hidden": 4, "kernels": [3, 3]}
    content = {"methods": {"multiflow": {"network": network}}, "run": "small", **values}
    (folder / name).write_text(yaml.safe_dump(content))
    return name


def test_a_checkpoint_goes_out_and_in_again(tmp_path: Path) -> None:
    path, out, again = (tmp_path / name for name in ("flow.safetensors", "released.pt", "again.safetensors"))
    first = small_flow().eval()
    write_model(path, to_model(first, Scaling.identity(6)))
    assert main(["export-checkpoint", str(path), str(out)]) == 0
    assert all(name.startswith("module_list.") for name in torch.load(out, weights_only=True))
    assert main(["import-checkpoint", str(out), str(again)]) == 0
    second, scaling = from_model(read_model(again), again)
    assert scaling.is_identity()
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 6, 4, 4)).astype(np.float32))
    condition = torch.zeros(1, 1, 4, 4)
    assert torch.equal(first(features, condition)[0], second(features, condition)[0])
    metadata = read_metadata(again)
    assert (metadata["method"], metadata["imported"]) == ("multiflow", "released.pt")
    assert Settings.model_validate(metadata["settings"]).network == second.settings


def test_the_clamp_of_a_checkpoint_can_be_given(released: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    assert main(["import-checkpoint", str(released), str(path), "--clamp", "2.5"]) == 0
    assert from_model(read_model(path), path)[0].settings.clamp == 2.5
    assert main(["import-checkpoint", str(released), str(path), "--clamp", "nan"]) == 1


def test_a_conversion_does_not_overwrite_what_it_converts(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, link = released.read_bytes(), tmp_path / "link.safetensors"
    link.symlink_to(released)
    for command in ("import-checkpoint", "export-checkpoint"):
        assert main([command, str(released), str(link)]) == 1
        expected = f"{link}: expected another file than the one that is read; name another file to write"
        assert capsys.readouterr().err.splitlines() == [expected]
    assert released.read_bytes() == before


def test_a_checkpoint_is_put_where_its_run_takes_it_in_place_of_a_training(
    released: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlays = ["--config", "config/released.yaml", overlay(checkout)]
    assert main(["import-checkpoint", str(released), *RUN, *overlays]) == 0
    path = Path("results/small/imported/released/usb/seed0.safetensors")
    metadata = read_metadata(path)
    assert metadata["class"] == "usb"
    assert metadata["settings"]["features"] == "b5"
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{path}: ")
    (line,) = printed.err.splitlines()
    assert line.startswith("warning: results/small/samples/usb.csv: not there yet")


def test_settings_that_a_checkpoint_contradicts_are_a_warning(
    released: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scaled = overlay(checkout, experiments={"multiflow": {"scaling": "standardize"}})
    arguments = [str(released), "--experiment", "multiflow", "--class", "usb", "--seed", "0", "--config", scaled]
    assert main(["import-checkpoint", *arguments]) == 0
    warning = capsys.readouterr().err.splitlines()[0]
    assert "experiments.multiflow, which tables name, says network.clamp_slope 0.6366" in warning
    assert warning.endswith("network.transform_first second, not first; scaling standardize, not none")
    # They decide nothing in a flow that is trained, or has no attention.
    assert "noise_std" not in warning
    assert "attention" not in warning


def test_a_checkpoint_of_other_channels_than_its_class(
    released: Path, checkout: Path, write_features: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(export_released(small_flow(4)), released)
    results = checkout / "results/small"
    for place in ("samples/usb.csv", "features/b5/usb.h5", "foreground/mvanet/usb.h5"):
        (results / place).parent.mkdir(parents=True)
        (results / place).touch()
    shutil.copy(write_features(), results / "features/b5/usb.h5")
    overlays = ["--config", "config/released.yaml", overlay(checkout)]
    assert main(["import-checkpoint", str(released), *RUN, *overlays]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("results/small/features/b5/usb.h5: expected 3 views with 4 channels")
    assert "found 3 views with 6" in line
    assert not (results / "imported").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--experiment": "best"}, "--experiment: there is no best in the run small; there are multiflow, "),
        ({"--class": "moon"}, "--class: released has no class moon in the run small; it has audiojack, "),
        ({"--seed": "7"}, "--seed: released has no seed 7 in the run small; it has 0, 1, 2, 3, 4"),
        (
            {"--experiment": "background_ignored"},
            "--experiment: background_ignored has no model of its own on usb, it shares that of multiflow; import the",
        ),
    ],
    ids=["experiment", "class", "seed", "shared"],
)
def test_a_place_that_takes_no_checkpoint(
    released: Path, checkout: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], message: str
) -> None:
    place = dict(zip(RUN[::2], RUN[1::2], strict=True)) | change
    arguments = [word for pair in place.items() for word in pair]
    overlays = ["--config", "config/released.yaml", overlay(checkout)]
    assert main(["import-checkpoint", str(released), *arguments, *overlays]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)
    assert not (checkout / "results").exists()


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-checkpoint", str(tmp_path / "none.pt"), str(tmp_path / "flow.safetensors")]) == 1
    scaled = Scaling(torch.ones(6), torch.ones(6))
    write_model(tmp_path / "scaled.safetensors", to_model(small_flow(), scaled))
    assert main(["export-checkpoint", str(tmp_path / "scaled.safetensors"), str(tmp_path / "out.pt")]) == 1
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 2
    assert "none.pt" in printed[0]
    assert "methods.multiflow.scaling: none" in printed[1]
    assert not (tmp_path / "out.pt").exists()
    with pytest.raises(SystemExit):
        main(["import-checkpoint", "released.pt"])


def test_the_tables_of_a_run_come_from_the_configuration_that_it_wrote(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = yaml.safe_load((CONFIG / "config.yaml").read_text()) | {"run": "mine"}
    values["experiments"]["self_attention"] = None  # as an overlay drops it
    folder = checkout / "results/mine"
    folder.mkdir(parents=True)
    (folder / "configuration.yaml").write_text(yaml.safe_dump(values))
    assert main(["tables", "--run", "mine"]) == 0
    assert "0 of 1500 runs are finished." in capsys.readouterr().out
    assert (folder / "tables_so_far/table1.csv").is_file()
    shutil.rmtree(folder / "tables_so_far")
    assert main(["tables", "--run", "mine", "--table", "table1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Table 1: ")
    assert "Table 2: " not in printed
    assert printed.endswith("0 of 1500 runs are finished.\n")
    assert [path.name for path in sorted((folder / "tables_so_far").iterdir())] == [
        f"table1.{suffix}" for suffix in ("csv", "html", "tex")
    ]
    assert main(["tables", "--run", "mine", "--table", "table9"]) == 1
    assert "--table: there is no table9; the tables are table1, table2" in capsys.readouterr().err
    assert main(["tables", "--run", "mine"]) == 0
    # A copy of a run is another run, whatever name is in its configuration.
    shutil.copytree(folder, checkout / "results/copied", ignore=shutil.ignore_patterns("tables_so_far"))
    shutil.rmtree(folder / "tables_so_far")
    assert main(["tables", "--run", "copied"]) == 0
    assert (checkout / "results/copied/tables_so_far/table1.csv").is_file()
    assert not (folder / "tables_so_far").exists()
    shutil.rmtree(checkout / "results/copied")
    capsys.readouterr()
    assert main(["tables", "--run", "yours"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "results/yours/configuration.yaml: expected the configuration of a run that has started, found none; "
        "the runs are mine"
    )


def test_no_run_at_all_is_one_line(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "--run", "mine"]) == 1
    assert capsys.readouterr().err.splitlines()[0].endswith("found none; start one first, such as `make demo`")


def test_a_terminal_without_a_letter_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["tables", "--run", "Prüfung ±"]) == 1
    terminal.flush()
    assert terminal.buffer.getvalue().startswith(b"results/Pr?fung ?/configuration.yaml: expected the configuration")


def test_a_plan_for_one_table_counts_its_runs_alone(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def trainings(*arguments: str) -> int:
        assert main(["plan", "config/demo.yaml", *arguments]) == 0
        (row,) = (line for line in capsys.readouterr().out.splitlines() if "`train_model`" in line)
        return int(row.split("|")[2])

    assert trainings() == 24
    assert trainings("--table", "table1") == 6
    assert main(["plan", "config/demo.yaml", "--table", "table9"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--table: there is no table9; the tables are table1, table2")


@pytest.mark.parametrize("typed", ["~/a b", "$HOME/lot $5", 'it\'s "one" `of` $(many) # here', r"back\slash"])
def test_make_hands_paths_over_as_they_were_typed(program: Callable[[str], str], typed: str) -> None:
    # Below `make test`, make would print the directory that it leaves as its last line.
    command = [program("make"), "--no-print-directory", "-n", "inspect", f"MODEL={typed}", f"PHOTOS={typed}"]
    result = subprocess.run(command, cwd=CONFIG.parent, capture_output=True, text=True, check=True)
    line = result.stdout.splitlines()[-1]
    assert shlex.split(line)[-2:] == [typed, typed]
