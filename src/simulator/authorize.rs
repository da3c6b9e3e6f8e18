//! The page on which an account's owner lets a partner in: `GET /v2/oauth/authorize`.
//!
//! It asks which of the partner's accounts the person means, where the real one asks for a login,
//! and sends the browser back with a code, which `oauth` turns into tokens. An [`AuthorizationRequest`]
//! holds the checked parameters; an error in them is shown on the page, and the browser is sent
//! nowhere that is not registered. Called by `api`.

use hyper::Method;
use hyper::http::request::Parts;
use url::{Url, form_urlencoded};

use super::account::Account;
use super::answer::{self, Reply};
use super::lock::lock;
use super::page::{Page, escaped};
use super::partner::Partner;
use super::tokens::Code;
use super::world::World;

/// The parameters that the page hands on to itself.
const PARAMETERS: [&str; 7] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
];

pub(super) fn answer(world: &World, head: &Parts, body: &[u8]) -> Reply {
    let parameters = match head.method {
        Method::GET => head.uri.query().unwrap_or_default().as_bytes(),
        Method::POST => body,
        _ => return answer::method_not_allowed("GET, POST"),
    };
    let parameters = Parameters::read(parameters);
    let request = match AuthorizationRequest::of(world, &parameters) {
        Ok(request) => request,
        Err(faults) => return refused(&faults),
    };
    let place = match head.method {
        // A browser with a login gets no page.
        Method::GET => *lock(&world.browser),
        _ => parameters
            .one("account")
            .and_then(|id| world.accounts.iter().position(|account| account.id == id)),
    };
    let account = place.and_then(|place| Some((place, world.accounts.get(place)?)));
    match account.filter(|(_, account)| request.may_be_authorised(account)) {
        Some((place, _)) => request.grant(world, place),
        None if head.method == Method::GET => request.account_page(world, &parameters),
        None => refused(&["account: the partner has no such account".to_owned()]),
    }
}

fn refused(faults: &[String]) -> Reply {
    let items: Vec<_> =
        faults.iter().map(|fault| format!("<li>{}</li>\n", escaped(fault))).collect();
    let faults = items.concat();
    let body = format!("<p>This address cannot be used:</p>\n<ul>\n{faults}</ul>\n");
    Page { status: 400, title: "Not authorised", body, form_action: None }.reply()
}

/// Parameters as they were sent.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// A parameter that is there exactly once.
    fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none()).map(String::as_str)
    }
}

/// The checked parameters of a partner's request to be authorised.
struct AuthorizationRequest<'a> {
    partner: &'a Partner,
    /// The partner's place in the list.
    place: usize,
    redirect_uri: String,
    back: Url,
    state: Option<String>,
    challenge: String,
}

impl<'a> AuthorizationRequest<'a> {
    fn of(world: &'a World, parameters: &Parameters) -> Result<Self, Vec<String>> {
        let client = parameters.one("client_id");
        let mut partners = world.partners.iter().enumerate();
        let Some((place, partner)) =
            partners.find(|(_, partner)| Some(&*partner.spec.client_id) == client)
        else {
            return Err(vec!["client_id: there is no such application".to_owned()]);
        };
        let redirect_uri = parameters.one("redirect_uri").unwrap_or_default();
        let registered = partner.spec.redirect_uris.iter().any(|uri| uri == redirect_uri);
        let back = Url::parse(redirect_uri).ok().filter(|_| registered);
        let challenge = parameters.one("code_challenge").unwrap_or_default();
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        check(
            back.is_some(),
            "redirect_uri: not registered for this application, character by character",
        );
        check(parameters.one("response_type") == Some("code"), "response_type: must be code");
        check(
            parameters.one("scope").is_some_and(|scope| partner.spec.covers(scope)),
            "scope: missing, or more than the partner may ask for",
        );
        check(
            parameters.one("code_challenge_method") == Some("S256"),
            "code_challenge_method: must be S256",
        );
        check(
            challenge.len() == 43 && challenge.bytes().all(is_base64url),
            "code_challenge: must be the base64url of a SHA-256, 43 characters without padding",
        );
        let (Some(back), true) = (back, faults.is_empty()) else {
            return Err(faults);
        };
        Ok(Self {
            partner,
            place,
            redirect_uri: redirect_uri.to_owned(),
            back,
            state: parameters.one("state").map(str::to_owned),
            challenge: challenge.to_owned(),
        })
    }

    /// Whether the owner of this account may let the partner in.
    fn may_be_authorised(&self, account: &Account) -> bool {
        account.credential.is_label_of(&self.partner.name)
    }

    /// Sends the browser back with a code.
    fn grant(self, world: &World, account: usize) -> Reply {
        let Self { place, redirect_uri, mut back, state, challenge, .. } = self;
        let code = Code { account, partner: place, redirect_uri, challenge };
        back.query_pairs_mut().append_pair("code", &world.tokens.new_code(code));
        if let Some(state) = &state {
            back.query_pairs_mut().append_pair("state", state);
        }
        answer::redirect(back.as_str())
    }

    /// The page that lists the accounts to choose from.
    fn account_page(&self, world: &World, parameters: &Parameters) -> Reply {
        let hidden = |name: &str| {
            let value = escaped(parameters.one(name)?);
            Some(format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">\n"))
        };
        let button = |account: &Account| {
            let (id, name) = (escaped(&account.id), escaped(&account.name));
            format!("<button name=\"account\" value=\"{id}\">{name} <small>{id}</small></button>\n")
        };
        let partner = escaped(&self.partner.name);
        let hidden = PARAMETERS.into_iter().filter_map(hidden).collect::<Vec<_>>().concat();
        let accounts = world.accounts.iter().filter(|account| self.may_be_authorised(account));
        let buttons = accounts.map(button).collect::<Vec<_>>().concat();
        let body = format!(
            "<p><strong>{partner}</strong> asks to be let in. Which account do you mean?</p>\n\
             <form method=\"post\" action=\"/v2/oauth/authorize\">\n{hidden}{buttons}</form>\n"
        );
        let form_action = Some(origin(&self.back));
        Page { status: 200, title: "Authorise a partner", body, form_action }.reply()
    }
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// An address as far as a content security policy names it. Browsers hold a form to its policy
/// beyond the redirect.
fn origin(url: &Url) -> String {
    let origin = url.origin();
    if origin.is_tuple() { origin.ascii_serialization() } else { format!("{}:", url.scheme()) }
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
        let form = format!("{}&account={account}", parameters(&[]));
        served.request("POST", "/v2/oauth/authorize", "", &form).await
    }

    fn parameter(reply: &Reply, name: &str) -> Option<String> {
        let back = Url::parse(reply.header("location").unwrap()).unwrap();
        back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    #[tokio::test]
    async fn asks_which_of_the_partner_s_accounts_is_meant() {
        let served = partner_api().await;
        let page = open(&served, &parameters(&[])).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8"))
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("form-action 'self' https://partner.example;"), "{policy}");
        let body = &page.body;
        let name = "one&quot;&gt;&lt;script&gt; <small>11111111</small>";
        assert!(body.contains(&format!("value=\"11111111\">{name}</button>")), "{body}");
        assert_eq!(body.matches("<button").count(), 2, "{body}");
        assert!(body.contains("name=\"state\" value=\"a&amp;b &quot;c&quot;\""), "{body}");
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
            let form = format!("{parameters}&account=11111111");
            let posted = served.request("POST", "/v2/oauth/authorize", "", &form).await;
            for page in [open(&served, &parameters).await, posted] {
                assert_eq!((page.status, page.header("location")), (400, None), "{name}");
                assert!(page.body.contains(&format!("<li>{name}: ")), "{name}: {}", page.body);
                assert_eq!(page.body.matches("<li>").count(), 1, "{}", page.body);
                assert!(!page.body.contains("evil"));
            }
        }
        let twice = format!("{}&scope=crm", parameters(&[]));
        assert!(open(&served, &twice).await.body.contains("<li>scope: "));
        for account in ["33333333", "44444444", "unknown"] {
            let page = choose(&served, account).await;
            assert_eq!((page.status, page.header("location")), (400, None), "{account}");
        }
        let put = served.request("PUT", "/v2/oauth/authorize", "", "").await;
        assert_eq!((put.status, put.header("allow")), (405, Some("GET, POST")));
    }

    #[tokio::test]
    async fn a_browser_that_is_logged_in_is_not_asked() {
        let served = partner_api().await;
        served.simulator.log_browser_in(Some("two")).unwrap();
        let sent = open(&served, &parameters(&[("state", None)])).await;
        assert_eq!((sent.status, parameter(&sent, "state")), (302, None));
        assert!(parameter(&sent, "code").is_some());
        served.simulator.log_browser_in(Some("other")).unwrap();
        assert_eq!(open(&served, &parameters(&[])).await.status, 200);
        served.simulator.log_browser_in(None).unwrap();
        let there = parameters(&[("redirect_uri", Some("myapp:done"))]);
        let page = open(&served, &there).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self' myapp:;"), "{policy}");
        assert!(served.simulator.log_browser_in(Some("unknown")).is_err());
    }
}
