#!/usr/bin/env bash
# The demo; a run that was killed is taken up again.
# Usage: workflow/run_demo.sh [more arguments for Snakemake]
set -euo pipefail
cd "$(dirname "$0")/.."

# The progress display is a logger plugin that Snakemake finds beside the library.
export PYTHONPATH=$PWD/src
.venv/bin/snakemake --profile profiles/demo --logger multiflow "$@"
if [ $# -eq 0 ]; then
    cat results/demo/summary.txt
fi
