#!/usr/bin/env bash
# Written by `make lock`.
set -euo pipefail
pip install --no-deps adeval==1.1.0
