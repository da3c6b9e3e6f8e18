"""What reading counters costs, beside a bare loop of reqwest."""

import subprocess
import time

from page import Section, why
from processes import GUARD, Failed, exporter, tls_in_front, until, upstream

PROSE = """
One account whose limit does not bind, swept without a pause (interval 100 ms), for {seconds} s after the first sweep. **Loop** is
one reqwest client with so many tasks that send the same requests for as long, read the answers and drop them. *CPU* is
milliseconds for 1,000 readings. A sweep's *plan* is what the loop takes for as many readings: the simulated API adds one
to two milliseconds to its latency; the sweep's time is the median of those seen. With latency 0 the exporter, or the loop, and the simulated API share the processors, and with TLS an nginx
before it, too. *× loop* is the exporter's CPU for a reading over the loop's.
"""

COLUMNS = [
    "latency", "concurrency", "users",
    "readings/s", "CPU", "sweep", "plan", "sweep / plan",
    "loop: readings/s", "CPU", "× loop",
]  # fmt: skip


def run(tools, sections):
    section = Section("Poll", PROSE.format(seconds=tools.seconds))
    sections.append(section)
    table = section.table("Plain HTTP", *COLUMNS)
    for latency in (0, 50) if tools.quick else (0, 50, 200):
        for concurrency in (1, 8, 64):
            # Sweeps of two seconds; without latency of as many users as an account may have.
            users = 2000 // latency * concurrency if latency else 1000
            head = [f"{latency} ms", str(concurrency), f"{users:,}"]
            table.attempt(head, lambda: plain(tools, latency, concurrency, users))
    table = section.table("TLS, at latency 0, by an nginx that ends it", "protocol", *COLUMNS[1:])
    for http2 in (True, False):
        for concurrency in (8, 64):
            head = ["HTTP/2" if http2 else "HTTP/1.1", str(concurrency), "1,000"]
            table.attempt(head, lambda: encrypted(tools, http2, concurrency))


def plain(tools, latency, concurrency, users):
    with upstream(tools, 1, users, f"{latency}ms") as api:
        return side_by_side(tools, api, concurrency, latency > 0, None)


def encrypted(tools, http2, concurrency):
    with upstream(tools, 1, 1000, "0ms") as api, tls_in_front(tools, api.process, http2) as (front, authority):
        return side_by_side(tools, api, concurrency, False, (front.url("", "https"), str(authority)))


def side_by_side(tools, api, concurrency, planned, tls):
    rate, cpu, sweep = sweeps(tools, api, concurrency, tls)
    try:
        loop_rate, loop_cpu = loop(tools, api, concurrency, tls)
    except Exception as error:
        return [rate, cpu, sweep, "–", "–", why(error)]
    plan = api.users / loop_rate
    times = [sweep, plan, sweep / plan] if planned else [sweep, "–", "–"]
    return [rate, cpu, *times, loop_rate, loop_cpu, cpu / loop_cpu]


def sweeps(tools, api, concurrency, tls):
    poll = {"interval": "100ms", "concurrency": concurrency}
    # Lists would come in between every minute.
    config = api.configured(poll, tls).replace("    base_url:", "    channels: {enabled: false}\n    base_url:")
    with exporter(tools, config) as ours:
        until("first sweep", lambda: api.swept(1))
        before, cpu, begun = api.readings(), ours.cpu(), time.monotonic()
        time.sleep(tools.seconds)
        readings, cpu = api.readings() - before, ours.cpu() - cpu
        took = time.monotonic() - begun
        if readings == 0:
            raise Failed("nothing was read")
        api.all_good()
        durations = []
        for _ in range(5):
            last = ours.sample("wazzup_sweep_last_timestamp_seconds")
            durations.append(ours.sample("wazzup_sweep_duration_seconds"))
            until("next sweep", lambda: ours.sample("wazzup_sweep_last_timestamp_seconds") != last)
            if time.monotonic() - begun > 2 * tools.seconds:
                break
        return readings / took, cpu * 1e6 / readings, sorted(durations)[len(durations) // 2]


def loop(tools, api, concurrency, tls):
    url, authority = tls or (api.process.url(""), None)
    command = [tools.peers, "loop", url, api.token, str(api.users), str(concurrency), str(tools.seconds)]
    command += [authority] if authority else []
    ran = subprocess.run(command, capture_output=True, text=True, timeout=tools.seconds + GUARD)
    if ran.returncode:
        raise Failed(ran.stderr[-200:])
    readings, took, spent = map(float, ran.stdout.split())
    return readings / took, spent * 1e6 / readings
