#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# All that this machine's processor can tell about the CPU backends, in one run, and its rows in the
# results:
#   tests/bench/cpu_check.sh [BUILD] [PYTHON]
# Exactness on every class that the processor has (tiles, strips, operations, whole models), products
# by everything that multiplies here beside the instruction peak, and training beside peft: the
# settings of trainer/PERFORMANCE.md. BUILD: default build/release, complete. PYTHON: one with torch,
# transformers and peft; without one Rondo is measured alone. What was printed goes to
# BUILD/cpu-check; the rows of training are added to tests/bench/results/train_cpu.csv, those of the
# products to results/gemm_cpu.jsonl, each with date and class. PARTS="tests gemm train" chooses.
# Exit code 1 when a test or a measurement failed. An hour or two, on a machine that does nothing else.
set -uo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath "${1:-build/release}") || exit 2
python=${2:-}
parts=${PARTS:-tests gemm train}
settings=${SETTINGS:-large-all-128 large-all-glue large-p2-glue large-top2-glue large-top2-128}
results=tests/bench/results
out=$build/cpu-check
mkdir -p "$out"
failures=0

wants() { [[ " $parts " == *" $1 "* ]]; }
note() { # name, exit code
    echo "$1: exit code $2"
    [ "$2" -eq 0 ] || [ "$2" -eq 77 ] || failures=$((failures + 1)) # 77: skipped
}

if wants tests; then
    for test in test_tiles test_strips test_cpu_choice test_cpu_product test_cpu_bf16 test_exactness test_parity_encoder; do
        "$build/tests/$test" >"$out/$test.log" 2>&1
        note "$test" $?
        grep '^processor classes:' "$out/$test.log"
    done
fi
if wants gemm; then
    "$build/bin/rondo-bench" gemm --kernels every | tee "$out/gemm.txt"
    note gemm "${PIPESTATUS[0]}"
    "$build/bin/rondo-bench" gemm --kernels every --format json >"$out/gemm.json"
    code=$?
    note "gemm, json" $code
    [ "$code" -ne 0 ] || sed "s/^{/{\"date\": \"$(date -u +%F)\", /" "$out/gemm.json" >>"$results/gemm_cpu.jsonl"
fi
if wants train; then
    for setting in $settings; do
        "$build/bin/rondo-bench" train --setting "$setting" --python "${python:-none}" \
            --peers bf16,bf16-weights --csv "$results/train_cpu.csv" --append 2>&1 | tee "$out/$setting.txt"
        note "$setting" "${PIPESTATUS[0]}"
    done
fi
[ "$failures" -eq 0 ]
