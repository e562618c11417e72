# SPDX-License-Identifier: Apache-2.0
"""What is known of a session, message by message, and what holds for every message whatever its type."""
from collections import Counter

from . import joining, sums, votes
from .plannumbers import Numbers
from .recording import COORDINATOR, EVERYONE, Failure, check_body, check_signature, need, parse

# type: name, who sends it, what checks it. What is not here is reported as unverified: its frame is checked all the same.
TYPES = {
    1: ("offer", "coordinator", joining.offer),
    2: ("ready", "member", joining.ready),
    3: ("ready set", "coordinator", joining.ready_set),
    4: ("shares", "member", joining.shares),
    5: ("share set", "one", joining.share_set),
    6: ("ack", "member", joining.ack),
    7: ("ack set", "coordinator", joining.ack_set),
    8: ("chunk", "member", sums.chunk),
    9: ("done", "member", votes.done),
    10: ("need", "one", votes.need_chunks),
    11: ("survivors", "coordinator", votes.survivors),
    12: ("vote", "member", votes.vote),
    13: ("certificate", "coordinator", votes.certificate),
    14: ("abort call", "coordinator", votes.abort_call),
    15: ("abort certificate", "coordinator", votes.abort_certificate),
    16: ("reveal", "member", sums.reveal),
    17: ("result", "coordinator", sums.result),
    18: ("sum chunk", "coordinator", sums.sum_chunk),
    19: ("receipt", "member", sums.receipt),
    20: ("follow", "member", votes.follow),
    21: ("audit", "member", sums.audit),
    22: ("leaves", "coordinator", sums.leaves),
    23: ("receipts", "coordinator", sums.receipts),
}
SHARES, CHUNK = 4, 8
# Of these a sender has one in a session; a repetition has the same bytes. (A share set: one for each receiver.)
SAID_ONCE = {1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 15, 16, 17, 19, 23}


class Session:
    def __init__(self, context, secrets=None):
        self.numbers = Numbers(context)
        self.secrets = secrets
        self.counts = Counter()
        self.findings = []  # what a member or dealer did wrong and the protocol provides for
        self.unverified = Counter()
        self.first = {}  # (type, sender, recipient): the bytes of what is said once
        self.shown_certificate = set()
        self.sid = self.t0 = self.t1 = self.t2 = None
        self.readys, self.joined = {}, []  # (channel key, S, B); places of T0
        self.shares, self.shown = {}, {}  # of a dealer: envelope, commitments, entries; by holder: envelopes
        self.dealt = {}  # (dealer, holder): (share of s, share of b), opened with the side file's keys
        self.linked, self.holders = [], {}  # U2; who acknowledged a dealer
        self.uploads, self.roots = {}, {}  # (sender, chunk): (leaf, lanes); root of a Done
        self.survivors = None  # U3
        self.certified = self.aborted = False
        self.revealed = {}  # of a member: {holder: share that lies on its polynomial}
        self.opened, self.blamed = {}, set()
        self.sum_root, self.sum, self.sum_leaves, self.adapter = None, None, {}, None

    def key(self, sender):
        if sender == COORDINATOR:
            return self.numbers.coordinator_key
        need(sender < self.numbers.members, "frame", "no such sender")
        return self.numbers.keys[sender]

    def check(self, sender, receiver, data):
        """One message of the recording. Raises Failure."""
        message = parse(data)
        need(receiver == COORDINATOR or receiver < self.numbers.members, "frame", "no such receiver")
        if message.type == CHUNK and sender == COORDINATOR:  # passed on, as it was, to one that replays the sum
            sender, receiver = message.sender, COORDINATOR
        need(message.sender == sender, "frame", f"it names {message.sender} as sender")
        name, way, handle = TYPES.get(message.type, (None, None, None))
        need(way is None or (sender == COORDINATOR) == (way != "member"), "frame", "the wrong side sends it")
        need(message.recipient == receiver or
             (message.recipient == EVERYONE and sender == COORDINATOR and way != "one"), "frame", "it is for another")
        check_signature(message, self.key(sender))
        self.counts["signatures of messages"] += 1
        if message.type != SHARES:
            check_body(message)
            self.counts["hashes of bodies"] += 1
        need(message.round == self.numbers.round, "session", "another round")
        need(self.sid is None or message.session == self.sid, "session", "another session id")
        need(self.sid is not None or message.type == 1, "order", "it comes before the offer")
        if handle is None:
            self.unverified[message.type] += 1
            return
        place = (message.type, sender, receiver if way == "one" else None)
        if message.type in SAID_ONCE and place in self.first:
            need(self.first[place] == data, "contradiction", "it differs from the first one")
            self.counts["repetitions"] += 1
        else:
            handle(self, message)
            self.first.setdefault(place, data)
            self.counts[name] += 1
        if name == "certificate":
            self.shown_certificate.add(receiver)

    def nested(self, data, kind, transcript, with_body=True):
        """A member's message inside another one."""
        message = parse(data, with_body)
        need(message.type == kind and message.recipient == COORDINATOR and message.sender < self.numbers.members,
             "nested frame", "another message is in its place")
        need(message.session == self.sid and message.round == self.numbers.round and message.hash == transcript,
             "nested frame", "it belongs elsewhere")
        check_signature(message, self.key(message.sender))
        self.counts["signatures within messages"] += 1
        if with_body:
            check_body(message)
            said = self.first.get((kind, message.sender, None), message.whole)
            need(said == message.whole, "contradiction", f"member {message.sender} said something else")
        return message

    def nested_list(self, reader, kind, transcript, size, with_body=True):
        """count, then that many messages in roster order."""
        messages = []
        for _ in range(reader.u32()):
            message = self.nested(reader.take(size), kind, transcript, with_body)
            need(not messages or message.sender > messages[-1].sender, "order", "senders repeat or are out of order")
            messages.append(message)
        return messages

    def under(self, message, transcript, name):
        need(transcript is not None and message.hash == transcript, "transcript hash", f"it is not {name}")
        self.counts["transcript hashes"] += 1

    def secret(self, member, name):
        """Of the side file; None without one."""
        return bytes.fromhex(self.secrets[str(member)][name]) if self.secrets else None

    def conclude(self):
        """At the end of the recording."""
        need(not (self.certified and self.aborted), "end", "both certificates")
        if self.certified and self.sum_root is not None:
            need(len(self.sum_leaves) == self.numbers.chunks, "end", "chunks of the sum are missing")
            sums.compare_with_vectors(self)
        need(self.certified or self.aborted, "end", "neither certificate is in it")
        return self


def verify(recording, messages):
    """messages: (number, sender, receiver, bytes). Raises Failure with the message named."""
    session = Session(recording.context, recording.secrets)
    for number, sender, receiver, data in messages:
        try:
            session.check(sender, receiver, data)
        except Failure as failure:
            raise located(failure, number, sender, receiver, data) from None
    return session.conclude()


def located(failure, number, sender, receiver, data):
    kind = int.from_bytes(data[6:8], "little")
    name = TYPES[kind][0] if kind in TYPES else f"type {kind}"
    who = ["coordinator" if place == COORDINATOR else f"member {place}" for place in (sender, receiver)]
    return Failure(failure.check, f"message {number}, {name} from {who[0]} to {who[1]}: {failure}")
