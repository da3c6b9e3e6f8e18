"""json_exporter, which people would take instead, reading the same counters over TLS."""

import http.client
import re
import time
import urllib.parse

from page import Section
from processes import Failed, exporter, folder, running, tls_in_front, until, upstream

PROSE = """
Both read the same simulated users over TLS, through an nginx that ends it and counts connections. The exporter reads
all of them five times, with an interval of a second, which bounds its rate; **json_exporter** is probed once for each
user over one kept connection, as a Prometheus would with one target for each user. *CPU* is milliseconds for 1,000
readings.
"""

CONFIG = """
modules:
  default:
    http_client_config:
      authorization: {{type: Bearer, credentials: "{token}"}}
      tls_config: {{ca_file: "{authority}"}}
    metrics:
      - {{name: unanswered, path: "{{.data.counter}}", help: Unanswered messages., labels: {{type: "{{.data.type}}"}}}}
"""


def run(tools, sections):
    section = Section("Peer", PROSE)
    sections.append(section)
    table = section.table("", "", "users", "readings/s", "CPU", "MiB resident", "connections per reading")
    users = 100 if tools.quick else 1000
    with upstream(tools, 1, users, "0ms") as api, tls_in_front(tools, api.process) as (front, authority):
        for name, measure in (("wazzup-exporter", ours), ("json_exporter", theirs)):
            table.attempt([name, f"{users:,}"], lambda: measure(tools, api, front, authority))


def connections(front):
    """Accepted so far. Each question is one itself."""
    return int(re.search(r"requests\s+(\d+)", https(front, "/status"))[1])


def https(front, path):
    import ssl

    unchecked = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(*front.address.split(":"), timeout=10, context=unchecked)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def figures(api, front, process, read):
    """What `process` needs for the readings that `read` makes."""
    accepted, readings, cpu, begun = connections(front), api.readings(), process.cpu(), time.monotonic()
    read()
    took, cpu, readings = time.monotonic() - begun, process.cpu() - cpu, api.readings() - readings
    accepted = connections(front) - accepted - 1
    return [readings / took, cpu * 1e6 / readings, process.memory("VmRSS"), f"{accepted / readings:.3f}"]


def ours(tools, api, front, authority):
    config = api.configured({"interval": "1s"}, (front.url("", "https"), str(authority)))
    with exporter(tools, config) as process:
        # From the first reading on, so that its connections count.
        return figures(api, front, process, lambda: until("sweeps", lambda: api.swept(5), pause=0.01))


def theirs(tools, api, front, authority):
    if not tools.json_exporter:
        raise Failed("name the program in `JSON_EXPORTER`")
    with folder() as here:
        (here / "config.yml").write_text(CONFIG.format(token=api.token, authority=authority))
        command = [tools.json_exporter, "--config.file", here / "config.yml", "--web.listen-address=127.0.0.1:0"]
        with running(command, r"[Ll]istening on.* address=(\S+:\d+)", here) as process:
            return figures(api, front, process, lambda: probe(api, front, process))


def probe(api, front, process):
    connection = http.client.HTTPConnection(*process.address.split(":"), timeout=10)
    for user in range(1, api.users + 1):
        target = front.url(f"/v2/counters/unanswered/u{user:05}", "https")
        connection.request("GET", "/probe?" + urllib.parse.urlencode({"module": "default", "target": target}))
        answer = connection.getresponse()
        body = answer.read()
        if b"\nunanswered{" not in body:
            raise Failed(f"json_exporter answered {answer.status}: {body[:200]!r}")
    connection.close()
