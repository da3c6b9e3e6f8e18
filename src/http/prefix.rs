//! The path prefix below which everything is served, for use behind a reverse proxy.
//!
//! The command line reads a [`Prefix`]; [`routes`](super::routes) and [`probes`](super::probes) put their paths
//! below it.

use std::fmt;
use std::str::FromStr;

/// A path below which a site is: `/` for none, otherwise segments between slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// Why a text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a path of letters, digits and -_.~, as /wazzup")]
pub struct InvalidPrefix;

impl Prefix {
    /// The path of a route below the prefix.
    pub(super) fn path(&self, route: &str) -> String {
        format!("{}{}", self.0, route.trim_start_matches('/'))
    }

    /// The paths above the prefix, and the prefix itself without its slash; each with the address of the
    /// site relative to it, which works behind every proxy, whether it strips the prefix or not.
    pub(super) fn above(&self) -> Vec<(String, String)> {
        let slashes = self.0.match_indices('/').map(|(at, _)| at);
        let folders = slashes.filter_map(|at| self.0.split_at_checked(at + 1));
        let mut above = Vec::new();
        for (folder, rest) in folders.filter(|(_, rest)| !rest.is_empty()) {
            above.push((folder.to_owned(), rest.to_owned()));
            // The next one down, without its slash.
            let name = rest.split('/').next().unwrap_or_default();
            above.push((format!("{folder}{name}"), rest.to_owned()));
        }
        above
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    /// As in Prometheus, slashes at both ends are optional.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.trim_matches('/');
        if path.is_empty() {
            return Ok(Self::default());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let fits = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(plain);
        if path.split('/').all(fits) { Ok(Self(format!("/{path}/"))) } else { Err(InvalidPrefix) }
    }
}

impl fmt::Display for Prefix {
    /// With a slash at both ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_ends_do_not_count() {
        for (text, shown) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("wazzup", "/wazzup/"),
            ("/wazzup", "/wazzup/"),
            ("/a/b-c_d.e~f/", "/a/b-c_d.e~f/"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), shown, "{text}");
        }
        for text in ["/a//b", "/a/../b", "/.", "a b", "/ü", "/%20", "/a?b", "/a#b", "http://a/b"] {
            assert_eq!(text.parse::<Prefix>(), Err(InvalidPrefix), "{text}");
        }
    }

    #[test]
    fn from_every_path_above_the_prefix_there_is_an_address_of_the_site() {
        let above = "/a/b".parse::<Prefix>().unwrap().above();
        let above: Vec<_> = above.iter().map(|(path, to)| (path.as_str(), to.as_str())).collect();
        assert_eq!(above, [("/", "a/b/"), ("/a", "a/b/"), ("/a/", "b/"), ("/a/b", "b/")]);
        assert_eq!(Prefix::default().above(), []);
    }

    #[test]
    fn routes_are_below_the_prefix() {
        let prefix: Prefix = "/a/b".parse().unwrap();
        assert_eq!(["/", "/metrics"].map(|route| prefix.path(route)), ["/a/b/", "/a/b/metrics"]);
        assert_eq!(Prefix::default().path("/-/healthy"), "/-/healthy");
    }
}
