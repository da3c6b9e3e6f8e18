"""The dashboard *Team backlog*: who owes replies and since when, and whether to believe it."""

from common import (
    BAD_ABOVE_ZERO,
    CLEARING,
    COLORED,
    DOUBT_ABOVE_ZERO,
    MANAGER,
    OF_LIMIT,
    REASONS,
    RED_OF_ALL,
    RED_OF_ONE,
    ROLES,
    SEVERITIES,
    SHARE_ABOVE_ZERO,
    TEAM,
    TREND,
    WAITING,
    accounts,
    channels_down,
    failing,
    resets,
    source_and_job,
    to,
    to_health,
    to_status_page,
)
from grafana import (
    ABSENT,
    bars,
    beyond,
    dashboard,
    fixed,
    link,
    now,
    only,
    override,
    query,
    row,
    stat,
    table,
    timeseries,
    variable,
    week,
    words,
)
from promql import (
    ACCOUNT,
    PERSON,
    TEAM as OF_TEAM,
    chosen,
    counted,
    every,
    gauge,
    increase,
    inside,
    mean,
    named,
    of_most,
    of_others,
    of_sales_reps,
    of_teams,
    of_the_rest,
    once,
    over_range,
    peak,
    red,
    reported,
    select,
    tell,
    total,
)

#: Labels of a person's series.
PEOPLE = ("account", "user", "name")
YOUNG = "the series are younger than a week"

CAME, ANSWERED = "wazzup_unanswered_increase_total", "wazzup_unanswered_decrease_total"
#: Of each team, from the recording rules.
RED_OF_QUARTERS = "red_messages:avg15m"
RED, CAME_RATE, ANSWERED_RATE = "red_messages:last15m", "red_messages_came:rate5m", "red_messages_answered:rate5m"
#: The columns of a week.
HOURS = [f"{hour:02}" for hour in range(24)]
RED_SINCE = "wazzup_unanswered_red_since_timestamp_seconds"

#: Seconds that stand for no end: nobody answers.
NEVER = "1e9"

BY_LABEL = link(
    "See ${__field.labels.name}",
    to(MANAGER, "var-account=${__field.labels.account:percentencode}", "var-user=${__field.labels.user:percentencode}"),
)
BY_ROW = link(
    "See this manager's day",
    to(MANAGER, "var-account=${__data.fields.Account:percentencode}", "var-user=${__data.fields.Id:percentencode}"),
)


def variables():
    of = 'wazzup_user_info{job=~"$job", account=~"$account"'
    return [
        *source_and_job(),
        accounts(),
        variable(
            "team",
            "Team",
            "The label `team` that the configuration gives to users",
            f"label_values({of}}}, team)",
            every=".*",
        ),
        variable(
            "user",
            "Manager",
            "By name; there are none to choose from with `user_names: false`",
            f'label_values({of}, team=~"$team"}}, name)',
            every=".*",
        ),
    ]


def banner():
    unread = f"sum(1 - {inside(gauge('wazzup_user_up'))})"
    polled = gauge("wazzup_user_up")
    doubted = f"count(sum by ({PERSON}) {inside(gauge('wazzup_user_untrusted'))})\nor 0 * count{inside(polled)}"
    unreadable = f"sum(1 - max by (account) ({select('wazzup_up', ACCOUNT)}))"
    channels = f"sum(1 - max by (account, channel) ({select('wazzup_channel_active', ACCOUNT)}))"
    bad = {"background": True, "thresholds": BAD_ABOVE_ZERO, "width": 5, "height": 3}
    return [
        stat(
            "Managers not read",
            "Their counters are not known at the moment and are left out of everything below: they are not 0.",
            [now(unread)],
            **bad,
        ),
        stat(
            "Managers not to be trusted",
            "Their counters may not count: no role, no active channel, an unknown id or type, or that is not known. A table below tells who and why.",
            [now(doubted)],
            **{**bad, "thresholds": DOUBT_ABOVE_ZERO},
        ),
        stat(
            "Accounts not readable",
            "Accounts without a fresh reading, or with a failure that concerns all of their managers.",
            [now(unreadable)],
            **bad,
        ),
        stat(
            "Channels down",
            "Channels in another state than active: no message comes through, so counters stand still.",
            [now(channels, may_be_empty="there are none of accounts with `channels` off")],
            **bad,
        ),
        stat(
            "Exporters down",
            "Targets of the job that Prometheus cannot scrape. Nothing is known of their accounts meanwhile.",
            [now(f"sum(1 - {select('up')})")],
            **{**bad, "width": 4},
        ),
    ]


def at_a_glance():
    red_of_teams = total(reported(of_teams(RED)))
    then = total(f"avg_over_time({of_teams(RED, '[1h]', offset='1w')})")
    oldest = f"time() - min{inside(gauge(RED_SINCE, how='min'))}\nor max{inside(red())} == 0"
    pace = total(f"avg_over_time({of_teams(ANSWERED_RATE, '[1h]')})")
    clearing = f"clamp_max(\n  {red_of_teams}\n  / clamp_min({pace}, 1 / {NEVER}),\n  {NEVER}\n)"
    return [
        stat(
            "Red now",
            "Unanswered messages of the sales reps' own customers. Where roles are not known, or nobody in an account is a sales rep, the counters of everybody are added up and called a sum of counters: a customer without a responsible manager counts for several. Who is not read is left out.",
            [
                now(total(of_sales_reps(red())), "sales reps"),
                now(total(of_others(red())), "sum of counters", may_be_empty="everybody's role may be known"),
            ],
            thresholds=RED_OF_ALL,
            text="value_and_name",
            width=6,
            height=5,
        ),
        stat(
            "Same hour last week",
            "The mean over the hour that ended exactly a week ago, of the chosen teams: of whom *Red now* counts. This figure, the next one and the time to clear come from the recording rules, which know no single managers.",
            [now(then, may_be_empty=YOUNG)],
            no_value="no reading then",
            width=4,
            height=5,
            decimals=0,
        ),
        stat(
            "Against last week",
            "Red of the chosen teams now, minus the mean of the same hour last week. Below 0 is less than then.",
            [now(f"{red_of_teams}\n- {then}", may_be_empty=YOUNG)],
            no_value="no reading then",
            width=4,
            height=5,
            decimals=0,
            thresholds=TREND,
        ),
        stat(
            "Longest above zero",
            "How long the manager who has been above zero for longest has been so without a break.",
            [now(oldest)],
            unit="s",
            width=5,
            height=5,
            decimals=1,
            thresholds=WAITING,
        ),
        stat(
            "Time to clear",
            "How long the red messages of the chosen teams take at the pace at which messages were answered in the last hour, if no more came.",
            [now(clearing)],
            unit="s",
            width=5,
            height=5,
            decimals=1,
            thresholds=CLEARING,
            mappings=beyond(float(NEVER), "nobody answers", "red"),
        ),
    ]


def who_owes():
    gone = f"time() - {inside(gauge(RED_SINCE, how='min'))}"
    person = ("account", "user")
    columns = {
        "name": "Manager",
        "team": "Team",
        "role": "Role",
        "account": "Account",
        "user": "Id",
        "Value #B": "Red",
        "Value #F": "Of limit",
        "Value #C": "Above zero for",
        "Value #D": "Came",
        "Value #E": "Answered",
        "Value #A": "Reading",
    }
    return table(
        "Who owes replies",
        "Every manager, the most red first: since how long red has been above zero without a break, and what came and was answered in the last hour. *Of limit* is red as a share of the account's threshold for WazzupRedTooMany. Who is not read has no figure. A name leads to the manager's day.",
        [
            now(named(gauge("wazzup_user_up")), labels=PEOPLE),
            now(red(), labels=person),
            now(gone, labels=person),
            now(increase(CAME), labels=person),
            now(increase(ANSWERED), labels=person),
            now(
                f"{inside(red())}\n/ on (account) group_left () wazzup_account:red_messages:threshold",
                labels=person,
            ),
        ],
        columns,
        no_value=ABSENT,
        sort="Red",
        width=17,
        height=14,
        interval="1h",
        decimals=0,
        overrides=[
            override("Manager", links=[BY_ROW], custom__width=165),
            override("Team", noValue=""),
            override("Role", mappings=ROLES, noValue="not known", custom__width=110),
            # The link needs it, people do not.
            override("Id", custom__hidden=True),
            override(
                "Red",
                min=0,
                max=40,
                thresholds=RED_OF_ONE,
                custom__width=130,
                custom__cellOptions={"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
            ),
            override(
                "Of limit",
                unit="percentunit",
                noValue="",
                thresholds=OF_LIMIT,
                custom__cellOptions=COLORED,
                custom__width=75,
            ),
            override(
                "Above zero for",
                unit="s",
                decimals=1,
                noValue="",
                thresholds=WAITING,
                custom__cellOptions=COLORED,
                custom__width=112,
            ),
            override("Came", custom__width=62, noValue=""),
            override("Answered", custom__width=82, noValue=""),
            override(
                "Reading",
                mappings=words({1: ("fresh", "green"), 0: ("missing", "red")}),
                custom__cellOptions=COLORED,
                custom__width=75,
            ),
        ],
    )


def alerts():
    firing = 'group by (account, user, team, alertname, severity) (ALERTS{alertstate="firing", account=~"$account"})'
    return table(
        "Alerts that fire",
        "Alerts of the chosen accounts, from Prometheus' own rules: there are none where those are not loaded.",
        [now(firing, labels=("alertname", "severity"), may_be_empty="none may fire")],
        {"alertname": "Alert", "severity": "Severity", "account": "Account", "user": "Id", "team": "Team"},
        width=7,
        height=14,
        overrides=[
            override("Severity", mappings=SEVERITIES, custom__cellOptions=COLORED),
            override("Id", noValue=""),
            override("Team", noValue=""),
        ],
    )


def when():
    """At what time of which weekday red piles up."""
    hourly = total(f"avg_over_time({of_teams(RED_OF_QUARTERS, '[1h]')})")
    return week(
        "Red by hour and weekday",
        "How much red waits in each hour of the week: the mean of the last four weeks, or of what there is of them, in your time zone. The redder, the more: at what time of which weekday help is missing.",
        query(hourly),
        HOURS,
        span="4w",
        decimals=0,
    )


def over_time():
    def per_hour(metric):
        past = of_teams(metric, "[$__interval]")
        return f"3600 * {total(f'avg_over_time({past})')}"

    return [
        timeseries(
            "Red against last week",
            "Red of the chosen teams, and exactly a week before: of sales reps where roles are known, a sum of counters elsewhere. Who is not read for a moment counts with the last figure for up to a quarter of an hour: a missed reading would look like an answer.",
            [
                query(total(of_teams(RED)), "now"),
                query(total(of_teams(RED, offset="1w")), "a week before", may_be_empty=YOUNG),
            ],
            width=14,
            height=9,
            interval="5m",
            legend="bottom",
            overrides=[
                override("now", color=fixed("red"), custom__lineWidth=2),
                override(
                    "a week before",
                    color=fixed("text"),
                    custom__fillOpacity=0,
                    custom__lineStyle={"fill": "dash", "dash": [6, 4]},
                ),
            ],
        ),
        timeseries(
            "Came and answered per hour",
            "Red messages that came, above the line, and that were answered, below it, per hour; of sales reps where roles are known, of everybody elsewhere. What comes and is answered between two readings is not seen.",
            [query(per_hour(CAME_RATE), "came"), query(per_hour(ANSWERED_RATE), "answered")],
            bars=True,
            width=10,
            height=9,
            legend="bottom",
            interval="1h",
            decimals=0,
            overrides=[
                override("came", color=fixed("red")),
                override("answered", color=fixed("green"), custom__transform="negative-Y"),
            ],
        ),
    ]


def by_group(title, label, column, description):
    """A row for each team or account."""
    def grouped(figure, how="sum"):
        return f"{how} by ({label}) {inside(figure)}"

    def per_hour(metric):
        past = of_teams(metric, "[1h]")
        return f"3600 * {grouped(reported(f'avg_over_time({past})'))}"

    age = f"wazzup_user:red_age_seconds:last15m{{{ACCOUNT}, {OF_TEAM}}}"
    unread = f"1 - {inside(gauge('wazzup_user_up'))}"
    if label == "team":
        unread = f"{inside(unread)}\n* on ({PERSON}) group_left (team) wazzup_user:team:last15m"
    return table(
        title,
        description,
        [
            now(grouped(reported(of_teams(RED))), labels=() if label == "team" else (label,)),
            now(grouped(reported(age), how="max"), may_be_empty="red may be 0 everywhere"),
            now(per_hour(CAME_RATE)),
            now(per_hour(ANSWERED_RATE)),
            now(grouped(unread)),
        ],
        {
            label: column,
            "Value #A": "Red",
            "Value #B": "Longest above zero",
            "Value #C": "Came",
            "Value #D": "Answered",
            "Value #E": "Not read",
        },
        sort="Red",
        width=12,
        height=8,
        decimals=0,
        no_value=ABSENT,
        overrides=[
            override(column, noValue="none"),
            override("Longest above zero", unit="s", decimals=1, noValue="", thresholds=WAITING, custom__cellOptions=COLORED),
            override("Not read", thresholds=BAD_ABOVE_ZERO, custom__cellOptions=COLORED),
        ],
    )


def groups():
    told = "red of those whom *Red now* counts, the longest time above zero of somebody in it, and what came and was answered in the last hour. From the recording rules"
    return [
        by_group("By team", "team", "Team", f"Every team: {told}. Who has no team is in one row."),
        by_group("By account", "account", "Account", f"Every account: {told}."),
    ]


def people():
    """What costs most, as it looks at everybody at each point, or at each reading of the range."""
    peaks = counted(peak("red"))
    top = of_most(every("red"), peaks)
    most_grey = of_most(mean("grey"), peak("grey"))
    answered = f"topk(20, {inside(increase(ANSWERED, range='$__range'))})"
    person = once(select("wazzup_unanswered_messages", ACCOUNT, 'type="red"'))
    closed = f"{select('wazzup_working_time', ACCOUNT)} == 0"
    share = f"avg_over_time((\n  {person} > bool 0\n  unless on (account) ({closed})\n)[$__range:$__interval])"
    red_by_manager = timeseries(
        "Red by manager",
        "Red of the 30 managers who had the most of those whom *Red now* counts and who are still polled, on top of each other, and of all others as one: what is piled up has to add up. A gap is a time without a reading, not without messages.",
        [
            query(over_range(named(top)), "{{name}}", labels=PEOPLE),
            query(over_range(of_the_rest(counted(every("red")), peaks)), "all others", may_be_empty="there may be no more than 30"),
        ],
        stack=True,
        width=14,
        height=11,
        interval="15m",
        links=[BY_LABEL],
        overrides=[override("all others", color=fixed("#8e8e8e"), links=[])],
    )
    grey = timeseries(
        "Grey",
        "Messages of customers whom a manager only looks on, as quality control does, of the 30 who had the most: the mean of each hour, because a counter may turn red and back. Never added to red.",
        [query(over_range(named(most_grey)), "{{name}}", labels=PEOPLE)],
        width=10,
        height=11,
        fill=0,
        interval="1h",
        calcs=("lastNotNull",),
        decimals=0,
    )
    share_above_zero = bars(
        "Share of working time above zero",
        "For how much of the time range red was above zero, of the 30 with the largest share who are still polled, within the working hours of the account, or at all hours where it has none. Times without a reading are left out.",
        [now(f"sort_desc(\n  {named(f'topk(30, {inside(chosen(share))})')}\n)", "{{name}}", labels=PEOPLE)],
        unit="percentunit",
        width=12,
        height=14,
        interval="30m",
        max=1,
        decimals=0,
        thresholds=SHARE_ABOVE_ZERO,
    )
    who_answered = bars(
        "Who answered most",
        "Red messages that were answered in the time range, of the twenty who answered most. What comes and is answered between two readings is not seen.",
        [now(f"sort_desc(\n  {named(answered)}\n)", "{{name}}", labels=PEOPLE)],
        width=12,
        height=14,
        decimals=0,
        thresholds=only("green"),
    )
    return [red_by_manager, grey], [share_above_zero, who_answered]


def doubts():
    silent = tell(f"{inside(gauge('wazzup_user_up'))} == 0", "reason", "not_read")
    reasons = chosen(once(select("wazzup_user_untrusted", ACCOUNT), by=f"{PERSON}, reason"))
    return [
        table(
            "Figures that are missing or mean nothing",
            "Every manager whose counter is not known or may not count, with the reason.",
            [
                now(
                    named(f"{silent}\nor {reasons}"),
                    labels=("account", "user", "reason"),
                    may_be_empty="all may be well",
                )
            ],
            {"name": "Manager", "account": "Account", "reason": "Why"},
            width=10,
            height=8,
            overrides=[override("Why", mappings=REASONS, custom__cellOptions=COLORED)],
        ),
        failing(width=6, height=8),
        channels_down(width=8, height=8),
    ]


def build():
    return dashboard(
        TEAM,
        "Wazzup24 / Team backlog",
        "Who owes replies and since when, from the counters of unanswered messages in Wazzup24",
        variables(),
        [
            row(None, banner(), at_a_glance()),
            row("Who owes replies", [who_owes(), alerts()]),
            row("When it piles up", [when()], over_time()),
            row("Teams and accounts", groups()),
            row("What not to believe", doubts()),
            row("Managers over time", *people(), open=False),
        ],
        span="now-24h",
        links=[to_health(), to_status_page()],
        annotations=[resets()],
    )
