#!/usr/bin/env bash
# The demo: one run at a time in this checkout; a run that was killed is taken up again.
# Usage: workflow/run_demo.sh [more arguments for Snakemake]
set -euo pipefail
cd "$(dirname "$0")/.."

# The progress display is a logger plugin that Snakemake finds beside the library.
export PYTHONPATH=$PWD/src
mkdir -p .snakemake
# This lock goes with the processes that hold it; Snakemake's own would outlive a killed run. Snakemake inherits it,
# its jobs do not: one that outlives a killed Snakemake does not hold up the next run.
exec 9>.snakemake/demo.lock
# A killed run needs a moment to let go of it.
if ! flock -w 10 9; then
    echo "make demo: it is already running in this folder; wait for it to end" >&2
    exit 1
fi
.venv/bin/snakemake --profile profiles/demo --logger multiflow --nolock "$@"
if [ $# -eq 0 ]; then
    cat results/demo/summary.txt
fi
