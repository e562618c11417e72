#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second verifier of a federation's log, written from the C2SP documents (signed-note, tlog-checkpoint, tlog-tiles,
tlog-cosignature, tlog-policy), RFC 6962 and policy/FORMATS.md ("The log"); it shares no code with Rondo.

    verify_log.py FOLDER [--roster FILE] [--quorum]

Checks every file that the checkpoint's size names, the log's signature and the cosignatures, and what the entries say of
each other. With the roster also the statements of keys; with --quorum that as many have cosigned as the policy asks for.
Exit code 1 where something does not hold."""
import argparse
import base64
import hashlib
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Fault(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Fault(what)


def sha256(data):
    return hashlib.sha256(data).digest()


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Fault(f"not base64: {text!r}") from error
    demand(base64.b64encode(data).decode() == text, f"not the base64 of anything: {text!r}")
    return data


def signed(key, signature, message):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


# ---- Trees


def leaf(entry):
    return sha256(b"\0" + entry)


def root(hashes):
    """MTH of RFC 6962 over leaf hashes."""
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1" + root(hashes[:split]) + root(hashes[split:]))


def path(number):
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    return "/".join(groups)


def files_of(size):
    """(kind, index, width) of every file that a log of this size consists of; kind: "entries" or a level."""
    yield from (("entries", index, 256) for index in range(size // 256))
    if size % 256:
        yield "entries", size // 256, size % 256
    level, hashes = 0, size
    while hashes:
        yield from ((level, index, 256) for index in range(hashes // 256))
        if hashes % 256:
            yield level, hashes // 256, hashes % 256
        level, hashes = level + 1, hashes // 256


def read_tile(folder, kind, index, width):
    name = f"tile/{kind}/{path(index)}" + (f".p/{width}" if width < 256 else "")
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise Fault(f"{name}: {error.strerror}") from error


def entries_of(bundle, width):
    out = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        demand(len(bundle) >= 2 + length, "a bundle ends inside an entry")
        out.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    demand(len(out) == width, f"a bundle of {width} entries has {len(out)}")
    return out


def read_entries(folder, size):
    entries = [entry for kind, index, width in files_of(size) if kind == "entries"
               for entry in entries_of(read_tile(folder, kind, index, width), width)]  # fmt: skip
    level = [leaf(entry) for entry in entries]
    for kind, index, width in files_of(size):
        if kind == "entries":
            continue
        hashes = level if kind == 0 else [root(level[k : k + 256**kind]) for k in range(0, size - size % 256**kind, 256**kind)]
        wanted = b"".join(hashes[256 * index : 256 * index + width])
        demand(read_tile(folder, kind, index, width) == wanted, f"tile {kind}/{index} is not that of the entries")
    return entries, level


# ---- Notes


def read_key(text):
    name, identifier, material = text.split("+", 2)
    data = unbase64(material)
    demand(len(data) == 33 and data[0] in (1, 4), f"not an Ed25519 key for logs: {text}")
    demand(sha256(name.encode() + b"\n" + data)[:4].hex() == identifier, f"key id of {name}")
    return {"name": name, "id": bytes.fromhex(identifier), "type": data[0], "key": data[1:]}


def read_note(data):
    demand(data.count(b"\n\n") >= 1, "a note has an empty line")
    demand(all(byte == 10 or byte >= 32 for byte in data), "a note has no control characters but newlines")
    text, _, lines = data.decode("utf-8").rpartition("\n\n")
    text += "\n"
    demand(lines.endswith("\n"), "a note ends in a newline")
    signatures = []
    for line in lines.splitlines():
        match = re.fullmatch("— ([^ +]+) ([A-Za-z0-9+/=]+)", line)
        demand(match, f"not a signature line: {line!r}")
        signatures.append((match[1], unbase64(match[2])))
    demand(signatures, "a note has a signature")
    return text, signatures


def holds(text, signatures, key):
    """Whether the key signed; a signature under its name and id that does not hold is a fault."""
    found = False
    for name, data in signatures:
        if name != key["name"] or data[:4] != key["id"]:
            continue
        message, signature = text.encode(), data[4:]
        if key["type"] == 4:
            message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + message
            signature = signature[8:]
        demand(len(signature) == 64 and signed(key["key"], signature, message), f"signature of {name}")
        found = True
    return found


def read_policy(text):
    logs, witnesses, quorum = [], {}, None
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "log":
            logs.append(read_key(words[1]))
        elif words[0] == "witness":
            witnesses[words[1]] = read_key(words[2])
        elif words[0] == "group":
            needed = {"all": len(words) - 3, "any": 1}.get(words[2])
            group = {"name": words[1], "needed": needed or int(words[2]), "members": words[3:]}
        elif words[0] == "quorum":
            quorum = group if words[1] != "none" else None
    return logs, witnesses, quorum


# ---- What the entries say


def read_roster(text):
    lines = [line.split() for line in text.splitlines()]
    members = {words[2]: bytes.fromhex(words[4]) for words in lines if words[0] == "member"}
    coordinator = next(bytes.fromhex(words[2]) for words in lines if words[0] == "coordinator")
    return coordinator, members


def stated(identity, entry):
    message = b"rondo/v1 role key".ljust(32, b"\0") + b"rondo-role-key 1\nkey " + entry["key"].encode() + b"\n"
    demand(signed(identity, bytes.fromhex(entry["statement"]), message), f"statement of {entry['key']}")


def is_members(members, entry):
    """Not of one that left, or came anew under its name."""
    try:
        stated(members[entry["member"]], entry)
        return True
    except (Fault, KeyError):
        return False


def check_job(plan, entries):
    """Numbers without a gap, rounds in order, each from the adapter that the one before left."""
    adapter, last, ended = None, 0, False
    for number, entry in enumerate(entries):
        demand(entry["n"] == number, f"plan {plan[:16]}: entry {number} has number {entry['n']}")
        demand(not ended, f"plan {plan[:16]}: an entry after its end")
        if entry["kind"] == "plan":
            demand(number == 0, f"plan {plan[:16]} comes late")
            adapter = entry["adapter"]
        elif entry["kind"] == "round":
            demand(entry["round"] > last, f"plan {plan[:16]}: round {entry['round']} after {last}")
            demand(entry["before"] == adapter, f"plan {plan[:16]}: round {entry['round']} starts from another adapter")
            demand(entry["outcome"] == "ok" or entry["after"] == entry["before"], f"round {entry['round']} moved without a sum")
            adapter, last = entry["after"], entry["round"]
        elif entry["kind"] == "end":
            demand(entry["adapter"] == adapter, f"plan {plan[:16]} ends with another adapter")
            ended = True


def check_entries(raw, log, roster):
    jobs, witnesses = {}, {}
    for index, text in enumerate(raw):
        entry = json.loads(text)
        demand(json.dumps(entry, separators=(",", ":")).encode() == text, f"entry {index} is not canonical")
        demand((entry["kind"] == "log") == (index == 0), f"entry {index} is of kind {entry['kind']}")
        if entry["kind"] == "log":
            demand(read_key(entry["key"]) == log, "the log's key is not the policy's")
            if roster:
                stated(roster[0], entry)
        elif entry["kind"] == "witness":
            if not roster or is_members(roster[1], entry):
                witnesses[entry["member"]] = read_key(entry["key"])
        else:
            jobs.setdefault(entry["plan"], []).append(entry)
    for plan, entries in jobs.items():
        check_job(plan, entries)
    return jobs, witnesses


def verify(folder, roster=None, quorum=False):
    text, signatures = read_note((folder / "checkpoint").read_bytes())
    origin, size, hash_text = text.splitlines()
    demand(text == f"{origin}\n{int(size)}\n{hash_text}\n", "the checkpoint has three lines")
    entries, leaves = read_entries(folder, int(size))
    demand(unbase64(hash_text) == root(leaves), "the checkpoint's root is not that of the entries")
    first = read_key(json.loads(entries[0])["key"])
    policy = folder / "federation.policy"
    logs, witnesses, group = read_policy(policy.read_text()) if policy.exists() else ([first], {}, None)
    demand(len(logs) == 1 and logs[0]["name"] == origin and logs[0]["type"] == 1, "the policy names another log")
    demand(holds(text, signatures, logs[0]), "the log did not sign its checkpoint")
    jobs, keys = check_entries(entries, logs[0], read_roster(roster.read_text()) if roster else None)
    known = {key["name"]: key for key in keys.values()}
    demand(all(known.get(name) == key for name, key in witnesses.items()), "the policy names a key that the log does not")
    cosigned = [name for name, key in known.items() if holds(text, signatures, key)]
    ids = {(key["name"], key["id"]) for key in (logs[0], *known.values())}
    strangers = [name for name, data in signatures if (name, data[:4]) not in ids]
    demand(not strangers, f"signatures of keys that the log does not know: {strangers}")  # the standard passes them over
    if quorum:
        demand(group, "the policy has no quorum")
        counted = [name for name in group["members"] if name in cosigned]
        demand(len(counted) >= group["needed"], f"{len(counted)} have cosigned, {group['needed']} are needed")
    return {"size": int(size), "jobs": len(jobs), "cosigned": sorted(cosigned)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--roster", type=pathlib.Path)
    parser.add_argument("--quorum", action="store_true")
    options = parser.parse_args()
    try:
        print(json.dumps(verify(options.folder, options.roster, options.quorum)))
    except (Fault, KeyError, ValueError, OSError, IndexError) as fault:
        print(f"{options.folder}: {type(fault).__name__}: {fault}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
