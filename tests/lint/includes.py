#!/usr/bin/env python3
"""Checks include directions: base <- crypto <- policy <- services; base <- trainer <- services (trainer/trainer.h alone);
and that libraries stay in the folder that owns them."""
import re
import sys

ROOMS = {"base": set(), "crypto": {"base"}, "policy": {"base", "crypto"}, "trainer": {"base"},
         "services": {"base", "crypto", "policy", "trainer"}}
OWNED = [
    (re.compile(r"^grpc/"), ("services/rpc/",)),
    (re.compile(r"^(cblas|openblas|dnnl|oneapi)"), ("trainer/kernels/cpu/",)),
    (re.compile(r"^(cuda|cublas|cudnn)"), ("trainer/kernels/cuda/",)),
    (re.compile(r"^(sodium|openssl/)"), ("crypto/",)),
    (re.compile(r"^yaml\.h"), ("policy/",)),
    (re.compile(r"^sqlite3"), ("services/store/",)),
]
SANS_IO = re.compile(r"^(sys/socket|pthread|time|unistd|fcntl|stdio|threads)\.h$|^base/(file|clock|log)\.h$")
TRAINER_OUTSIDE = {"trainer/trainer.h"}


def faults(path, text):
    room = path.split("/")[0]
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        name, other = match.group(2), match.group(2).split("/")[0]
        if match.group(1) == '"' and other in ROOMS and room in ROOMS and other != room:
            if other not in ROOMS[room]:
                yield number, f"{room} may not include {name}"
            if room == "services" and other == "trainer" and name not in TRAINER_OUTSIDE:
                yield number, f"services may include trainer/trainer.h alone, not {name}"
        if room in ROOMS:
            for pattern, homes in OWNED:
                if pattern.match(name) and not path.startswith(homes):
                    yield number, f"<{name}> belongs to {', '.join(homes)}"
        if path.startswith("crypto/secagg/") and SANS_IO.match(name):
            yield number, f"sans-I/O code may not include {name}"


bad = 0
for path in sys.argv[1:]:
    for number, what in faults(path, open(path, encoding="utf-8").read()):
        print(f"lint: {path}:{number}: {what}", file=sys.stderr)
        bad += 1
sys.exit(1 if bad else 0)
