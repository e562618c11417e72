# SPDX-License-Identifier: Apache-2.0
"""A whole federation for scenario tests: sites made by the real `rondo` commands, real coordinator
and trainer processes over real mutual TLS on loopback, stopped at exactly the place a test names.

    with Scenario("losses") as scenario:
        fed = scenario.federation(members=4, rounds=2)
        north = fed.trainers["north"]
        trap = north.gate(event="stage.enter", round=1, stage="R2")
        fed.start()
        north.kill_at(trap)
        fed.finish()

How a process is stopped at a place: its log is a pipe that holds one line, and RONDO_LOG_WAIT makes
a service wait until each line is out. The test looks at a line
without taking it (tee), so the process cannot get past its next line until the test says so.
Nothing here depends on how fast anything is: the test waits for events, up to LIMIT seconds, and
LIMIT only decides how long a hang takes to be called one.

RONDO_BIN     folder of the programs (default: build/release/bin)
RONDO_PYTHON  a python3 with torch, transformers and peft (default: python3)
RONDO_LONG    not empty: every combination instead of a selection
RONDO_KEEP    not empty: keep the files of a failed test
"""

import ctypes
import fcntl
import functools
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RONDO_BIN", ROOT / "build/release/bin")).resolve()
PYTHON = os.environ.get("RONDO_PYTHON", "python3")
LONG = bool(os.environ.get("RONDO_LONG"))
MODEL = ROOT / "deploy/embedded/model"
TRAIN = ROOT / "deploy/embedded/train.tsv.gz"
DEV = ROOT / "deploy/embedded/dev.tsv.gz"
LABELS = "complaint,praise"
NAMES = ("north", "south", "east", "west", "centre", "harbour", "island", "valley", "forest", "meadow")
LIMIT = 300

USAGE, DATA, NO_INPUT, UNSUPPORTED, SYSTEM, IO, RETRY, PEER = 64, 65, 66, 69, 71, 74, 75, 76
PERMISSION, CONFIG, REFUSED, IDENTITY, MEMORY, INCOMPLETE = 77, 78, 79, 80, 81, 82

libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """What went wrong, in one sentence."""


class Skip(Exception):
    """Why this machine cannot run the scenario."""


def check(condition, sentence):
    if not condition:
        raise Failure(sentence)


# ---- Commands


@functools.cache
def listed_exits(program, command):
    """Exit codes that the help of a command ("plan check") lists; None where there is no such command."""
    done = subprocess.run([BIN / program, *command.split(), "--help"], capture_output=True, text=True, timeout=LIMIT)
    listed = done.stdout.partition("Exit codes:\n")[2]
    return {int(code) for code in re.findall(r"^ {2,3}(\d+)  ", listed, re.M)} if done.returncode == 0 else None


def check_exit(code, words, program="rondo"):
    """A command ends with the codes that its help lists, and with no other."""
    for count in (2, 1, 0):
        named = [word for word in words[:count] if re.fullmatch("[a-z]+", str(word))]
        exits = listed_exits(program, " ".join(named)) if len(named) == count and words else None
        if exits:
            check(code in exits, f"{program} {' '.join(map(str, words))}: exit {code} is not in its help: {exits}")
            return


def rondo(*arguments, program="rondo"):
    """Runs a command; returns (exit code, stdout, stderr)."""
    done = subprocess.run(
        [BIN / program, *map(str, arguments)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LIMIT,
    )  # fmt: skip
    check_exit(done.returncode, arguments, program)
    return done.returncode, done.stdout, done.stderr


def ok(*arguments, program="rondo"):
    code, out, err = rondo(*arguments, program=program)
    check(code == 0, f"{program} {' '.join(map(str, arguments))}: exit {code}\n{out}{err}")
    return out


def roster(operator):
    """What members read to each other before they join with a welcome: options of `rondo join`."""
    return "--roster", json.loads(ok("member", "list", operator, "--format", "json"))["fingerprint"]


def refused(expected_code, expected_text, *arguments, program="rondo"):
    """The command must fail with this exit code and say this; returns what it said."""
    code, out, err = rondo(*arguments, program=program)
    line = f"{program} {' '.join(map(str, arguments))}"
    check(code == expected_code, f"{line}: exit {code}, not {expected_code}\n{out}{err}")
    check(expected_text in err, f"{line}: does not say {expected_text!r} but\n{err}")
    return err


def free_port():
    """Free now, and outside the range from which the system takes ports by itself."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Relay:
    """A TCP relay on a port of its own that counts what passes: bytes as they are on the socket."""

    def __init__(self, target):
        self.target = target
        self.sent = self.received = 0
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.server.accept()
            try:
                service = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()  # the service is not up yet: the client tries again
                continue
            for source, drain, up in ((client, service, True), (service, client, False)):
                threading.Thread(target=self._pump, args=(source, drain, up), daemon=True).start()

    def _pump(self, source, drain, up):
        try:
            while data := source.recv(65536):
                with self.lock:
                    self.sent += len(data) if up else 0
                    self.received += 0 if up else len(data)
                drain.sendall(data)
            drain.shutdown(socket.SHUT_WR)
        except OSError:
            drain.close()


# ---- Files


def lines(path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def tensors(directory):
    """{name: (dtype, shape, bytes)} of an adapter directory."""
    raw = (directory / "adapter_model.safetensors").read_bytes()
    size = struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        found[name] = (entry["dtype"], tuple(entry["shape"]), raw[8 + size + begin : 8 + size + end])
    return found


def matrices(found, kind):
    """The tensors of "A", "B" or "head"."""

    def kind_of(name):
        return "A" if ".lora_A." in name else "B" if ".lora_B." in name else "head"

    return {name: value for name, value in found.items() if kind_of(name) == kind}


def edit(path, old, new):
    text = path.read_text()
    check(old in text, f"{path} does not hold {old!r}")
    path.write_text(text.replace(old, new, 1))


# ---- Processes


SLOW_FSYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static void nap(void) { struct timespec t = {%d, 0}; nanosleep(&t, 0); }
int fsync(int file) { nap(); return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file); }
int fdatasync(int file) { nap(); return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file); }
"""


def slow_fsync(directory, seconds):
    """Environment of a process whose every fsync takes this long; the library for it is made in directory."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Skip("no C compiler for a library that makes fsync slow")
    library = directory / "slow.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, "-x", "c", "-", "-ldl"],
                   input=(SLOW_FSYNC % seconds).encode(), check=True)  # fmt: skip
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


class Gate:
    """A place in a process's log. reached: the process stands there (or runs to its next line)."""

    def __init__(self, fields):
        self.fields = fields
        self.event = None
        self.reached = False
        self.open = False


def matches(event, fields):
    return all(event.get(key) == value for key, value in fields.items())


class Process:
    """One service; it can be killed and started again, the log goes on."""

    def __init__(self, program, directory):
        self.program = program
        self.directory = directory
        self.name = directory.name
        self.events = []
        self.child = None
        self.environment = {}
        self.options = []
        self.gates = []
        self.changed = threading.Condition()
        self.starts = 0

    def start(self):
        check(self.child is None, f"{self.name} is running already")
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
        fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, 4096)
        with self.changed:
            self.starts += 1
            self.since_start = len(self.events)
        self.child = subprocess.Popen(
            [BIN / self.program, *self.options, self.directory],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=write_end,
            env={**os.environ, "RONDO_LOG_WAIT": "1", **self.environment},
        )  # fmt: skip
        os.close(write_end)
        self.reader = threading.Thread(target=self._read, args=(read_end,), daemon=True)
        self.reader.start()
        return self

    def _read(self, log):
        look_out, look_in = os.pipe2(os.O_CLOEXEC)
        while libc.tee(log, look_in, 4096, 0) > 0:
            text = os.read(look_out, 65536).decode("utf-8", "replace")
            for line in text.splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"event": "text", "text": line}
                self._take(event)
            os.read(log, 65536)
        for end in (log, look_out, look_in):
            os.close(end)

    def _take(self, event):
        with self.changed:
            self.events.append(event)
            gate = next((gate for gate in self.gates if matches(event, gate.fields)), None)
            if gate is not None:
                gate.event = event
                gate.reached = True
                self.gates.remove(gate)
            self.changed.notify_all()
            while gate is not None and not gate.open:
                self.changed.wait()

    def gate(self, **fields):
        """Stops the process at the first future line with these fields."""
        with self.changed:
            gate = Gate(fields)
            self.gates.append(gate)
        return gate

    def wait_gate(self, gate):
        self._wait(lambda: gate.reached, f"gets to {gate.fields}")

    def open_gate(self, gate):
        with self.changed:
            gate.open = True
            self.changed.notify_all()

    def _wait(self, condition, what):
        end = time.monotonic() + LIMIT
        with self.changed:
            while not condition():
                ended = not self.reader.is_alive()
                check(not ended or condition(), f"{self.name} ended before it {what}: {self.last_words()}")
                check(time.monotonic() < end, f"{self.name}: nothing that {what} in {LIMIT} s")
                self.changed.wait(0.2)

    def find(self, since=0, **fields):
        with self.changed:
            return next((event for event in self.events[since:] if matches(event, fields)), None)

    def wait_for(self, since=0, **fields):
        """The first line with these fields, from line `since` on, now or in future."""
        self._wait(lambda: self.find(since, **fields) is not None, f"says {fields}")
        return self.find(since, **fields)

    def signal(self, number):
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)

    def kill(self):
        """SIGKILL; returns when the process is gone and its log is read."""
        self.signal(signal.SIGKILL)
        self.collect()

    def kill_at(self, gate):
        self.wait_gate(gate)
        self.signal(signal.SIGKILL)
        self.child.wait()
        self.open_gate(gate)
        self.collect()

    def hold_at(self, event, rounds):
        """Stops at this event of every round; wait_held, then open_gate."""
        self.held = {(event, number): self.gate(event=event, round=number) for number in rounds}

    def wait_held(self, event, number):
        gate = self.held[event, number]
        self.wait_gate(gate)
        return gate

    def wait_end(self):
        """Until the process has ended, its log read or not."""
        try:
            return self.child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} does not end") from None

    def collect(self):
        """Waits for the end; returns the exit code (negative: a signal)."""
        code = self.wait_end()
        self.child = None
        self.reader.join(LIMIT)
        return code

    def last_words(self):
        texts = [event["text"] for event in self.events if event.get("event") == "text"]
        return texts[-1] if texts else (self.events[-1] if self.events else "nothing")

    def tail(self, count=14):
        """The last lines, short."""
        quiet = ("level", "program", "event", "time")
        return [
            f"  {event.get('time', '')[11:]} {event.get('event')} "
            + " ".join(f"{key}={value}" for key, value in event.items() if key not in quiet)
            for event in self.events[-count:]
        ]

    def discard(self):
        with self.changed:
            self.gates.clear()
        self.signal(signal.SIGKILL)
        self.signal(signal.SIGCONT)


# ---- Federations

# Seconds become milliseconds: a round is about the protocol here, not about learning. Time-outs are long, so that no live
# member is left out by a busy machine; who is gone is not waited for so long (services/federation/coordsession.c).
SMALL = {
    "targets": "query,value", "rank": 2, "alpha": 4, "steps": 2, "batch": 4, "max-length": 32,
    "head": "federated", "metrics": "summed", "lr": 0.005,
    "train-soft": 120, "train-hard": 240, "stage-soft": 60, "stage-hard": 120,
}  # fmt: skip


class Federation:
    """Sites below `directory`, ready to start. train: a file with the columns sentence and label."""

    def __init__(self, directory, members=3, rounds=2, listening=(), examples=60, dev=False, relay=False, member_dev=0,
                 model=MODEL, train=TRAIN, labels=LABELS, text="sentence", collect=True, join=(),
                 **options):  # fmt: skip
        self.directory = directory
        self.names = list(NAMES[:members])
        self.rounds = rounds
        self.options = {**SMALL, **{key.replace("_", "-"): value for key, value in options.items()}}
        self.examples = examples
        self.member_dev = member_dev  # records of each member's development set
        # So that every batch is full and the sums of example counts are known.
        check(examples % self.options["batch"] == 0, "examples must be a multiple of the batch")
        self.model, self.train, self.labels, self.text = model, train, labels, text
        self.join = list(join)  # more options of `rondo join`
        self.port = free_port()
        self.relay = Relay(self.port) if relay else None
        directory.mkdir()
        self._data()
        self._init(dev)
        for name in self.names:
            self._join(name, name in listening)
        self._enrol()
        if collect:
            self.collect(*self.names)
        self.coordinator = Process("rondo-coordinator", directory / "coordinator")
        self.trainers = {name: Process("rondo-trainer", directory / name) for name in self.names}

    def _data(self):
        rows = lines(self.train)
        count = self.examples
        for place, name in enumerate(self.names):
            part = rows[1 + place * count : 1 + (place + 1) * count]
            (self.directory / f"{name}.tsv").write_text("\n".join([rows[0], *part]) + "\n")
        rows = lines(DEV) if self.member_dev else []
        for place, name in enumerate(self.names if rows else []):
            part = rows[1 + place * self.member_dev : 1 + (place + 1) * self.member_dev]
            (self.directory / f"{name}-dev.tsv").write_text("\n".join([rows[0], *part]) + "\n")

    def _init(self, dev):
        options = [str(item) for key, value in self.options.items()
                   for item in ((f"--{key}",) if value is True else (f"--{key}", value))]  # fmt: skip
        if dev:
            options += ["--dev", DEV, "--text", self.text, "--label", "label"]
        if self.relay is not None:
            options += ["--listen", f"127.0.0.1:{self.port}"]
        address = self.port if self.relay is None else self.relay.port
        ok("init", self.directory / "coordinator", "--federation", "scenario", "--address",
           f"127.0.0.1:{address}", "--model", self.model, "--members", ",".join(self.names), "--labels", self.labels,
           "--rounds", self.rounds, "--threads", 1, "--log-format", "json", *options)  # fmt: skip

    def _join(self, name, listens):
        more = [*self.join, *(["--listen", f"127.0.0.1:{free_port()}"] if listens else [])]
        if self.member_dev:
            more += ["--dev", self.directory / f"{name}-dev.tsv"]
        ok("join", self.directory / f"coordinator/invitations/{name}.invite", "--dir", self.directory / name,
           "--model", self.model, "--data", self.directory / f"{name}.tsv", "--text", self.text, "--label", "label",
           "--threads", 1, "--log-format", "json", *more)  # fmt: skip

    def _enrol(self):
        operator = self.directory / "coordinator"
        ok("invite", operator, "--accept", *[self.directory / f"{name}/{name}.request" for name in self.names])
        for name in self.names:
            ok("join", operator / f"welcome/{name}.welcome", "--dir", self.directory / name, "--sign", *roster(operator))

    def collect(self, *names):
        """The operator takes these members' signatures; its coordinator gives them to everybody."""
        ok("plan", "sign", self.directory / "coordinator",
           *[self.directory / f"{name}/{name}.signature" for name in names])  # fmt: skip

    def processes(self):
        return [self.coordinator, *self.trainers.values()]

    def start(self):
        for process in self.processes():
            process.start()
        return self

    def reset(self):
        """Everything as after enrolment: no state, no log. Only between runs."""
        for process in self.processes():
            process.discard()
            shutil.rmtree(process.directory / "state", ignore_errors=True)
            (process.directory / "state").mkdir(mode=0o700)
            (process.directory / "jobs.ledger").unlink(missing_ok=True)
            process.__init__(process.program, process.directory)

    def rows(self):
        """rounds.jsonl of the coordinator by round."""
        path = self.directory / "coordinator/state/rounds.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return {row["round"]: row for row in rows if row["round"] > 0}

    def adapter(self, site, name="final"):
        return tensors(self.directory / site / "state/adapters" / name)

    def finish(self, expected=0):
        """Waits until every running process has ended by itself, all with this exit code."""
        codes = {process.name: process.collect() for process in self.processes() if process.child is not None}
        wrong = {name: code for name, code in codes.items() if code != expected}
        check(not wrong, f"exit codes {wrong}, expected {expected}")

    def check_agreement(self, alarms=()):
        """The coordinator and every member hold the same adapter, round by round and at the end, and
        each sum is that of the members it says it is of. alarms: those that the test provoked."""
        rows = self.rows()
        provoked = alarms
        for process in self.processes():
            alarms = [event for event in process.events
                      if str(event.get("event")).startswith("alarm.") and event["event"] not in provoked]  # fmt: skip
            check(not alarms, f"{process.name}: {alarms}")
            for event in process.events:
                if event.get("event") == "round.done":
                    row = rows[event["round"]]
                    check(event["hash"] == row["adapter"],
                          f"round {row['round']}: {process.name} has {event['hash']}, not {row['adapter']}")
        for row in rows.values():
            if row["outcome"] == "ok" and self.options["metrics"] == "summed":
                expected = row["members"] * self.options["steps"] * self.options["batch"]
                check(row["examples"] == expected,
                      f"round {row['round']}: the sum of {row['members']} members holds {row['examples']} "
                      f"examples, not {expected}")  # fmt: skip
        shared = ("A", "B") if self.options["head"] == "local" else ("A", "B", "head")
        reference = self.adapter("coordinator")
        for name in self.names:
            found = self.adapter(name)
            for kind in shared:
                check(matrices(found, kind) == matrices(reference, kind), f"{name}'s final {kind} differs")

    def report(self):
        for process in self.processes():
            print(f"--- {process.name} ({process.starts} starts)")
            print("\n".join(process.tail()))


# ---- A test


def beside(part, *arguments):
    """Begins a part of a test that mostly waits. The function that this returns waits for its end; it raises what the
    part raised."""
    raised = []

    def run():
        try:
            part(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)  # whatever fails meanwhile ends the test
    thread.start()

    def end():
        thread.join()
        if raised:
            raise raised[0]

    return end


class Scenario:
    """Folder and processes of one script; nothing of them outlives it."""

    def __init__(self, name):
        self.name = name
        self.federations = []
        self.began = time.monotonic()

    def __enter__(self):
        for program in ("rondo", "rondo-coordinator", "rondo-trainer"):
            if not (BIN / program).exists():
                raise Skip(f"{BIN / program} is not built (set RONDO_BIN)")
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=f"rondo-{self.name}-"))
        return self

    def federation(self, name="fed", **options):
        fed = Federation(self.work / name, **options)
        self.federations.append(fed)
        return fed

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def __exit__(self, kind, error, trace):
        for fed in self.federations:
            for process in fed.processes():
                process.discard()
            for process in fed.processes():
                if process.child is not None:
                    process.child.wait()
        if kind not in (None, Skip):
            for fed in self.federations:
                fed.report()
        if kind not in (None, Skip) and os.environ.get("RONDO_KEEP"):
            print(f"files are kept in {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)


def main(name, run):
    """Exit code of a script: 0 passed, 77 skipped, 1 failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    try:
        with Scenario(name) as scenario:
            run(scenario)
            scenario.say("passed")
            return 0
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1


if __name__ == "__main__":
    sys.exit("this is a library; run test_*.py")
