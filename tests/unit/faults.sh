#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Seeded faults of the unit tests: builds each changed source file by itself, links it before the
# libraries of a build, runs the test that should find it, and says whether it did. The faults are
# those of faults_table.sh, in the form of simulation/faults.sh; what they are about stands in
# FAULTS.md. A .c or .cu file, or a header together with the .c file to build with it. The build has to be
# Ninja's and complete.
#
#     tests/unit/faults.sh [BUILD] [PATTERN]
#
# BUILD: default build/release. PATTERN: only faults whose name matches. Exit status 1 when a fault
# is not found, does not apply any more, or does not build. tests/lint/run looks whether they apply. A
# test that does not end in RONDO_FAULT_SECONDS (300) has found one too: on a busy machine, give it more.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:-$root/build/release}" && pwd) || exit 2
pattern=${2:-.}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/rondo-faults.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cuda=trainer/kernels/cuda # its bodies on the CPU, in a library of their own
missed=0
count=0

miss() {
  echo "$1"
  missed=$((missed + 1))
}

# The build's own command for a target, with one word of it replaced.
command_for() { # target, old, new
  local line
  line=$(ninja -C "$build" -t commands "$1" | tail -n 1)
  printf '%s' "${line//"$2"/"$3"}"
}

# fault NAME FILE OLD NEW TEST [SOURCE]: OLD stands in FILE exactly once; where FILE is a header,
# SOURCE is what is built with it.
fault() {
  local name=$1 file=$2 old=$3 new=$4 test=$5 source=${6:-$2} changed=$scratch/fault.c include=
  [[ $name =~ $pattern ]] || return 0
  count=$((count + 1))
  if [[ $source != "$file" ]]; then
    rm -rf "$scratch/shadow"
    changed=$scratch/shadow/$file
    mkdir -p "$(dirname "$changed")"
    cp "$root/$source" "$scratch/fault.c"
    include=" -I$scratch/shadow"
  fi
  if ! python3 -c 'import sys
path, out, old, new = sys.argv[1:]
text = open(path).read()
open(out, "w").write(text.replace(old, new))
sys.exit(text.count(old) != 1)' "$root/$file" "$changed" "$old" "$new"; then
    miss "STALE     $name: its line is not there once in $file"
    return
  fi
  local object=${source%%/*}/CMakeFiles/rn_${source%%/*}.dir/${source#*/}.o compile link
  if [[ $source == $cuda/* ]]; then
    object=$cuda/CMakeFiles/rn_cuda_host_parts.dir/${source#"$cuda"/}.o
  fi
  compile=$(command_for "$object" " -c $root/$source" " -c $scratch/fault.c")
  compile=${compile/ -I/"$include -I"} # before the tree's own
  compile=${compile//" -o $object"/" -o $scratch/fault.o"}
  link=$(command_for "tests/$test" " -o tests/$test" " $scratch/fault.o -o $scratch/$test")
  if ! (cd "$build" && eval "${compile//" -MF $object.d"/" -MF $scratch/fault.d"}" && eval "$link") \
    >"$scratch/out.txt" 2>&1; then
    miss "NO BUILD  $name: $(grep -m 1 error "$scratch/out.txt")"
  elif (cd "$scratch" && timeout "${RONDO_FAULT_SECONDS:-300}" "./$test") >"$scratch/out.txt" 2>&1; then
    miss "NOT FOUND $name ($test)"
  elif [ $? = 124 ]; then
    echo "found     $name: it does not end in ${RONDO_FAULT_SECONDS:-300} s"
  else
    echo "found     $name: $(grep -aoE 'FAILED  \] [a-z_]+' "$scratch/out.txt" | head -n 1)"
  fi
}

. "$root/tests/unit/faults_table.sh"
echo "$count faults, $missed not found"
[ "$count" -gt 0 ] && [ "$missed" -eq 0 ]
