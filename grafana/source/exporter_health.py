"""The dashboard *Exporter health*: whether the exporter does its work, and what keeps it from it."""

from common import (
    BAD_ABOVE_ZERO,
    BUDGET,
    COLORED,
    DOUBT_ABOVE_ZERO,
    GOOD_AT_ONE,
    HEALTH,
    TOKEN_LEFT,
    accounts,
    channels_down,
    failing,
    resets,
    source_and_job,
    to_status_page,
    to_team,
)
from grafana import NONE, dashboard, fixed, now, override, query, row, stat, steps, table, timeseries, words
from promql import ACCOUNT, select

NO_RESET = "no account may have `reset` enabled"
NO_TOKEN, NOT_OK = 'endpoint!="token"', 'outcome!="ok"'
RARE = "there may be nothing of the kind"


def per_second(metric, *matchers):
    return f"rate({select(metric, *matchers, range='[$__rate_interval]')})"


def by_account(metric, how="max"):
    return f"{how} by (account) ({select(metric, ACCOUNT)})"


def at_a_glance():
    total = f"sum({by_account('wazzup_account_users')})"
    up = f"sum(max by (account, user) ({select('wazzup_user_up', ACCOUNT)}))"
    hashes = f'max(count by (job) (count_values by (job) ("hash", {select("wazzup_exporter_config_hash")})))'
    configured = f"max by (job) ({select('wazzup_exporter_accounts_configured')})"
    polled = f"count by (job) (group by (job, account) ({select('wazzup_account_users')}))"
    lost = f"sum(\n  {configured}\n  - on (job) ({polled} or on (job) 0 * {configured})\n)"
    twice = f"count(count by (account) ({select('wazzup_up')}) > 1)\nor 0 * count({select('wazzup_up')})"
    tile = {"background": True, "width": 3, "height": 4}
    return [
        stat(
            "Exporters down",
            "Targets of the job that Prometheus cannot scrape.",
            [now(f"sum(1 - {select('up')})")],
            thresholds=BAD_ABOVE_ZERO,
            **tile,
        ),
        stat(
            "Accounts down",
            "Accounts without a fresh reading, or with a failure that concerns all of their managers.",
            [now(f"sum(1 - {by_account('wazzup_up')})")],
            thresholds=BAD_ABOVE_ZERO,
            **tile,
        ),
        stat(
            "Managers read",
            "The share of all polled managers with a fresh reading.",
            [now(f"{up} / {total}")],
            unit="percentunit",
            decimals=1,
            thresholds=steps(("red", None), ("orange", 0.9), ("green", 1)),
            **tile,
        ),
        stat(
            "Configuration",
            "Whether the last attempt to load the configuration succeeded, in every exporter.",
            [now(f"min({select('wazzup_exporter_config_last_reload_successful')})")],
            thresholds=GOOD_AT_ONE,
            mappings=words({1: ("loaded", "green"), 0: ("refused", "red")}),
            **tile,
        ),
        stat(
            "Configurations",
            "How many different configurations run within one job; with several shards or replicas it should be one.",
            [now(hashes)],
            thresholds=steps(("red", None), ("green", 1), ("orange", 2)),
            **tile,
        ),
        stat(
            "Accounts lost",
            "Accounts of the configuration that no exporter of its job polls: a shard is missing.",
            [now(lost)],
            thresholds=BAD_ABOVE_ZERO,
            **tile,
        ),
        stat(
            "Accounts polled twice",
            "Accounts that more than one exporter polls: requests are spent twice.",
            [now(twice)],
            thresholds=DOUBT_ABOVE_ZERO,
            **tile,
        ),
        stat(
            "Next token ends",
            "When the first token ends that nobody but a person can renew. Nothing is shown where all tokens renew themselves or do not tell.",
            [
                now(
                    f"min({select('wazzup_token_expiry_timestamp_seconds', ACCOUNT)}) - time()",
                    may_be_empty="tokens may renew themselves, or not tell their end",
                )
            ],
            unit="s",
            decimals=1,
            thresholds=TOKEN_LEFT,
            no_value=NONE,
            **tile,
        ),
    ]


def sweeps():
    results = f"sum by (result) (increase({select('wazzup_sweeps_total', ACCOUNT, range='[$__rate_interval]')}))"
    overruns = f"sum(increase({select('wazzup_sweep_overruns_total', ACCOUNT, range='[$__rate_interval]')}))"
    share = f"{by_account('wazzup_sweep_duration_seconds')}\n/ {by_account('wazzup_poll_interval_seconds')}"
    return [
        timeseries(
            "Sweep duration",
            "How long the last round over all managers of an account took, as a share of its interval. Above 100 % readings come late.",
            [query(share, "{{account}}", labels=("account",))],
            unit="percentunit",
            width=8,
            fill=0,
            legend="bottom",
        ),
        timeseries(
            "Sweeps by result",
            "Rounds that read every manager, some, or nobody.",
            [query(results, "{{result}}", labels=("result",)), query(overruns, "took too long")],
            width=8,
            bars=True,
            stack=True,
            legend="bottom",
            overrides=[
                override("ok", color=fixed("green")),
                override("partial", color=fixed("orange")),
                override("failed", color=fixed("red")),
                override(
                    "took too long",
                    color=fixed("purple"),
                    custom__drawStyle="line",
                    custom__fillOpacity=0,
                    custom__lineWidth=2,
                    custom__stacking={"mode": "none", "group": "B"},
                ),
            ],
        ),
        timeseries(
            "Time since the last sweep",
            "Since the last round ended, however it ended.",
            [
                query(
                    f"time() - {by_account('wazzup_sweep_last_timestamp_seconds')}", "{{account}}", labels=("account",)
                )
            ],
            unit="s",
            width=8,
            fill=0,
            legend="bottom",
        ),
    ]


def freshness():
    oldest = f"time() - min by (account) (max by (account, user) ({select('wazzup_user_last_success_timestamp_seconds', ACCOUNT)}))"
    up = f"sum by (account) (max by (account, user) ({select('wazzup_user_up', ACCOUNT)}))\n/ sum by (account) ({by_account('wazzup_account_users')})"
    read = f"max by (account, list) ({select('wazzup_list_last_success_timestamp_seconds', ACCOUNT)})"
    unread = f"max by (account, list) ({select('wazzup_list_up', ACCOUNT)}) == 0"
    skipped = f"max by (account, reason) ({select('wazzup_account_users_skipped', ACCOUNT)}) > 0"
    paused = f"max by (account) ({select('wazzup_account_paused_until_timestamp_seconds', ACCOUNT)}) - time() > 0"
    return [
        timeseries(
            "Oldest reading",
            "The age of the oldest reading of each account: a figure is never older than this.",
            [query(oldest, "{{account}}", labels=("account",))],
            unit="s",
            width=8,
            fill=0,
            legend="bottom",
        ),
        timeseries(
            "Managers with a fresh reading",
            "The share of each account's managers who were read lately.",
            [query(up, "{{account}}", labels=("account",))],
            unit="percentunit",
            width=8,
            fill=0,
            legend="bottom",
            min=0,
            max=1,
        ),
        timeseries(
            "Age of the lists",
            "Since each list of an account was last read: users, channels, roles.",
            [
                query(
                    f"time() - {read}",
                    "{{account}} {{list}}",
                    labels=("account", "list"),
                    may_be_empty="lists may be off",
                )
            ],
            unit="s",
            width=8,
            fill=0,
            legend="bottom",
        ),
        table(
            "Lists that cannot be read",
            "Lists of which users, channels and roles come.",
            [now(unread, labels=("account", "list"), may_be_empty="all lists may be readable")],
            {"account": "Account", "list": "List"},
            width=8,
            height=6,
        ),
        table(
            "People who are not polled",
            "Rows of an account's list of users that are left out, with the reason and how many.",
            [now(skipped, labels=("account", "reason"), may_be_empty="nobody may be left out")],
            {"account": "Account", "reason": "Why", "Value": "How many"},
            width=8,
            height=6,
            decimals=0,
        ),
        table(
            "Paused",
            "Accounts for which Wazzup24 asked to wait, and for how long.",
            [now(paused, labels=("account",), may_be_empty="it may have asked for none")],
            {"account": "Account", "Value": "For"},
            width=8,
            height=6,
            unit="s",
            decimals=0,
        ),
    ]


def api():
    requests = per_second("wazzup_api_requests_total", ACCOUNT, NO_TOKEN)
    limit = f"({by_account('wazzup_api_rate_limit_requests')} / {by_account('wazzup_api_rate_limit_window_seconds')})"
    share = by_account("wazzup_api_rate_limit_share_ratio")
    wait = f"max by (account) ({per_second('wazzup_api_rate_limit_wait_seconds_total', ACCOUNT)})"
    errors = f"sum by (endpoint, outcome) ({per_second('wazzup_api_requests_total', ACCOUNT, NOT_OK)})"
    bucket = f"sum by (le) ({per_second('wazzup_api_request_duration_seconds_bucket')})"
    quantiles = [
        query(f"histogram_quantile({part}, {bucket})", name)
        for part, name in [("0.5", "p50"), ("0.9", "p90"), ("0.99", "p99")]
    ]
    by_endpoint = (
        f"histogram_quantile(0.9, sum by (le, endpoint) ({per_second('wazzup_api_request_duration_seconds_bucket')}))"
    )
    return [
        [
            timeseries(
                "Budget use",
                "How much of the API's limit each account uses, and which part of it is ours. Accounts with one credential share the limit, so add them up.",
                [
                    query(f"sum by (account) ({requests})\n/ {limit}", "{{account}}", labels=("account",)),
                    query(share, "{{account}}: our share", labels=("account",)),
                ],
                unit="percentunit",
                width=12,
                fill=0,
                thresholds=BUDGET,
                threshold_lines="dashed",
            ),
            timeseries(
                "Held back",
                "Seconds per second for which requests waited, for the limit or because Wazzup24 asked for a pause. It may pass 1, as many wait at once.",
                [query(wait, "{{account}}", labels=("account",))],
                unit="s",
                width=12,
                fill=0,
            ),
        ],
        [
            timeseries(
                "API errors",
                "Requests per second that brought no reading, by what was asked and what became of them.",
                [query(f"{errors} > 0", "{{endpoint}} {{outcome}}", labels=("endpoint", "outcome"), may_be_empty=RARE)],
                unit="reqps",
                width=8,
                stack=True,
                legend="bottom",
                no_value=NONE,
            ),
            timeseries(
                "API latency",
                "How long requests took, failed ones included, without waiting for the limit.",
                quantiles,
                unit="s",
                width=8,
                fill=0,
                legend="bottom",
            ),
            timeseries(
                "API latency by endpoint",
                "Nine of ten requests took no longer than this.",
                [query(by_endpoint, "{{endpoint}}", labels=("endpoint",))],
                unit="s",
                width=8,
                fill=0,
                legend="bottom",
            ),
        ],
    ]


def tokens():
    left = f"max by (account) ({select('wazzup_token_expiry_timestamp_seconds', ACCOUNT)}) - time()"
    refreshed = f"time() - {by_account('wazzup_token_last_refresh_timestamp_seconds')}"
    attempts = (
        f"sum by (result) (increase({select('wazzup_token_refreshes_total', ACCOUNT, range='[$__rate_interval]')}))"
    )
    skew = by_account("wazzup_clock_skew_seconds")
    why = "tokens may not renew themselves"
    return [
        table(
            "Tokens that end",
            "Accounts whose token ends unless a person acts, and when.",
            [now(left, labels=("account",), may_be_empty="tokens may renew themselves, or not tell their end")],
            {"account": "Account", "Value": "Ends in"},
            width=6,
            height=8,
            unit="s",
            decimals=1,
            no_value=NONE,
            overrides=[override("Ends in", thresholds=TOKEN_LEFT, custom__cellOptions=COLORED)],
        ),
        timeseries(
            "Token renewals",
            "Attempts to get a new token, of accounts whose tokens renew themselves.",
            [query(attempts, "{{result}}", labels=("result",), may_be_empty=why)],
            width=6,
            bars=True,
            legend="bottom",
            overrides=[override("ok", color=fixed("green")), override("failed", color=fixed("red"))],
        ),
        timeseries(
            "Age of tokens",
            "Since the account's last new token.",
            [query(refreshed, "{{account}}", labels=("account",), may_be_empty=why)],
            unit="s",
            width=6,
            fill=0,
            legend="bottom",
        ),
        timeseries(
            "Clock skew",
            "This clock minus that of Wazzup24. Less than 2 seconds is nothing.",
            [query(skew, "{{account}}", labels=("account",))],
            unit="s",
            width=6,
            fill=0,
            legend="bottom",
        ),
    ]


def done_resets():
    done = f"sum by (account, result) (increase({select('wazzup_resets_total', ACCOUNT, range='[$__range]')})) > 0"
    refused = (
        f"sum by (account, code) (increase({select('wazzup_reset_refusals_total', ACCOUNT, range='[$__range]')})) > 0"
    )
    strangers = f"sum by (code) (increase({select('wazzup_exporter_admin_refusals_total', range='[$__range]')})) > 0"
    last = f"time() - {by_account('wazzup_reset_last_success_timestamp_seconds')}"
    open_ = f"sum({by_account('wazzup_reset_unresolved')})"
    return [
        stat(
            "Unresolved resets",
            "Accounts with a reset of which nobody knows whether it happened: look at the account and at the audit log.",
            [now(open_, may_be_empty=NO_RESET)],
            thresholds=BAD_ABOVE_ZERO,
            background=True,
            no_value=NONE,
            width=4,
            height=5,
        ),
        table(
            "Resets",
            "Resets of the counters of whole accounts in the time range, by result.",
            [now(done, labels=("account", "result"), may_be_empty=NO_RESET)],
            {"account": "Account", "result": "Result", "Value": "Times"},
            width=7,
            height=5,
            decimals=0,
            no_value=NONE,
        ),
        table(
            "Refused resets",
            "Orders with a valid token that a guard refused in the time range, by code.",
            [now(refused, labels=("account", "code"), may_be_empty=NO_RESET)],
            {"account": "Account", "code": "Code", "Value": "Times"},
            width=6,
            height=5,
            decimals=0,
            no_value=NONE,
        ),
        table(
            "Last reset",
            "Since the last reset that cleared the account.",
            [now(last, labels=("account",), may_be_empty=NO_RESET)],
            {"account": "Account", "Value": "Ago"},
            unit="s",
            decimals=1,
            width=4,
            height=5,
            no_value=NONE,
        ),
        stat(
            "Refused at the door",
            "Orders to the admin listener without a valid token, in the time range.",
            [now(strangers, "{{code}}", labels=("code",), may_be_empty=NO_RESET)],
            thresholds=DOUBT_ABOVE_ZERO,
            no_value=NONE,
            decimals=0,
            width=3,
            height=5,
        ),
    ]


def reloads():
    broken = f"{select('wazzup_exporter_account_file_up')} == 0"
    loaded = f"time() - min by (instance) ({select('wazzup_exporter_config_last_reload_success_timestamp_seconds')})"
    good = f"min by (instance) ({select('wazzup_exporter_config_last_reload_successful')})"
    restarts = f"sum by (account) (increase({select('wazzup_exporter_poller_restarts_total', ACCOUNT, range='[$__rate_interval]')}))"
    shards = [
        now(f"max by (instance) ({select('wazzup_exporter_shard_ordinal')})", labels=("instance",)),
        now(f"max by (instance) ({select('wazzup_exporter_shards')})", labels=("instance",)),
        now(f"max by (instance) ({select('wazzup_exporter_accounts')})", labels=("instance",)),
        now(f"max by (instance) ({select('wazzup_exporter_accounts_configured')})", labels=("instance",)),
        now(
            f"max by (instance, version, revision) ({select('wazzup_exporter_build_info')})",
            labels=("instance", "version"),
        ),
        now(good, labels=("instance",)),
        now(loaded, labels=("instance",)),
        now(f"time() - max by (instance) ({select('process_start_time_seconds')})", labels=("instance",)),
    ]
    columns = {
        "instance": "Exporter",
        "version": "Version",
        "revision": "Revision",
        "Value #A": "Shard",
        "Value #B": "Of",
        "Value #C": "Accounts",
        "Value #D": "Configured",
        "Value #F": "Config",
        "Value #G": "Loaded ago",
        "Value #H": "Running for",
    }
    return [
        table(
            "Exporters and shards",
            "Every exporter: its version, its shard, how many accounts it polls of how many configured, and since when it runs with which configuration.",
            shards,
            columns,
            width=16,
            height=5,
            decimals=0,
            overrides=[
                override(
                    "Config",
                    mappings=words({1: ("loaded", "green"), 0: ("refused", "red")}),
                    custom__cellOptions=COLORED,
                ),
                override("Loaded ago", unit="s", decimals=1),
                override("Running for", unit="s", decimals=1),
                override("Exporter", custom__width=150),
            ],
        ),
        timeseries(
            "Poller restarts",
            "Pollers that died or got stuck and were started anew.",
            [query(restarts, "{{account}}", labels=("account",))],
            bars=True,
            width=4,
            height=5,
            legend="none",
        ),
        table(
            "Broken account files",
            "Files of accounts that an exporter cannot use: their accounts run as they were, or not at all.",
            [now(broken, labels=("instance", "file"), may_be_empty="there may be none")],
            {"file": "File", "instance": "Exporter"},
            width=4,
            height=5,
        ),
    ]


def process():
    per_instance = ("instance",)
    return [
        timeseries(
            "CPU",
            "Processor time per second, user and system.",
            [
                query(
                    f"sum by (instance) ({per_second('process_cpu_seconds_total')})",
                    "{{instance}}",
                    labels=per_instance,
                )
            ],
            unit="percentunit",
            width=5,
            legend="bottom",
        ),
        timeseries(
            "Memory",
            "Resident memory.",
            [
                query(
                    f"max by (instance) ({select('process_resident_memory_bytes')})",
                    "{{instance}}",
                    labels=per_instance,
                )
            ],
            unit="bytes",
            width=5,
            legend="bottom",
        ),
        timeseries(
            "Descriptors",
            "Open files and connections, as a share of what the process may open.",
            [
                query(
                    f"max by (instance) ({select('process_open_fds')} / {select('process_max_fds')})",
                    "{{instance}}",
                    labels=per_instance,
                )
            ],
            unit="percentunit",
            width=5,
            legend="bottom",
        ),
        timeseries(
            "Threads",
            "Threads of the process.",
            [query(f"max by (instance) ({select('process_threads')})", "{{instance}}", labels=per_instance)],
            width=4,
            legend="bottom",
        ),
        timeseries(
            "Log lines lost",
            "Lines that were dropped because nobody read standard error.",
            [
                query(
                    f"sum by (instance) (increase({select('wazzup_exporter_log_lines_dropped_total', range='[$__rate_interval]')}))",
                    "{{instance}}",
                    labels=per_instance,
                )
            ],
            bars=True,
            width=5,
            legend="bottom",
        ),
    ]


def build():
    return dashboard(
        HEALTH,
        "Wazzup24 / Exporter health",
        "Whether wazzup-exporter does its work, and what keeps it from it",
        [*source_and_job(), accounts()],
        [
            row(None, at_a_glance()),
            row("What cannot be read", [failing(width=10, height=6), channels_down(width=14, height=6)]),
            row("Sweeps and freshness", sweeps(), freshness()[:3], freshness()[3:]),
            row("Wazzup24's API", *api()),
            row("Tokens and clock", tokens()),
            row("Configuration, shards and restarts", reloads()),
            row("Resets", done_resets()),
            row("The process", process()),
        ],
        span="now-6h",
        links=[to_team(), to_status_page()],
        annotations=[resets()],
    )
