//! The mapping `headers`: headers of every response.
//!
//! The format allows exactly five headers, so that exporters stay alike.

use hyper::header::{HeaderName, HeaderValue};
use serde_saphyr::Spanned;

use crate::problems::place::{Entries, place};
use crate::problems::read::tellable;
use crate::problems::report::Scope;

/// Headers of every answer, in the order of the file.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// Header values by names of headers.
pub(super) type HeadersKeys = Entries<Spanned<Option<String>>>;

/// The headers that exist, and their values where these are a closed list.
const KNOWN: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

/// Longest name of a header that is repeated in a problem.
const NAME_MAX: usize = 40;

/// Makes headers of a mapping.
pub(super) fn check(keys: &HeadersKeys, scope: &mut Scope<'_>) -> Headers {
    let mut headers: Headers = Vec::new();
    for entry in &keys.0 {
        let Some((known, values)) = KNOWN.iter().find(|(known, _)| *known == entry.key) else {
            let known = KNOWN.map(|(known, _)| known).join(", ");
            let name = tellable_header(&entry.key).unwrap_or("…");
            let what = format!("cannot be configured; only these can: {known}");
            scope.problem(entry.at, name, what);
            continue;
        };
        let Some(value) = &entry.value.value else { continue };
        let at = place(&entry.value);
        let header = HeaderName::from_bytes(known.as_bytes());
        let header = header.expect("the known names are names of headers");
        if !values.is_empty() && !values.contains(&value.as_str()) {
            scope.problem(at, known, format_args!("must be {}", values.join(" or ")));
        } else if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.push((header, value));
        } else {
            scope.problem(at, known, "holds a character that no header has; write it again");
        }
    }
    headers
}

/// `name`, if it looks like a header and not like a pasted secret: its words begin with a capital, or are short and all
/// capitals, or it is in lower case.
fn tellable_header(name: &str) -> Option<&str> {
    let is_word = |word: &str| {
        let rest = word.strip_prefix(|first: char| first.is_ascii_uppercase());
        let is_short = word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        is_short || rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    let is_header = name.len() <= NAME_MAX && name.split('-').all(is_word);
    is_header.then_some(name).or_else(|| tellable(name))
}
