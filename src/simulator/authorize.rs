//! The page on which an account's owner lets a partner in: `GET /v2/oauth/authorize`.
//!
//! Where the real one asks for a login, this one offers the partner's accounts as links to itself with
//! the parameter `account`. Followed, one of them sends the browser back with a code, which `oauth`
//! turns into tokens. An error in the parameters is shown on the page, and the browser is sent nowhere
//! that is not registered. Called by `api`.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};
use url::{Url, form_urlencoded};

use super::answer::{self, with};
use super::partner::Partner;
use super::spec::AccountSpec;
use super::tokens::{CODE_TTL, Code, Good};
use super::world::World;

pub(super) fn answer(world: &World, query: &str) -> Response {
    let parameters = Parameters(form_urlencoded::parse(query.as_bytes()).into_owned().collect());
    let client = parameters.one("client_id");
    let mut partners = world.partners.iter().enumerate();
    let Some((place, partner)) =
        partners.find(|(_, partner)| Some(&*partner.spec.client_id) == client)
    else {
        return refused(&["client_id"]);
    };
    let (faults, back) = (parameters.faults(partner), parameters.back(partner));
    let (Some(back), true) = (back, faults.is_empty()) else {
        return refused(&faults);
    };
    // Only the owners of these may let the partner in.
    let mut accounts = world.accounts.iter().enumerate().filter_map(|(place, account)| {
        let AccountSpec { account_id, credential, .. } = &account.now().spec;
        let ours = credential.is_label_of(&partner.spec.name);
        ours.then(|| (place, &account.name, account_id.clone()))
    });
    let Some(chosen) = parameters.one("account") else {
        let title = "Authorise a partner";
        return page(
            200,
            title,
            &html! {
                p { strong { (partner.spec.name) } " asks to be let in. Which account do you mean?" }
                @for (_, name, id) in accounts {
                    p { a href={ "?" (query) "&account=" (id) } { (name) " (" (id) ")" } }
                }
            },
        );
    };
    match accounts.find(|(_, _, id)| id == chosen) {
        Some((account, ..)) => parameters.grant(world, account, place, back),
        None => refused(&["account"]),
    }
}

fn refused(faults: &[&str]) -> Response {
    page(
        400,
        "Not authorised",
        &html! {
            p { "This address cannot be used. Missing, twice there, not registered or not as documented:" }
            ul { @for name in faults { li { (name) } } }
        },
    )
}

fn page(status: u16, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) " – simulated Wazzup24" } }
            body { h1 { (title) } (body) p { small { "A simulation: no login is needed." } } }
        }
    };
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    with(answer::text(status, page.into_string()), CONTENT_TYPE, html)
}

/// Parameters as they were sent.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// A parameter that is there exactly once.
    fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none()).map(String::as_str)
    }

    /// Where the browser is to be sent, if the partner has registered it.
    fn back(&self, partner: &Partner) -> Option<Url> {
        let uri = self.one("redirect_uri")?;
        let registered = partner.spec.redirect_uris.iter().any(|known| known == uri);
        Url::parse(uri).ok().filter(|_| registered)
    }

    /// The parameters that are not what they have to be.
    fn faults(&self, partner: &Partner) -> Vec<&'static str> {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_sha256 = |text: &str| text.len() == 43 && text.bytes().all(is_base64url);
        let checks = [
            ("redirect_uri", self.back(partner).is_some()),
            ("response_type", self.one("response_type") == Some("code")),
            ("scope", self.one("scope").is_some_and(|scope| partner.spec.covers(scope))),
            ("code_challenge_method", self.one("code_challenge_method") == Some("S256")),
            ("code_challenge", self.one("code_challenge").is_some_and(is_sha256)),
        ];
        checks.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
    }

    /// Sends the browser back with a code.
    fn grant(&self, world: &World, account: usize, partner: usize, mut back: Url) -> Response {
        let own = |name| self.one(name).unwrap_or_default().to_owned();
        let (redirect_uri, challenge) = (own("redirect_uri"), own("code_challenge"));
        let code = Good::Code(Code { account, partner, redirect_uri, challenge });
        back.query_pairs_mut().append_pair("code", &world.tokens.issue(code, CODE_TTL));
        if let Some(state) = self.one("state") {
            back.query_pairs_mut().append_pair("state", state);
        }
        let location = back.as_str().parse().expect("a URL is printable ASCII");
        with(answer::text(302, String::new()), LOCATION, location)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::super::oauth::challenge;
    use super::super::test_client::{Reply, Served, serve};
    use super::super::{AccountSpec, PartnerSpec, Settings};

    const BACK: &str = "https://partner.example/wazzup?from=here";
    const VERIFIER: &str = "0123456789-0123456789.0123456789_0123456789~";

    /// Partner `main` with two label accounts, one under a name that means mischief.
    async fn partner_api() -> Served {
        let mut main = PartnerSpec::new("<main>", "main@example.com", "pass");
        main.client_id = "17".into();
        main.redirect_uris = vec![BACK.into(), "myapp:done".into()];
        let accounts = vec![
            AccountSpec::label("one\"><script>", "11111111", "<main>", "seed-1"),
            AccountSpec::label("two", "22222222", "<main>", "seed-2"),
            AccountSpec::label("other", "33333333", "another", "seed-3"),
            AccountSpec::white_label("white", "44444444", "<main>"),
        ];
        serve(Settings { accounts, partners: vec![main], ..Settings::default() }).await
    }

    fn parameters(changes: &[(&str, Option<&str>)]) -> String {
        let challenge = challenge(VERIFIER);
        let usual = [
            ("response_type", "code"),
            ("client_id", "17"),
            ("redirect_uri", BACK),
            ("scope", "transport,crm"),
            ("state", "a&b \"c\""),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in usual {
            let change = changes.iter().find(|(changed, _)| *changed == name);
            if let Some(value) = change.map_or(Some(value), |(_, value)| *value) {
                out.append_pair(name, value);
            }
        }
        out.finish()
    }

    async fn open(served: &Served, parameters: &str) -> Reply {
        served.get(&format!("/v2/oauth/authorize?{parameters}"), "").await
    }

    async fn choose(served: &Served, account: &str) -> Reply {
        open(served, &format!("{}&account={account}", parameters(&[]))).await
    }

    fn parameter(reply: &Reply, name: &str) -> Option<String> {
        let back = Url::parse(reply.header("location").unwrap()).unwrap();
        back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    #[tokio::test]
    async fn asks_which_of_the_partner_s_accounts_is_meant() {
        let served = partner_api().await;
        let asked = parameters(&[]);
        let page = open(&served, &asked).await;
        let html = Some("text/html; charset=utf-8");
        assert_eq!((page.status, page.header("content-type")), (200, html));
        let body = &page.body;
        let address = format!("?{}&amp;account=11111111", asked.replace('&', "&amp;"));
        let link = format!("<a href=\"{address}\">one&quot;&gt;&lt;script&gt; (11111111)</a>");
        assert!(body.contains(&link), "{link}\n{body}");
        assert_eq!(body.matches("<a ").count(), 2, "{body}");
        assert!(body.contains("<strong>&lt;main&gt;</strong>") && !body.contains("<script"));
        let last = served.simulator.log().pop().unwrap();
        assert_eq!(last.path, "/v2/oauth/authorize", "the query is not logged");
    }

    #[tokio::test]
    async fn a_choice_sends_the_browser_back_with_a_code_that_works_once() {
        let served = partner_api().await;
        let chosen = choose(&served, "22222222").await;
        assert_eq!(chosen.status, 302);
        let back = chosen.header("location").unwrap();
        assert!(back.starts_with("https://partner.example/wazzup?from=here&code="), "{back}");
        assert_eq!(parameter(&chosen, "state").as_deref(), Some("a&b \"c\""));
        let code = parameter(&chosen, "code").unwrap();
        let data = json!({"code": code, "redirect_uri": BACK, "client_id": "17",
            "code_verifier": VERIFIER});
        let exchange = async |changed: &str, value: &str| {
            let mut data = data.clone();
            data[changed] = value.into();
            let body = json!({"grant_type": "authorization_code", "authorize_code_data": data});
            served.request_token("main@example.com:pass", &body).await
        };
        for (changed, value) in [
            ("code", "guessed"),
            ("redirect_uri", "myapp:done"),
            ("client_id", "18"),
            ("code_verifier", &VERIFIER.replace('0', "1")),
        ] {
            let refused = exchange(changed, value).await;
            assert_eq!(refused.status, 400, "{changed}");
            assert_eq!(refused.json()["code"], "OAUTH_CODE_INVALID");
        }
        let granted = exchange("code", &code).await;
        let last = served.simulator.log().pop().unwrap();
        assert_eq!((last.account.as_deref(), last.status), (Some("two"), Some(200)));
        let token = granted.json()["data"]["access_token"].as_str().unwrap().to_owned();
        assert_eq!(served.get("/v2/users", &token).await.status, 200);
        assert_eq!(served.simulator.live_refresh_tokens("two").unwrap().len(), 2);
        assert_eq!(exchange("code", &code).await.json()["code"], "OAUTH_CODE_INVALID");
    }

    #[tokio::test]
    async fn bad_parameters_are_explained_and_lead_nowhere() {
        let served = partner_api().await;
        for (name, value) in [
            ("client_id", Some("18")),
            ("client_id", None),
            ("redirect_uri", Some("https://evil.example/")),
            ("redirect_uri", Some("https://partner.example/wazzup")),
            ("redirect_uri", None),
            ("response_type", Some("token")),
            ("scope", Some("billing")),
            ("scope", None),
            ("code_challenge_method", Some("plain")),
            ("code_challenge", Some("short")),
            ("code_challenge", None),
        ] {
            let parameters = parameters(&[(name, value)]);
            let chosen = format!("{parameters}&account=11111111");
            for page in [open(&served, &parameters).await, open(&served, &chosen).await] {
                assert_eq!((page.status, page.header("location")), (400, None), "{name}");
                assert!(page.body.contains(&format!("<li>{name}</li>")), "{name}: {}", page.body);
                assert_eq!(page.body.matches("<li>").count(), 1, "{}", page.body);
                assert!(!page.body.contains("evil"));
            }
        }
        let twice = format!("{}&scope=crm", parameters(&[]));
        assert!(open(&served, &twice).await.body.contains("<li>scope</li>"));
        for account in ["33333333", "44444444", "unknown"] {
            let page = choose(&served, account).await;
            assert_eq!((page.status, page.header("location")), (400, None), "{account}");
        }
        let put = served.request("PUT", "/v2/oauth/authorize", "", "").await;
        assert_eq!((put.status, put.header("allow")), (405, Some("GET")));
    }
}
