"""Measures what one refresh of *Team backlog* costs Prometheus: `python3 grafana/cost.py FOLDER [USERS]`.

A day of 2,000 users, and four weeks of what rules record of their teams, goes into Prometheus' blocks by `promtool tsdb
create-blocks-from openmetrics`; they stay in the folder for the next run. A Prometheus on loopback is then asked every query
of every panel, once, as Grafana asks it for 24 hours on a wide screen, and tells the processor time it took. A row that is
not open is asked when somebody opens it, so it is added up apart. `PROMETHEUS` and `PROMTOOL` name other programs than
those in PATH. Called by `make dashboard-cost`.
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
SCRAPE, QUARTER, HOUR, DAY = 60, 900, 3600, 86400
#: What the longest panel looks back.
MONTH = 28 * DAY
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
        self.account, self.user, self.team = f"company-{number % ACCOUNTS}", str(number), f"team-{number % TEAMS}"
        self.red, self.since, self.came, self.answered = 0, None, 0, 0
        own = labels(job="wazzup", instance="exporter:10117", account=self.account, user=self.user)
        info = labels(name=f"Manager {number}", role="sales_rep", team=self.team)
        self.messages = {kind: f'wazzup_unanswered_messages{{{own},type="{kind}"}}' for kind in ("red", "grey")}
        self.info = f"wazzup_user_info{{{own},{info}}} 1"
        names = ["user_up", "user_last_success_timestamp_seconds", "unanswered_red_since_timestamp_seconds"]
        names += ["unanswered_increase_total", "unanswered_decrease_total"]
        self.series = [f"wazzup_{name}{{{own}}}" for name in names]
        recorded = labels(account=self.account, user=self.user, team=self.team)
        self.recorded = [f"wazzup_user:{name}:last15m{{{recorded}}}" for name in ("team", "red_age_seconds")]

    def move(self, now):
        if self.random.random() < 0.05:
            self.red += 1
            self.came += 1
        elif self.red and self.random.random() < 0.05:
            self.red -= 1
            self.answered += 1
        self.since = (self.since or now) if self.red else None

    def lines(self, now):
        yield f"{self.messages['red']} {self.red} {now}"
        yield f"{self.messages['grey']} 0 {now}"
        yield f"{self.info} {now}"
        yield f"{self.recorded[0]} 1 {now}"
        age = now - self.since if self.since else None
        for series, value in zip(self.series + self.recorded[1:], (1, now, self.since, self.came, self.answered, age)):
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
        yield f'wazzup_account:red_messages:threshold{{account="company-{number}"}} 20 {now}'


def of_teams(now):
    """What rules record of each team, as high as the hour of the day."""
    hour = now // HOUR % 24
    for account in range(ACCOUNTS):
        for team in range(TEAMS):
            own = labels(account=f"company-{account}", team=f"team-{team}")
            yield f"wazzup_team:red_messages:last15m{{{own}}} {hour + account} {now}"
            if now % QUARTER == 0:
                yield f"wazzup_team:red_messages:avg15m{{{own}}} {hour + account} {now}"
            for what in ("came", "answered"):
                yield f"wazzup_team:red_messages_{what}:rate5m{{{own}}} 0.0{hour:02} {now}"


def write(folder, begin, end, of, block):
    """Blocks of this time, each from a file of its own, as promtool reads a file once for each block in it."""
    text = folder / "text"
    for start in range(begin // block * block, end, block):
        with text.open("w", encoding="utf-8") as file:
            for now in range(max(start, begin), min(start + block, end), SCRAPE):
                file.writelines(f"{line}\n" for line in of(now))
            file.write("# EOF\n")
        command = [PROMTOOL, "tsdb", "create-blocks-from", f"--max-block-duration={block}s", "openmetrics"]
        subprocess.run([*command, text, folder / "data"], check=True, stdout=subprocess.DEVNULL)
    text.unlink()


def recorded(folder, count):
    """When the recorded day ends."""
    end = folder / "end"
    if not end.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        now = int(time.time()) // BLOCK * BLOCK
        users = [User(number) for number in range(count)]

        def all_of_them(moment):
            yield from of_accounts(moment)
            for user in users:
                user.move(moment)
                yield from user.lines(moment)

        # As long as Prometheus makes them by and by.
        write(folder, now - MONTH - BLOCK, now, of_teams, 9 * BLOCK)
        write(folder, now - DAY - BLOCK, now, all_of_them, BLOCK)
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
                # Or it would make them longer meanwhile.
                f"--storage.tsdb.min-block-duration={BLOCK}s",
                f"--storage.tsdb.max-block-duration={BLOCK}s",
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
    units = {"s": 1, "m": 60, "h": HOUR, "w": 7 * DAY}
    return int(interval[:-1]) * units[interval[-1]] if interval else 0


def ask(prometheus, panel, target, end):
    span = seconds_of(panel.get("timeFrom")) or DAY
    step = max(seconds_of(panel.get("interval")), -(-span // POINTS // SCRAPE) * SCRAPE)
    rate = max(step + SCRAPE, 4 * SCRAPE)
    expr = target["expr"].replace("$__rate_interval", f"{rate}s")
    expr = expr.replace("$__range", f"{span}s").replace("$__interval", f"{step}s")
    for name, value in [("$job", "wazzup"), ("$account", ".+"), ("$team", ".*"), ("$user", ".*")]:
        expr = expr.replace(name, value)
    if target["instant"]:
        # Grafana knows the beginning and the end of the range of an instant query, too.
        answer = prometheus.get("/api/v1/query", query=expr, time=end)
    else:
        begin = (end - span) // step * step
        answer = prometheus.get("/api/v1/query_range", query=expr, start=begin, end=end // step * step, step=step)
    return len(json.loads(answer)["data"]["result"])


def cost(prometheus, panels, end):
    whole = 0
    for panel in panels:
        for target in panel.get("targets", ()):
            before = prometheus.seconds()
            series = ask(prometheus, panel, target, end)
            spent = prometheus.seconds() - before
            whole += spent
            print(f"{spent:7.2f} {series:7}  {panel['title']} {target['refId']}", flush=True)
    return whole


def main():
    folder = Path(sys.argv[1])
    end = recorded(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 2000) - SCRAPE
    prometheus = Prometheus(folder)
    try:
        prometheus.wait()
        dashboard = json.loads((HERE / "dashboards/team-backlog.json").read_text(encoding="utf-8"))
        print(f"{'CPU s':>7} {'series':>7}  panel and query")
        whole = cost(prometheus, dashboard["panels"], end)
        print(f"{whole:7.2f}          one refresh, every {dashboard['refresh']}")
        for row in dashboard["panels"]:
            if row.get("collapsed"):
                print(f"{cost(prometheus, row['panels'], end):7.2f}          more while *{row['title']}* is open")
    finally:
        prometheus.process.terminate()
        prometheus.process.wait()


if __name__ == "__main__":
    main()
