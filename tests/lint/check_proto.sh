#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The committed rondo.pb.[ch] are what the generator makes of rondo.proto and rondo.options. Exit 77 (skipped)
# without protoc and nanopb's plugin; with --write the files are renewed instead of compared.
set -eu
cd "$(dirname "$0")/../../services/wire"
if ! command -v protoc >/dev/null || ! command -v protoc-gen-nanopb >/dev/null; then
    echo "check_proto: skipped: needs protoc and protoc-gen-nanopb (packages protobuf-compiler, nanopb)" >&2
    exit 77
fi
if [ "${1:-}" = --write ]; then
    exec protoc --nanopb_out=. rondo.proto
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
protoc --nanopb_out="$made" rondo.proto
for file in rondo.pb.h rondo.pb.c; do
    if ! cmp -s "$made/$file" "$file"; then
        echo "check_proto: services/wire/$file is not what rondo.proto gives: run tests/lint/check_proto.sh --write" >&2
        exit 1
    fi
done
