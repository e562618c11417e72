#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Packs a build for a machine that has a GPU but none of Rondo's libraries:
#   tests/bench/gpu_bundle.sh build/release gpu-bundle
# makes the folder gpu-bundle with the programs, the device tests, librondo-cuda.so and every shared
# library they need, save glibc, libstdc++ and cuBLASLt. Run it there, in a copy of this repository,
# with tests/bench/gpu_check.sh gpu-bundle.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '4,10p' "$0" >&2; exit 64; }
build=$1
out=$2
mkdir -p "$out/lib"
library=$build/bin/librondo-cuda.so
[ -e "$library" ] || { echo "$library is missing: build the target rondo-cuda" >&2; exit 66; }
programs=("$build"/bin/rondo "$build"/tests/test_device_* "$build"/tests/test_cuda_trainer)
cp "${programs[@]}" "$library" "$out/"
strip --strip-debug "$out"/rondo "$out"/test_* "$out"/librondo-cuda.so
for program in "$out"/rondo "$out"/test_* ; do
    ldd "$program"
done | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux.*|libstdc\+\+|libgcc_s|libcublasLt)\.so' |
    while read -r needed; do cp -L "$needed" "$out/lib/"; done
du -sh "$out"
