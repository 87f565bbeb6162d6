#!/usr/bin/env bash
# Makes 20 cities (or as many as said) of other seeds, small ones or of the scale said, and checks every
# figure and every planted fault of each. Uses the Python that `./test` prepares.
#   benches/seeds.sh [SEEDS] [SCALE]
#   benches/seeds.sh 1 1.0      # one city of full size, with everything that was planted in it
set -euo pipefail
cd "$(dirname "$0")/.."
export HUILIU_SEEDS="${1:-20}"
[ -z "${2:-}" ] || export HUILIU_SCALE="$2"
export HUILIU_TEST_PYTHON="${HUILIU_TEST_PYTHON:-${HUILIU_CACHE:-$HOME/.cache/huiliu}/venv/bin/python}"
exec cargo nextest run -p huiliu --test it --profile kills --no-capture -E 'test(seeds::)'
