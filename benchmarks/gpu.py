"""A GPU beside the CPU, in about ten minutes: does it compute the same, how fast is it, and does a whole run work?

It needs torch, timm, h5py, numpy, pydantic, Pillow, safetensors and FrEIA, and this checkout; with `--workflow` the
whole environment.

    PYTHONPATH=src python benchmarks/gpu.py                         # parity and speed
    PYTHONPATH=src python benchmarks/gpu.py --workflow              # and a small run of the workflow, all on the GPU
    PYTHONPATH=src python benchmarks/gpu.py --device cpu --quick    # the same from end to end, small, without a GPU

The table is printed. `results/gpu.json` holds it, and `make plan` reads its rates in place of those that are assumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from gpu_parity import Parity, parity
from gpu_speed import Sizes, Speed, cuda_start, speeds

from multiflow.base.devices import device_name
from multiflow.base.files import atomic_path
from multiflow.methods.contract import FeatureShape

ROOT = Path(__file__).parents[1]
QUICK = Sizes(picture=128, mask=384, features=FeatureShape(32, 6, 6), samples=2, hidden=8, batches=(1, 5))
# What `multiflow/cluster/costs.csv` assumes, and which measured speed says it: as the pipeline computes
# by default, and with `config/fast.yaml`.
COSTS = {
    "gpu_features_tflops": ("extractor, batch 5", "float32"),
    "gpu_features_bf16_tflops": ("extractor, batch 5", "bfloat16"),
    "gpu_mvanet_tflops": ("MVANet, batch 1", "float32"),
    "gpu_mvanet_bf16_tflops": ("MVANet, batch 1", "bfloat16"),
    "gpu_training_tflops": ("training step", "TF32"),
    "gpu_training_bf16_tflops": ("training step", "bfloat16"),
    "gpu_scoring_tflops": ("scoring", "float32"),
}
OVERLAY = {
    "run": "gpu_check",
    "dataset": {"classes": ["coin_cell"], "image_folder": "realiad_128"},
    "rendering": {"train": 8, "test_ok": 3, "test_ng": 5, "image_size": 128},
    "seeds": [0],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: no figure of it says anything of the paper's"
    )
    parser.add_argument("--workflow", action="store_true", help="run a small part of the demo on the device, too")
    parser.add_argument("--output", type=Path, default=ROOT / "results/gpu.json")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --device cpu --quick shows what would be done")
    device = torch.device(chosen.device)
    kinds = ("float32", "TF32", "bfloat16") if chosen.device == "cuda" else ("float32", "bfloat16")
    print(f"{device_name(device)}, torch {torch.__version__}\n", flush=True)

    checked = []
    print(f"{'beside the CPU in float32':36}{'precision':>10}{'difference':>12}{'tolerance':>11}")
    for comparison in parity(device, kinds):
        checked.append(comparison)
        print(_parity_line(comparison), flush=True)
    print(f"\n{'speed':36}{'precision':>10}{'a second':>20}{'TFLOP/s':>9}{'MiB':>8}{'kernels':>9}{'idle':>6}")
    measured = []
    for speed in speeds(device, QUICK if chosen.quick else Sizes(), kinds):
        measured.append(speed)
        print(_speed_line(speed), flush=True)
    start = cuda_start(device)
    print(f"\na process that has imported torch computes on the device after {start:.1f} s")

    # Rates of small sizes, or of a CPU, would make the plan of a run on GPUs wrong.
    costs = {} if chosen.quick or chosen.device == "cpu" else _costs(measured) | {"cuda_start": start}
    with atomic_path(chosen.output) as temporary:
        values = {
            "device": device_name(device),
            "torch": torch.__version__,
            "costs": costs,
            "parity": [asdict(comparison) | {"holds": comparison.holds} for comparison in checked],
            "speeds": [asdict(speed) for speed in measured],
        }
        temporary.write_text(json.dumps(values, indent=1) + "\n")
    print(f"written: {chosen.output}")
    wrong = [comparison.name for comparison in checked if comparison.difference is not None and not comparison.holds]
    if wrong:
        print(f"beyond the tolerance: {', '.join(dict.fromkeys(wrong))}", file=sys.stderr)
    if chosen.workflow:
        _run_workflow(chosen.device)
    return 1 if wrong else 0


def _parity_line(comparison: Parity) -> str:
    if comparison.difference is None:
        return f"{comparison.name:36}{'':10} {comparison.remark}"
    numbers = f"{comparison.difference:>12.1e}{comparison.tolerance:>11.0e}"
    return f"{comparison.name:36}{comparison.precision:>10}{numbers}{'' if comparison.holds else '  TOO LARGE'}"


def _speed_line(speed: Speed) -> str:
    def shown(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return (
        f"{speed.name:36}{speed.precision:>10}{f'{speed.rate:.2f} {speed.unit}':>20}{shown(speed.tflops, '.2f'):>9}"
        f"{shown(speed.memory, '.0f'):>8}{shown(speed.launches, 'd'):>9}{shown(speed.idle, '.0%'):>6}"
    )


def _costs(measured: list[Speed]) -> dict[str, float]:
    by_name = {(speed.name, speed.precision): speed.tflops for speed in measured}
    return {name: tflops for name, key in COSTS.items() if (tflops := by_name.get(key)) is not None}


def _run_workflow(device: str) -> None:
    """A small part of the demo, every job of it on the device.

    Raises:
        subprocess.CalledProcessError: it failed; what Snakemake said is on the screen.
    """
    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder, "gpu.yaml")
        overlay.write_text(json.dumps(OVERLAY | {"compute": {"device": device}}))  # JSON is YAML, too
        command = [sys.executable, "-m", "snakemake", "--configfile", "config/demo.yaml", str(overlay)]
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
