#!/usr/bin/env bash
# Kills the hub 3,000 times (or as often as said), a fifth of it in each kind of work, and compares
# everything after each kill; then 300 times (or as often as said) in the middle of pushes, a third
# of it with each kind of target. Uses the servers and the Python that `./test` prepares.
#   benches/kills.sh [KILLS] [SEED] [KILLS_OF_PUSHES]
set -euo pipefail
cd "$(dirname "$0")/.."
export HUILIU_KILLS="${1:-3000}"
[ -z "${2:-}" ] || export HUILIU_SEED="$2"
export HUILIU_TEST_PYTHON="${HUILIU_TEST_PYTHON:-${HUILIU_CACHE:-$HOME/.cache/huiliu}/venv/bin/python}"
export HUILIU_PUSH_KILLS="${3:-300}"
exec cargo nextest run --workspace --test it --profile kills --no-capture \
  -E 'test(disturb::kills) or test(disturb::pushes)'
