//! How an account reaches its API: rate limit, TLS and proxy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use url::Url;

use super::shown;
use crate::net::without_login;

/// How many requests upstream takes of one credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct RateLimit {
    /// Requests in each window.
    pub requests: u32,
    /// Length of a window.
    #[serde(serialize_with = "shown::duration")]
    pub per: Duration,
    /// Which part of it is used, in percent: the customer's CRM needs the rest.
    #[serde(serialize_with = "shown::percentage")]
    pub share: u8,
}

impl RateLimit {
    /// How many requests are sent in any window at most; below 1 where one is too much for a window.
    pub fn usable(&self) -> f64 {
        let hundredths = u64::from(self.requests) * u64::from(self.share);
        if hundredths < 100 { hundredths as f64 / 100.0 } else { (hundredths / 100) as f64 }
    }

    /// An equal part for each of so many processes that have it in common.
    #[must_use]
    pub fn divided(self, parts: usize) -> Self {
        let parts = u8::try_from(parts).unwrap_or(u8::MAX).max(1);
        Self { share: (self.share / parts).max(1), ..self }
    }
}

impl Default for RateLimit {
    /// What upstream documents (docs/upstream.md, "Limits and refusals").
    fn default() -> Self {
        Self { requests: 500, per: Duration::from_secs(5), share: 60 }
    }
}

/// How the API's certificate is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Tls {
    /// The only authorities to trust; without them those of the system.
    #[serde(rename = "ca_file", skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
}

/// Certificates of authorities. Equal when their content is, whatever file it was read from.
#[derive(Clone)]
pub struct Authorities {
    certificates: Arc<[Vec<u8>]>,
    file: Arc<Path>,
}

impl Authorities {
    /// Takes the certificates of `file`, in DER, which the caller has found usable.
    pub fn new(certificates: Vec<Vec<u8>>, file: &Path) -> Self {
        Self { certificates: certificates.into(), file: file.into() }
    }

    /// The certificates in DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Authorities {}

impl Hash for Authorities {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.certificates.hash(state);
    }
}

/// An HTTP proxy. Its user name and password show neither as `Debug` nor as `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// Checks the address of a proxy.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let wrong = "is not an address of a proxy; write http://proxy:3128";
        let address = Url::parse(text).map_err(|_| wrong)?;
        match address.scheme() {
            "http" | "https" => {}
            "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" => {
                return Err("names a SOCKS proxy, which is not supported; name an HTTP proxy, \
                            http://proxy:3128");
            }
            _ => return Err("must start with http:// or https://"),
        }
        let more = address.query().is_some() || address.fragment().is_some();
        if more || address.path() != "/" {
            return Err("has a path, a query (?…) or a fragment (#…); remove it");
        }
        Ok(Self(address))
    }

    /// Where it is, without user name and password.
    pub fn address(&self) -> Url {
        without_login(&self.0)
    }

    /// The complete address, user name and password included.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl Serialize for Authorities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shown::path(&self.file, serializer)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown::masked(&self.0))
    }
}

impl Serialize for ProxyUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.certificates.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_the_address_of_an_http_server_and_no_more() {
        for (text, why) in [
            ("", "is not an address of a proxy"),
            ("http://", "is not an address of a proxy"),
            ("http://proxy:port", "is not an address of a proxy"),
            ("proxy:3128", "must start with http"),
            ("file:///etc/passwd", "must start with http"),
            ("socks5://proxy:1080", "names a SOCKS proxy"),
            ("socks5h://proxy:1080", "names a SOCKS proxy"),
            ("http://proxy:3128/path", "has a path, a query"),
            ("http://proxy:3128/?query", "has a path, a query"),
            ("http://proxy:3128/#fragment", "has a path, a query"),
        ] {
            assert!(ProxyUrl::parse(text).unwrap_err().starts_with(why), "{text:?}");
        }
        for text in ["http://proxy:3128", "https://proxy/", "http://[::1]:8080"] {
            assert!(!ProxyUrl::parse(text).unwrap().expose().contains('@'));
        }
    }

    #[test]
    fn user_name_and_password_of_a_proxy_are_used_but_not_shown() {
        for text in ["http://us3r:pa55@proxy:3128", "http://us3r@proxy:3128", "http://:pa55@proxy"]
        {
            let proxy = ProxyUrl::parse(text).unwrap();
            let shown = format!("{proxy} {proxy:?} {}", proxy.address());
            assert!(!shown.contains("us3r") && !shown.contains("pa55"), "{shown}");
            assert!(shown.starts_with("http://<secret>@proxy"), "{shown}");
            assert_eq!(proxy.expose(), format!("{text}/"));
            assert_ne!(proxy, ProxyUrl::parse("http://proxy:3128").unwrap());
        }
    }

    #[test]
    fn authorities_are_the_same_when_their_certificates_are() {
        let [file, other] = ["ca.pem", "other.pem"].map(Path::new);
        let one = Authorities::new(vec![vec![1, 2], vec![3]], file);
        assert_eq!(one, Authorities::new(vec![vec![1, 2], vec![3]], other));
        assert_ne!(one, Authorities::new(vec![vec![1, 2]], file));
        assert_eq!(format!("{one:?}"), "Authorities(2)");
    }
}
