use super::super::registry::Tokens;
use super::*;
use crate::account::{Auth, fixture};
use crate::metrics::{ProcessMetrics, Tally};
use crate::storage::Storage;

/// A source for an account with this auth, as the configuration would give it.
fn source(auth: Auth, id: Option<&str>) -> TokenSource {
    let account_id = id.map(|id| AccountId::parse(id).unwrap());
    let account = Account { account_id, auth, ..fixture("acme", &["1"]) };
    source_among(&Tokens::new(None), account)
}

fn source_among(tokens: &Tokens, account: Account) -> TokenSource {
    let http = crate::transport::ConnectionPools::default().client_for(&account).unwrap();
    let (process, tally) = (Arc::new(ProcessMetrics::default()), Arc::new(Tally::default()));
    tokens.source(&Arc::new(account), http, process, tally)
}

/// A login of partner `main`.
fn oauth() -> Auth {
    let partner = crate::account::Partner {
        name: "main".to_owned(),
        email: "partner@example.com".to_owned(),
        password_file: "/nonexistent/password".into(),
        scope: "transport,crm".to_owned(),
        client_id: Some("id".to_owned()),
        redirect_uri: None,
        allow_account_files: false,
    };
    let refresh_token_file = "/nonexistent/refresh".into();
    Auth::OAuth { partner: Arc::new(partner), refresh_token_file }
}

async fn from_file(content: &[u8]) -> Result<Token, TokenError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    source(Auth::TokenFile(file.path().to_owned()), None).token().await
}

/// `{"exp":1759499127,"child_id":"78231464"}`
const JWT: &str = "e30.eyJleHAiOjE3NTk0OTkxMjcsImNoaWxkX2lkIjoiNzgyMzE0NjQifQ.c2ln";

#[tokio::test]
async fn white_space_around_a_token_in_a_file_is_not_part_of_it() {
    let token = from_file(b" s3cret\n").await.unwrap();
    assert_eq!(token.header.clone(), "Bearer s3cret");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_without_showing_it() {
    for content in ["", "  \n", "two words", "line\nbreak", "nul\0byte", "ünicode"] {
        let error = from_file(content.as_bytes()).await.unwrap_err();
        assert!(matches!(error, TokenError::Unusable { .. }), "{content:?}");
        assert!(!error.to_string().contains("words"), "{error}");
    }
}

#[tokio::test]
async fn a_token_in_a_file_is_read_again_once_it_has_ended_and_a_replaced_one_is_noticed() {
    // `{"exp":32503680000}`
    const LASTING: &str = "e30.eyJleHAiOjMyNTAzNjgwMDAwfQ.c2ln";
    let file = tempfile::NamedTempFile::new().unwrap();
    let source = source(Auth::TokenFile(file.path().to_owned()), None);
    for (token, latest) in [(JWT, "Bearer another"), (LASTING, &*format!("Bearer {LASTING}"))] {
        std::fs::write(file.path(), token).unwrap();
        let known = source.token().await.unwrap();
        std::fs::write(file.path(), "another").unwrap();
        assert_eq!(source.latest(&known).await.unwrap().header, latest);
    }
    source.replaced(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn neither_debug_nor_masked_text_shows_the_token() {
    let token = from_file(b"s3cret").await.unwrap();
    assert!(!format!("{token:?}").contains("s3cret"));
    assert_eq!(token.mask("bad token s3cret!"), "bad token <secret>!");
}

#[tokio::test]
async fn a_fixed_token_tells_when_it_ends() {
    let source = source(Auth::Token(JWT.into()), Some("78231464"));
    assert_eq!(source.times(), TokenTimes::default());
    source.token().await.unwrap();
    let expiry = Some(Duration::from_secs(1_759_499_127));
    assert_eq!(source.times(), TokenTimes { expiry, last_refresh: None });
}

#[tokio::test]
async fn a_token_of_another_account_is_not_used() {
    let other = source(Auth::Token(JWT.into()), Some("11111111"));
    let error = other.token().await.unwrap_err().to_string();
    assert!(error.contains("78231464") && error.contains("11111111"), "{error}");
    assert!(source(Auth::Token(JWT.into()), None).token().await.is_ok());
}

#[tokio::test]
async fn a_token_of_another_account_that_was_renewed_meanwhile_is_not_sent() {
    // `{"child_id":"11111111"}`
    const OTHER: &str = "e30.eyJjaGlsZF9pZCI6IjExMTExMTExIn0.c2ln";
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        r#"t={OTHER}; mkdir {} && t={JWT}; echo "{{\"access_token\": \"$t\", \"expires_in\": 60}}""#,
        folder.path().join("ran").display()
    );
    let words = ["sh", "-c", &script].map(str::to_owned);
    let source = source(Auth::TokenCommand(words.into()), Some("78231464"));
    let first = source.token().await.unwrap();
    assert_eq!(source.unexpired(&first), Some(first.clone()));
    let other = source.other_token(&first).await.unwrap_err().to_string();
    assert!(other.contains("11111111"), "{other}");
    assert_eq!(source.unexpired(&first), None);
}

#[tokio::test]
async fn a_command_is_run_again_only_once_its_token_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        r#"echo >> {0}; echo "{{\"access_token\": \"t$(wc -l < {0})\"}}""#,
        folder.path().join("runs").display()
    );
    let words = ["sh", "-c", &script].map(str::to_owned);
    let source = source(Auth::TokenCommand(words.into()), None);
    let first = source.token().await.unwrap();
    assert_eq!(source.token().await.unwrap(), first);
    let second = source.other_token(&first).await.unwrap();
    assert_eq!([first.header, second.header], ["Bearer t1", "Bearer t2"]);
    assert!(source.times().last_refresh.is_some());
    assert_eq!(source.token_client.tally.values().token_refreshes, [2, 0]);
}

#[tokio::test]
async fn a_refresh_token_is_not_used_without_a_place_to_keep_it() {
    let source = source(oauth(), None);
    assert!(matches!(source.token().await, Err(TokenError::NoStorage)));
}

#[tokio::test]
async fn a_renamed_account_is_called_by_its_new_name_while_the_old_poller_ends() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = Tokens::new(Some(Storage::new(folder.path().join("data"))));
    let account_id = AccountId::parse("78231464").ok();
    let account =
        |name| Account { account_id: account_id.clone(), auth: oauth(), ..fixture(name, &["1"]) };
    let [old, new] = ["acme", "globex"].map(|name| source_among(&tokens, account(name)));
    for (source, name) in [(old, "acme"), (new, "globex")] {
        let error = source.token().await.unwrap_err().to_string();
        assert!(error.ends_with(&format!("run `wazzup-exporter login {name}`")), "{error}");
    }
}
