#!/usr/bin/env python3
"""`make bench`: measures the exporter from outside, prints tables and writes docs/performance.md.

`processes` runs and measures processes; `scrape`, `poll`, `memory`, `program` and `peer` each hold
a part of the page, `goals` what is wanted of them; `page` writes it. What cannot be measured becomes a row that says why.

    BENCH_QUICK=1     small sizes and short loads
    BENCH_PARTS=a,b   only these parts, printed and not written
    BUILD=1           also times a clean release build
    JSON_EXPORTER=…   the program of that name, to compare with
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import time

import goals
import memory
import page
import peer
import poll
import program
import scrape
from processes import LARGE

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Each part with its longest time, in seconds, of a full run.
PARTS = {
    "scrape": (scrape.run, 900),
    "poll": (poll.run, 400),
    "memory": (memory.run, 1500),
    "start": (program.start, 180),
    "binary": (program.binary, 1900),
    "peer": (peer.run, 120),
    "micro": (program.micro, 620),
}


class Tools:
    """What is measured, with what, and how thoroughly."""

    def __init__(self, environment):
        self.quick = bool(environment.get("BENCH_QUICK"))
        # Accounts and users of each.
        small, large = [(1, 10), (2, 500)], [(20, 500), (200, 500)]
        self.sizes = small if self.quick else small + large
        self.seconds = 1 if self.quick else 3
        # How many sweeps by the number of users.
        self.sweeps = {1000: 20} if self.quick else {1000: 1000, 100_000: 20}
        self.exporter = pathlib.Path(environment["EXPORTER"]).resolve()
        made = program.built()
        self.peers, self.micro = made["peers"], made["micro"]
        # Debian's nginx is not in everybody's PATH.
        self.nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        self.wrk = shutil.which("wrk")
        named = environment.get("JSON_EXPORTER")
        self.json_exporter = named and str(pathlib.Path(named).resolve())


    def seconds_for(self, users):
        """How long to load a server that shows so many users: tens of megabytes need their time."""
        return self.seconds * 2 if users > LARGE else self.seconds


class OutOfTime(BaseException):
    """Not an Exception: no row may take it for its own."""


@contextlib.contextmanager
def at_most(seconds):
    def end(*_):
        raise OutOfTime

    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def run_part(tools, sections, name):
    part, seconds = PARTS[name]
    before = len(sections)
    try:
        with at_most(seconds):
            part(tools, sections)
        return
    except OutOfTime:
        reason = f"not measured within {seconds} s"
    except Exception as error:
        reason = page.why(error)
    if len(sections) == before:
        sections.append(page.Section(name.capitalize(), ""))
    sections[-1].add(f"What is missing here was {reason}.")
    print(reason, flush=True)


def main():
    # So that processes and folders go when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.chdir(ROOT)
    chosen = os.environ.get("BENCH_PARTS")
    names = chosen.split(",") if chosen else list(PARTS)
    if unknown := set(names) - set(PARTS):
        sys.exit(f"BENCH_PARTS: there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    tools = Tools(os.environ)
    load, begun = os.getloadavg()[0], time.monotonic()
    sections = []
    for name in names:
        run_part(tools, sections, name)
    sections.insert(0, goals.section(sections))
    text = page.page(tools, sections, load, time.monotonic() - begun)
    if chosen:
        print("\nOnly parts were run: docs/performance.md stays as it is.")
    else:
        (ROOT / "docs" / "performance.md").write_text(text)
        print("\nWritten to docs/performance.md.")


if __name__ == "__main__":
    main()
