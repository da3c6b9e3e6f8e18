//! The section `headers`: headers of every response.
//!
//! The format allows exactly five headers, so that exporters stay alike.

use hyper::header::{HeaderName, HeaderValue};

use super::section_reader::SectionReader;
use crate::yaml::node::Node;
use crate::yaml::tree::Tree;

/// Headers of every answer, in the order of the file.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// The headers that exist, and their values where these are a closed list.
const KNOWN: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

pub(super) fn read(node: &Node<'_>, reader: &mut SectionReader<'_>) -> Headers {
    let mut headers: Headers = Vec::new();
    for (name, entry) in reader.mapping(node, "X-Frame-Options: deny") {
        let Some((known, values)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            let known = KNOWN.map(|(known, _)| known).join(", ");
            let what = format!("{}cannot be configured; only these can: {known}", shown(&name));
            entry.key_problem(&mut reader.report, &what);
            continue;
        };
        if matches!(entry.tree(), Tree::Null) {
            continue;
        }
        let Some(value) = reader.text(&entry) else { continue };
        if !values.is_empty() && !values.contains(&value.as_str()) {
            let values = values.join(" or ");
            entry.problem(&mut reader.report, &format!("{known} must be {values}"));
            continue;
        }
        let header = HeaderName::from_bytes(known.as_bytes());
        let header = header.expect("the known names are names of headers");
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.push((header, value));
        } else {
            let what = format!("{known} holds a character that no header has; write it again");
            entry.problem(&mut reader.report, &what);
        }
    }
    headers
}

/// A name as it may be repeated: one of a header, not a secret in the wrong place.
fn shown(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
    if name.len() <= 40 && name.bytes().all(plain) { format!("{name} ") } else { String::new() }
}
