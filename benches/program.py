"""The program by itself: start, size, build, and the steps inside it."""

import json
import os
import pathlib
import re
import statistics
import subprocess
import time

from page import Section, said, why
from processes import Failed, exporter, folder, upstream

MICRO = """
The steps from an answer of the API to an exposition, inside one process (`cargo bench`, divan): *decode* one answer,
*compress* the text in one piece, *scrape* between two publications, as gzip and as plain text, and the first time after a
sweep in which only the times of readings changed, or all counters too. Rows with a number have so many users, in one
account.
"""


def start(tools, sections):
    section = Section("Start", "From exec to the last byte of the first answer of `/metrics`, in milliseconds.")
    sections.append(section)
    table = section.table("", "users", "starts", "median", "fastest", "MiB resident then")
    for accounts, users in tools.sizes:
        starts = 20 if accounts * users <= 1000 else 5
        table.attempt([f"{accounts * users:,}", str(starts)], lambda: started(tools, accounts, users, starts))


def started(tools, accounts, users, starts):
    took, resident = [], []
    with upstream(tools, accounts, users, "100ms") as api:
        config = api.configured({"interval": "60s"})
        for _ in range(starts):
            with exporter(tools, config) as ours:
                ours.get("/metrics")
                took.append((time.perf_counter() - ours.begun) * 1e3)
                resident.append(ours.memory("VmRSS"))
    return [statistics.median(took), min(took), statistics.median(resident)]


def binary(tools, sections):
    section = Section("Binary and build", "The release binary, without symbols.")
    sections.append(section)
    table = section.table("", "figure", "value")
    table.attempt(["size of the binary"], lambda: [f"{tools.exporter.stat().st_size / 1e6:.1f} MB"])
    table.attempt(["libraries that it needs"], lambda: [libraries(tools.exporter)])
    table.attempt(["crates in it"], lambda: [crates()])
    table.attempt(["clean release build"], build)


def libraries(program):
    ran = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=30)
    if "not a dynamic executable" in ran.stderr or "statically linked" in ran.stdout:
        return "none"
    names = re.findall(r"^\s*(?:.*/)?((?:lib)[^ /]+\.so[.\d]*) ", ran.stdout, re.M)
    return ", ".join(names)


def crates():
    command = ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return str(len({line.removesuffix(" (*)") for line in ran.stdout.splitlines() if line}))


def build():
    if not os.environ.get("BUILD"):
        raise Failed("only with `BUILD=1 make bench`")
    with folder() as target:
        begun = time.monotonic()
        command = ["make", "build", f"CARGO_TARGET_DIR={target}"]
        environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
        subprocess.run(command, env=environment, capture_output=True, check=True, timeout=1800)
        return [f"{time.monotonic() - begun:.0f} s on {os.cpu_count()} cores, {said('rustc', '--version')}"]


def micro(tools, sections):
    section = Section("Micro-benchmarks", MICRO)
    sections.append(section)
    seconds = 0.1 if tools.quick else 1
    command = [tools.micro, "--bench", "--color", "never", "--max-time", str(seconds)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    except Exception as error:
        section.add(f"They are {why(error)}.")
        return
    text = "\n".join(line.rstrip() for line in ran.stdout.strip().splitlines())
    print(text, flush=True)
    section.add(f"```text\n{text}\n```")


def built():
    """Builds everything; the paths of the executables by name."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--locked"]
    command += ["--bench", "peers", "--bench", "micro", "--message-format", "json-render-diagnostics"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in ran.stdout.splitlines()]
    made = [one for one in messages if one.get("executable") and one["target"]["kind"] == ["bench"]]
    return {one["target"]["name"]: pathlib.Path(one["executable"]) for one in made}
