#!/usr/bin/env python3
"""Checks the tables of cases at the ends of crypto/secagg/PROTOCOL.md (1 to 55) and policy/FORMATS.md (privacy, 1 to
35): each case has a row; each test that a row names exists, is run, and says in a comment of its file which case it
is."""
import re
import sys

TABLES = [  # document, heading of the table, cases, how a test's comment names case {}
    ("crypto/secagg/PROTOCOL.md", "## Cases", range(1, 56), r"(?:/\*|^ \*|#|\"\"\"|,|and)\s*case {}\b"),
    ("policy/FORMATS.md", "## Cases of privacy", range(1, 36), r"privacy cases?(?: \d+,?(?: and)?)* {}\b"),
]
ROW = re.compile(r"\| (\d+) \| [^|]+ \| (?:`([^`]+)`: (\w+)|no test: (.+)) \|$")
bad = 0


def fault(document, number, text):
    global bad
    bad += 1
    print(f"lint: {document}:{number}: {text}", file=sys.stderr)


def runs(source, path, name):
    """A test of a C program is registered, one of a script is called, a fuzz target is what the driver calls."""
    if path.endswith(".py"):
        return re.search(rf"^def {name}\(", source, re.M) and len(re.findall(rf"\b{name}\b", source)) > 1
    return re.search(rf"cmocka_unit_test(?:_setup_teardown)?\(\s*{name}\b", source) or (
        path.startswith("tests/fuzz/") and f"int {name}(" in source)


def check_row(row, pattern):
    """What is wrong with a row, or None."""
    case, path, name = int(row[1]), row[2], row[3]
    try:
        source = open(path, encoding="utf-8").read()
    except OSError:
        return f"{path} is not there"
    if not runs(source, path, name):
        return f"{path} runs no {name}"
    if not re.search(pattern.format(case), source, re.M):
        return f"{path} does not say that it holds case {case}"
    return None


def check_table(document, heading, cases, pattern):
    lines = open(document, encoding="utf-8").read().split("\n")
    start = lines.index(heading) if heading in lines else len(lines)
    seen = set()
    for number, line in enumerate(lines[start:], start + 1):
        if not re.match(r"\| *\d", line):
            continue
        row = ROW.match(line)
        if not row:
            fault(document, number, "no row of a case")
            continue
        seen.add(int(row[1]))
        wrong = None if row[4] else check_row(row, pattern)
        if wrong:
            fault(document, number, wrong)
    for case in sorted(set(cases) - seen):
        fault(document, start + 1, f"case {case} has no row")


for table in TABLES:
    check_table(*table)
sys.exit(1 if bad else 0)
