#!/usr/bin/env python3
"""`make attack`: waves of hostile clients against a running exporter, and what they cost it.

While a wave lasts, an honest client scrapes and another one probes, one request after the other. A
wave is withstood if none of theirs fails. The table goes to docs/reliability.md, between its marks.

    ATTACK_ACCOUNTS, ATTACK_USERS   what is polled: 200 accounts of 500 users
    ATTACK_INTERVAL                 how often: 1m
    ATTACK_SECONDS                  how long a wave lasts: 20
    ATTACK_PRINT=1                  only prints the table
    EXPORTER=…                      the program
"""

import base64
import contextlib
import http.client
import os
import pathlib
import re
import resource
import select
import socket
import ssl
import subprocess
import sys
import threading
import time

from page import Table, number
from processes import Exporter, Failed, Process, Upstream, folder, until

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- attack: begin -->\n", "<!-- attack: end -->\n"
# Longer than any deadline of the exporter.
GUARD = 60

# bcrypt, cost 10, of "right".
HASH = "$2b$10$abcdefghijklmnopqrstuu1VS0P7v3ZJmd2gzBFIzgfN7OOl6Rl52"
# Each of them is valid, and has not logged in before his wave.
STRANGERS = 12


class Target:
    """The exporter under attack: where it is and how to speak to it."""

    def __init__(self, process, tls=None, login=None):
        self.process, self.tls = process, tls
        self.host, port = process.address.rsplit(":", 1)
        self.port = int(port)
        self.login = login

    def socket(self, alpn=None, source=None):
        raw = socket.create_connection((self.host, self.port), GUARD, source and (source, 0))
        if not self.tls:
            return raw
        context = ssl.create_default_context(cafile=self.tls)
        context.set_alpn_protocols([alpn or "http/1.1"])
        return context.wrap_socket(raw, server_hostname=self.host)

    def request(self, path, login=None, method="GET"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", "Accept-Encoding: gzip"]
        if login := login or self.login:
            lines.append(f"Authorization: {basic(login)}")
        return "\r\n".join([*lines, "", ""]).encode()

    def get(self, path, login=None, source=None):
        """The status of an answer that is read whole; `source` is the address of the client."""
        with contextlib.closing(self.socket(source=source)) as connection:
            connection.sendall(self.request(path, login))
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            answer.read()
            return answer.status


def basic(login):
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()


class Honest(threading.Thread):
    """A client that asks for a path again and again, and remembers the longest wait and every failure."""

    def __init__(self, target, path):
        super().__init__(daemon=True)
        self.target, self.path = target, path
        self.longest, self.answers, self.failures = 0.0, 0, []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            begun = time.monotonic()
            try:
                status = self.target.get(self.path)
                if status != 200:
                    self.failures.append(f"{self.path} answered {status}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{self.path}: {error or type(error).__name__}")
            self.answers += 1
            self.longest = max(self.longest, time.monotonic() - begun)

    def end(self):
        self.over.set()
        self.join(GUARD)


# The waves: each takes the target and its time in seconds, and says how much it did.


def in_parallel(count, seconds, work):
    """Lets so many threads repeat `work`; returns how often it was done."""
    end, done = time.monotonic() + seconds, []

    def repeat(number):
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                work(number)
            done.append(1)

    threads = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + GUARD)
    return len(done)


def hung_up(target, request, after=0.025):
    with contextlib.closing(target.socket()) as connection:
        connection.sendall(request)
        time.sleep(after)


def aborted(path):
    def wave(target, seconds):
        count = in_parallel(8, seconds, lambda _: hung_up(target, target.request(path)))
        return f"{count:,} requests"

    return wave


def aborted_logins(target, seconds):
    request = target.request("/metrics", ("u0", "wrong"))
    count = in_parallel(60, seconds, lambda _: hung_up(target, request))
    return f"{count:,} requests"


def wrong_passwords(target, seconds):
    """Beside the many who guess, each of the strangers comes once, from elsewhere, with the right password."""
    strangers = []

    def guess(number):
        target.get("/metrics", ("u0", f"wrong {number} {time.monotonic()}"))

    def come():
        for number in range(1, STRANGERS + 1):
            strangers.append(target.get("/metrics", (f"u{number}", "right"), "127.0.0.2"))

    visitor = threading.Thread(target=come, daemon=True)
    visitor.start()
    count = in_parallel(80, seconds, guess)
    visitor.join(GUARD)
    if strangers != [200] * STRANGERS:
        raise Failed(f"valid logins were answered {strangers}")
    return f"{count:,} guesses, {STRANGERS} valid logins"


def slow_readers(target, seconds):
    with contextlib.ExitStack() as stack:
        readers = []
        for _ in range(64):
            reader = stack.enter_context(contextlib.closing(socket.socket()))
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((target.host, target.port))
            reader.sendall(target.request("/metrics"))
            readers.append(reader)
        end = time.monotonic() + seconds
        while readers and time.monotonic() < end:
            for reader in select.select(readers, [], [], 0)[0]:
                if not reader.recv(100):
                    readers.remove(reader)
            time.sleep(0.5)
    return "64 connections, 200 B/s each"


def idle_connections(target, seconds):
    """Connections that say nothing, those that wait to be accepted among them."""
    with contextlib.ExitStack() as stack:
        for _ in range(5000):
            idle = stack.enter_context(contextlib.closing(socket.socket()))
            idle.setblocking(False)
            idle.connect_ex((target.host, target.port))
        time.sleep(seconds)
    return "5,000 connections"


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A header of HPACK with a name of the static table, never indexed."""
    head = bytes([0x10 | name]) if name < 15 else bytes([0x1F, name - 15])
    return head + bytes([len(value)]) + value.encode()


def closed_windows(target, seconds):
    """HTTP/2 connections with sixteen requests each, none of whose answers may be sent."""
    host, metrics = literal(1, target.host), literal(4, "/metrics")
    headers = b"\x82\x87" + host + metrics + b"\x90" + literal(23, basic(target.login))
    settings = frame(4, 0, 0, (4).to_bytes(2, "big") + (0).to_bytes(4, "big"))
    requests = b"".join(frame(1, 5, 2 * number + 1, headers) for number in range(16))
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            connection = stack.enter_context(contextlib.closing(target.socket("h2")))
            if connection.selected_alpn_protocol() != "h2":
                raise Failed("HTTP/2 was not agreed on")
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + requests)
        time.sleep(seconds)
    return "16 connections, 256 requests"


def reloads(target, _):
    config = target.process.config.read_text()
    for turn in range(20):
        changed = re.sub(r"^poll:\n", f"poll:\n  concurrency: {7 + turn % 2}\n", config, flags=re.M)
        target.process.write(changed)
        if (status := post(target, "/-/reload")) != 200:
            raise Failed(f"the reload was answered {status}")
    return "20 reloads"


def post(target, path):
    with contextlib.closing(target.socket()) as connection:
        connection.sendall(target.request(path, method="POST"))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status


PLAIN = {
    "aborted `GET /api/v1/status`": aborted("/api/v1/status"),
    "aborted `GET /`": aborted("/"),
    "aborted `GET /config`": aborted("/config"),
    "aborted `GET /metrics`": aborted("/metrics"),
    "slow readers of `/metrics`": slow_readers,
    "idle connections": idle_connections,
    "reloads": reloads,
}
SECURED = {
    "HTTP/2 with closed windows": closed_windows,
    "aborted wrong passwords": aborted_logins,
    "wrong passwords": wrong_passwords,
}
FEW_FILES = {"idle connections, `ulimit -n 256`": idle_connections}


def measure(target, wave, seconds):
    process = target.process
    scraper, prober = Honest(target, "/metrics"), Honest(target, "/-/healthy")
    if target.get("/metrics") != 200:
        raise Failed("it cannot be scraped before the wave")
    rest = process.resident()
    process.forget_peak()
    scraper.start()
    prober.start()
    try:
        volume = wave(target, seconds)
    finally:
        scraper.end()
        prober.end()
    begun = time.monotonic()
    if target.get("/metrics") != 200:
        raise Failed("it cannot be scraped after the wave")
    recovery, peak = time.monotonic() - begun, process.memory("VmHWM")
    failures = scraper.failures + prober.failures
    if failures:
        raise Failed(f"{len(failures)} of {scraper.answers + prober.answers} failed, as {failures[0]}")
    waits = [f"{one.longest * 1000:.0f}" for one in (scraper, prober)]
    return [volume, number(rest), number(peak), f"{peak / rest:.2f}", *waits, f"{recovery * 1000:.0f}"]


def secured(here):
    """The flags for an exporter with TLS and logins, and the file of its authority."""
    key, certificate = here / "key.pem", here / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=attacked"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    users = "".join(f"  u{number}: {HASH}\n" for number in range(STRANGERS + 1))
    web = here / "web.yaml"
    web.touch(mode=0o600)
    tls = f"tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n"
    web.write_text(f"{tls}basic_auth_users:\n{users}")
    return [f"--web.config.file={web}"], certificate


@contextlib.contextmanager
def attacked(program, config, kind):
    with folder() as here:
        flags, tls, login, before = [], None, None, []
        if kind == "secured":
            flags, tls = secured(here)
            login = ("u0", "right")
        if kind == "few files":
            before = ["prlimit", "--nofile=256:256"]
        process = Exporter(program, config, here, flags, before)
        try:
            yield Target(process, tls, login)
        finally:
            process.stop()


@contextlib.contextmanager
def simulated(program, accounts, users):
    with folder() as here:
        config = here / "simulated.yaml"
        command = [program, "simulator", "--listen=127.0.0.1:0", "--control", f"--accounts={accounts}"]
        command += [f"--users={users}", f"--write-config={config}"]
        process = Process(command, r"([\d.]+:\d+)", here)
        try:
            text = until("configuration", lambda: config.exists() and config.read_text())
            yield Upstream(process, text, accounts, users)
        finally:
            process.stop()


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    program = pathlib.Path(os.environ["EXPORTER"]).resolve()
    accounts = int(os.environ.get("ATTACK_ACCOUNTS", 200))
    users = int(os.environ.get("ATTACK_USERS", 500))
    seconds = float(os.environ.get("ATTACK_SECONDS", 20))
    table = Table(
        "wave", "volume", "MiB at rest", "at its peak", "×",
        "longest scrape, ms", "longest probe, ms", "first scrape after it, ms",
    )  # fmt: skip
    with simulated(program, accounts, users) as api:
        config = api.configured({"interval": os.environ.get("ATTACK_INTERVAL", "1m")})
        for kind, waves in ("plain", PLAIN), ("secured", SECURED), ("few files", FEW_FILES):
            with attacked(program, config, kind) as target:
                until("readings", lambda: target.get("/-/ready") == 200, 300, 0.5)
                for name, wave in waves.items():
                    table.attempt([name], lambda: measure(target, wave, seconds))
    failed = [row[0] for row in table.rows if any("not measured" in cell for cell in row)]
    text = (
        f"{accounts * users:,} users in {accounts} accounts, {seconds:.0f} s for each wave, "
        f"{os.cpu_count()} cores.\n\n{table.text()}"
    )
    print("\n" + text)
    if not os.environ.get("ATTACK_PRINT"):
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1])
        print(f"Written to {PAGE.relative_to(ROOT)}.")
    if failed:
        sys.exit(f"not withstood: {', '.join(failed)}")


if __name__ == "__main__":
    main()
