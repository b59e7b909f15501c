#!/usr/bin/env bash
# Runs every *.test.ts under the given folders with node's own runner.
set -euo pipefail
mapfile -t files < <(find "$@" -name '*.test.ts' | sort)
[ ${#files[@]} -gt 0 ] || { echo "no test under: $*" >&2; exit 1; }
exec node --import tsx --test --test-concurrency=2 --test-timeout=300000 ${REFMODEL_TEST_REPORTER:+--test-reporter="$REFMODEL_TEST_REPORTER"} "${files[@]}"
