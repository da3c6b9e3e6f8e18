"""What the dashboards share: thresholds, words, variables, panels, and the addresses of each other."""

from grafana import annotation, datasource, now, only, override, steps, table, textbox, variable, words
from promql import ACCOUNT, select

TEAM, MANAGER, HEALTH = "wazzup-team-backlog", "wazzup-manager", "wazzup-exporter-health"

# The one place for what is much and what is long. Change them to what your customers expect.
RED_OF_ONE = steps(("green", None), ("yellow", 1), ("orange", 5), ("red", 10))
RED_OF_ALL = steps(("green", None), ("yellow", 1), ("orange", 50), ("red", 100))
TREND = steps(("green", None), ("text", 0), ("orange", 10), ("red", 25))
WAITING = steps(("green", None), ("yellow", 15 * 60), ("orange", 30 * 60), ("red", 60 * 60))
CLEARING = steps(("green", None), ("yellow", 60 * 60), ("orange", 2 * 60 * 60), ("red", 4 * 60 * 60))
#: Of the account's threshold for too many, as the alerts know it.
OF_LIMIT = steps(("green", None), ("yellow", 0.25), ("orange", 0.5), ("red", 1))
SHARE_ABOVE_ZERO = steps(("green", None), ("yellow", 0.5), ("orange", 0.75), ("red", 0.9))
BAD_ABOVE_ZERO = steps(("green", None), ("red", 1))
DOUBT_ABOVE_ZERO = steps(("green", None), ("orange", 1))
GOOD_AT_ONE = steps(("red", None), ("green", 1))
BUDGET = steps(("green", None), ("yellow", 0.7), ("red", 0.97))
TOKEN_LEFT = steps(("red", None), ("orange", 86400), ("yellow", 3 * 86400), ("green", 7 * 86400))

COLORED = {"type": "color-text"}

ROLES = words(
    {
        "sales_rep": ("sales rep", None),
        "manager": ("manager", None),
        "quality_control": ("quality control", None),
        "other": ("other", None),
        "none": ("no role", "orange"),
    }
)

SEVERITIES = words({"critical": ("critical", "red"), "warning": ("warning", "orange"), "info": ("info", None)})

#: Why a figure is missing or means nothing, as a person says it.
REASONS = words(
    {
        "not_read": ("not read lately", "red"),
        "no_role": ("no role, so always 0", "orange"),
        "no_active_channel": ("channels down, stands still", "red"),
        "unknown_user": ("Wazzup24 does not know the id", "red"),
        "unknown_type": ("neither red nor grey", "orange"),
        "not_known": ("roles or channels are not known", "orange"),
        "unauthorized": ("the token is refused", "red"),
        "forbidden": ("the token may not read this", "red"),
        "login_needed": ("somebody has to log in again", "red"),
        "rate_limited": ("over the limit of the API", "orange"),
        "unreachable": ("Wazzup24 cannot be reached", "red"),
        "server_error": ("Wazzup24 fails", "red"),
        "malformed": ("answers make no sense", "red"),
        "storage": ("the exporter cannot store what it must", "red"),
    }
)


def to(uid, *parameters):
    """The address of a dashboard, with the time range and where the data comes from."""
    carried = ["${__url_time_range}", "${datasource:queryparam}", "${job:queryparam}", "${status:queryparam}", *parameters]
    return f"/d/{uid}/{uid}?{'&'.join(carried)}"


def to_team():
    return "Team backlog", to(TEAM, "${account:queryparam}"), "Who owes replies, and since when"


def to_health():
    return "Exporter health", to(HEALTH, "${account:queryparam}"), "Whether to believe it"


def source_and_job():
    definition = "label_values(wazzup_exporter_build_info, job)"
    return [datasource(), variable("job", "Job", "The scrape job of the exporter", definition, several=True), status_page()]


def status_page():
    return textbox(
        "status", "Status page", "Where people reach the exporter's own page", "http://localhost:10117"
    )


def to_status_page():
    return "Status page", "${status}/", "The exporter's own page: who owes replies now, and what fails"


def resets():
    """When an account was cleared: red that falls then is no work."""
    last = select("wazzup_reset_last_success_timestamp_seconds", ACCOUNT)
    return annotation("Reset", f"max by (account) ({last}) * 1000", "purple")


def accounts(several=True):
    definition = 'label_values(wazzup_account_users{job=~"$job"}, account)'
    return variable(
        "account", "Account", "By its name in the exporter's configuration", definition, every=".+" if several else None
    )


def failing(width, height=9):
    expr = f"max by (account, reason) ({select('wazzup_account_failing', ACCOUNT)})"
    return table(
        "Accounts that cannot be read",
        "Accounts of which nobody can be read, with the reason.",
        [now(expr, labels=("account", "reason"), may_be_empty="all accounts may be readable")],
        {"account": "Account", "reason": "Why"},
        width=width,
        height=height,
        overrides=[override("Why", mappings=REASONS, custom__cellOptions=COLORED)],
    )


def channels_down(width, height=9):
    channel = "account, channel"
    active = f"max by ({channel}) ({select('wazzup_channel_active', ACCOUNT)}) == 1"
    down = (
        f"max by ({channel}, state) ({select('wazzup_channel_state', ACCOUNT)})\n" f"unless on ({channel}) ({active})"
    ).replace("\n", "\n  ")
    expr = (
        f"(\n  {down}\n)\n"
        f"* on ({channel}) group_left (transport, name) topk by ({channel}) (1, {select('wazzup_channel_info', ACCOUNT)})\n"
        f"or on ({channel})\n  {down}"
    )
    return table(
        "Channels that are down",
        "Channels in another state than active, with the state that Wazzup24 tells. The number is there with `channel_names: true`.",
        [now(expr, labels=("account", "channel", "state", "transport"), may_be_empty="all channels may be active")],
        {"account": "Account", "transport": "Channel", "name": "Number", "state": "State"},
        width=width,
        height=height,
        thresholds=only("red"),
        overrides=[override("State", custom__cellOptions=COLORED)],
    )
