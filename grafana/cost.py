"""Measures what one refresh of *Team backlog* costs Prometheus: `python3 grafana/cost.py FOLDER [USERS]`.

A day of 2,000 users, and the same hours a week before as far as panels look at them, goes into Prometheus' blocks by
`promtool tsdb create-blocks-from openmetrics`; they stay in the folder for the next run. A Prometheus on loopback is then
asked every query of every panel, once, as Grafana asks it for 24 hours on a wide screen, and tells the processor time it
took. `PROMETHEUS` and `PROMTOOL` name other programs than those in PATH. Called by `make dashboard-cost`.
"""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRAPE, HOUR, DAY, WEEK = 60, 3600, 86400, 7 * 86400
ACCOUNTS, TEAMS = 20, 10
#: As many points as a panel over the whole width asks for at most.
POINTS = 1000
BLOCK = 2 * HOUR
PROMETHEUS = os.environ.get("PROMETHEUS") or "prometheus"
PROMTOOL = os.environ.get("PROMTOOL") or "promtool"


def labels(**pairs):
    return ",".join(f'{key}="{value}"' for key, value in pairs.items())


class User:
    def __init__(self, number):
        self.random = random.Random(number)
        self.account, self.user = f"company-{number % ACCOUNTS}", str(number)
        self.red, self.since, self.came, self.answered = 0, None, 0, 0
        own = labels(job="wazzup", instance="exporter:10117", account=self.account, user=self.user)
        info = labels(name=f"Manager {number}", role="sales_rep", team=f"team-{number % TEAMS}")
        self.messages = {kind: f'wazzup_unanswered_messages{{{own},type="{kind}"}}' for kind in ("red", "grey")}
        self.info = f"wazzup_user_info{{{own},{info}}} 1"
        names = ["user_up", "user_last_success_timestamp_seconds", "unanswered_red_since_timestamp_seconds"]
        names += ["unanswered_increase_total", "unanswered_decrease_total"]
        self.series = [f"wazzup_{name}{{{own}}}" for name in names]

    def move(self, now):
        if self.random.random() < 0.05:
            self.red += 1
            self.came += 1
        elif self.red and self.random.random() < 0.05:
            self.red -= 1
            self.answered += 1
        self.since = (self.since or now) if self.red else None

    def lines(self, now, all_of_them):
        yield f"{self.messages['red']} {self.red} {now}"
        yield f"{self.info} {now}"
        if all_of_them:
            yield f"{self.messages['grey']} 0 {now}"
            for series, value in zip(self.series, (1, now, self.since, self.came, self.answered)):
                if value is not None:
                    yield f"{series} {value} {now}"


def of_accounts(now):
    job = labels(job="wazzup", instance="exporter:10117")
    yield f"wazzup_exporter_build_info{{{job}}} 1 {now}"
    yield f"wazzup_exporter_config_last_reload_success_timestamp_seconds{{{job}}} 1 {now}"
    yield f"up{{{job}}} 1 {now}"
    for number in range(ACCOUNTS):
        own = labels(job="wazzup", instance="exporter:10117", account=f"company-{number}")
        yield f"wazzup_up{{{own}}} 1 {now}"
        yield f"wazzup_account_users{{{own}}} 100 {now}"


def write(folder, users, begin, end, all_of_them):
    """Blocks of this time, each from a file of its own, as promtool reads a file once for each block in it."""
    text = folder / "text"
    for start in range(begin, end, BLOCK):
        with text.open("w", encoding="utf-8") as file:
            for now in range(start, min(start + BLOCK, end), SCRAPE):
                if all_of_them:
                    file.writelines(f"{line}\n" for line in of_accounts(now))
                for user in users:
                    user.move(now)
                    file.writelines(f"{line}\n" for line in user.lines(now, all_of_them))
            file.write("# EOF\n")
        command = [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", text, folder / "data"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    text.unlink()


def recorded(folder, count):
    """When the recorded day ends."""
    end = folder / "end"
    if not end.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        now = int(time.time()) // BLOCK * BLOCK
        users = [User(number) for number in range(count)]
        write(folder, users, now - DAY - WEEK - BLOCK, now - WEEK, all_of_them=False)
        write(folder, users, now - DAY - BLOCK, now, all_of_them=True)
        end.write_text(str(now), encoding="utf-8")
    return int(end.read_text(encoding="utf-8"))


class Prometheus:
    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        (folder / "prometheus.yaml").write_text("{}", encoding="utf-8")
        self.process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={folder}/prometheus.yaml",
                f"--storage.tsdb.path={folder}/data",
                "--storage.tsdb.retention.time=10y",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stderr=subprocess.DEVNULL,
        )

    def get(self, path, **form):
        data = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(f"{self.url}{path}", data, timeout=300) as answer:
            return answer.read().decode()

    def wait(self):
        while True:
            assert self.process.poll() is None, "Prometheus does not start"
            try:
                return self.get("/-/ready")
            except OSError:
                time.sleep(0.2)

    def seconds(self):
        return float(re.search(r"(?m)^process_cpu_seconds_total (\S+)", self.get("/metrics")).group(1))


def seconds_of(interval):
    units = {"s": 1, "m": 60, "h": HOUR}
    return int(interval[:-1]) * units[interval[-1]] if interval else 0


def ask(prometheus, panel, target, end):
    step = max(seconds_of(panel.get("interval")), -(-DAY // POINTS // SCRAPE) * SCRAPE)
    rate = max(step + SCRAPE, 4 * SCRAPE)
    expr = target["expr"].replace("$__rate_interval", f"{rate}s")
    expr = expr.replace("$__range", f"{DAY}s").replace("$__interval", f"{step}s")
    for name, value in [("$job", "wazzup"), ("$account", ".+"), ("$team", ".*"), ("$user", ".*")]:
        expr = expr.replace(name, value)
    if target["instant"]:
        # Grafana knows the beginning and the end of the range of an instant query, too.
        answer = prometheus.get("/api/v1/query", query=expr, time=end)
    else:
        begin = (end - DAY) // step * step
        answer = prometheus.get("/api/v1/query_range", query=expr, start=begin, end=end // step * step, step=step)
    return len(json.loads(answer)["data"]["result"])


def main():
    folder = Path(sys.argv[1])
    end = recorded(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 2000) - SCRAPE
    prometheus = Prometheus(folder)
    try:
        prometheus.wait()
        dashboard = json.loads((HERE / "dashboards/team-backlog.json").read_text(encoding="utf-8"))
        whole = 0
        print(f"{'CPU s':>7} {'series':>7}  panel and query")
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                before = prometheus.seconds()
                series = ask(prometheus, panel, target, end)
                spent = prometheus.seconds() - before
                whole += spent
                print(f"{spent:7.2f} {series:7}  {panel['title']} {target['refId']}", flush=True)
        print(f"{whole:7.2f}          one refresh, every {dashboard['refresh']}")
    finally:
        prometheus.process.terminate()
        prometheus.process.wait()


if __name__ == "__main__":
    main()
