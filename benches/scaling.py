#!/usr/bin/env python3
"""`make scaling`: a million users over shards, and what one of the shards takes.

Which accounts a shard has is computed here a second time, from docs/scaling.md, and compared with what `check-config`
says. Then the release binary runs as one shard of several, with the whole configuration, against the simulated API, which
has the accounts of this shard alone. The tables are printed and written into docs/scaling.md.

    SCALING_ACCOUNTS=10000   accounts in the configuration, of 100 users each
    EXPORTER=…               the binary
"""

import contextlib
import gzip
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import time

from processes import Failed, folder, running, until

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/scaling.md"
BEGIN, END = "<!-- written by make scaling -->\n", "<!-- the end of what it writes -->\n"
MASK = (1 << 64) - 1
USERS = 100
INTERVAL = 60
# Shards, and what is shown of users.
MEASURED = [(50, "minimal"), (50, "full"), (20, "full")]


def key(name):
    """FNV-1a of the name in UTF-8, and the finalizer of MurmurHash3."""
    hashed = 0xCBF29CE484222325
    for byte in name.encode():
        hashed = (hashed ^ byte) * 0x100000001B3 & MASK
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashed = (hashed ^ hashed >> 33) * factor & MASK
    return hashed ^ hashed >> 33


def owner(name, shards):
    """Jump consistent hash, https://arxiv.org/abs/1406.2294."""
    state, bucket, following = key(name), -1, 0
    while following < shards:
        bucket = following
        state = (state * 2862933555777941757 + 1) & MASK
        following = int((bucket + 1) * ((1 << 31) / ((state >> 33) + 1)))
    return bucket


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def sizes(names):
    """Users of each account: few of most, many of some; a million of ten thousand."""
    chance = random.Random(1)
    drawn = {name: chance.lognormvariate(0, 1) for name in names}
    scale = len(names) * USERS / sum(drawn.values())
    return {name: max(1, round(size * scale)) for name, size in drawn.items()}


def balance(names):
    users, rows = sizes(names), []
    for shards in (2, 3, 5, 10, 20, 50, 100):
        accounts, people = [0] * shards, [0] * shards
        for name in names:
            where = owner(name, shards)
            accounts[where] += 1
            people[where] += users[name]
        most = max(people) / statistics.mean(people)
        rows.append([shards, f"{min(accounts):,} to {max(accounts):,}", f"{min(people):,} to {max(people):,}", f"{most:.2f}"])
    return table(["shards", "accounts of each", "users of each", "largest / mean"], rows)


def movement(names):
    rows = []
    for before, after in ((2, 3), (3, 5), (5, 3), (10, 11), (10, 20), (50, 51)):
        moved = sum(owner(name, before) != owner(name, after) for name in names)
        least = abs(after - before) / max(after, before)
        rows.append([f"{before} → {after}", f"{moved:,}", f"{moved / len(names):.1%}", f"{least:.1%}"])
    return table(["shards", "accounts that move", "of all", "least possible"], rows)


def configuration(names, tokens, url, profile):
    """Every account of the partner; those of the shard with the tokens that the simulated API takes."""
    lines = [f"poll: {{interval: {INTERVAL}s}}", "max_in_flight: 1024", f"export: {{profile: {profile}}}", "accounts:"]
    for name in names:
        token = tokens.get(name, f"token-of-{name}")
        lines.append(f"  - {{name: {name}, base_url: '{url}', auth: {{token: {token}}}, "
                     f"discover_users: {{enabled: true, max_users: {USERS}}}}}")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def shard(exporter, names, shards, profile):
    """One shard that runs, and the simulated API that has its accounts."""
    own = [name for name in names if owner(name, shards) == 0]
    with folder() as here:
        command = [exporter, "simulator", "--listen=127.0.0.1:0", f"--accounts={len(own)}", f"--users={USERS}",
                   "--control", f"--write-config={here / 'simulated.yaml'}"]
        with running(command, r"answers at http://([\d.]+:\d+)", here) as api:
            until("configuration", lambda: (here / "simulated.yaml").exists())
            tokens = re.findall(r'token: "(.*)"', (here / "simulated.yaml").read_text())
            config = here / "config.yaml"
            config.touch(mode=0o600)
            config.write_text(configuration(names, dict(zip(own, tokens)), f"http://{api.address}", profile))
            checked = subprocess.run([exporter, "check-config", f"--config.file={config}", f"--total-shards={shards}"],
                                     capture_output=True, text=True, check=True).stdout
            agree(checked, names, shards)
            flags = [f"--config.file={config}", "--web.listen-address=127.0.0.1:0", "--shard=0", f"--total-shards={shards}"]
            with running([exporter, *flags], r"listening.* address=(\S+:\d+)", here) as process:
                yield process, own


def agree(checked, names, shards):
    counts = [0] * shards
    for name in names:
        counts[owner(name, shards)] += 1
    said = re.search(r"accounts of each: (.*)", checked)[1]
    if said != f"{min(counts)} to {max(counts)}":
        sys.exit(f"check-config says {said}, and the hash {counts}")


def scrape(process):
    begun = time.monotonic()
    body = process.get("/metrics", {"accept-encoding": "gzip"})
    return body, time.monotonic() - begun


def total(text, family):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(family))


def measured(exporter, names, shards, profile):
    with shard(exporter, names, shards, profile) as (process, own):
        users = len(own) * USERS
        seen = lambda: total(gzip.decompress(scrape(process)[0]).decode(), "wazzup_user_up{") >= users
        until("reading of every user", seen, 10 * INTERVAL, 5)
        # The first sweep runs as fast as it may; the next begins an interval later, spread.
        time.sleep(INTERVAL)
        requests = lambda: total(gzip.decompress(scrape(process)[0]).decode(), "wazzup_api_requests_total{")
        asked, cpu, begun = requests(), process.cpu(), time.monotonic()
        while time.monotonic() < begun + INTERVAL:
            time.sleep(15)
            body, took = scrape(process)
        passed = time.monotonic() - begun
        cpu, asked = (process.cpu() - cpu) / passed, (requests() - asked) / passed
        text = gzip.decompress(body).decode()
        series = [line for line in text.splitlines() if not line.startswith("#")]
        of_users = sum('user="' in line for line in series) / users
        return [shards, profile, f"{len(own):,}", f"{users:,}", f"{asked:.0f}", f"{cpu * 100:.0f} %",
                f"{process.resident():,.0f}", f"{len(series):,}", f"{of_users:.1f}",
                f"{len(text) / 2**20:.1f}", f"{len(body) / 2**20:.2f}", f"{took:.2f}"]


def main():
    exporter = pathlib.Path(os.environ["EXPORTER"]).resolve()
    names = [f"customer-{number:05}" for number in range(int(os.environ.get("SCALING_ACCOUNTS", 10_000)))]
    load = os.getloadavg()[0]
    head = ["shards", "profile", "accounts", "users", "requests/s", "CPU of a core", "memory, MiB", "series", "series per user",
            "scrape, MiB", "compressed, MiB", "seconds"]
    rows = []
    for plan in MEASURED:
        try:
            rows.append(measured(exporter, names, *plan))
        except Failed as why:
            rows.append([*plan, f"not measured: {why}"] + ["–"] * (len(head) - 3))
        print(rows[-1], flush=True)
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}"
    text = (f"{len(names):,} accounts, {len(names) * USERS:,} users, read every {INTERVAL} s; {machine}, with the simulated API on the same\n"
            f"machine, load {load:.1f} before the run.\n\n{balance(names)}\n{movement(names)}\n{table(head, rows)}")
    print(text)
    if PAGE.exists():
        before, rest = PAGE.read_text().split(BEGIN)
        _, after = rest.split(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
