#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verifies a recorded session of secure aggregation. Written from crypto/secagg/PROTOCOL.md alone: it shares no code with
the product.

    verify_session.py DIR [--public]

DIR holds what tests/simulation/recordsession.c writes: session.wire, session.json and secrets.json. --public does without
the last one, as an auditor has to: sealed entries stay sealed, and the sum is recomputed from uploads and opened secrets
alone. Prints what was verified, and what members did wrong that the protocol provides for. Exit status 1, and the message
and the check that failed, when something does not hold.
"""
import argparse
import sys

from verifier.recording import Failure, load, records
from verifier.session import TYPES, verify


def main():
    parser = argparse.ArgumentParser(description="Verifies a recorded session of secure aggregation.")
    parser.add_argument("directory")
    parser.add_argument("--public", action="store_true", help="without the members' secrets")
    options = parser.parse_args()
    recording = load(options.directory, not options.public)
    try:
        session = verify(recording, records(recording.wire))
    except Failure as failure:
        print(f"not verified: {failure}", file=sys.stderr)
        return 1
    names = {entry[0] for entry in TYPES.values()}
    for name, count in session.counts.items():
        print(f"{count:7d} {'messages: ' if name in names else ''}{name}")
    for kind, count in session.unverified.items():
        print(f"{count:7d} messages of type {kind}: UNVERIFIED beyond their frame")
    for finding in session.findings:
        print(f"found: {finding}")
    what = "an abort"
    if session.certified:
        what = "a sum" if session.sum_root else "a certificate, no sum"
        what += " over members " + ", ".join(map(str, sorted(session.survivors)))
    print(f"verified: {what}" + (f"; blamed {sorted(session.blamed)}" if session.blamed else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
