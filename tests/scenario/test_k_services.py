# SPDX-License-Identifier: Apache-2.0
"""Services that end, can be run again any number of times, and are stopped by nothing that is slow: a disk
whose fsync takes 2 s, a log that nobody reads, a coordinator that is gone."""

import json
import signal
import sys

from federation import INCOMPLETE, RETRY, USAGE, Failure, beside, check, main, ok, refused, slow_fsync

FSYNC_S = 2
TRIES = 3


def status(fed, site):
    return json.loads(ok("status", fed.directory / site, "--format", "json"))


def run_again(scenario):
    """A job that is over: started again and again, all end with 0, and the adapter stays."""
    fed = scenario.federation("again", members=3, rounds=2).start()
    fed.finish()
    fed.check_agreement()
    first = fed.adapter("coordinator")
    for _ in range(3):
        fed.coordinator.start()
        fed.finish()
        check(fed.adapter("coordinator") == first, "another final adapter")
    for name in fed.names:
        fed.trainers[name].start()
    fed.coordinator.start()
    fed.finish()
    fed.check_agreement()
    scenario.say("again: a finished job was started four times more")


def histories(scenario, fed):
    """Members have a table of the rounds and a log of their own."""
    for process in fed.processes():
        state = process.directory / "state"
        rows = [json.loads(line) for line in (state / "rounds.jsonl").read_text().splitlines()]
        rounds = [row["round"] for row in rows if row["round"] > 0]
        check(rounds == list(range(1, fed.rounds + 1)), f"{process.name}: rows of rounds {rounds}")
        check({row["adapter"] for row in rows if row["round"] == fed.rounds} ==
              {fed.rows()[fed.rounds]["adapter"]}, f"{process.name}: another adapter in its table")  # fmt: skip
        check(len((state / "rounds.csv").read_text().splitlines()) == len(rows) + 1, f"{process.name}: rounds.csv")
        log = [json.loads(line)["event"] for line in (state / "service.log").read_text().splitlines()]
        check(log.count("round.done") == fed.rounds and log[-1] == "service.end", f"{process.name}: service.log")
    scenario.say("history: every site has its table and its log")


def stuck_log(scenario):
    """Nobody reads the log of the coordinator, nor of a member: the federation goes on."""
    fed = scenario.federation("stuck", members=3, rounds=3)
    stuck = [fed.coordinator, fed.trainers["south"]]
    traps = []
    for process in stuck:
        process.environment = {"RONDO_LOG_WAIT": ""}
        traps.append(process.gate(event="service.start"))
    fed.start()
    for name in ("north", "east"):
        fed.trainers[name].wait_for(event="round.done", round=3)
    for process, trap in zip(stuck, traps):
        process.wait_end()
        check(trap.reached and process.events[-1] is trap.event, f"{process.name}: its log was read")
        process.open_gate(trap)
    fed.finish()
    histories(scenario, fed)
    scenario.say("stuck: three rounds with logs that nobody read")


def pause_on_slow_disk(scenario, name):
    """The longest time in milliseconds that the coordinator's loop stood still."""
    fed = scenario.federation(name, members=3, rounds=1)
    fed.coordinator.environment = slow_fsync(fed.directory, FSYNC_S)
    trap = fed.coordinator.gate(event="round.done", round=1)
    fed.start()
    fed.coordinator.wait_gate(trap)
    told = status(fed, "coordinator")
    fed.coordinator.open_gate(trap)
    fed.finish()
    fed.check_agreement()
    check(told["loop_pause_max_ms"] > 0, "the loop's pauses are not measured")
    return told["loop_pause_max_ms"]


def slow_disk(scenario):
    """Every fsync of the coordinator takes 2 s; its loop waits for none of them. A loop that waits for its
    disk does so in each run; one that waits for a core of a busy machine does not."""
    for count in range(1, TRIES + 1):
        pause = pause_on_slow_disk(scenario, f"slow-{count}")
        scenario.say(f"slow: fsync takes {FSYNC_S} s, the loop's longest pause was {pause} ms")
        if pause < 1000 * FSYNC_S:
            return
    raise Failure(f"the loop stood still for {1000 * FSYNC_S} ms and more in each of {TRIES} runs")


def abort(scenario):
    """The operator ends the job; everybody learns it, and it stays ended."""
    fed = scenario.federation("abort", members=3, rounds=3)
    trap = fed.coordinator.gate(event="stage.enter", round=2, stage="R0")
    fed.start()
    fed.coordinator.wait_gate(trap)
    operator = fed.directory / "coordinator"
    refused(USAGE, "printable", "abort", operator, "--reason", "x" * 201)
    refused(USAGE, "printable", "abort", operator, "--reason", "a\tb")
    ok("abort", operator, "--reason", "r" * 200)
    fed.coordinator.open_gate(trap)
    fed.finish(expected=INCOMPLETE)
    check("r" * 200 in str(fed.coordinator.find(event="job.incomplete")), "the reason is not in the log")
    refused(RETRY, "not running", "abort", operator, "--reason", "again")
    fed.coordinator.start()
    fed.finish(expected=INCOMPLETE)
    scenario.say("abort: ended for good, with the reason")


def stop(scenario):
    """A member ends the job by its signature: every site learns who and why, and it stays ended."""
    fed = scenario.federation("stop", members=3, rounds=3)
    why = 'consent for "these" records was withdrawn \\'
    trap = fed.coordinator.gate(event="stage.enter", round=2, stage="R0")
    fed.start()
    fed.coordinator.wait_gate(trap)
    refused(USAGE, "printable", "abort", fed.directory / "north", "--reason", "x" * 201)
    said = ok("abort", fed.directory / "north", "--reason", why)
    check("This site has signed" in said, f"rondo abort at a member says {said}")
    fed.trainers["north"].wait_for(event="job.stopped")
    fed.coordinator.open_gate(trap)
    fed.finish(expected=INCOMPLETE)
    for process in fed.processes():
        told = process.find(event="job.stopped")
        check(told is not None and told["member"] == "north" and told["detail"] == why, f"{process.name}: {told}")
    fed.coordinator.start()
    fed.coordinator.wait_for(since=fed.coordinator.since_start, event="service.start")
    shown = status(fed, "coordinator")["stop"]
    check(shown == {"member": "north", "reason": why}, f"rondo status: {shown}")
    check(f"STOPPED     by north: {why}" in ok("status", fed.directory / "coordinator"), "not in the text")
    for name in fed.names:
        fed.trainers[name].start()
    fed.finish(expected=INCOMPLETE)
    begun = [event["round"] for event in fed.coordinator.events if event.get("event") == "round.begin"]
    check(begun == [1, 2], f"rounds {begun} were begun")
    scenario.say("stop: a member ended the job for all, with the reason")


def first_signal(scenario):
    """A member with a session from before, and no coordinator: the first SIGTERM ends it."""
    fed = scenario.federation("alone", members=3, rounds=2)
    south = fed.trainers["south"]
    trap = south.gate(event="stage.enter", round=1, stage="R2")
    fed.start()
    south.wait_gate(trap)
    for process in fed.processes():
        if process is not south:
            process.kill()
    south.signal(signal.SIGKILL)
    south.open_gate(trap)
    south.collect()
    south.start()
    south.wait_for(since=south.since_start, event="service.start")
    south.signal(signal.SIGTERM)
    check(south.collect() == 0, "SIGTERM: not 0")
    scenario.say("alone: one SIGTERM was enough")


def run(scenario):
    slow = beside(slow_disk, scenario)
    first_signal(scenario)
    run_again(scenario)
    stuck_log(scenario)
    abort(scenario)
    stop(scenario)
    slow()


if __name__ == "__main__":
    sys.exit(main("services", run))
