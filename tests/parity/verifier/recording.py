# SPDX-License-Identifier: Apache-2.0
"""A recorded session (the files of recordsession) and the frame of a message."""
import json
import struct
from dataclasses import dataclass
from pathlib import Path

from .primitives import H, signed_by, tagged_hash, u32, u64

VERSION = 5
COORDINATOR, EVERYONE = 0xFFFFFFFE, 0xFFFFFFFF
HEADER, ENVELOPE, SET = 128, 192, 128
TAG = "rondo/v1 secagg message"
MAGIC = b"RNSAREC1"
HEAD = 16


class Failure(Exception):
    """A check that failed: its short name, and what is wrong."""

    def __init__(self, check, text):
        super().__init__(f"{check}: {text}")
        self.check = check


def need(condition, check, text):
    if not condition:
        raise Failure(check, text)


@dataclass
class Message:
    type: int
    session: bytes
    round: int
    sender: int
    recipient: int
    hash: bytes
    length: int
    body_hash: bytes
    envelope: bytes
    body: bytes  # b"" of an envelope alone

    @property
    def whole(self):
        return self.envelope + self.body


def parse(data, with_body=True):
    need(len(data) >= ENVELOPE, "frame", "shorter than its frame")
    fields = struct.unpack_from("<4sHH32sQIII32sI32s", data)
    magic, version, kind, session, number, zero, sender, recipient, transcript, length, body_hash = fields
    need(magic == b"RNSA", "frame", "no message")
    need(version == VERSION, "frame", f"version {version}")
    need(zero == 0, "frame", "reserved bits are set")
    need(len(data) == ENVELOPE + (length if with_body else 0), "frame", "its length is another one")
    return Message(kind, session, number, sender, recipient, transcript, length, body_hash,
                   data[:ENVELOPE], data[ENVELOPE:])


def check_signature(message, key):
    need(signed_by(key, TAG, message.envelope[:HEADER], message.envelope[HEADER:]), "signature",
         "it is not that of the sender")


def check_body(message):
    need(H("body", message.body) == message.body_hash, "body hash", "the body is not the signed one")


class Reader:
    """A body from front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "length", "the body ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def hash(self):
        return self.take(32)

    def set(self):
        number = int.from_bytes(self.take(SET), "little")
        return {i for i in range(8 * SET) if number >> i & 1}

    def end(self):
        need(self.at == len(self.data), "length", "bytes follow the body")


def set_bytes(members):
    return sum(1 << i for i in members).to_bytes(SET, "little")


# The files

def records(wire):
    """(number, sender, receiver, message) of each; raises Failure with the number in it."""
    need(wire[:8] == MAGIC, "recording", "it does not begin like one")
    at, number = 8, 0
    while at < len(wire):
        where = f"head of message {number}"
        need(at + HEAD <= len(wire), "recording", f"{where} is cut off")
        length, sender, receiver = struct.unpack_from("<3I", wire, at)
        check = tagged_hash("rondo/v1 recording", u64(number), u32(length, sender, receiver))[:4]
        need(wire[at + 12:at + 16] == check, "recording", f"{where} does not fit its check")
        need(at + HEAD + length <= len(wire), "recording", f"message {number} is cut off")
        yield number, sender, receiver, wire[at + HEAD:at + HEAD + length]
        at, number = at + HEAD + length, number + 1


@dataclass
class Recording:
    context: dict
    secrets: dict  # None: not at hand
    wire: bytes


def load(directory, with_secrets=True):
    directory = Path(directory)
    context = json.loads((directory / "session.json").read_text())
    secrets = json.loads((directory / "secrets.json").read_text()) if with_secrets else None
    return Recording(context, secrets, (directory / "session.wire").read_bytes())
