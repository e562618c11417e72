# SPDX-License-Identifier: Apache-2.0
"""The units of systemd as an installation places them: paths of the prefix, exit codes that the programs have, and a
hardening that systemd itself rates."""

import os
import re
import shutil
import subprocess
import sys

from federation import BIN, LIMIT, Skip, check, listed_exits, main

PROGRAMS = ("rondo-coordinator", "rondo-trainer")
RESTARTED = {70, 71, 74, 75, 76}  # a bug, the system, the disk, the network, a peer: may be better next time
EXPOSURE_MOST = 20  # tenths
LOOSE = ("NoNewPrivileges", "CapabilityBoundingSet", "SystemCallFilter")


def install(prefix, destination=""):
    if shutil.which("cmake") is None:
        raise Skip("no cmake to install with")
    done = subprocess.run(["cmake", "--install", BIN.parent, "--prefix", prefix], capture_output=True, text=True,
                          env={**os.environ, "DESTDIR": str(destination)}, timeout=LIMIT)  # fmt: skip
    check(done.returncode == 0, f"cmake --install: {done.stdout}{done.stderr}")
    return destination if destination else prefix


def unit_of(root, program):
    return root / f"lib/systemd/system/{program}@.service"


def settings(text):
    found = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
        found.setdefault(key, []).append(value)
    return found


def paths_are_the_prefix(root):
    for program in PROGRAMS:
        text = unit_of(root, program).read_text()
        start = settings(text)["ExecStart"]
        check(start == [f"/usr/bin/{program} %S/rondo/%i"], f"{program}: starts {start}")
        check((root / "bin" / program).exists(), f"{program} was installed elsewhere")
        check(not re.search(r"@[A-Z_]+@", text), f"{program}: something was not filled in:\n{text}")
    for folder in ("sysusers.d", "tmpfiles.d"):
        check((root / "lib" / folder / "rondo.conf").exists(), f"no {folder}/rondo.conf")


def exit_codes_are_the_programs(root):
    """Each code is either one that a restart may mend, or one that prevents it."""
    for program in PROGRAMS:
        held = settings(unit_of(root, program).read_text())
        prevented = {int(code) for code in held["RestartPreventExitStatus"][0].split()}
        listed = listed_exits(program, "")
        check(prevented == listed - RESTARTED - {0}, f"{program}: {prevented} of {listed}")
        check(held["Restart"] == ["on-failure"], f"{program}: a finished job would be started again")
        # services/federation drains for up to 30 s
        check(int(held["TimeoutStopSec"][0].removesuffix("s")) > 30, f"{program}: killed while it drains")


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True,
                          timeout=LIMIT)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def exposure(unit):
    code, said = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MOST}", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    check(found is not None, f"systemd-analyze security {unit}: {said}")
    return code, float(found.group(1))


def systemd_is_content(scenario, root):
    loosened = scenario.work / "loosened"
    loosened.mkdir()
    for program in PROGRAMS:
        unit = unit_of(root, program)
        code, said = analyze("verify", "--man=no", unit)
        check(code == 0 and program not in said, f"{unit.name}: {said.strip()}")
        code, level = exposure(unit)
        check(code == 0, f"{unit.name}: exposure {level}")
        scenario.say(f"{unit.name}: exposure {level}")
        loose = loosened / unit.name
        loose.write_text("".join(line for line in unit.read_text().splitlines(keepends=True)
                                 if not line.startswith(LOOSE)))  # fmt: skip
        code, level = exposure(loose)
        check(code != 0, f"{unit.name} without {LOOSE} passes, too: {level}")


def run(scenario):
    staged = install("/usr", scenario.work / "staged") / "usr"
    paths_are_the_prefix(staged)
    exit_codes_are_the_programs(staged)
    if shutil.which("systemd-analyze") is None:
        raise Skip("no systemd-analyze; paths and exit codes of the units are good")
    systemd_is_content(scenario, install(scenario.work / "prefix"))


if __name__ == "__main__":
    sys.exit(main("units", run))
