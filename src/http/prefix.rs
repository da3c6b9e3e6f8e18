//! The path prefix below which everything is served, for use behind a reverse proxy.
//!
//! The command line reads a [`Prefix`]; [`routes`](super::routes) and [`probes`](super::probes) match paths
//! against it.

use std::fmt;
use std::str::FromStr;

/// A path below which a site is: `/` for none, otherwise segments between slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// Why a text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a path of letters, digits and -_.~, as /wazzup")]
pub struct InvalidPrefix;

/// How a path relates to a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathMatch<'a> {
    /// Below the prefix; the rest is the path of the route.
    Below(&'a str),
    /// The prefix itself without its slash, or above it; the address of the site relative to the path.
    Above(&'a str),
    /// None of these.
    Outside,
}

impl Prefix {
    /// Matches `path` against the prefix.
    pub(super) fn match_path<'a>(&'a self, path: &'a str) -> PathMatch<'a> {
        let bare = self.0.strip_suffix('/').unwrap_or(&self.0);
        if let Some(rest) = path.strip_prefix(bare).filter(|rest| rest.starts_with('/')) {
            return PathMatch::Below(rest);
        }
        let whole_segments =
            |rest: &&str| path.ends_with('/') || (rest.starts_with('/') && !path.is_empty());
        match self.0.strip_prefix(path).filter(whole_segments) {
            // A relative address works behind every proxy, whether it strips the prefix or not.
            Some(_) => {
                let folder = path.rfind('/').map_or(0, |slash| slash + 1);
                PathMatch::Above(self.0.get(folder..).unwrap_or_default())
            }
            None => PathMatch::Outside,
        }
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
    fn paths_are_below_the_prefix_above_it_or_outside() {
        let prefix: Prefix = "/a/b".parse().unwrap();
        for (path, expected) in [
            ("/a/b/", PathMatch::Below("/")),
            ("/a/b/metrics", PathMatch::Below("/metrics")),
            ("/a/b//", PathMatch::Below("//")),
            ("/", PathMatch::Above("a/b/")),
            ("/a", PathMatch::Above("a/b/")),
            ("/a/", PathMatch::Above("b/")),
            ("/a/b", PathMatch::Above("b/")),
            ("/a/bc", PathMatch::Outside),
            ("/ab", PathMatch::Outside),
            ("/a/c", PathMatch::Outside),
            ("/metrics", PathMatch::Outside),
            ("//", PathMatch::Outside),
            ("*", PathMatch::Outside),
            ("", PathMatch::Outside),
        ] {
            assert_eq!(prefix.match_path(path), expected, "{path}");
        }
    }

    #[test]
    fn without_a_prefix_every_path_is_a_route() {
        let none = Prefix::default();
        for path in ["/", "/metrics", "//", "/a/"] {
            assert_eq!(none.match_path(path), PathMatch::Below(path));
        }
        assert_eq!([none.match_path(""), none.match_path("*")], [PathMatch::Outside; 2]);
    }
}
