//! The files that the page loads, and what the browser may load.

/// The content security policy. Forms may be sent to the exporter itself, for a search without a script.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file that the page needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asset {
    /// Its path below the prefix.
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

/// The files that the page needs.
pub(crate) const ASSETS: [Asset; 3] = [
    Asset {
        path: "/style.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("style.css"),
    },
    Asset {
        path: "/page.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("page.js"),
    },
    Asset {
        path: "/favicon.svg",
        content_type: "image/svg+xml",
        content: include_str!("favicon.svg"),
    },
];
