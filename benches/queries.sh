#!/usr/bin/env bash
# Asks 5,000 random statements (or as many as said) of two lakes that differ only in what somebody with
# limits may not see. All answers must be alike.
#   benches/queries.sh [STATEMENTS]
set -euo pipefail
cd "$(dirname "$0")/.."
export HUILIU_QUERIES="${1:-5000}"
exec cargo nextest run -p huiliu-engine --lib --profile kills --no-capture -E 'test(differ_in_hidden_data)'
