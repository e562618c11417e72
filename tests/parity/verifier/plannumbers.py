# SPDX-License-Identifier: Apache-2.0
"""PROTOCOL.md, "Numbers", and what of "Bytes" follows from them before the first message."""
import re

from . import graph
from .primitives import H, packed_bytes, tagged_hash, u32, u64
from .recording import VERSION, need

CANARIES = 8
PRG, SUM_CHECK = 1, 1
COMPLETE, RING = 0, 1


class Numbers:
    """Of the plan and of the round, from a member's own values."""

    def __init__(self, context):
        roster = re.fullmatch(r"rondo-roster 2\nfederation [a-z0-9-]{1,63}\ncoordinator ed25519 ([0-9a-f]{64})\n"
                              r"((?:member \d+ [a-z0-9-]{1,63} ed25519 [0-9a-f]{64}\n)+)", context["roster"])
        need(roster, "roster", "it is not written as a roster")
        members = [line.split(" ") for line in roster[2].splitlines()]
        need([int(line[1]) for line in members] == list(range(len(members))), "roster", "places are not 0, 1, ...")
        need(len({line[4] for line in members} | {roster[1]}) == len(members) + 1, "roster", "a key is there twice")
        self.keys = [bytes.fromhex(line[4]) for line in members]
        self.coordinator_key = bytes.fromhex(roster[1])
        self.roster = tagged_hash("rondo/v1 roster", context["roster"].encode())
        for name in ("plan", "base", "adapter", "layout", "scales", "group", "seed"):
            setattr(self, name, bytes.fromhex(context[name]))
        for name in ("colluding", "losses", "honest", "value_max", "chunk_elements", "elements", "round", "attempt",
                     "active", "blind"):
            setattr(self, name, context[name])
        self.hybrid = context.get("hybrid", 0)  # the KEM
        self.members = n = len(members)
        self.quorum = (n + self.colluding) // 2 + 1
        ring = graph.ring(n, self.colluding, self.losses)
        self.graph = RING if ring else COMPLETE
        self.threshold = ring[1] if ring else self.quorum
        self.circles = (graph.circles(n, ring[0], self.seed) if ring
                        else dict.fromkeys(range(n), set(range(n))))
        self.floor = max(self.quorum, self.colluding + self.honest, 3)
        self.bits = (n * self.value_max).bit_length() + 1
        self.lane_bytes = 4 if self.bits <= 32 else 8
        self.chunks = -(-self.elements // self.chunk_elements)
        need(3 <= n <= 1024 and (self.seed == bytes(32)) == (not ring) and self.colluding >= 1 and self.honest >= 2 and self.colluding + self.honest <= n
             and self.losses + self.floor <= n and self.bits <= 53, "plan", "it is not feasible")
        need(self.blind in (0, 1) and (self.blind or self.group == bytes(32)), "plan", "a group key in an open job")
        need(self.hybrid in (0, self.blind), "plan", "a hybrid group key in an open job")

    def params_hash(self):
        return H("params", u32(self.members, self.colluding, self.losses, self.honest), u64(self.value_max),
                 u32(self.bits, self.chunk_elements, CANARIES, PRG, SUM_CHECK, self.graph, self.hybrid), u64(self.elements),
                 self.scales, u32(self.blind), self.group, self.seed)

    def session_id(self, nonce):
        return H("session id", u32(VERSION), self.plan, self.roster, u64(self.round), u32(self.attempt), self.base,
                 self.adapter, u32(self.active), self.layout, self.params_hash(), nonce)

    def chunk_count(self, chunk):
        """Its elements; canaries come on top."""
        return min(self.chunk_elements, self.elements - chunk * self.chunk_elements)

    def chunk_lane(self, chunk):
        """Where its masks begin."""
        return chunk * (self.chunk_elements + CANARIES)

    def chunk_bytes(self, chunk):
        return packed_bytes(self.bits, self.chunk_count(chunk) + CANARIES)

    def bits_bytes(self):
        return (self.chunks + 7) // 8
