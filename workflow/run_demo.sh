#!/usr/bin/env bash
# The demo: one run at a time in this checkout; a run whose Snakemake was killed is taken up again.
# Usage: workflow/run_demo.sh [more arguments for Snakemake]
set -euo pipefail
cd "$(dirname "$0")/.."

# The progress display is a logger plugin that Snakemake finds beside the library.
export PYTHONPATH=$PWD/src
mkdir -p .snakemake
exec 9>.snakemake/demo.lock
if ! flock -n 9; then
    echo "make demo: it is already running in this folder; wait for it to end" >&2
    exit 1
fi
if [ -n "$(ls -A .snakemake/locks 2>/dev/null)" ]; then
    # Nobody else holds our lock, so these are left from a run that was killed.
    .venv/bin/snakemake --profile profiles/demo --unlock >/dev/null 2>&1
fi
# Snakemake holds the lock too, its jobs do not: one that outlives a killed Snakemake does not hold up the next run.
.venv/bin/snakemake --profile profiles/demo --logger multiflow "$@"
cat results/demo/summary.txt
