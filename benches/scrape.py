"""What a scrape costs, beside nginx with the same bytes in files and GaugeVecs with the same series."""

from page import Section, number, why
from processes import LARGE, exporter, folder, nginx, running, until, upstream, wrk

PROSE = """
wrk asks for `/metrics` over kept connections: `wrk -t1 -c1|8 -d{seconds}s --latency` (twice as long at 100,000 users, of GaugeVec six times), with `Accept-Encoding: gzip` or
without. *sweeps*: accounts of up to 500 users are polled in the meantime at the interval that the title names, and every
answer of the simulated API takes 100 ms; nginx is asked under the same load. *idle*: the same exporter with an interval of an
hour, between two sweeps. **nginx** serves the bytes of one answer as static files (2 workers, `sendfile`,
`gzip_static`). **GaugeVec** is a server of hyper with every series in `GaugeVec`s of the prometheus crate, gathered,
encoded and compressed (level 2) for each answer. *× nginx* and *× GaugeVec* are the exporter's requests a second
over theirs. *CPU* is microseconds for each scrape, in *sweeps* with what the sweeps need; *latency* is p50 / p99 in ms.
"""

STATIC = """
    server {{
        listen 127.0.0.1:{{port}};
        root {here};
        gzip_static on;
        default_type text/plain;
    }}"""

# The interval of an account, so that sweeps go on in every second of a measurement.
INTERVALS = {10: "1s", 100_000: "60s"}


def run(tools, sections):
    section = Section("Scrape", PROSE.format(seconds=tools.seconds))
    sections.append(section)
    for accounts, users in tools.sizes:
        total = accounts * users
        interval = INTERVALS.get(total, "10s")
        table = section.table(
            f"{total:,} users in {accounts} account{'s' * (accounts > 1)}, interval {interval}",
            "", "encoding", "scrapers", "bytes",
            "exporter: requests/s", "latency", "CPU",
            "nginx: requests/s", "latency", "CPU", "× nginx",
            "GaugeVec: requests/s", "latency", "CPU", "× GaugeVec",
        )  # fmt: skip
        try:
            measure(tools, table, accounts, users, interval)
        except Exception as error:
            section.add(f"The rest is {why(error)}.")


def measure(tools, table, accounts, users, interval):
    with upstream(tools, accounts, users, "100ms") as api, folder() as here:
        with exporter(tools, api.configured({"interval": interval})) as ours:
            until("first sweep", lambda: api.swept(1), 300, 0.5)
            # Series of a whole sweep appear with its end.
            accounts_up = "wazzup_sweep_last_timestamp_seconds{"
            until("view", lambda: ours.get("/metrics").decode().count(accounts_up) == accounts, pause=0.5)
            plain, packed = ours.get("/metrics"), ours.get("/metrics", {"Accept-Encoding": "gzip"})
            (here / "metrics").write_bytes(plain)
            (here / "metrics.gz").write_bytes(packed)
            with nginx(tools, here, STATIC.format(here=here)) as static:
                beside = {True: len(packed), False: len(plain)}
                seconds = tools.seconds_for(accounts * users)
                rows(tools, table, "sweeps", beside, (ours, seconds), (static, seconds), None)
                ours.reload(api.configured({"interval": "1h"}))
                until("end of the sweeps", api.is_quiet)
                with running([tools.peers, "gauges", here / "metrics"], r"^([\d.]+:\d+)$") as gauges:
                    slower = (gauges, seconds * 3 if accounts * users > LARGE else seconds)
                    rows(tools, table, "idle", beside, (ours, seconds), (static, seconds), slower)


def rows(tools, table, state, sizes, *servers):
    """Loads each of the servers, which come with the seconds that they need, in every way."""
    for gzip in (True, False):
        for scrapers in (1, 8):
            head = [state, "gzip" if gzip else "identity", str(scrapers), f"{sizes[gzip]:,}"]

            def load(server):
                if server is None:
                    return None
                process, seconds = server
                try:
                    return wrk(tools, process, "/metrics", seconds, scrapers, gzip)
                except Exception as error:
                    return why(error)

            def cells():
                own, *others = [load(server) for server in servers]
                beside = [cell for other in others for cell in [*shown(other), ratio(own, other)]]
                return [*shown(own), *beside]

            table.attempt(head, cells)


def shown(said):
    if not isinstance(said, dict):
        return [said or "–", "–", "–"]
    return [said["rate"], f"{number(said['p50'])} / {number(said['p99'])}", said["cpu"]]


def ratio(own, other):
    both = isinstance(own, dict) and isinstance(other, dict)
    return own["rate"] / other["rate"] if both else "–"
