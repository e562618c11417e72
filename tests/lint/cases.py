#!/usr/bin/env python3
"""Checks the table of cases at the end of crypto/secagg/PROTOCOL.md: each case from 1 to 55 has a row; each test that
a row names exists, is run, and says in a comment of its file which case it is."""
import re
import sys

DOCUMENT = "crypto/secagg/PROTOCOL.md"
CASES = range(1, 56)
ROW = re.compile(r"\| (\d+) \| [^|]+ \| (?:`([^`]+)`: (\w+)|no test: (.+)) \|$")
bad = 0


def fault(number, text):
    global bad
    bad += 1
    print(f"lint: {DOCUMENT}:{number}: {text}", file=sys.stderr)


def runs(source, path, name):
    """A test of a C program is registered, one of a script is called, a fuzz target is what the driver calls."""
    if path.endswith(".py"):
        return re.search(rf"^def {name}\(", source, re.M) and len(re.findall(rf"\b{name}\b", source)) > 1
    return re.search(rf"cmocka_unit_test(?:_setup_teardown)?\(\s*{name}\b", source) or (
        path.startswith("tests/fuzz/") and f"int {name}(" in source)


def tagged(source, case):
    return re.search(rf"(?:/\*|^ \*|#|\"\"\"|,|and)\s*case {case}\b", source, re.M)


lines = open(DOCUMENT, encoding="utf-8").read().split("\n")
start = lines.index("## Cases") if "## Cases" in lines else len(lines)
seen = set()
for number, line in enumerate(lines[start:], start + 1):
    if not re.match(r"\| *\d", line):
        continue
    row = ROW.match(line)
    if not row:
        fault(number, "no row of a case")
        continue
    case, path, name, reason = int(row[1]), row[2], row[3], row[4]
    seen.add(case)
    if reason:
        continue
    try:
        source = open(path, encoding="utf-8").read()
    except OSError:
        fault(number, f"{path} is not there")
        continue
    if not runs(source, path, name):
        fault(number, f"{path} runs no {name}")
    elif not tagged(source, case):
        fault(number, f"{path} does not say that it holds case {case}")
for case in sorted(set(CASES) - seen):
    fault(start + 1, f"case {case} has no row")
sys.exit(1 if bad else 0)
