//! What the page says of made-up accounts.

use std::time::Duration;

use super::*;
use crate::account::LabelName;
use crate::channel::Role;
use crate::counter::CounterType;
use crate::http::status::tests::{
    account, channel, failed, failing, named, placed, read, red, reset, status, unread, with,
    with_channels,
};
use crate::metrics::{Outcome, ResetResult};
use crate::snapshot::{AccountView, FailingReason, UserView};

const MINUTE: Duration = Duration::from_mins(1);

fn page(views: Vec<AccountView>, query: &str) -> String {
    render(&status(views), &PageQuery::of(Some(query)), "/metrics")
}

/// What stands between two marks, from each first mark on.
fn between(html: &str, from: &str, to: &str) -> Vec<String> {
    let parts = html.split(from).skip(1);
    parts.map(|part| part.split_once(to).unwrap().0.to_owned()).collect()
}

/// The text of a piece of HTML.
fn text(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text.replace(['\u{a0}', '\u{202f}'], " ")
}

/// The keys of accounts and users in the order in which they are shown.
fn keys(html: &str) -> Vec<String> {
    let (main, _) = html.split_once("class=\"exporter\"").unwrap();
    between(main, "data-key=\"", "\"")
}

fn headline(users: Vec<UserView>) -> String {
    text(&between(&page(vec![account("acme", users)], ""), "\"headline\">", "</p>")[0])
}

#[test]
fn accounts_that_fail_come_first_and_users_by_red() {
    let refused = failed(unread("r"), Outcome::Unauthorized, "upstream answered 401");
    let views = vec![
        account("acme", vec![red("a", 0), unread("b"), red("c", 3), red("d", 14), red("e", 3)]),
        failing(account("globex", vec![refused]), FailingReason::Unauthorized),
    ];
    let html = page(views, "");
    assert_eq!(keys(&html), ["globex", "r", "acme", "d", "c", "e", "b", "a"]);
    let trouble = text(&between(&html, "<div class=\"trouble\">", "</div>")[0]);
    let words = "Wazzup24 refuses the account's token. Give it a valid token:";
    assert!(trouble.starts_with(words), "{trouble}");
    assert!(trouble.ends_with("upstream answered 401 · no good reading yet"), "{trouble}");
}

#[test]
fn the_headline_never_says_more_than_is_known() {
    assert_eq!(headline(vec![red("1", 3), red("2", 1), unread("3")]), "2 users owe replies");
    assert_eq!(headline(vec![red("1", 3)]), "1 user owes replies");
    assert_eq!(headline(vec![red("1", 0), red("2", 0)]), "No user owes a reply");
    assert_eq!(headline(vec![red("1", 0), unread("2")]), "No user is known to owe a reply");
    assert_eq!(headline(vec![unread("1"), unread("2")]), "No figures are known");
}

#[test]
fn nothing_known_is_a_dash_and_a_sum_of_some_says_so() {
    let stale = read("2", 9, CounterType::Red, 14 * MINUTE);
    let html = page(vec![account("acme", vec![red("1", 30), stale])], "");
    let [first, second] = <[String; 2]>::try_from(between(&html, "<tr class=", "</tr>")).unwrap();
    assert!(first.contains("<span>30</span>"), "{first}");
    assert!(second.contains("<span>–</span>") && !second.contains("9</span>"), "{second}");
    let second = text(&second);
    assert!(second.contains("Last read 14 min ago; figures older than 2 min"), "{second}");
    assert_eq!(text(&between(&html, "<p class=\"sum owes\">", "</p>")[0]), "at least 30");
    assert!(html.contains("<title>≥ 30 red · Unanswered messages</title>"), "{html}");
    assert!(text(&html).contains("1 of 2 users without a figure"), "{html}");
}

#[test]
fn who_owes_the_most_over_all_accounts_is_named_at_the_top() {
    let user = |id: &str, count| named(red(id, count), &format!("<{id}>"));
    let users = [("a", 1), ("b", 9), ("c", 0), ("d", 3), ("e", 2), ("f", 5)];
    let first = account("acme", users.map(|(id, count)| user(id, count)).into());
    let html = page(vec![first, account("globex", vec![red("x", 7)])], "");
    let top = between(&html, "<ol aria-label=\"Most red\">", "</ol>");
    assert_eq!(
        text(&top[0].replace("</li>", ", ")),
        "9 &lt;b&gt;, 7 x, 5 &lt;f&gt;, 3 &lt;d&gt;, 2 &lt;e&gt;, "
    );
    // Of one account the table is enough.
    assert!(!page(vec![account("acme", vec![red("1", 7)])], "").contains("<ol"));
}

#[test]
fn the_time_since_a_user_is_red_is_shown_with_its_age() {
    let html = page(vec![account("acme", vec![read("1", 3, CounterType::Red, MINUTE)])], "");
    let since = text(&between(&html, "<td class=\"since\">", "</td>")[0]);
    assert_eq!(since, "13:44 · 1 min");
    let (summary, _) = html.split_once("<section").unwrap();
    assert!(text(summary).contains("longest red since 13:44 · 1 min"), "{summary}");
}

#[test]
fn two_thousand_users_stay_a_small_page_and_search_finds_everyone() {
    let many = || {
        let user = |number: u64| {
            let count = if number < 1500 { number } else { 0 };
            named(red(&format!("u{number:04}"), count), &format!("Имя Фамилия-{number:04}"))
        };
        vec![account("acme", (0..2000).map(user).collect()), account("hertz", vec![red("x", 1)])]
    };
    let short = page(many(), "");
    assert!(short.len() < 80_000, "{} bytes", short.len());
    let shown = keys(&short);
    assert_eq!((shown.len(), &*shown[1], &*shown[60]), (63, "u1499", "u1440"));
    let link = "<a href=\"./?account=acme\">Show all 2000 users</a>";
    assert_eq!(between(&short, "<p class=\"more\">", "</p>"), [link]);
    assert_eq!(keys(&page(many(), "account=acme")).len(), 2001);
    for number in [0, 7, 1499, 1999] {
        let html = page(many(), &format!("q=%D0%B8%D0%BC%D1%8F+U{number:04}"));
        assert_eq!(keys(&html), ["acme".to_owned(), format!("u{number:04}")]);
    }
    // Users that are found and not shown are counted, too.
    let broad = page(many(), "q=e");
    assert!(broad.contains("role=\"status\">2001 users found"), "{broad}");
    assert_eq!((keys(&broad).len(), &*keys(&broad)[0]), (201, "acme"));
    assert!(text(&broad).contains("1500 users owe replies"), "{broad}");
}

#[test]
fn a_search_sums_up_whom_it_found() {
    let team = |view: UserView, team: &str| {
        let mut user = (*view.user).clone();
        user.labels.insert(LabelName::parse("team").unwrap(), team.to_owned());
        UserView { user: user.into(), ..view }
    };
    let users = vec![team(red("1", 3), "Tours"), team(red("2", 4), "visas"), red("3", 5)];
    let views = || vec![account("acme", users.clone()), account("globex", vec![red("9", 6)])];
    let html = page(views(), "q=tours");
    assert_eq!(keys(&html), ["acme", "1"]);
    let (summary, rest) = html.split_once("<section").unwrap();
    assert!(text(summary).contains("1 user owes replies3 red, sum of counters"), "{summary}");
    // The sum of the account stays that of the account.
    assert_eq!(between(rest, "<strong>", "</strong>")[0], "12");
    assert!(page(views(), "q=tours+nothing").contains("No user found"));
    assert_eq!(keys(&page(views(), "q=GLOBEX")), ["globex", "9"]);
    // Words do not match over two texts.
    assert_eq!(keys(&page(views(), "q=1tours")), [""; 0]);
}

#[test]
fn many_users_without_red_or_problems_are_left_to_the_page_of_the_account() {
    let users = || (0..50).map(|number| red(&number.to_string(), u64::from(number == 49)));
    let html = page(vec![account("acme", users().collect())], "");
    assert_eq!(keys(&html), ["acme", "49"]);
    assert!(html.contains("Show all 50 users"), "{html}");
    assert_eq!(keys(&page(vec![account("acme", users().collect())], "account=acme")).len(), 51);
}

#[test]
fn of_many_accounts_the_users_of_those_with_most_red_are_shown_and_sums_of_the_others() {
    let view = |number: u64| account(&format!("a{number:03}"), vec![red("1", number)]);
    let html = page((0..300).map(view).collect(), "");
    assert!(html.len() < 300_000, "{} bytes", html.len());
    let shown = between(&html, "<section class=\"account\" data-key=\"", "</section>");
    let keys = |part: &String| part.matches("data-key=").count();
    assert_eq!(shown.len(), 300);
    assert!(shown[0].starts_with("a299") && shown[39].starts_with("a260"));
    assert!(shown[..40].iter().all(|part| keys(part) == 1), "{}", shown[39]);
    let [.., last] = shown.as_slice() else { panic!() };
    assert!(keys(&shown[40]) == 0 && last.contains("Show all 1 user<"), "{last}");
}

#[test]
fn the_last_reset_stands_beside_the_sum_with_what_it_took_away() {
    let shown = |result, after| {
        let view = reset(account("acme", vec![red("1", 5)]), result, after);
        text(&page(vec![view], ""))
    };
    let cleared = shown(ResetResult::Cleared, Some(0));
    assert!(cleared.contains("cleared, 970 → 0"), "{cleared}");
    let unknown = shown(ResetResult::Unknown, None);
    assert!(unknown.contains("not known whether it was carried out, 970 → –"), "{unknown}");
    let never = text(&page(vec![account("acme", vec![red("1", 5)])], ""));
    assert!(!never.contains("last reset"), "{never}");
}

#[test]
fn markup_shows_as_text_wherever_it_comes_from() {
    const MARKUP: &str = "<img src=x onerror=alert(1)>\"'&";
    let label = LabelName::parse("team").unwrap();
    let user = failed(named(red(MARKUP, 3), MARKUP), Outcome::Timeout, MARKUP);
    let view = with(account("<acme>\"", vec![user]), |account| {
        account.labels.insert(label, MARKUP.to_owned());
    });
    let view = with(view, |account| account.export.channel_names = true);
    let mut marked = channel(MARKUP, false);
    marked.name = Some(MARKUP.into());
    let status = status(vec![with_channels(view, vec![marked], MINUTE)]);
    let html = render(&status, &PageQuery::of(Some("q=%3Cimg")), "/metrics");
    assert!(!html.contains("<img") && !html.contains("<acme"), "{html}");
    // Name, id as text and key, label, reason; the channel's key, title and name.
    let shown = html.matches("&lt;img src=x onerror=alert(1)&gt;&quot;'&amp;").count();
    assert_eq!(shown, 8, "{html}");
    let typed = "value=\"&lt;img&quot;\"";
    assert!(render(&status, &PageQuery::of(Some("q=%3Cimg%22")), "/metrics").contains(typed));
}

#[test]
fn every_address_is_relative_and_nothing_is_inline() {
    let views = vec![account("a/b c", vec![red("1", 3)])];
    let html = render(&status(views), &PageQuery::of(Some("account=a%2Fb+c")), "/some/metrics");
    let addresses = [between(&html, "href=\"", "\""), between(&html, "src=\"", "\"")].concat();
    let expected = [
        "favicon.svg",
        "style.css",
        "./",
        "./?account=a%2Fb%20c",
        "some/metrics",
        "api/v1/status",
        "config",
        "-/healthy",
        "-/ready",
        "page.js",
    ];
    assert_eq!(addresses, expected);
    for tag in between(&html, "<", ">") {
        assert!(!tag.contains("style=") && !tag.contains(" on"), "{tag}");
    }
    assert_eq!(between(&html, "<script", "</script>"), [" src=\"page.js\" defer>"]);
}

#[test]
fn channels_that_receive_nothing_come_first_and_say_what_to_do() {
    let channels = vec![channel("808e0654-aaaa", true), channel("909f0654-bbbb", false)];
    let view = || {
        let user = placed(red("1", 3), Role::SalesRep, true);
        with_channels(account("acme", vec![user]), channels.clone(), MINUTE)
    };
    let shown = |html: &str| {
        let channels = between(html, "<li class=\"", "</li>");
        let channels = channels.iter().filter(|channel| channel.contains("data-key"));
        channels.map(|channel| text(&format!("<{channel}"))).collect::<Vec<_>>()
    };
    let dead = "whatsapp 909f0654 waits for its QR code: connect it again in Wazzup24";
    let html = page(vec![view()], "");
    assert_eq!(shown(&html), [dead]);
    assert!(html.contains("1 of 2 channels active") && html.contains("none of the channels"));
    let html = page(vec![view()], "account=acme");
    assert_eq!(shown(&html), [dead, "whatsapp 808e0654 is active"]);
}

#[test]
fn an_account_without_an_active_channel_says_so_once_for_all_users() {
    let user = |id: &str, count| placed(red(id, count), Role::SalesRep, true);
    let view = account("acme", vec![user("1", 0), user("2", 3)]);
    let html = page(vec![with_channels(view, vec![channel("808e", false)], MINUTE)], "");
    assert_eq!(html.matches("No message").count(), 1, "{html}");
    assert!(html.contains("No message arrives, so the counters do not change."), "{html}");
    assert_eq!(keys(&html), ["acme", "808e", "2", "1"]);
    assert!(html.contains("<tr class=\"doubted\" data-key=\"1\">"), "{html}");
    assert!(text(&html).contains("2 of 2 users in doubt"), "{html}");
}

/// The sum of an account and what is written about it.
fn sum(users: Vec<UserView>) -> String {
    let html = page(vec![account("acme", users)], "");
    let about = between(&html, "<div class=\"about\">", "<div class=\"body\">");
    text(&about[0].replace("</p>", ". ").replace("</h2>", ". "))
}

#[test]
fn the_sum_is_of_sales_reps_where_roles_are_known_and_counts_doubtful_figures() {
    let rep = |id: &str, count| placed(red(id, count), Role::SalesRep, false);
    let manager = || placed(red("m", 50), Role::Manager, false);
    assert_eq!(sum(vec![red("1", 3), red("2", 4)]), "acme. 7. sum of red counters. ");
    assert_eq!(sum(vec![rep("1", 3), rep("2", 4), manager()]), "acme. 7. red of 2 sales reps. ");
    let unknown = || UserView { last_good: None, ..rep("3", 0) };
    let lacks = "acme. at least 3. red of 2 sales reps. 1 of 2 sales reps without a figure.. ";
    assert_eq!(sum(vec![rep("1", 3), unknown(), manager()]), lacks);
    let cut_off = || placed(red("4", 4), Role::SalesRep, true);
    let doubt = "acme. in doubt 7. red of 2 sales reps. 1 of 2 sales reps in doubt.. ";
    assert_eq!(sum(vec![rep("1", 3), cut_off(), manager()]), doubt);
    let summary = |users| {
        let html = page(vec![account("acme", users)], "");
        text(&between(&html, "<ul>", "</ul>")[0].replace("</li>", ". "))
    };
    let text = summary(vec![rep("1", 3), rep("2", 4), manager()]);
    assert!(text.starts_with("7 red of sales reps. longest red"), "{text}");
    let text = summary(vec![rep("1", 0), placed(red("2", 0), Role::SalesRep, true)]);
    assert_eq!(text, "0 red of sales reps. 1 of 2 users in doubt. ");
    // A counter that cannot change proves nothing at 0.
    assert_eq!(
        headline(vec![rep("1", 0), placed(red("2", 0), Role::SalesRep, true)]),
        "No user is known to owe a reply"
    );
}

#[test]
fn who_is_found_without_a_role_is_not_in_the_way() {
    let idle = |id: &str| UserView { found: true, ..placed(red(id, 0), Role::None, false) };
    let rep = placed(red("1", 0), Role::SalesRep, false);
    let html = page(vec![account("acme", vec![idle("2"), rep.clone(), idle("3")])], "");
    assert_eq!(keys(&html), ["acme", "2", "1", "3"]);
    assert!(html.contains("No user owes a reply"), "{html}");
    let configured = UserView { found: false, ..idle("4") };
    let html = page(vec![account("acme", vec![rep, configured])], "");
    assert_eq!(keys(&html), ["acme", "4", "1"]);
    assert!(html.contains("<tr class=\"doubted\" data-key=\"4\">"), "{html}");
}

#[test]
fn without_names_users_are_shown_by_their_ids() {
    let view = account("acme", vec![named(red("17", 3), "Anna")]);
    let html = page(vec![with(view, |account| account.export.user_names = false)], "");
    assert_eq!(between(&html, "<bdi class=\"name\">", "</bdi>"), ["17"]);
    assert!(!html.contains("Anna"), "{html}");
}
