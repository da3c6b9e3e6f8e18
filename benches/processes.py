"""The processes of a benchmark: started on loopback, measured through /proc, ended by their ids.

Everything here is a context manager, so that whatever goes wrong leaves neither processes nor folders.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

GUARD = 120
# Users from which on answers have tens of megabytes.
LARGE = 50_000


class Failed(Exception):
    """A figure that cannot be had, and why."""


def until(what, fits, seconds=GUARD, pause=0.05):
    """Asks again until there is a truthy answer, which is returned."""
    end = time.monotonic() + seconds
    while True:
        if answer := fits():
            return answer
        if time.monotonic() > end:
            raise Failed(f"no {what} within {seconds:.0f} s")
        time.sleep(pause)


class Process:
    """A running process with its children, and the address that it listens on."""

    def __init__(self, command, said, folder, environment=None):
        """Starts `command`, which tells its address by a line of standard output or error in which `said`
        finds it; with no `said` it tells none."""
        # A benchmark must not be steered by what happens to be set.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAZZUP_", "MALLOC_"))}
        kept.update(environment or {})
        self.begun = time.perf_counter()
        self.child = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.pid = self.child.pid
        self.address = None
        self.last_lines = []
        try:
            while said and not self.address:
                self.address = self._next_address(said)
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._drain, daemon=True).start()

    def _next_address(self, said):
        line = self.child.stdout.readline()
        if not line:
            raise Failed(f"{self.child.args[0]} ended: {' '.join(self.last_lines)[-300:]}")
        self.last_lines = [*self.last_lines[-4:], line.strip()]
        found = re.search(said, line)
        return found and found[1]

    def _drain(self):
        for line in self.child.stdout:
            self.last_lines = [*self.last_lines[-4:], line.strip()]

    def stop(self):
        """Ends it, at once if it takes longer than ten seconds."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if self.child.poll() is None:
                self.child.send_signal(sent)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.child.wait(10)

    def pids(self):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [self.pid, *map(int, children.read_text().split())]

    def cpu(self):
        """Seconds of CPU so far, to the nanosecond: the clock that clock_getcpuclockid(3) names."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.pids())

    def memory(self, line):
        """`VmRSS` or `VmHWM`, in MiB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{line}:\s+(\d+) kB$", status, re.M)[1]) / 1024

    def resident(self):
        """The median of a second."""
        seen = []
        for _ in range(10):
            seen.append(self.memory("VmRSS"))
            time.sleep(0.1)
        return statistics.median(seen)

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def get(self, path, headers=None, method="GET", guard=GUARD):
        """The body of an answer 200."""
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=guard)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != 200:
            raise Failed(f"{path} answered {answer.status}: {body[:200]!r}")
        return body

    def url(self, path, scheme="http"):
        return f"{scheme}://{self.address}{path}"


@contextlib.contextmanager
def running(command, said=None, folder=None):
    process = Process(command, said, folder)
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="wazzup-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Upstream:
    """The simulated API without its limit, and the configuration that fits it."""

    def __init__(self, process, config, accounts, users):
        self.process, self.config = process, config
        self.accounts, self.users = accounts, users
        self.token = re.search(r'token: "(.*)"', config)[1]

    def counts(self):
        return json.loads(self.process.get("/_control/counts"))

    def readings(self):
        return self.counts()["endpoints"].get("counter", 0)

    def all_good(self):
        """Fails if a request was refused or left: its figures would be those of something else."""
        counts = self.counts()
        if set(counts["statuses"]) != {"200"} or counts["unanswered"]:
            raise Failed(f"answers were {counts['statuses']}, {counts['unanswered']} had none")

    def is_quiet(self):
        """Whether a second passes without a reading."""
        before = self.readings()
        time.sleep(1)
        return self.readings() == before

    def swept(self, times):
        """Whether every account was read so often."""
        accounts = self.counts()["accounts"].values()
        fewest = min(one["endpoints"].get("counter", 0) for one in accounts)
        return len(accounts) == self.accounts and fewest >= times * self.users

    def configured(self, poll, tls=None):
        """The configuration with these lines in `poll`, to reach it through `tls` if there is one."""
        lines = "".join(f"  {key}: {value}\n" for key, value in poll.items())
        text = re.sub(r"^poll:\n(  .*\n)+", f"max_in_flight: 1024\npoll:\n{lines}", self.config)
        if tls:
            url, authority = tls
            plain = f'    base_url: "{self.process.url("")}"\n'
            secure = f'    base_url: "{url}"\n    tls: {{ca_file: "{authority}"}}\n'
            text = text.replace(plain, secure)
        return text


@contextlib.contextmanager
def upstream(tools, accounts, users, latency):
    with folder() as here:
        config = here / "config.yaml"
        command = [tools.peers, "upstream", f"--accounts={accounts}", f"--users={users}"]
        command += [f"--latency={latency}", f"--write-config={config}"]
        with running(command, r"^([\d.]+:\d+)$", here) as process:
            yield Upstream(process, config.read_text(), accounts, users)


class Exporter(Process):
    """The release binary with a configuration that can be replaced."""

    def __init__(self, program, config, here, flags=(), before=()):
        self.config = here / "config.yaml"
        self.write(config)
        usual = ["--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"]
        command = [*before, program, f"--config.file={self.config}", *usual, *flags]
        # As the unit, the image and the chart start it.
        super().__init__(command, r"listening.* address=(\S+:\d+)", here, {"MALLOC_ARENA_MAX": "1"})

    def write(self, config):
        self.config.touch(mode=0o600)
        self.config.write_text(config)

    def reload(self, config):
        self.write(config)
        self.get("/-/reload", method="POST")

    def sample(self, name):
        """The first sample of a family."""
        found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", self.get("/metrics").decode(), re.M)
        if not found:
            raise Failed(f"there is no {name}")
        return float(found[1])


@contextlib.contextmanager
def exporter(tools, config):
    with folder() as here:
        process = Exporter(tools.exporter, config, here)
        try:
            yield process
        finally:
            process.stop()


NGINX = """
daemon off;
worker_processes 2;
pid {here}/nginx.pid;
error_log stderr crit;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    {http}
}}
"""


@contextlib.contextmanager
def nginx(tools, here, http):
    """An nginx of two workers with these lines in `http`, where {port} stands for its port."""
    if not tools.nginx:
        raise Failed("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""
    config = here / "nginx.conf"
    config.write_text(NGINX.format(here=here, user=user, http=http.replace("{port}", str(port))))
    with running([tools.nginx, "-p", here, "-c", config], folder=here) as process:
        process.address = f"127.0.0.1:{port}"

        def answers():
            if process.child.poll() is not None:
                raise Failed(f"nginx ended: {' '.join(process.last_lines)}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return len(process.pids()) == 3

        until("nginx", answers)
        yield process


@contextlib.contextmanager
def tls_in_front(tools, target, http2=True):
    """An nginx that speaks TLS before `target`; yields it and the file of its authority."""
    with folder() as here:
        key, certificate = here / "key.pem", here / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=simulated"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        http = f"""
    upstream api {{ server {target.address}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{{port}} ssl{" http2" if http2 else ""};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location /status {{ stub_status; }}
        location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}"""
        with nginx(tools, here, http) as process:
            yield process, certificate


def wrk(tools, process, path, seconds, connections, gzip):
    """What wrk says, and the CPU that `process` took for each request, in microseconds."""
    if not tools.wrk:
        raise Failed("wrk is not installed")
    command = [tools.wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "60s"]
    command += ["-H", "Accept-Encoding: gzip"] if gzip else []
    before = process.cpu()
    ran = subprocess.run(
        [*command, process.url(path)], capture_output=True, text=True, timeout=seconds + GUARD
    )
    spent = process.cpu() - before
    return wrk_says(ran.stdout + ran.stderr, spent)


def wrk_says(text, spent):
    requests = re.search(r"(\d+) requests in ", text)
    if not requests or int(requests[1]) == 0:
        raise Failed("no request ended in time")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if refused:
        raise Failed(f"{refused[1]} of {requests[1]} answers were refusals")
    errors = re.search(r"Socket errors: (.*)", text)
    if errors:
        raise Failed(f"socket errors: {errors[1]}")

    def quantile(percent):
        value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", text).groups()
        return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]

    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return {
        "rate": rate,
        "p50": quantile(50),
        "p99": quantile(99),
        "cpu": spent * 1e6 / int(requests[1]),
    }
