"""The parts that the queries of the dashboards are made of.

What all of them keep to:

- A missing or doubled `wazzup_user_info` hides no figure, changes none and fails no query: people are left out only
  where an info series says that they are not among the chosen; names are joined from one series per person, and the
  id stands for a name that is not known. What was known of a person within a quarter of an hour holds until
  something else is: while an exporter restarts or a scrape fails, an increase or a mean goes on, and it is of
  whom it was before.
- Two instances that show the same account, as for a moment when one replaces the other, count once.
- Totals add up sales reps where everybody's role in the account is known, and are a sum of counters elsewhere
  (docs/metrics.md, "What red means"). Grey is added to nothing.
- Nothing turns what is absent into 0. A 0 comes from a series that is there and says that all is well.
- What is known of a person is looked up once for a panel, at the end of its time range (`@ end()`), not at every point:
  with 2,000 users that is nearly all of what a panel over time would cost.
"""

from textwrap import indent

JOB = 'job=~"$job"'
ACCOUNT = 'account=~"$account"'
PERSON = "account, user"

TEAM, OTHER_TEAM = 'team=~"$team"', 'team!~"$team"'
NAME, OTHER_NAME = 'name=~"$user"', 'name!~"$user"'
#: Nobody at all while all are chosen, who would be looked up in vain: then the variable is `.*`, which each job matches.
IF_CHOSEN = {TEAM: 'job!~"$team"', NAME: 'job!~"$user"'}
SALES_REP = 'role="sales_rep"'
SOMETHING_ELSE = 'role!~"sales_rep|"'
ROLE_KNOWN = 'role!=""'
NAMED, NAMELESS = 'name!=""', 'name=""'
ROLE_UNKNOWN = 'role=""'


def select(metric, *matchers, range="", offset=""):
    """The series of a metric in the chosen jobs."""
    return f"{metric}{{{', '.join([JOB, *matchers])}}}{range}{offset and f' offset {offset}'}"


def inside(expr):
    """In parentheses, over several lines where it has several."""
    return f"(\n{indent(expr, '  ')}\n)" if "\n" in expr else f"({expr})"


#: The end of a panel's time range, which for a figure of now is now.
END = " @ end()"


def info(*matchers, offset=""):
    """The people who are this at the end."""
    return select("wazzup_user_info", ACCOUNT, *matchers, range=END, offset=offset)


def recent(*matchers, offset=""):
    """The people who were this within a quarter of an hour before the end."""
    return f"last_over_time({select('wazzup_user_info', *matchers, range=f'[15m]{END}', offset=offset)})"


def of_teams(metric, range="", offset=""):
    """What the recording rules add up for each team of the chosen accounts: of whom *Red now* counts.

    Nobody is added up here, so that it costs little, however many people there are. A choice of managers changes
    nothing. The figures bridge gaps: who is not read for a moment counts with the last figure for up to a quarter of
    an hour.
    """
    return f"wazzup_team:{metric}{{{ACCOUNT}, {TEAM}}}{range}{offset and f' offset {offset}'}"


def reported(expr):
    """Of accounts that an exporter reports now: without one, what bridges gaps is no figure of now."""
    return f"{expr}\nand on (account) {select('wazzup_account_users', ACCOUNT)}"


def over_range(expr):
    """The same for a panel over time: those who were something else at some time of the range stay left out."""
    return expr.replace(f"[15m]{END}) unless", f"[$__range]{END}) unless")


def known(was, now, offset=""):
    """Those who were one thing a while ago, but not those who are the other one now."""
    now = [now, *filter(None, [IF_CHOSEN.get(now)])]
    return f"({recent(ACCOUNT, was, offset=offset)} unless on ({PERSON}) {info(*now, offset=offset)})"


def chosen(expr, offset=""):
    """Without the people of whom it is known that they are not chosen by team or name."""
    return (
        f"{expr}\n"
        f"unless on ({PERSON}) {known(OTHER_TEAM, TEAM, offset)}\n"
        f"unless on ({PERSON}) {known(OTHER_NAME, NAME, offset)}"
    )


def once(expr, how="max", by=PERSON):
    """One series for each person, however many instances show it."""
    return f"{how} by ({by}) {inside(expr)}"


def gauge(metric, *matchers, how="max", offset=""):
    """A gauge of the chosen people."""
    return chosen(once(select(metric, ACCOUNT, *matchers, offset=offset), how), offset)


def red(offset=""):
    return gauge("wazzup_unanswered_messages", 'type="red"', offset=offset)


def peak(kind):
    """The highest counter of one type in the range, of those chosen who had any and are still polled at its end."""
    of = select("wazzup_unanswered_messages", ACCOUNT, f'type="{kind}"', range="[$__range] @ end()")
    polled = select("wazzup_user_up", ACCOUNT, range=f"[15m]{END}")
    return f"{inside(chosen(once(f'max_over_time({of})')))} > 0\nand on ({PERSON}) last_over_time({polled})"


def of_most(people, peaks, count=30):
    """Those of them with the highest of these peaks. Whom to show is found out once, not at every point."""
    return f"{inside(people)}\nand on ({PERSON}) topk({count}, {inside(peaks)})"


def of_the_rest(people, peaks, count=30):
    """All others, as one."""
    return total(f"{inside(people)}\nunless on ({PERSON}) topk({count}, {inside(peaks)})")


def every(kind):
    """The counters of one type of everybody."""
    return once(select("wazzup_unanswered_messages", ACCOUNT, f'type="{kind}"'))


def mean(kind):
    """The same, as the mean of each interval."""
    of = select("wazzup_unanswered_messages", ACCOUNT, f'type="{kind}"', range="[$__interval]")
    return once(f"avg_over_time({of})")


def increase(metric, range="$__rate_interval"):
    return chosen(once(f"increase({select(metric, ACCOUNT, range=f'[{range}]')})"))


def additive(offset=""):
    """The sales reps of the accounts in which everybody's role is known."""
    unknown = f"{info(ROLE_UNKNOWN, offset=offset)} unless on ({PERSON}) {recent(ACCOUNT, ROLE_KNOWN, offset=offset)}"
    return f"{recent(ACCOUNT, SALES_REP, offset=offset)}\nunless on (account) ({unknown})"


def of_sales_reps(people, offset=""):
    """Those whose figures add up: the sales reps, where everybody's role is known."""
    return (
        f"{inside(people)}\n"
        f"and on (account) {inside(additive(offset))}\n"
        f"unless on ({PERSON}) {known(SOMETHING_ELSE, SALES_REP, offset)}"
    )


def of_others(people, offset=""):
    """Those of the accounts where roles are not known, or nobody is a sales rep: their sum is one of counters."""
    return f"{inside(people)}\nunless on (account) {inside(additive(offset))}"


def counted(people, offset=""):
    """Everybody who is counted in a total: all but those who are known not to be sales reps where figures add up."""
    return (
        f"{inside(people)}\nunless on ({PERSON}) (\n"
        f"  {known(SOMETHING_ELSE, SALES_REP, offset)}\n"
        f"  and on (account) {indent(inside(additive(offset)), '  ').lstrip()}\n)"
    )


def who(*of):
    """One series for each person, with name, team and role; the id where the name is not known."""
    id_as_name = '"name", "$1", "user", "(.*)"'
    polled = select("wazzup_user_up", *of, range=f"[15m]{END}")
    return (
        f"(\n  topk by ({PERSON}) (1, {recent(*of, NAMED)})\n"
        f"  or on ({PERSON}) label_replace(topk by ({PERSON}) (1, {recent(*of, NAMELESS)}), {id_as_name})\n"
        f"  or on ({PERSON}) label_replace(group by ({PERSON}) (last_over_time({polled})), {id_as_name})\n)"
    )


def named(people, *of):
    """With the name, team and role of each person.

    `of` selects whose names to look for, all of the chosen accounts by default.
    """
    one_for_each = who(*(of or (ACCOUNT,)))
    return f"{inside(people)}\n* on ({PERSON}) group_left (name, team, role) {one_for_each}"


def tell(expr, label, text):
    """With one more label that says this."""
    return f'label_replace({expr}, "{label}", "{text}", "", "")'


def total(expr):
    """The sum over all accounts."""
    return f"sum(\n{indent(expr, '  ')}\n)"
