//! Scrapes: the exposition in the format and the encoding that a client accepts, of all accounts or of some.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};
use url::form_urlencoded;

use super::response::{joined, overloaded, plain_text, response};
use crate::exposition::{Documents, NoAnswer, Selection, accepts_gzip, negotiate};

/// Responds to a scrape. `account` in the query, which may be repeated, names the accounts to show;
/// anything else in it is ignored.
pub(super) async fn respond(
    documents: &Arc<Documents>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Response {
    let format = negotiate(&joined(headers, &ACCEPT));
    let gzip = accepts_gzip(&joined(headers, &ACCEPT_ENCODING));
    let selection = Selection { format, accounts: accounts(query) };
    let answer = match documents.answer(selection, gzip).await {
        Ok(answer) => answer,
        Err(NoAnswer::Busy) => return overloaded(),
        Err(NoAnswer::UnknownAccount(error)) => {
            return plain_text(StatusCode::NOT_FOUND, format!("{error}\n"));
        }
    };
    let mut response = response(StatusCode::OK, format.content_type(), Bytes::new());
    // The connection that sends it is aborted when the answer is cut.
    response.extensions_mut().insert(answer.cut());
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, answer.length().into());
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = Body::from_stream(stream::iter(answer.map(Ok::<_, Infallible>)));
    response
}

/// The accounts that a query names; none for all.
fn accounts(query: Option<&str>) -> Vec<String> {
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut accounts: Vec<String> =
        query.filter(|(name, _)| name == "account").map(|(_, value)| value.into_owned()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

#[cfg(test)]
mod tests {
    use super::accounts;

    #[test]
    fn accounts_are_named_once_each_whatever_their_order() {
        assert_eq!(accounts(None), Vec::<String>::new());
        assert_eq!(accounts(Some("x=1&accounts=a")), Vec::<String>::new());
        let named = accounts(Some("account=b%20%26&account=a+1&x=y&account=b+%26"));
        assert_eq!(named, ["a 1", "b &"]);
    }
}
