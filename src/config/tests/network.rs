//! How an account reaches its API, and whether there is room for what accounts ask together.

use super::*;

/// Accounts with the given settings, each in one flow mapping.
fn accounts(settings: &[&str]) -> String {
    let one = |(number, settings): (usize, &&str)| {
        format!("- {{name: a{number}, users: [{{id: '1'}}, {{id: '2'}}], {settings}}}\n")
    };
    let list: String = settings.iter().enumerate().map(one).collect();
    format!("accounts:\n{list}")
}

fn reported(settings: &str) -> (Vec<String>, ProxyAndUrl) {
    let config = read(&ACME.replace("auth:", &format!("{settings}, auth:"))).unwrap();
    let account = &config.accounts[0];
    let warnings = config.warnings.iter().map(|warning| warning.message.clone());
    let proxy = account.proxy.as_ref().map(ToString::to_string);
    (
        warnings.filter(|warning| !warning.contains("auth.token")).collect(),
        (proxy, account.base_url.to_string()),
    )
}

type ProxyAndUrl = (Option<String>, String);

#[test]
fn rate_limits_have_bounds() {
    for (limit, reported) in [
        ("{requests: 0}", "rate_limit.requests: must be a whole number from 1 to 100000, unquoted"),
        (
            "{requests: 100001}",
            "rate_limit.requests: must be a whole number from 1 to 100000, unquoted",
        ),
        ("{share: 0%}", "rate_limit.share: must be a whole percentage from 1% to 100%, as in 60%"),
        (
            "{share: 101%}",
            "rate_limit.share: must be a whole percentage from 1% to 100%, as in 60%",
        ),
        ("{share: 0.6}", "rate_limit.share: must be a whole percentage from 1% to 100%, as in 60%"),
        ("{share: 60}", "rate_limit.share: must be a whole percentage from 1% to 100%, as in 60%"),
        ("{per: 99ms}", "rate_limit.per: is 99ms; it must be from 100ms to 1h"),
        ("{per: 61m}", "rate_limit.per: is 1h1m; it must be from 100ms to 1h"),
        ("{per: 5}", "rate_limit.per: is a number without a unit; write 30s, 1m30s, 200ms or 2h"),
        ("{request: 5}", "5:16: unknown key \"request\"; did you mean requests?"),
        ("500", "5:15: must be a mapping, keys with a value each: {key: value}"),
    ] {
        assert_eq!(account_problem(&format!("rate_limit: {limit}")), reported);
    }
    for limit in ["{}", "{requests: 1, per: 5s}", "{requests: 100000, per: 1h}", "{per: 100ms}"] {
        read(&ACME.replace("auth", &format!("rate_limit: {limit}, auth"))).unwrap();
    }
}

#[test]
fn a_proxy_is_distinguished_from_what_cannot_be_one() {
    for (proxy, what) in [
        (
            "socks5://proxy:1080",
            "names a SOCKS proxy, which is not supported; name an HTTP proxy, http://proxy:3128",
        ),
        ("proxy:3128", "must start with http:// or https://"),
        ("proxy", "is not an address of a proxy; write http://proxy:3128"),
        ("http://proxy/x", "has a path, a query (?…) or a fragment (#…); remove it"),
        ("", "is empty; write a value or remove the key"),
    ] {
        assert_eq!(account_problem(&format!("proxy_url: {proxy}")), format!("proxy_url: {what}"));
    }
    let (warnings, (proxy, _)) = reported("proxy_url: 'http://user:pass@proxy:3128'");
    assert_eq!(warnings, [] as [&str; 0]);
    assert_eq!(proxy.as_deref(), Some("http://<secret>@proxy:3128/"));
}

#[test]
fn a_token_travels_unencrypted_only_where_it_is_allowed_explicitly() {
    let warning = "accounts[0] \"acme\": base_url: sends the token unencrypted, as \
                   allow_insecure_http says; everyone on the network path can read it";
    for settings in [
        "base_url: 'http://api.example', allow_insecure_http: true",
        "base_url: 'http://127.0.0.1:1', proxy_url: 'http://proxy', allow_insecure_http: true",
    ] {
        assert_eq!(reported(settings).0, [warning], "{settings}");
    }
    for settings in [
        "base_url: 'https://api.example', allow_insecure_http: true",
        "base_url: 'http://127.0.0.1:1', allow_insecure_http: true",
        "base_url: 'http://127.0.0.1:1', proxy_url: 'http://[::1]:2'",
        "base_url: 'https://127.0.0.1:1', proxy_url: 'http://proxy'",
    ] {
        assert_eq!(reported(settings).0, [] as [&str; 0], "{settings}");
    }
    assert_eq!(
        account_problem("base_url: http://127.0.0.1:1\n  proxy_url: http://proxy"),
        "base_url: would send the token unencrypted to the proxy, whose own loopback it names; \
         remove proxy_url, or set allow_insecure_http: true"
    );
    assert!(
        account_problem("base_url: http://api.example\n  allow_insecure_http: false")
            .starts_with("base_url: would send the token unencrypted; write https://")
    );
    let (_, (_, url)) = reported("allow_insecure_http: true");
    assert_eq!(url, "https://tech.wazzup24.com/");
}

#[test]
fn an_unchecked_certificate_is_warned_of() {
    assert_eq!(
        reported("tls: {insecure_skip_verify: true}").0,
        [
            "accounts[0] \"acme\": tls.insecure_skip_verify: takes every certificate, so everyone on the \
          network path can read the token; ca_file trusts an authority of your own"
        ]
    );
}

#[test]
fn more_than_the_limit_allows_is_refused_with_numbers_and_remedy() {
    let users = (0..6000).map(|id| format!("{{id: '{id}'}}")).collect::<Vec<_>>().join(", ");
    let text =
        |poll: &str| ACME.replace("{id: '1'}", &users).replace("auth", &format!("{poll}auth"));
    assert_eq!(
        problems(&text("")),
        "1:12: accounts[0] \"acme\": 6000 users every 30s need 200 requests/s; 60% of the limit, \
         500 per 5s, allows 58.2/s: raise poll.interval to 1m44s or more"
    );
    read(&text("poll: {interval: 1m44s}, ")).unwrap();
    assert_eq!(
        problems(&text("poll: {interval: 1m30s}, ")),
        "1:12: accounts[0] \"acme\": 6000 users every 1m30s need 66.7 requests/s; 60% of the limit, \
         500 per 5s, allows 58.2/s: raise poll.interval to 1m44s or more, or raise rate_limit.share"
    );
    read(&text("poll: {interval: 1m30s}, rate_limit: {share: 100%}, ")).unwrap();
    let slow = "poll: {interval: 24h, stale_after: 50h}, rate_limit: {requests: 1, per: 1h, share: 100%}, ";
    assert_eq!(
        problems(&text(slow)),
        "1:12: accounts[0] \"acme\": 6000 users every 24h need 0.0695 requests/s; the limit, 1 per \
         1h, allows 0.000269/s: poll fewer users, or correct rate_limit"
    );
    assert_eq!(
        problems(&ACME.replace("auth", "rate_limit: {requests: 1, per: 1m, share: 100%}, auth")),
        "1:12: accounts[0] \"acme\": 1 user every 30s need 0.0334 requests/s; the limit, 1 per 1m, \
         allows 0.0161/s: raise poll.interval to 1m2s or more"
    );
}

#[test]
fn accounts_with_the_same_token_share_one_limit() {
    let limit = "rate_limit: {requests: 1, per: 10s, share: 100%}";
    let same = format!("auth: {{token: same}}, {limit}");
    let other = format!("auth: {{token: other}}, {limit}");
    let elsewhere = format!("base_url: 'https://b.example', {same}");
    let rare = format!("{same}, poll: {{interval: 10m}}");
    read(&accounts(&[&same, &other, &elsewhere])).unwrap();
    assert_eq!(
        problems(&accounts(&[&same, &other, &rare, &same])),
        "2:3: accounts[0] \"a0\": a0, a2, a3 have the same token and together need 0.137 \
         requests/s; the limit, 1 per 10s, allows 0.097/s: raise poll.interval of a0, a3 to 43s or more"
    );
    let many = vec![same.as_str(); 8];
    let reported = problems(&accounts(&many));
    assert!(reported.contains("a0, a1, a2, a3, a4 and 3 more have the same token"), "{reported}");
}

#[test]
fn accounts_with_the_same_token_agree_on_their_limit() {
    let one = "auth: {token: same}, rate_limit: {requests: 1}";
    let own = "auth: {token: same}, rate_limit: {requests: 2}";
    let none = "auth: {token: same}";
    assert_eq!(
        problems(&accounts(&[one, one, own, none])),
        "4:78: accounts[2] \"a2\": rate_limit differs from that of \"a0\", which has the same token \
         and so shares one limit with it; write the same for both; the other one is at \
         config.yaml:2:78\n\
         5:3: accounts[3] \"a3\": rate_limit differs from that of \"a0\", which has the same token \
         and so shares one limit with it; write the same for both; the other one is at \
         config.yaml:2:78"
            .replace("config.yaml:", "")
    );
}
