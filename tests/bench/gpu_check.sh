#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# All that a machine with a GPU can tell about the cuda backend, in one run:
#   tests/bench/gpu_check.sh BUNDLE [OUT]
# Device tests, compute-sanitizer's four tools, the baseline without Rondo, steps beside peft, steps of
# Rondo with one thing changed at a time (recording, plan file, prefix cache, DP-SGD). BUNDLE
# comes from tests/bench/gpu_bundle.sh. Logs and JSON go to OUT (default: BUNDLE/out). Exit code: 0, or 1
# when a test or a sanitizer found something. PARTS="tests sanitizer baseline step savings" chooses.
set -uo pipefail
cd "$(dirname "$0")/../.."
bundle=$(realpath "${1:?the folder from tests/bench/gpu_bundle.sh}")
out=${2:-$bundle/out}
parts=${PARTS:-tests sanitizer baseline step savings}
mkdir -p "$out"
failures=0
# cuBLASLt from the toolkit, or from the wheels beside torch.
wheels=$(python3 -c 'import nvidia, pathlib; print(":".join(str(p.parent) for r in nvidia.__path__ for p in pathlib.Path(r).rglob("libcublasLt.so.*")))' 2>/dev/null)
export LD_LIBRARY_PATH="$bundle/lib:/usr/local/cuda/lib64:$wheels:${LD_LIBRARY_PATH:-}"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm --format=csv,noheader | tee "$out/device"

wants() { [[ " $parts " == *" $1 "* ]]; }
note() { # name, exit code
    echo "$1: exit code $2"
    [ "$2" -eq 0 ] || [ "$2" -eq 77 ] || failures=$((failures + 1)) # 77: skipped
}

if wants tests; then
    for test in "$bundle"/test_device_* "$bundle"/test_cuda_trainer; do
        timeout 240 "$test" >"$out/$(basename "$test").log" 2>&1
        code=$?
        note "$(basename "$test")" $code
        [ $code -eq 0 ] || grep -E 'ERROR|error|skipped' "$out/$(basename "$test").log" | head -5
    done
fi
if wants sanitizer; then
    for tool in memcheck racecheck initcheck synccheck; do
        for test in "$bundle"/test_device_*; do
            log=$out/$tool-$(basename "$test").log
            timeout 400 compute-sanitizer --tool "$tool" --error-exitcode 9 "$test" >"$log" 2>&1
            note "$tool $(basename "$test")" $?
            grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | head -1
        done
    done
fi
if wants baseline; then
    timeout 500 python3 tests/bench/gpu_baseline.py --seconds 330 --out "$out/baseline.json" 2>"$out/baseline.err"
    note baseline $?
fi
if wants step; then
    timeout 580 python3 tests/bench/gpu_step.py --rondo "$bundle/rondo" \
        --out "$out/step.json" 2>"$out/step.err"
    note step $?
fi
if wants savings; then
    timeout 580 python3 tests/bench/gpu_step.py --savings --rondo "$bundle/rondo" \
        --out "$out/savings.json" 2>"$out/savings.err"
    note savings $?
fi
exit $((failures > 0))
