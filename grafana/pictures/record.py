"""Records what the exporter shows of simulated days, for `make dashboard-pictures`.

The simulated API and the exporter run as they always do, but on a clock that runs RATE times as fast: `faketime`
gives it to them and to this script, so that a day with its working hours and timestamps passes in minutes. Once a
minute of that clock this script takes /metrics, as a Prometheus would, and writes it with the time as OpenMetrics,
for `promtool tsdb create-blocks-from openmetrics`. Nothing is computed or made up on the way. It records two spans
of thirty hours, a week apart: the days between are seen in no picture.

usage: record.py EXPORTER FOLDER
"""

import datetime
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

#: Where the fast clock starts, and the seed: a simulation begins at ten in the morning, as it then is in Almaty.
SPANS = [("2026-11-16 05:00:00", "2"), ("2026-11-23 05:00:00", "1")]
#: How long each goes on: until twenty past four on the next day.
LENGTH = (24 + 6) * 3600 + 20 * 60
RATE = int(os.environ.get("RATE", "150"))
#: Set for the inner runs of this script: the seed.
SEED = "WAZZUP_PICTURES_SEED"
EVERY = 60
LABELS = 'job="wazzup",instance="exporter:10117"'
API, EXPORTER = "127.0.0.1:20119", "127.0.0.1:20117"
HOURS = '    working_hours: {timezone: Asia/Almaty, days: mon-sun, from: "09:00", to: "18:00"}\n'
#: What goes wrong on any day: answers that take long, some that fail.
TROUBLE = [
    "--latency=150ms..900ms",
    "--fault=status=500,probability=0.003",
    "--fault=status=502,account=zebra-print,probability=0.02",
]


def configure(folder):
    """The simulation's own configuration, at an everyday pace and with working hours."""
    path = folder / "sim.yaml"
    while not path.exists():
        time.sleep(10)
    text = path.read_text()
    text = re.sub(r"interval: .*", "interval: 60s\n  timeout: 2m\n  stale_after: 5m", text, count=1)
    text = text.replace("refresh_interval: 10s", "refresh_interval: 5m")
    text = re.sub(r"(    account_id: .*\n)", r"\1" + HOURS, text)
    path.write_text(text)
    path.chmod(0o600)
    return path


def scrape():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{EXPORTER}/metrics") as answer:
        return answer.read().decode()


def openmetrics(families, text, now):
    """Adds an exposition to its families: OpenMetrics wants a family's lines together."""
    for line in text.splitlines():
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name, _, labels = series.partition("{")
            labels = f"{LABELS},{labels}" if labels else LABELS + "}"
            families.setdefault(name, []).append(f"{name}{{{labels} {value} {now:.3f}\n")


def write(path, families):
    with path.open("w") as out:
        for name, lines in sorted(families.items()):
            out.write(f"# TYPE {name} unknown\n")
            out.writelines(lines)
        out.write("# EOF\n")


def record(exporter, folder, seed):
    folder.mkdir()
    command = [
        exporter,
        "simulator",
        f"--listen={API}",
        "--speed=1",
        f"--seed={seed}",
        "--write-config=sim.yaml",
        *TROUBLE,
    ]
    started = []
    try:
        started.append(
            subprocess.Popen(
                command, cwd=folder, stdout=subprocess.DEVNULL, stderr=(folder / "simulator.log").open("w")
            )
        )
        command = [
            exporter,
            f"--config.file={configure(folder).name}",
            f"--web.listen-address={EXPORTER}",
            "--storage.path=data",
        ]
        started.append(subprocess.Popen(command, cwd=folder, stderr=(folder / "exporter.log").open("w")))
        families = {}
        begun = due = time.time()
        while due < begun + LENGTH:
            due += EVERY
            time.sleep(max(0, due - time.time()))
            now = time.time()
            if any(process.poll() is not None for process in started):
                sys.exit(f"a process has ended; see {folder}")
            try:
                openmetrics(families, scrape() + "up 1\n", now)
            except OSError:
                # It takes a moment before it listens, which is many minutes here.
                if families:
                    raise
        write(folder / "recorded.om", families)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def main():
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    exporter, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    if seed := os.environ.get(SEED):
        return record(exporter, folder, seed)
    folder.mkdir(parents=True)
    for number, (start, seed) in enumerate(SPANS):
        command = ["faketime", "-f", f"@{start} x{RATE}", sys.executable, sys.argv[0], exporter, folder / str(number)]
        subprocess.run(command, env={**os.environ, SEED: seed, "TZ": "UTC"}, check=True)


if __name__ == "__main__":
    main()
