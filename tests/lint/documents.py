#!/usr/bin/env python3
"""Checks that every path which a document names between back-quotes exists in the repository."""
import os
import re
import subprocess
import sys

ROOMS = ("base/", "crypto/", "trainer/", "policy/", "services/", "deploy/", "tests/", "cmake/", ".ci/")
bad = 0
for document in subprocess.run(["git", "ls-files", "*.md"], capture_output=True, text=True).stdout.split():
    for number, line in enumerate(open(document, encoding="utf-8"), 1):
        for name in re.findall(r"`([A-Za-z0-9_./-]+)`", line):
            if name.startswith(ROOMS) and not os.path.exists(name):
                print(f"lint: {document}:{number}: {name} does not exist", file=sys.stderr)
                bad += 1
sys.exit(1 if bad else 0)
