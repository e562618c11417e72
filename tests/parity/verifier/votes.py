# SPDX-License-Identifier: Apache-2.0
"""Done to certificate: who survives, and that a quorum says so. Abort, and Follow."""
from .primitives import H
from .recording import ENVELOPE, Reader, need
from .sums import check_upload

DONE, VOTE = 9, 12
DONE_BYTES, VOTE_BYTES = ENVELOPE + 44, ENVELOPE + 36
FOR_SURVIVORS, FOR_ABORT = 1, 2
REASONS = {1, 2, 3, 4, 5, 6, 7, 8, 16}


def read_done(session, body):
    r = Reader(body)
    need((r.u32(), r.u64()) == (session.numbers.chunks, session.numbers.elements), "layout", "of another vector")
    root = r.hash()
    r.end()
    return root


def done(session, m):
    session.under(m, session.t1, "T1")
    need(m.sender in session.linked, "U2", "its sender may not upload")
    session.roots[m.sender] = read_done(session, m.body)


def read_bits(session, r):
    number = int.from_bytes(r.take(session.numbers.bits_bytes()), "little")
    need(number >> session.numbers.chunks == 0, "layout", "bits beyond the last chunk")


def need_chunks(session, m):
    session.under(m, session.t1, "T1")
    need(m.recipient in session.linked, "U2", "its receiver may not upload")
    r = Reader(m.body)
    need(r.u32() == session.numbers.chunks, "layout", "of another vector")
    read_bits(session, r)
    r.end()


def survivors(session, m):
    r, numbers = Reader(m.body), session.numbers
    need(session.t1 is not None, "order", "there is no T1 yet")
    dones = session.nested_list(r, DONE, session.t1, DONE_BYTES)
    r.end()
    members = {d.sender for d in dones}
    need(members <= set(session.linked), "U2", "a survivor may not upload")
    need(len(members) >= numbers.floor, "floor", f"{len(members)} members in U3")
    for i in session.linked:
        need(len(session.holders[i] & members) >= numbers.threshold, "holders", f"too few of member {i}'s shares")
    for d in dones:
        check_upload(session, d.sender, read_done(session, d.body))
    session.survivors = members
    session.t2 = H("T2", session.t1, m.body)
    session.under(m, session.t2, "T2")


def read_vote(session, body):
    r = Reader(body)
    choice, transcript = r.u32(), r.hash()
    r.end()
    need(choice in (FOR_SURVIVORS, FOR_ABORT), "vote", "for nothing that there is")
    need(transcript == (session.t2 if choice == FOR_SURVIVORS else bytes(32)), "vote", "for another transcript")
    session.counts["votes read"] += 1
    return choice


def vote(session, m):
    session.under(m, session.t0, "T0")
    need(m.sender in session.joined, "T0", "its sender is not of the session")
    read_vote(session, m.body)


def read_votes(session, m, choice, entitled):
    r = Reader(m.body)
    votes = session.nested_list(r, VOTE, session.t0, VOTE_BYTES)
    r.end()
    need(len(votes) >= session.numbers.quorum, "quorum", f"{len(votes)} votes")
    for v in votes:
        need(v.sender in entitled, "certificate", f"member {v.sender} has no vote")
        need(read_vote(session, v.body) == choice, "certificate", f"member {v.sender} voted otherwise")


def certificate(session, m):
    session.under(m, session.t2, "T2")
    read_votes(session, m, FOR_SURVIVORS, session.survivors)
    session.certified = True


def abort_certificate(session, m):
    session.under(m, session.t0, "T0")
    read_votes(session, m, FOR_ABORT, session.joined)
    session.aborted = True


def abort_call(session, m):
    session.under(m, session.sid, "the session id")
    r = Reader(m.body)
    need(r.u32() in REASONS, "abort call", "no such reason")
    need(r.u32() in (0, 1), "abort call", "neither the last nor not")
    r.end()


def follow(session, m):
    session.under(m, session.sid, "the session id")
    r = Reader(m.body)
    level = r.u32()
    need(1 <= level <= 6, "follow", "no such level")
    if level == 6:
        read_bits(session, r)
    r.end()
