#!/usr/bin/env bash
# Install the locked environment once per user and lock file, and link it as .venv in this checkout.
# Usage: envs/install.sh            Settings: PYTHON (python3.11), MULTIFLOW_ENVS (cache folder of environments)
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3.11}
if ! version=$("$PYTHON" -c 'import sys, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
    echo "envs/install.sh: expected $PYTHON with its venv module, found none; install it (Debian: apt-get install python3.11 python3.11-venv; a cluster: module load Python/3.11) or name another: make env PYTHON=python3.12" >&2
    exit 1
fi
envs=${MULTIFLOW_ENVS:-${XDG_CACHE_HOME:-$HOME/.cache}/multiflow-bench}
name=$(printf '%s python%s' "$(cat envs/lock.txt)" "$version" | sha256sum | cut -c1-16)
env=$envs/$name
if [ -e .venv ] && [ ! -L .venv ]; then
    echo "envs/install.sh: expected .venv to be a link to an environment, found a folder; move it away" >&2
    exit 1
fi
# What this checkout has is not installed a second time by a shell that knows nothing of MULTIFLOW_ENVS.
if [ -z "${MULTIFLOW_ENVS:-}" ] && [ -e .venv/.complete ] && [ "$(basename "$(readlink -f .venv)")" = "$name" ]; then
    exit 0
fi

mkdir -p "$envs"
exec 9>"$env.lock"
if ! flock -n 9; then
    echo "Waiting for another installation of the same environment ..." >&2
    flock 9
fi
# The mark is made last: an installation that was interrupted starts again.
if [ ! -e "$env/.complete" ]; then
    echo "Installing the environment into $env: about 7 GB, 3 to 10 minutes, once per lock file." >&2
    rm -rf "$env"
    "$PYTHON" -m venv "$env"
    total=$(grep -c == envs/lock.txt) count=0
    "$env/bin/python" -m pip install --no-deps --disable-pip-version-check -r envs/lock.txt |
        while read -r word package _; do
            case $word in
                Collecting | Processing) count=$((count + 1)) && echo "  $count of $total ${package##*/}" ;;
                Installing) echo "  unpacking all of them, a minute or two ..." ;;
            esac
        done >&2
    "$env/bin/python" -c 'import adeval, snakemake, timm, torch'
    # The renderer needs a library that a bare system lacks, and says which; other data do without it.
    PYTHONPATH=src "$env/bin/python" -c 'import rendered_parts.backend' 2>&1 |
        sed -n 's/^multiflow.base.errors.InputError: /warning: /p' >&2 || true
    touch "$env/.complete"
fi
ln -sfn "$env" .venv
