"""The dashboard *Manager*: one manager's day."""

from common import (
    COLORED,
    MANAGER,
    REASONS,
    RED_OF_ONE,
    ROLES,
    SHARE_ABOVE_ZERO,
    WAITING,
    accounts,
    resets,
    source_and_job,
    to_health,
    to_status_page,
    to_team,
)
from grafana import dashboard, fixed, now, of_query, override, query, row, stat, table, timeseries, variable, words
from promql import JOB, NAMED, NAMELESS, named, once, select, tell

#: The one manager whom the dashboard is about.
WHO = ('account="$account"', 'user="$user"')
RED_SINCE = "wazzup_unanswered_red_since_timestamp_seconds"
RED = 'type="red"'
CAME, ANSWERED = "wazzup_unanswered_increase_total", "wazzup_unanswered_decrease_total"


def variables():
    of = f'max by (name, user) (wazzup_user_info{{{JOB}, account="$account", %s}})'
    without_name = f'label_replace({of % NAMELESS}, "name", "$1", "user", "(.*)")'
    people = f"query_result({of % NAMED} or {without_name})"
    return [
        *source_and_job(),
        accounts(several=False),
        variable(
            "user",
            "Manager",
            "By name, or by the id in the CRM where the exporter gives no names",
            people,
            kind=3,
            regex='/name="(?<text>.*)",user="(?<value>.*)"}/',
        ),
    ]


def one(metric, *matchers, how="max"):
    return once(select(metric, *WHO, *matchers), how)


def messages(kind):
    return one("wazzup_unanswered_messages", f'type="{kind}"')


def within_range(counter):
    return once(f"increase({select(counter, *WHO, range='[$__range]')})")


def per_hour(counter):
    return once(f"increase({select(counter, *WHO, range='[$__rate_interval]')})")


def closed():
    return f"{select('wazzup_working_time', WHO[0])} == 0"


def at_a_glance():
    calm = f"or {once(select('wazzup_unanswered_messages', *WHO, RED))} == 0"
    never = (
        f"or {once('max_over_time(' + select('wazzup_unanswered_messages', *WHO, RED, range='[$__range]') + ')')} == 0"
    )
    longest = f"max_over_time((time() - {one(RED_SINCE, how='min')})[$__range:$__interval])\n{never}"
    share = (
        f"avg_over_time((\n  {messages('red')} > bool 0\n  unless on (account) ({closed()})\n)[$__range:$__interval])"
    )
    quiet = {"width": 3, "height": 4}
    return [
        stat(
            "Manager",
            "Whose day this is, with the reading's state as the colour: green while it is fresh.",
            [now(named(one("wazzup_user_up"), *WHO), "{{name}}", labels=("name",))],
            text="name",
            mappings=words({1: ("fresh", "green"), 0: ("not read lately", "red")}),
            background=True,
            **quiet,
        ),
        stat(
            "Red now",
            "Messages of the manager's own customers that wait for a reply, red from the account's threshold of the alerts on.",
            [
                now(messages("red")),
                now(
                    'max by (account) (wazzup_account:red_messages:threshold{account="$account"})',
                    ref="limit",
                ),
            ],
            thresholds=RED_OF_ONE,
            transformations=[of_query("limit", "Value", "threshold1")],
            **quiet,
        ),
        stat(
            "Above zero for",
            "How long red has been above zero without a break.",
            [now(f"time() - {one(RED_SINCE, how='min')}\n{calm}")],
            unit="s",
            decimals=1,
            thresholds=WAITING,
            **quiet,
        ),
        stat(
            "Longest above zero",
            "The longest time without a break that was seen in the time range, with what of it lies before.",
            [now(longest)],
            unit="s",
            decimals=1,
            interval="1m",
            thresholds=WAITING,
            **quiet,
        ),
        stat(
            "Share above zero",
            "For how much of the working hours in the time range red was above zero, or of all hours where none are configured. Times without a reading are left out.",
            [now(share)],
            unit="percentunit",
            decimals=0,
            interval="1m",
            thresholds=SHARE_ABOVE_ZERO,
            **quiet,
        ),
        stat(
            "Came",
            "Red messages that came in the time range, as far as readings show them.",
            [now(within_range(CAME))],
            decimals=0,
            **quiet,
        ),
        stat(
            "Answered",
            "Red messages that were answered in the time range, as far as readings show them.",
            [now(within_range(ANSWERED))],
            decimals=0,
            **quiet,
        ),
        stat(
            "Grey now",
            "Messages of customers whom the manager only looks on. Never added to red.",
            [now(messages("grey"))],
            **quiet,
        ),
    ]


def the_day():
    hours = f"max by (account) ({select('wazzup_working_time', WHO[0])}) > 0"
    shade = override(
        "working hours",
        color=fixed("blue"),
        custom__fillOpacity=12,
        custom__lineWidth=0,
        custom__axisPlacement="hidden",
        custom__stacking={"mode": "none", "group": "hours"},
        min=0,
        max=1,
        unit="none",
        custom__hideFrom={"legend": False, "tooltip": True, "viz": False},
    )
    return [
        timeseries(
            "Red and grey",
            "Both counters through the day; working hours are shaded where they are configured. A gap is a time without a reading.",
            [
                query(messages("red"), "red"),
                query(messages("grey"), "grey"),
                query(hours, "working hours", may_be_empty="they may not be configured"),
            ],
            width=24,
            height=10,
            legend="bottom",
            overrides=[
                override("red", color=fixed("red"), custom__lineWidth=2, custom__fillOpacity=20),
                override("grey", color=fixed("#8e8e8e"), custom__fillOpacity=0, custom__lineWidth=2),
                shade,
            ],
        ),
    ]


def work():
    return [
        timeseries(
            "Came and answered per hour",
            "Red messages that came, above the line, and that were answered, below it, in each hour. What comes and is answered between two readings is not seen.",
            [query(per_hour(CAME), "came"), query(per_hour(ANSWERED), "answered")],
            bars=True,
            interval="1h",
            width=12,
            height=8,
            legend="bottom",
            decimals=0,
            overrides=[
                override("came", color=fixed("red")),
                override("answered", color=fixed("green"), custom__transform="negative-Y"),
            ],
        ),
        timeseries(
            "Above zero for",
            "How long red had been above zero without a break, at each moment. It falls to nothing when all is answered.",
            [
                query(
                    f"time() - {one(RED_SINCE, how='min')}",
                    "above zero for",
                    may_be_empty="red may have been 0 all the time",
                )
            ],
            unit="s",
            width=12,
            height=8,
            legend="bottom",
            threshold_lines="dashed",
            thresholds=WAITING,
            overrides=[override("above zero for", color=fixed("orange"))],
        ),
    ]


def doubts():
    silent = tell(f"{one('wazzup_user_up')} == 0", "reason", "not_read")
    reasons = once(select("wazzup_user_untrusted", *WHO), by="account, user, reason")
    return [
        table(
            "Why not to believe it",
            "Reasons why the manager's counter is missing or may not count.",
            [now(f"{silent}\nor {reasons}", labels=("account", "user", "reason"), may_be_empty="all may be well")],
            {"account": "Account", "user": "Id", "reason": "Why"},
            width=12,
            height=5,
            overrides=[override("Why", mappings=REASONS, custom__cellOptions=COLORED)],
        ),
        table(
            "Who this is",
            "What the exporter knows of the manager: role, team and account.",
            [
                now(
                    once(select("wazzup_user_info", *WHO), by="account, user, name, role, team"),
                    labels=("account", "user", "name"),
                )
            ],
            {"name": "Manager", "role": "Role", "team": "Team", "account": "Account", "user": "Id"},
            width=12,
            height=5,
            overrides=[override("Role", mappings=ROLES, noValue="not known"), override("Team", noValue="")],
        ),
    ]


def build():
    return dashboard(
        MANAGER,
        "Wazzup24 / Manager",
        "One manager's day: red, grey, what was answered, and for how long customers waited",
        variables(),
        [
            row(None, at_a_glance(), the_day(), work()),
            row("Whether to believe it", doubts()),
        ],
        span="now/d",
        links=[to_team(), to_health(), to_status_page()],
        annotations=[resets()],
    )
