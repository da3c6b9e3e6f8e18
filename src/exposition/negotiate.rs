//! Which format and which encoding a client wants, from its request headers.

use super::text::Format;

/// Chooses the format for an `Accept` header: OpenMetrics 1.0 where the client likes it at least as
/// well as plain text, otherwise text 0.0.4, which is also for clients that name neither.
///
/// Parameters beside `version` and `q` (Prometheus 3 sends `escaping`) do not matter: every name
/// here is valid in every escaping scheme.
pub fn negotiate(accept: &str) -> Format {
    let mut open_metrics = 0.0_f32;
    let mut text = 0.0_f32;
    for range in accept.split(',').map(Range::parse) {
        match range.media.as_str() {
            "application/openmetrics-text" if matches!(range.version, None | Some("1.0.0")) => {
                open_metrics = open_metrics.max(range.quality);
            }
            "text/plain" if matches!(range.version, None | Some("0.0.4")) => {
                text = text.max(range.quality);
            }
            _ => {}
        }
    }
    if open_metrics > 0.0 && open_metrics >= text { Format::OpenMetrics } else { Format::Text }
}

/// Whether an `Accept-Encoding` header allows gzip and does not prefer plain text.
pub fn accepts_gzip(accept_encoding: &str) -> bool {
    let quality = |coding: &str| {
        let mut ranges = accept_encoding.split(',').map(Range::parse);
        ranges.find(|range| range.media == coding).map(|range| range.quality)
    };
    let gzip = quality("gzip").or_else(|| quality("*")).unwrap_or(0.0);
    gzip > 0.0 && quality("identity").is_none_or(|identity| gzip >= identity)
}

/// One element of an accept header.
struct Range<'a> {
    media: String,
    version: Option<&'a str>,
    quality: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut range = Self { media, version: None, quality: 1.0 };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => range.version = Some(value),
                // An unreadable preference is no preference.
                "q" => range.quality = value.parse().unwrap_or(1.0),
                _ => {}
            }
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_openmetrics() {
        let two = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let three = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(negotiate(two), Format::OpenMetrics);
        assert_eq!(negotiate(three), Format::OpenMetrics);
    }

    #[test]
    fn prometheus_3_gets_what_there_is_where_it_prefers_something_else() {
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(negotiate(protobuf), Format::OpenMetrics);
        let text = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(negotiate(text), Format::Text);
    }

    #[test]
    fn everyone_else_gets_text() {
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0",
            "garbage;;;=,,;q=x",
        ] {
            assert_eq!(negotiate(accept), Format::Text, "{accept}");
        }
    }

    #[test]
    fn quality_decides() {
        let prefers_text = "application/openmetrics-text; version=1.0.0; q=0.3, text/plain; q=0.7";
        assert_eq!(negotiate(prefers_text), Format::Text);
        let prefers_open =
            "text/plain;q=0.3, Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.7";
        assert_eq!(negotiate(prefers_open), Format::OpenMetrics);
    }

    #[test]
    fn gzip_is_used_only_where_it_is_allowed() {
        for yes in [
            "gzip",
            "deflate, gzip;q=1.0, *;q=0.5",
            "*",
            "br, GZIP;q=0.1",
            "gzip, identity",
            "gzip;q=0.5, identity;q=0.4",
        ] {
            assert!(accepts_gzip(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0, *", "br", "gzip;q=0.5, identity;q=1"] {
            assert!(!accepts_gzip(no), "{no}");
        }
    }
}
