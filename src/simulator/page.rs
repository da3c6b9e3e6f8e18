//! Pages for browsers: HTML in one piece, which may load nothing and run nothing.
//!
//! [`Page`] is used by `authorize`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest;

use super::answer::{self, Reply};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;\
    padding:0 1rem}button{display:block;width:100%;margin:.5rem 0;padding:.75rem;font:inherit;\
    text-align:left;cursor:pointer}small{opacity:.7}";

/// A page.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) title: &'static str,
    /// HTML, with everything from outside escaped.
    pub(super) body: String,
    /// Where its form may lead, beside here.
    pub(super) form_action: Option<String>,
}

impl Page {
    pub(super) fn reply(&self) -> Reply {
        let Self { status, title, body, form_action } = self;
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title} – simulated Wazzup24</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<h1>{title}</h1>\n{body}<p><small>A simulation: no login is needed \
             anywhere.</small></p>\n</body>\n</html>\n"
        );
        let style = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        let form = form_action.as_ref().map_or("'none'".to_owned(), |to| format!("'self' {to}"));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action {form}; \
             base-uri 'none'; frame-ancestors 'none'"
        );
        answer::html(*status, html, &policy)
    }
}

/// A text that may stand anywhere in HTML, also between quotation marks.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes() {
        assert_eq!(
            escaped(r#"<a b="c" d='e'>&amp;"#),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;"
        );
    }
}
