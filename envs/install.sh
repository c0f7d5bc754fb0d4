#!/usr/bin/env bash
# Install the locked environment once per user and lock file, and link it as .venv in this checkout.
# Usage: envs/install.sh
# Settings: PYTHON (the first of python3.11, python3.12 and python3.13 that is there), MULTIFLOW_ENVS (cache folder of
# environments), TORCH_INDEX (a package index with another build of the same torch and torchvision; it is remembered).
set -euo pipefail
cd "$(dirname "$0")/.."
# A cluster's modules set them; the packages that they name must not take the place of the locked ones.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER

fail() {
    echo "envs/install.sh: $*" >&2
    exit 1
}
version_of() { # of a Python that can make environments
    "$1" -I -c 'import sys, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}
name_of() { # of the environment for a version of Python
    printf '%s python%s' "$(cat envs/lock.txt)" "$1${TORCH_INDEX:+ torch $TORCH_INDEX}" | sha256sum | cut -c1-16
}

TORCH_INDEX=${TORCH_INDEX-$(cat .venv/torch-index 2>/dev/null || true)}
if [ -e .venv ] && [ ! -L .venv ]; then
    fail "expected .venv to be a link to an environment, found a folder; move it away"
fi
if [ -n "${PYTHON:-}" ]; then
    version=$(version_of "$PYTHON") || fail "expected $PYTHON with its venv module, found none; name another: make env PYTHON=python3.12"
else
    version=$(sed -n 's/^version = \(3\.[0-9]*\).*/\1/p' .venv/pyvenv.cfg 2>/dev/null || true)
fi
# What this checkout has is not installed a second time by a shell that knows nothing of MULTIFLOW_ENVS or a module.
if [ -z "${MULTIFLOW_ENVS:-}" ] && [ -e .venv/.complete ] && [ "$(basename "$(readlink -f .venv)")" = "$(name_of "$version")" ]; then
    exit 0
fi
if [ -z "${PYTHON:-}" ]; then
    for PYTHON in python3.11 python3.12 python3.13 ""; do
        version=$(version_of "${PYTHON:-false}") && break
    done
fi
case $version in
    3.11 | 3.12 | 3.13) ;;
    "") fail "expected python3.11, python3.12 or python3.13 with its venv module, found none; install one (Debian: apt-get install python3-venv; a cluster: module load Python/3.11)" ;;
    *) fail "expected Python 3.11, 3.12 or 3.13, found $version ($PYTHON); name another: make env PYTHON=python3.12" ;;
esac

home=${HOME:-~}
for source in MULTIFLOW_ENVS XDG_CACHE_HOME HOME; do
    [ -n "${!source:-}" ] && break
done
case $source in
    MULTIFLOW_ENVS) envs=${MULTIFLOW_ENVS/#\~\//$home/} ;;
    XDG_CACHE_HOME) envs=$XDG_CACHE_HOME/multiflow-bench ;;
    HOME) envs=$home/.cache/multiflow-bench ;;
esac
[[ $envs = /* ]] || envs=$PWD/$envs
# Snakemake gives the path of its Python to a shell without quotes.
if [[ $envs =~ [[:space:]:\'\"\\\$\`\&\;\|\<\>\(\)\*\?\{\}\#\!]|\[|\] ]]; then
    fail "expected a folder without spaces, quotes and other characters that a shell reads, found $(printf %q "$envs") (from $source); name another: export MULTIFLOW_ENVS=<folder>"
fi
env=$envs/$(name_of "$version")

mkdir -p "$envs"
exec 9>"$env.lock"
if ! flock -n 9; then
    echo "Waiting for another installation of the same environment ..." >&2
    flock 9
fi

total=$(grep -c == envs/lock.txt) count=0
install() { # packages, with a line for each
    "$env/bin/python" -I -m pip install --disable-pip-version-check "$@" |
        while read -r word package _; do
            case $word in
                Collecting | Processing) count=$((count + 1)) && echo "  $count of $total ${package##*/}" ;;
                Installing) echo "  unpacking all of them, a minute or two ..." ;;
            esac
        done >&2
}

# The mark is made last: an installation that was interrupted starts again.
if [ ! -e "$env/.complete" ]; then
    echo "Installing the environment into $env: about 7 GB, 3 to 10 minutes, once per lock file." >&2
    rm -rf "$env"
    "$PYTHON" -m venv "$env"
    if [ -z "$TORCH_INDEX" ]; then
        install --no-deps -r envs/lock.txt
    else
        # Another build of torch brings its own CUDA, or none.
        grep -vE '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' envs/lock.txt >"$env/lock.txt"
        install --no-deps -r "$env/lock.txt"
        install --index-url "$TORCH_INDEX" $(grep -E '^(torch|torchvision)==' envs/lock.txt) ||
            fail "expected $(grep '^torch==' envs/lock.txt) and torchvision for Python $version in $TORCH_INDEX, cannot install them; give another TORCH_INDEX"
        printf '%s\n' "$TORCH_INDEX" >"$env/torch-index"
    fi
    "$env/bin/python" -I -c 'import adeval, snakemake, timm, torch' ||
        fail "expected the packages of envs/lock.txt in $env, found an environment that lacks some; see where pip puts them: pip config list"
    # The renderer needs a library that a bare system lacks, and says which; other data do without it.
    PYTHONPATH=src "$env/bin/python" -c 'import rendered_parts.backend' 2>&1 |
        sed -n 's/^multiflow.base.errors.InputError: /warning: /p' >&2 || true
    touch "$env/.complete"
fi
ln -sfn "$env" .venv
