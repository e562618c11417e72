# SPDX-License-Identifier: Apache-2.0
"""What a supervisor of containers needs: services that say whether they serve (--health), and that stay when the job
has ended well (--stay), without a port or a connection, until they are told to end."""

import json
import os
import pathlib
import signal
import sys

from federation import INCOMPLETE, NO_INPUT, RETRY, USAGE, check, main, ok, refused, rondo


def tcp_sockets(process):
    """How many the running process holds, listening or connected."""
    held = set()
    for entry in pathlib.Path(f"/proc/{process.child.pid}/fd").iterdir():
        try:
            held.add(os.readlink(entry))
        except OSError:
            pass  # closed meanwhile
    rows = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{name}", encoding="ascii")]
    return sum(f"socket:[{row[9]}]" in held for row in rows)


def health(process):
    code, out, err = rondo("--health", process.directory, program=process.program)
    return code, out.strip(), err


def serves(process):
    check(health(process) == (0, "serving", ""), f"{process.name}: {health(process)}")


def does_not_run(process):
    code, out, err = health(process)
    check((code, out) == (RETRY, "") and "not running" in err, f"{process.name}: {code} {out} {err}")


def status(process):
    return json.loads(ok("status", process.directory, "--format", "json"))


def stays(process):
    process.wait_for(event="service.stay")
    check(process.child.poll() is None, f"{process.name} ended")
    serves(process)
    told = status(process)
    check(told["staying"] and not told["draining"] and told["outcome"] == "ok", f"{process.name}: {told}")
    check(told.get("stage") in ("ended", "idle"), f"{process.name}: not the last snapshot: {told}")
    words = ok("status", process.directory)
    check("stays: the job is done" in words, f"{process.name}: status for people")
    if process.program == "rondo-trainer":
        check((told["ledger"]["jobs"], told["ledger"]["jobs_max"]) == (1, 1), f"{told['ledger']}")
        check([row["jobs"] for row in told["ledger"]["models"]] == [1], f"{told['ledger']}")
        check("updates went into 1 job(s), at most 1 over one base model" in words, words)
    check(tcp_sockets(process) == 0, f"{process.name} stays with a port or a connection")
    check(process.find(event="service.end") is None, f"{process.name} says that it has ended")


def ends(process, number):
    process.signal(number)
    check(process.collect() == 0, f"{process.name}: a signal does not end it with 0")
    check(process.events[-1]["event"] == "service.end", f"{process.name}: {process.events[-1]}")
    does_not_run(process)


def done_and_there(scenario):
    """From before the start to after the end: south dials nobody, it is dialled."""
    fed = scenario.federation("stay", members=3, rounds=2, listening=("south",))
    for process in fed.processes():
        process.options = ["--stay"]
        does_not_run(process)
    trap = fed.coordinator.gate(event="round.done", round=1)
    fed.start()
    fed.coordinator.wait_gate(trap)
    for process in fed.processes():
        serves(process)
        check(not status(process)["staying"], f"{process.name}: stays before the end")
        check(tcp_sockets(process) > 0, f"{process.name}: no socket was seen while it worked")
    check(health(fed.coordinator)[:2] == (0, "serving"), "the state of a service that works")
    check(ok("--health", fed.coordinator.directory, "--quiet", program="rondo-coordinator") == "", "--quiet is not quiet")
    fed.coordinator.open_gate(trap)
    for process in fed.processes():
        stays(process)
    fed.check_agreement()
    check(len(fed.rows()) == 2, "the table of rounds is not whole while the coordinator stays")
    refused(RETRY, "another process", fed.coordinator.directory, program="rondo-coordinator")
    code, _, _ = rondo("abort", fed.coordinator.directory, "--reason", "late")
    check(code != 0, "a job that is over was aborted")
    fed.trainers["north"].signal(signal.SIGHUP)
    serves(fed.trainers["north"])
    for process, number in zip(fed.processes(), (signal.SIGTERM, signal.SIGINT) * 2):
        ends(process, number)
    scenario.say("stay: four services stayed after the job's end, and ended when they were told")
    return fed


def again(scenario, fed):
    """What a StatefulSet does after a machine's restart: the finished job is started, and stays again."""
    for process in fed.processes():
        process.__init__(process.program, process.directory)
        process.options = ["--stay"]
        process.start()
    for process in fed.processes():
        stays(process)
        ends(process, signal.SIGTERM)
    scenario.say("again: finished services started, and stayed")


def ended_by_a_signal(scenario):
    """In the middle of a job: all end."""
    fed = scenario.federation("middle", members=3, rounds=2)
    trap = fed.coordinator.gate(event="round.done", round=1)
    for process in fed.processes():
        process.options = ["--stay"]
    fed.start()
    fed.coordinator.wait_gate(trap)
    for process in fed.processes():
        process.signal(signal.SIGTERM)
    fed.coordinator.open_gate(trap)
    fed.finish()
    for process in fed.processes():
        check(process.find(event="service.stay") is None, f"{process.name} wanted to stay")
        does_not_run(process)
    scenario.say("middle: services that were told to end did not stay")


def ended_badly(scenario):
    """A job that the operator ended: the exit code is as ever."""
    fed = scenario.federation("bad", members=3, rounds=2)
    trap = fed.coordinator.gate(event="stage.enter", round=1, stage="R0")
    for process in fed.processes():
        process.options = ["--stay"]
    fed.start()
    fed.coordinator.wait_gate(trap)
    ok("abort", fed.coordinator.directory, "--reason", "no")
    fed.coordinator.open_gate(trap)
    fed.finish(expected=INCOMPLETE)
    scenario.say("bad: nobody stayed after a job that was ended")


def words(scenario):
    for program in ("rondo-coordinator", "rondo-trainer"):
        refused(USAGE, "--stay", "--health", "--stay", scenario.work, program=program)
        refused(USAGE, "--timeout", "--timeout", 3, scenario.work, program=program)
        refused(NO_INPUT, "no site's directory", "--health", "--timeout", 3, scenario.work, program=program)
    for option in ("--stay", "--health"):
        refused(USAGE, "unknown option", "run", scenario.work, option)


def run(scenario):
    words(scenario)
    again(scenario, done_and_there(scenario))
    ended_by_a_signal(scenario)
    ended_badly(scenario)


if __name__ == "__main__":
    sys.exit(main("stay", run))
