#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Seeded faults: applies each to a copy of the sources, builds the job simulation, runs the test that
# should find it, and says whether it did. The table is FAULTS.md.
#
#     tests/simulation/faults.sh [BUILD] [PATTERN]
#     tests/simulation/faults.sh --check        only whether every fault still applies, those of
#                                               tests/unit/faults_table.sh too
#
# BUILD holds the libraries of a release build (default build/release). PATTERN: only faults whose
# name matches. Exit status 1 when a fault is not found, or does not apply any more. A test that does not
# end in RONDO_FAULT_SECONDS (300) has found one too: on a busy machine, give it more.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)

if [ "${1:-}" = --check ]; then
  cd "$root" || exit 2
  checked=$(mktemp) && trap 'rm -f "$checked"' EXIT
  fault() { printf '%s\0%s\0%s\0' "$1" "$2" "$3" >>"$checked"; }
  for table in tests/*/faults_table.sh; do . "$table"; done
  exec python3 - "$checked" <<'END'
import sys
fields = open(sys.argv[1]).read().split("\0")[:-1]
stale = [f"{name}: its line is not there once in {path}" for name, path, old in zip(*[iter(fields)] * 3)
         if open(path).read().count(old) != 1]
print("\n".join(stale), end="\n" if stale else "")
sys.exit(bool(stale))
END
fi

build=$(cd "${1:-$root/build/release}" && pwd) || exit 2
pattern=${2:-.}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/rondo-faults.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
missed=0
count=0

flags=(-std=gnu11 -O1 -g -D_GNU_SOURCE '-DRN_VERSION="0"' -I.)
libraries=("$build"/policy/librn_policy.a "$build"/crypto/librn_crypto.a "$build"/base/librn_base.a
  -Wl,--wrap=rn_round_encoder_init -lprotobuf-nanopb)
read -ra packages < <(pkg-config --libs libsodium libcrypto libssl cmocka yaml-0.1 jansson fftw3)
libraries+=("${packages[@]}" -lm -lpthread)

compile() { # sources to objects in $scratch/o, two at a time
  printf '%s\n' "$@" | xargs -P2 -I{} bash -c '
    object=o/$(basename "$1" .c).o; shift
    ${CMAKE_C_COMPILER_LAUNCHER:-} cc "$@" -o "$object"' _ {} "${flags[@]}" -c {}
}

run() { # test program, pattern of its tests; true: it passes
  local objects=()
  for object in o/*.o; do
    case $object in o/test_* | o/verifyonce.o) ;; *) objects+=("$object") ;; esac
  done
  [ "$1" = test_secagg_wide ] || objects+=(o/verifyonce.o -Wl,--wrap=rn_identity_sign,--wrap=rn_identity_verify
    -Wl,--wrap=rn_point_parse,--wrap=rn_channel_public_valid)
  [ "$1" = test_secagg_sum ] && objects+=(-Wl,--wrap=rn_sa_vector_in_range)
  [ "$1" = test_secagg_wide ] && objects+=(-Wl,--wrap=rn_feldman_evaluate,--wrap=rn_identity_verify
    -Wl,--wrap=rn_point_parse,--wrap=rn_channel_public_valid)
  [[ $1 =~ ^test_(secagg_rings|job_epoch|job_random) ]] && objects+=(-Wl,--wrap=rn_sa_graph_plan)
  cc "o/$1.o" "${objects[@]}" "${libraries[@]}" -o "$1" || exit 2
  RONDO_JOB_TEST=$2 RONDO_JOB_COUNT=60 RONDO_CORRUPT_COUNT=1000 timeout "${RONDO_FAULT_SECONDS:-300}" "./$1" >out.txt 2>&1
}

sources() {
  ls services/federation/*.c services/round/*.c services/wire/*.c services/store/store*.c \
    services/store/memorystore.c crypto/secagg/*.c tests/simulation/memoryspool.c tests/simulation/verifyonce.c \
    tests/simulation/job*.c tests/simulation/test_job_*.c
  ls tests/simulation/test_secagg_*.c tests/simulation/test_verifyonce.c | grep -v _tables # which reads a document
}

dependents() { # what to compile when this file changes; no header of the tests has a fault that another header includes
  case $1 in
  *.c) echo "$1" ;;
  tests/*) grep -lF "\"$1\"" $(sources) ;;
  *) sources ;;
  esac
}

# fault NAME FILE OLD NEW TEST[:PATTERN]: OLD stands in FILE exactly once.
fault() {
  local name=$1 file=$2 old=$3 new=$4 test=${5%%:*} tests='*'
  [[ $name =~ $pattern ]] || return 0
  [[ $5 == *:* ]] && tests=${5#*:}
  count=$((count + 1))
  cp "$root/$file" "$file"
  if ! python3 -c 'import sys
path, old, new = sys.argv[1:]
text = open(path).read()
open(path, "w").write(text.replace(old, new))
sys.exit(text.count(old) != 1)' "$file" "$old" "$new"; then
    echo "STALE     $name: its line is not there once in $file"
    missed=$((missed + 1))
  else
    compile $(dependents "$file")
    run "$test" "$tests"
    local status=$?
    if [ $status = 0 ]; then
      echo "NOT FOUND $name ($test $tests)"
      missed=$((missed + 1))
    elif [ $status = 124 ]; then
      echo "found     $name: it does not end in ${RONDO_FAULT_SECONDS:-300} s"
    else
      echo "found     $name: $({ grep -oE 'FAILED  \] test_[a-z0-9_]+|seed [0-9]+, at .*' out.txt || grep -oE 'error[: ].*' out.txt; } | head -1)"
    fi
  fi
  cp "$root/$file" "$file"
  compile $(dependents "$file")
}

cd "$scratch" || exit 2
mkdir o
for folder in base crypto policy services trainer tests/simulation; do
  mkdir -p "$(dirname "$folder")" && cp -r "$root/$folder" "$folder"
done
compile $(sources) || exit 2
. "$root/tests/simulation/faults_table.sh"
echo "$count faults, $missed not found"
[ "$missed" -eq 0 ]
