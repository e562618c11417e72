#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ledgers that Rondo wrote (RONDO_RECORDER), judged by verify_privacy_ledger.py: good ones hold and add up to the same
numbers; signed lies, and bytes that were changed, moved, removed or repeated, are found. privacy cases 10 and 28."""
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from verify_privacy_ledger import Fault, to_epsilon, up, verify


def refused(data, key=None):
    try:
        verify(data, key)
    except Fault:
        return True
    return False


def test_good(folder, line):
    name, *numbers = line.split()
    filter_sum, filter_epsilon, rdp = map(float, numbers)
    data = (folder / f"{name}.ledger").read_bytes()
    ledger = verify(data)
    assert abs(ledger.reserved() / filter_sum - 1) < 1e-9, (ledger.reserved(), filter_sum)
    assert up(to_epsilon(ledger.reserved(), ledger.terms["order"], ledger.delta())) == up(filter_epsilon)
    assert abs(ledger.epsilon_rdp() / rdp - 1) < 1e-6, (ledger.epsilon_rdp(), rdp)
    assert not refused(data, ledger.terms["identity"]) and refused(data, "0" * 64)
    return data


def test_bytes(data):
    randomly = random.Random(1)
    lines = data.splitlines(keepends=True)
    for at in randomly.sample(range(len(data) - 1), 300):
        assert refused(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]), at
    for at in range(len(lines) - 1):
        assert refused(b"".join(lines[:at] + lines[at + 1:]))
        assert refused(b"".join(lines[:at] + [lines[at + 1], lines[at]] + lines[at + 2:]))
    for at in range(len(lines)):
        assert refused(b"".join(lines[:at + 1] + lines[at:]))
        assert refused(b"".join(lines[:at + 1])[:-1])


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = subprocess.run([os.environ["RONDO_RECORDER"], name], check=True, capture_output=True, text=True, timeout=300).stdout
        for line in said.splitlines():
            test_bytes(test_good(folder, line))
        lies = sorted(folder.glob("lie-*.ledger"))
        assert len(lies) >= 17 and len(said.splitlines()) == 5
        for lie in lies:
            assert refused(lie.read_bytes()), lie.name
    print(f"{len(lies)} lies found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
