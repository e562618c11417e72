#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Three organisations and a coordinator, real processes, mutual TLS, secure aggregation: four rounds
# of RoLoRA end everywhere with the same adapter, hash by hash.
#
#   basic.sh BIN [MEMBERS] [ROUNDS]    BIN: folder of rondo, rondo-coordinator, rondo-trainer
#
# Needs encoder-small and glue-sst2 below $RONDO_DATA; exits 77 (skipped) without them.
set -eu

bin=${1:?usage: basic.sh BIN [MEMBERS] [ROUNDS]}
members=${2:-3}
rounds=${3:-4}
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
data=${RONDO_DATA:-$source_dir/../shared/data}
for needed in "$data/encoder-small/model.safetensors" "$data/glue-sst2/train.tsv.gz"; do
    if [ ! -e "$needed" ]; then
        echo "skipped: $needed is not there (set RONDO_DATA)"
        exit 77
    fi
done

work=$(mktemp -d "${TMPDIR:-/tmp}/rondo-basic-XXXXXX")
pids=""
finish() {
    code=$?
    for pid in $pids; do
        kill -9 "$pid" 2>/dev/null || true
    done
    if [ "$code" -eq 0 ] && [ -z "${KEEP:-}" ]; then
        rm -rf "$work"
    else
        echo "files are kept in $work"
    fi
}
trap finish EXIT
trap 'exit 1' INT TERM
fail() {
    echo "FAILED: $*"
    exit 1
}

# Each member gets its own 600 lines.
i=1
names=""
while [ "$i" -le "$members" ]; do
    from=$((2 + (i - 1) * 600))
    {
        gzip -dc "$data/glue-sst2/train.tsv.gz" | head -1
        gzip -dc "$data/glue-sst2/train.tsv.gz" | sed -n "${from},$((from + 599))p"
    } > "$work/part-$i.tsv"
    names="$names${names:+,}site-$i"
    i=$((i + 1))
done
gzip -dc "$data/glue-sst2/dev.tsv.gz" > "$work/dev.tsv"

case ${WEIGHTS:-uniform} in
examples) weights="--weights examples --max-examples 1000" ;;
*) weights="--weights uniform" ;;
esac
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$bin/rondo" init "$work/coordinator" --federation basic --address "127.0.0.1:$port" \
    --model "$data/encoder-small" --members "$names" --labels negative,positive \
    --rounds "$rounds" --method "${METHOD:-rolora}" --targets query,value --rank 4 --alpha 8 \
    --head "${HEAD_MODE:-federated}" --metrics summed --lr 0.002 --batch 16 --steps 10 \
    --max-length 64 $weights \
    --train-soft 60 --train-hard 300 --stage-soft 10 --stage-hard 60 \
    > "$work/setup.log" 2>&1 ||
    fail "init: $(tail -1 "$work/setup.log")"
for name in $(echo "$names" | tr , ' '); do
    "$bin/rondo" join "$work/coordinator/invitations/$name.invite" --dir "$work/$name" \
        --model "$data/encoder-small" --data "$work/part-${name#site-}.tsv" --text sentence \
        --label label --log json >> "$work/setup.log" 2>&1 || fail "join $name"
done
requests=""
for name in $(echo "$names" | tr , ' '); do
    requests="$requests $work/$name/$name.request"
done
"$bin/rondo" invite "$work/coordinator" --accept $requests >> "$work/setup.log" 2>&1 ||
    fail "invite --accept"
signatures=""
for name in $(echo "$names" | tr , ' '); do
    "$bin/rondo" join "$work/coordinator/welcome/$name.welcome" --dir "$work/$name" --sign \
        >> "$work/setup.log" 2>&1 || fail "join $name with the welcome"
    signatures="$signatures $work/$name/$name.signature"
done
"$bin/rondo" plan sign "$work/coordinator" $signatures >> "$work/setup.log" 2>&1 ||
    fail "plan sign at the coordinator"
for name in $(echo "$names" | tr , ' '); do
    "$bin/rondo" plan sign "$work/$name" "$work/coordinator/plan.yaml.sigs" \
        >> "$work/setup.log" 2>&1 || fail "plan sign at $name"
done

# The coordinator judges each round's adapter, and logs like the members.
sed -i 's/^  format: text/  format: json/' "$work/coordinator/site.yaml"
cat >> "$work/coordinator/site.yaml" <<END

data:
  train: "$work/dev.tsv"
  dev: "$work/dev.tsv"
  format: tsv
  text: sentence
  label: label
END

"$bin/rondo-coordinator" "$work/coordinator" > "$work/coordinator.log" 2>&1 &
coordinator=$!
pids="$coordinator"
for name in $(echo "$names" | tr , ' '); do
    "$bin/rondo-trainer" "$work/$name" > "$work/$name.log" 2>&1 &
    eval "pid_$(echo "$name" | tr - _)=$!"
    pids="$pids $!"
done

wait "$coordinator" || fail "coordinator: exit $?: $(tail -1 "$work/coordinator.log")"
for name in $(echo "$names" | tr , ' '); do
    eval "pid=\$pid_$(echo "$name" | tr - _)"
    wait "$pid" || fail "$name: exit $?: $(tail -1 "$work/$name.log")"
done
pids=""

# One adapter hash per round, the same in every log.
hash_of() { # FILE ROUND
    sed -n "s/.*\"event\":\"round.done\",\"round\":$2,.*\"hash\":\"\([0-9a-f]*\)\".*/\1/p" "$1"
}
round=1
while [ "$round" -le "$rounds" ]; do
    expected=$(hash_of "$work/coordinator.log" "$round")
    [ -n "$expected" ] || fail "round $round is not in the coordinator's log"
    for name in $(echo "$names" | tr , ' '); do
        found=$(hash_of "$work/$name.log" "$round")
        [ "$found" = "$expected" ] || fail "round $round: $name has $found, not $expected"
    done
    round=$((round + 1))
done
rows=$(wc -l < "$work/coordinator/state/rounds.csv")
[ "$rows" -eq $((rounds + 2)) ] || fail "rounds.csv has $rows lines"
for site in coordinator $(echo "$names" | tr , ' '); do
    [ -s "$work/$site/state/adapters/final/adapter_model.safetensors" ] ||
        fail "$site has no final adapter"
done
cut -d, -f1,2,5,7,9,16 "$work/coordinator/state/rounds.csv"
echo "ok: $rounds rounds, $members members, one adapter"
