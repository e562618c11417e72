#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the values that tests/unit/crypto/test_epoch.c compares with, computed from crypto/secagg/PROTOCOL.md, "Epoch",
without the product's code.

Usage: python3 tests/parity/make_epoch_golden.py
"""
from verifier.graph import permutation
from verifier.primitives import H, hkdf, sign, u32

PLAN, ROSTER, MEMBERS = b"\xa1" * 32, b"\xa2" * 32, 6
SEEDS = [b"\0" + bytes([1 + i]) * 31 for i in range(MEMBERS)]  # of the identities


def contribution(place, attempt):
    message = PLAN + ROSTER + u32(attempt)
    return hkdf(sign(SEEDS[place], "rondo/v1 secagg epoch secret", message), message, "epoch contribution")


def commitment(place, attempt):
    return H("epoch commitment", PLAN, ROSTER, u32(attempt, place), contribution(place, attempt))


def set_hash(places, attempt):
    document = b"RNEC" + b"\x02\0\0\0" + PLAN + ROSTER + u32(attempt, len(places))
    for place in places:
        value = commitment(place, attempt)
        signed = PLAN + ROSTER + u32(attempt, place) + value
        document += u32(place) + value + sign(SEEDS[place], "rondo/v1 secagg epoch commit", signed)
    return H("epoch set", document)


def seed(places, attempt):
    return H("epoch seed", set_hash(places, attempt), *(contribution(place, attempt) for place in places))


everybody, without = list(range(MEMBERS)), [0, 2, 3, 4, 5]
for name, golden in (("CONTRIBUTION", contribution(2, 1)), ("COMMITMENT", commitment(2, 1)), ("SET", set_hash(everybody, 1)),
                     ("SEED", seed(everybody, 1)), ("SEED_WITHOUT", seed(without, 2))):
    print(f'#define GOLDEN_{name} "{golden.hex()}"')
order = ", ".join(map(str, permutation(seed(without, 2), 10)))
print(f"static const uint32_t golden_permutation[10] = {{{order}}};")
