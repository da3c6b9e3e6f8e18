"""How much memory the exporter holds, at rest, under load and after a long time."""

import socket
import time

from page import Section, why
from processes import exporter, until, upstream, wrk

PROSE = """
MiB resident, of one process for each row, in the order of the columns. *At rest*: after the first sweep, before any
scrape, with an interval of {interval}. *8 scrapers*: the peak while wrk scrapes with 8 connections, as long as above. *8 slow
readers*: the peak while 8 clients take 10 KB a second each, as long. *Sweeps*: after so many more sweeps without a pause
and without latency, which end with an interval of an hour. *Reloads*: after 20 more reloads, each of which
changes a setting of every account.
"""
RELOADS = 20
IDLE = "1h"


def run(tools, sections):
    interval = "5s" if tools.quick else "30s"
    section = Section("Memory", PROSE.format(interval=interval))
    sections.append(section)
    table = section.table(
        "", "users", "at rest",
        "8 scrapers, gzip", "8 slow readers, gzip", "8 scrapers, identity", "8 slow readers, identity",
        "sweeps", "after them", f"after {RELOADS} reloads",
    )  # fmt: skip
    for accounts, users in tools.sizes:
        total = accounts * users
        sweeps = tools.sweeps.get(total, 0)
        # One account alone shows a leak of each sweep soonest.
        accounts, users = (1, total) if total <= 1000 else (accounts, users)
        table.attempt([f"{total:,}"], lambda: measure(tools, accounts, users, interval, sweeps))


def measure(tools, accounts, users, interval, sweeps):
    with upstream(tools, accounts, users, "0ms") as api:
        with exporter(tools, api.configured({"interval": interval})) as ours:
            until("first sweep", lambda: api.swept(1), 300, 0.5)
            cells = [ours.resident()]
            seconds = tools.seconds_for(accounts * users)
            for gzip in (True, False):
                cells.append(peak(ours, lambda: wrk(tools, ours, "/metrics", seconds, 8, gzip)))
                cells.append(peak(ours, lambda: read_slowly(ours, gzip, seconds)))
            if sweeps:
                # The shortest interval that the limit has room for.
                ours.reload(api.configured({"interval": "100ms", "concurrency": 64}))
                enough = api.readings() + sweeps * accounts * users
                until(f"{sweeps} sweeps", lambda: api.readings() >= enough, 900, 0.5)
            ours.reload(api.configured({"interval": IDLE}))
            cells += [f"{sweeps:,}", ours.resident()]
            for turn in range(RELOADS):
                ours.reload(api.configured({"interval": IDLE, "concurrency": 9 + turn % 2}))
            return [*cells, ours.resident()]


def peak(process, load):
    process.forget_peak()
    try:
        load()
    except Exception as error:
        return why(error)
    return process.memory("VmHWM")


def read_slowly(process, gzip, seconds):
    """Eight clients that leave in the middle of their answers, or idle after them."""
    host, port = process.address.rsplit(":", 1)
    wanted = "gzip" if gzip else "identity"
    request = f"GET /metrics HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: {wanted}\r\n\r\n".encode()
    readers = []
    try:
        for _ in range(8):
            reader = socket.socket()
            readers.append(reader)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((host, int(port)))
            reader.sendall(request)
            reader.setblocking(False)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for reader in readers:
                try:
                    reader.recv(1024)
                except BlockingIOError:
                    pass
            time.sleep(0.1)
    finally:
        for reader in readers:
            reader.close()
