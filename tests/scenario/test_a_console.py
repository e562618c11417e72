#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a person at a console gets: log lines apart from progress, and a demonstration that leaves nothing running.

RONDO_BIN is the folder of the programs (default: build/release/bin).
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from federation import BIN, INCOMPLETE, LIMIT, MODEL, ROOT, check, main, ok

DEMONSTRATION = 6  # processes: `rondo demo`, its coordinator and four members


def is_json(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def log_and_progress_stand_apart(scenario):
    """`rondo run --log-file FILE`: every log line there and none of the progress; "-": nothing but log lines."""
    fed = scenario.federation(members=3, rounds=1)
    log = scenario.work / "coordinator-run.log"
    for name in ("south", "east"):
        fed.trainers[name].start()
    runs = [subprocess.Popen([BIN / "rondo", "run", fed.directory / site, "--log-file", where], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for site, where in (("coordinator", log), ("north", "-"))]
    try:
        texts = [run.communicate(timeout=LIMIT)[1].splitlines() for run in runs]
    finally:
        for run in runs:
            run.kill()
    fed.finish()
    check([run.returncode for run in runs] == [0, 0], f"{texts}")
    check(texts[0] and not any(is_json(line) for line in texts[0]), f"log lines among the progress: {texts[0]}")
    lines = log.read_text().splitlines()
    check(lines and all(is_json(line) for line in lines), f"not only log lines: {lines}")
    check(any('"event":"round.done"' in line for line in lines), f"the log is not whole: {lines}")
    check(texts[1] and all(is_json(line) for line in texts[1]), f"progress among the log lines: {texts[1]}")


def running_in(directory):
    """Processes whose command line names the directory."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(directory).encode() in word for word in words):
            found.append((int(path.parent.name), words))
    return found


@contextlib.contextmanager
def demonstration(directory, *more):
    """`rondo demo`; nothing of it is left at the end, whatever went wrong."""
    run = subprocess.Popen([BIN / "rondo", "demo", "--embedded", ROOT / "deploy/embedded", "--dir", directory, *more],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        yield run
    finally:
        run.kill()
        for process, _ in running_in(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        run.wait()


def a_stopped_demonstration_leaves_nothing(scenario):
    directory = scenario.work / "demonstration"
    end = time.monotonic() + LIMIT
    with demonstration(directory, "--rounds", "10000", "--lose-none") as run:
        rounds = directory / "coordinator/state/rounds.jsonl"
        while not rounds.exists() or len(running_in(directory)) < DEMONSTRATION:
            check(run.poll() is None, "the demonstration ended early")
            check(time.monotonic() < end, f"never more than {running_in(directory)}")
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=LIMIT)
        check(run.returncode == INCOMPLETE and "stopped by a signal" in err, f"{run.returncode} {err}")
        check(not running_in(directory), f"left behind: {running_in(directory)}")


def the_next_command_can_be_copied(scenario):
    """A folder with a space in its name: what is printed under "Next" works in a shell."""
    folder = scenario.work / "our federation's folder"
    text = ok("init", folder, "--federation", "spaces", "--address", "127.0.0.1:19999", "--model",
              MODEL, "--labels", "complaint,praise")
    check("listen on 127.0.0.1:19999" in text, text)
    (line,) = [line for line in text.splitlines() if "rondo invite" in line and "NAME..." in line]
    command = line.split(". ", 1)[1].replace("rondo", str(BIN / "rondo"), 1).replace("NAME...", "north south")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=LIMIT)
    check(done.returncode == 0, f"{command}: {done.stderr}")


def run(scenario):
    for step in (log_and_progress_stand_apart, a_stopped_demonstration_leaves_nothing, the_next_command_can_be_copied):
        step(scenario)
        scenario.say(f"{step.__name__}: good")


if __name__ == "__main__":
    sys.exit(main("console", run))
