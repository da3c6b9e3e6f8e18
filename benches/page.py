"""Tables as Markdown, and docs/performance.md, which holds nothing else."""

import os
import pathlib
import platform
import re
import subprocess

from processes import NGINX, upstream


def number(value):
    """Three digits that matter."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    if value < 0.1:
        return f"{value:.3f}"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


class Table:
    """Rows of a table; one that cannot be measured says why."""

    def __init__(self, *columns):
        self.columns = columns
        self.rows = []

    def attempt(self, head, measure):
        """A row that begins with `head` and goes on with what `measure` gives."""
        try:
            cells = measure()
        except Exception as error:
            cells = [why(error)]
        missing = len(self.columns) - len(head) - len(cells)
        row = [*head, *cells, *["–"] * missing]
        self.rows.append([cell if isinstance(cell, str) else number(cell) for cell in row])
        print(" | ".join(self.rows[-1]), flush=True)

    def text(self):
        left = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "".join(f"| {' | '.join(row)} |\n" for row in left)


def why(error):
    """The reason in a cell of a table."""
    text = re.sub(r"\s+", " ", str(error)).replace("|", "/")
    return f"not measured: {text[:200] or type(error).__name__}"


class Section:
    """A part of the page: prose and tables in the order in which they were added."""

    def __init__(self, title, prose):
        self.parts = [f"## {title}\n", prose.strip() + "\n"]
        print(f"\n{title}", flush=True)

    def add(self, text):
        self.parts.append(text.strip("\n") + "\n")

    def table(self, title, *columns):
        if title:
            self.parts.append(f"### {title}\n")
        self.parts.append(Table(*columns))
        print(f"\n{title}\n{' | '.join(columns)}", flush=True)
        return self.parts[-1]

    def text(self):
        return "\n".join(part if isinstance(part, str) else part.text() for part in self.parts)


def said(*command):
    """The first line that a program prints, if it can be run."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError:
        return "not installed"
    return (ran.stdout + ran.stderr).strip().split("\n")[0]


def machine(tools):
    processor = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    yield "machine", (
        f"{processor[1] if processor else platform.machine()}, {os.cpu_count()} cores, "
        f"{memory / 1024**2:.0f} GiB, Linux {platform.release()}"
    )
    yield "exporter", said(tools.exporter, "--version")
    yield "compiler", said("rustc", "--version")
    yield "nginx", said(tools.nginx or "nginx", "-v").removeprefix("nginx version: ")
    yield "wrk", said(tools.wrk or "wrk", "-v").split(" Copyright")[0]
    yield "json_exporter", said(tools.json_exporter, "--version") if tools.json_exporter else "missing"


HEAD = """# Performance

Written by `make bench`, wholly: change `benches/`, not this page. {size}

Everything runs on one machine over loopback: the exporter, the simulated API, who scrapes, and what the exporter is
compared with. Absolute figures are therefore those of this machine with all of that on it; what carries over to
others is a **ratio of figures of one run**. No test depends on any of them. CPU is that of the named process alone,
user and system time together, with its children. *Peak* is the kernel's high-water mark of resident memory
(`VmHWM`), set back before each load; the other figures of memory are `VmRSS`, the median of a second.

| | |
| --- | --- |
{machine}
Load on the machine before the run: {load}. The run took {took}. The simulated API has no limit of requests here, the
configured one does not bind, and nothing is stored; everything else is as the exporter has it by default. One account
of one user looks like this, and of nginx this is common to all:

```yaml
{config}```

```nginx{nginx}```
"""

QUICK = (
    "**This one comes from a quick run (`make bench-quick`)**: small sizes and short loads, to see that everything "
    "can be measured. Its figures are coarse."
)
FULL = "It comes from a full run."


# Not measured by a run: what was measured when it was decided, on two cores that had other work as well.
TRIED = """## What was missed

- **gzip against nginx, 1,000 users**: 37 KB take the exporter 29 µs of CPU with one scraper and 16 with eight, nginx 15 and 13. nginx finds a file by its
  name; here a request passes routes, access rules and counters, and its response has a deadline. With one scraper, which
  waits for each answer, that is half of nginx's rate. Revision ddc7df6 took 176 to 279 µs at 10 users.
- **CPU of a reading against a bare loop, HTTP/2 with 64 in flight**: the loop sends all day and so has many answers in each
  read, 13.5 µs for each; sweeps rest between two of them. Measured on a busy machine, where both find work waiting, it was
  1.21 times the loop's. What the exporter does more by itself has no largest part: its own code 1.7 µs, tokio for the permit
  and the time limit of each request 1.3, the allocator 1.1, headers and what is dropped 0.9, clocks 0.4, the JSON of the
  answer 0.3, which the loop does not read.
- **Size of the binary**: 8.6 MB of code, 1.4 of constants, among them the time zones and the authorities, and 1.3 of tables for
  unwinding, without which a panic would end more than its account. By the names of the symbols (revision ddc7df6) serde-saphyr
  with the types that it reads has 1.6 MB, the C library and ring 1.2, tokio 0.5, rustls 0.4, h2 0.3, clap and the flags 0.4.
- **After reloads of 100,000 users** memory levels off at twice that at rest: the old and the new accounts are there at the
  same time, and the C library keeps what was freed between others. Smaller `MALLOC_TRIM_THRESHOLD_` and
  `MALLOC_MMAP_THRESHOLD_` change nothing (61 MiB before, 124 after ten reloads that change every account, with each).

## Where the time goes

A **scrape** between two publications: the views of all accounts are compared with those of the document, which is then given
again. Of 10 users 28 % of its time are the kernel's, 70 % the program's, in which nothing stands out: the largest are
copying (5 %), the allocator (8 %), and the routes and middleware of axum (12 % in all). The first scrape after a publication
renders and compresses the runs of about 1,000 users that have changed: of 100,000 users that all have, 133 ms
(*scrape_all_changed*), where compressing the same text in one piece takes 54 (*compress*).

A **reading** that is alone costs mostly the waking: one each 0.8 ms by HTTP/2 over TLS made 6.3 calls of the system, 2 of
them `epoll_wait` and 2 `futex`, of which 2.7 are left where the same readings follow each other. That, and not the program,
is why a reading in sweeps that are spread over their interval took 98 to 156 ms for 1,000 where sweeps without pauses
had taken 53.

A **reading**, with 8 in flight: 18 % are the kernel's, 80 % the program's, and again nothing stands out: the allocator takes
11 %, addresses, which are parsed and written several times, 6 %, copying 5 %, what reqwest copies of its client for each request 3 %, decoding the answer 2 %.

## What was tried

| what | instead of | kept | because |
| --- | --- | --- | --- |
| what turns a checksum into its share of the whole is kept with each part | deriving it from the length of each part for each document | yes | joining 2,000 checksums takes a fifth |
| zlib-rs looks which instructions the processor has | the least that all have | yes | a checksum takes a fifth |
| lines are compared by XXH3, 128 bits with a seed of the process | SipHash, 64 bits twice | yes | 93 KB take 4 µs of 200 |
| level 2 of deflate | level 1; level 3 | yes | 7.2 KB for 93 KB of lines where level 1 has 11.8; level 3 has 6.4 and takes twice as long or more |
| views in chunks of 64 users, shared until one changes | a copy for the poller and one for the view, in chunks of 1,000 | yes | 10,000 users take 17 MiB over the empty process where they took 37, with the text of each block that is no longer kept |
| scrapes under load are given the last answer for 20 ms, and their deadlines are one timer of the connection | rendering and compressing the metrics of the process for each, away from the async threads, and a task for each deadline | yes | a scrape of 10 users takes 13 to 20 µs instead of 176 to 279 |
| 64 idle connections to a host | all that were ever open | yes | the first sweep of 100,000 users opens 1,024, of 47 KB each; with 64 of them 59 MB are allocated instead of 104 |
| `MALLOC_ARENA_MAX=1` in the unit and in the image | as many pools of memory as threads | yes | 100,000 users take 97 MiB instead of 124 at rest, 112 instead of 141 after scrapes (ddc7df6) |
| size for what does not run for each request, byte or line; equal functions once; packed relocations | speed for all | yes | 14.7 MB instead of 19.4; 10 users take 12.9 MiB instead of 17.1; a reading takes 28 µs as before, but a configuration of 100,000 users is read in 1.1 s of CPU instead of 0.5 |
| all crates optimised as one (`lto = "fat"`, one unit) | four units that share what is small (`"thin"`) | yes | 11.7 MB instead of 14.6; 10 users take 10 MiB instead of 12, and a configuration of 100,000 users is checked in 0.40 s of CPU instead of 0.46 |
| the smallest code (`opt-level = "z"`) for crates that run once | small code (`"s"`) | no | 11.8 MB with it |
| speed for twelve crates of the inner loops only | for twenty | no | a reading takes 49 µs where it took 38 to 44 before, at the same time |
| permits that are granted at once where nothing has to be waited for | always by the task that serves the lanes | yes | a fifth fewer switches between threads for a reading |
| one thread for what waits | two | no | a task that keeps the only thread would stop probes |
| a thread of its own for polling | two threads that poll and serve | yes | a reading by HTTP/2 with 8 in flight makes 0.1 voluntary switches between threads instead of 1.4 and takes 19 to 24 µs instead of 31, with 64 20.7 instead of 28.6; one of 1,000 in 0.8 s 26 instead of 33; plain HTTP 20.3 instead of 22.4. With the ticks, one of 1,000 in 0.8 s 30 instead of 63 |
| requests of all accounts that became due one by one are sent each 20 ms | each at its time | yes | of 1,000 readings in 0.8 s by HTTP/2 each takes 36 µs instead of 54; plain HTTP 20.0 instead of 23.0 |
| speed for the two crates that parse YAML | size | no | a configuration of 100,000 users is checked in 0.50 s of CPU instead of 0.61, but 10 users take 0.4 MiB more at rest |
| what few requests need (a renewal, a refused tunnel, a large body) boxed, and the request built before it is waited for | all in the future of each request | no | 1.7 KB for each request in flight instead of 2.2, but no less CPU |
| roles in sorted rows, with each channel once | lists in a map, with a text of the channel in each | yes | not measured by itself |
| mimalloc 3 as the allocator | glibc's | no | 10,000 users took 63 MiB at rest instead of 44 (debug builds) |
"""


def example(tools):
    """A configuration, without its token."""
    with upstream(tools, 1, 1, "0ms") as api:
        text = api.configured({"interval": "30s"}).replace(api.token, "…")
        return text.replace(api.process.address, "127.0.0.1:PORT")


def page(tools, sections, load, took):
    rows = "".join(f"| {name} | {text} |\n" for name, text in machine(tools))
    size = f"{QUICK if tools.quick else FULL} Sizes: {', '.join(f'{a * u:,}' for a, u in tools.sizes)} users."
    took = f"{took // 60:.0f} min {took % 60:.0f} s"
    nginx = NGINX.format(here="FOLDER", user="user root;", http="…")
    head = HEAD.format(
        size=size, machine=rows, load=f"{load:.2f}", took=took, config=example(tools), nginx=nginx
    )
    return "\n".join([head, *(section.text() for section in sections), TRIED])
