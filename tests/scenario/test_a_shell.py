#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the shell sees of the programs: completion scripts that complete, manual pages without a warning, help of every
command, names that were given up, more words than anyone types by hand.

RONDO_BIN is the folder of the programs (default: build/release/bin).
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from federation import BIN, DATA, MODEL, USAGE, check, ok, refused, rondo

SHARE = BIN.parent / "share"
PROGRAMS = ("rondo", "rondo-bench")


def commands(program):
    """Names from the help: lines of two spaces, one or two words, then the summary."""
    lines = ok("--help", program=program).splitlines()
    return [m.group(1) for m in (re.match(r"  ([a-z]+(?: [a-z-]+)?) {2,}\S", line) for line in lines) if m]


def help_is_whole(_):
    for program in PROGRAMS:
        names = commands(program)
        check("completion" in names and len(names) >= 4, f"{program} --help names {names}")
        for name in names:
            text = ok(*name.split(), "--help", program=program)
            text2 = ok("help", *name.split(), program=program)
            if name != "bench":
                check(text == text2, f"{program} help {name} is not {program} {name} --help")
                check("\n  --help " in text and "Exit codes:" in text, f"{program} {name} --help: {text}")
                wide = [line for line in text.splitlines() if len(line) > 80]
                check(not wide, f"{program} {name} --help: beyond 80 columns: {wide}")


def mistakes_are_json_where_json_was_asked(_):
    for words in (("evaluate", "--nonsense"), ("nonsense",), ("plan",), ("plan", "nonsense"), ("help", "nonsense"),
                  ("model", "inspect", "/nonexistent/\udcff")):
        code, out, err = rondo(*words, "--format", "json")
        check(code != 0 and not out, f"{words}: {code}, {out}")
        check(json.loads(err)["error"]["message"], f"{words}: {err}")
    refused(USAGE, "rondo: unknown command", "nonsense")
    refused(USAGE, "rondo plan sign: ", "plan")


def json_that_cannot_be_is_told(folder):
    words = ("plan", "new", "--out", str(folder / "plan-\udcff.yaml"), "--federation", "clinics", "--model", MODEL,
             "--labels", "no,yes", "--format", "json")
    err = refused(DATA, "not UTF-8", *words)
    check(json.loads(err)["error"]["code"], err)


def bash_completes(_):
    script = SHARE / "bash" / "rondo"
    check(ok("completion", "bash") == script.read_text(), "the installed script is not what the program prints")

    def complete(*words):
        line = " ".join(f"'{w}'" for w in words)
        done = subprocess.run(
            ["bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _rondo; "
             "printf '%s\n' \"${COMPREPLY[@]}\""], capture_output=True, text=True, timeout=60, cwd=BIN.parent)
        check(done.returncode == 0 and not done.stderr, f"{words}: {done.stderr}")
        return done.stdout.split()

    first = {name.split()[0] for name in commands("rondo")}
    check(first <= set(complete("rondo", "")), "not every command is offered")
    check(complete("rondo", "plan", "s") == ["show", "sign"], "verbs of plan")
    check(complete("rondo", "train", "--optimizer", "") == ["adamw", "sgd"], "choices")
    check(complete("rondo", "train", "--optimizer", "=", "s") == ["sgd"], "choices behind =")
    check("--max-length" in complete("rondo", "train", "--lr", "1", "--max"), "options")
    check("bin" in complete("rondo", "train", "--model", "bi"), "folders")
    check(complete("rondo", "train", "--model", "build.ninj") == [], "a file is no folder")
    check(complete("rondo", "train", "--data", "build.ninj") == ["build.ninja"], "files")
    check(complete("rondo", "completion", "") == ["bash", "zsh", "fish"], "choices of a word")
    check(complete("rondo", "train", "--lr", "") == [], "nothing can be offered for a number")


def other_shells_parse(_):
    for shell, files in (("zsh", "zsh/_*"), ("fish", "fish/*.fish"), ("bash", "bash/*")):
        if shutil.which(shell) is None:
            print(f"  {shell} is not installed: its scripts were not parsed")
            continue
        found = sorted(SHARE.glob(files))
        check(len(found) == 4, f"{found}")
        for path in found:
            done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=60)
            check(done.returncode == 0 and not done.stderr, f"{path}: {done.stderr}")
    if shutil.which("fish"):
        done = subprocess.run(["fish", "-c", f"source {SHARE}/fish/rondo.fish; complete -C 'rondo plan s'; "
                               "complete -C 'rondo train --optimizer '"], capture_output=True, text=True, timeout=60)
        offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
        check(offered == ["show", "sign", "adamw", "sgd"] and not done.stderr, f"fish offers {offered} {done.stderr}")


def manual_is_clean(_):
    pages = sorted(SHARE.glob("man1/*.1"))
    wanted = {"rondo", "rondo-bench", "rondo-coordinator", "rondo-trainer"}
    for program in PROGRAMS:
        wanted |= {f"{program}-{name.replace(' ', '-')}" for name in commands(program)}
    check({page.stem for page in pages} == wanted, f"pages: {[p.stem for p in pages]}")
    if shutil.which("groff") is None:
        print("  groff is not installed: the pages were not formatted")
        return
    for page in pages:
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", str(page)], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0 and not done.stderr, f"{page.name}: {done.stderr}")
        check("SEE ALSO" in re.sub("\x1b\\[[0-9;]*m|.\b", "", done.stdout), f"{page.name} is cut")


def old_names_are_told(_):
    for words, was, now in ((("train",), "target", "targets"), (("train",), "warmup", "warmup-steps"),
                            (("trainer", "plan"), "target", "targets"), (("demo",), "organisations", "members"),
                            (("demo",), "train", "data"), (("init", "x"), "log", "log-format"),
                            (("join", "x"), "log", "log-format"), (("run", "x"), "log", "log-file")):
        for form in ((f"--{was}", "1"), (f"--{was}=1",)):
            refused(USAGE, f"--{was} is called --{now} now", *words, *form)


def many_words(work):
    """`plan sign DIR *.signature` of a large federation: the limit of words is beyond any roster."""
    files = [f"m{i}" for i in range(4096)]
    code, _, err = rondo("plan", "sign", work / "nowhere", *files)
    check(code != USAGE and "unexpected word" not in err, f"4096 files: exit {code} {err}")
    refused(USAGE, 'unexpected word "one-too-many"', "plan", "sign", work / "nowhere", *files, "one-too-many")


def main():
    if not (BIN / "rondo").exists():
        print(f"skipped: {BIN}/rondo is not built")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        for step in (help_is_whole, mistakes_are_json_where_json_was_asked, json_that_cannot_be_is_told, bash_completes,
                     other_shells_parse, manual_is_clean, old_names_are_told, many_words):
            step(pathlib.Path(folder))
            print(f"{step.__name__}: good", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
