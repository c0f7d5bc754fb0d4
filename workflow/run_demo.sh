#!/usr/bin/env bash
# The demo; a run that was killed is taken up again.
# Usage: workflow/run_demo.sh [more arguments for Snakemake]
set -euo pipefail
cd "$(dirname "$0")/.."

# The progress display is a logger plugin that Snakemake finds beside the library.
export PYTHONPATH=$PWD/src
demo=(.venv/bin/snakemake --profile profiles/demo --logger multiflow)
if [ $# -eq 0 ]; then
    # Multi-Flow's column of Table 1 is on the screen minutes before the others, and the whole table before the rest. The
    # other scheduler fails on such priorities.
    "${demo[@]}" -- results/demo/metrics/multiflow/{coin_cell,stud_brick}/seed{0,1,2}.json
    .venv/bin/python -m multiflow tables --run demo --table table1
    "${demo[@]}" --scheduler greedy --prioritize results/demo/tables/table1.csv
    cat results/demo/summary.txt
else
    "${demo[@]}" "$@"
fi
