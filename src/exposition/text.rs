//! The one writer of the exposition formats.
//!
//! Sample lines are the same in Prometheus' text format 0.0.4 and in OpenMetrics 1.0; only the
//! descriptions before a family and the end of the document differ, so rendered lines serve both.
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use strum::IntoStaticStr;

use crate::account::LabelName;

/// An exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Text of an exposition under construction.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) text: String,
}

/// A sample line that has its name and some labels, and wants more labels or its value.
pub(super) struct Sample<'a> {
    text: &'a mut String,
    separator: char,
}

impl Format {
    /// The `Content-Type` of a document in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What ends a document in this format.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }
}

impl Lines {
    /// Writes HELP and TYPE of a family.
    pub(super) fn describe(&mut self, format: Format, name: &str, kind: Kind, help: &str) {
        // OpenMetrics names a counter's family without the suffix that its samples have.
        let family = match (format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        self.text.push_str("# HELP ");
        self.text.push_str(family);
        self.text.push(' ');
        for letter in help.chars() {
            match letter {
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '"' if format == Format::OpenMetrics => self.text.push_str("\\\""),
                _ => self.text.push(letter),
            }
        }
        self.text.push_str("\n# TYPE ");
        self.text.push_str(family);
        self.text.push(' ');
        self.text.push_str(kind.into());
        self.text.push('\n');
    }

    /// Starts a sample line; `labels` is text from [`push_label`], or empty.
    pub(super) fn sample(&mut self, name: &str, labels: &str) -> Sample<'_> {
        self.text.push_str(name);
        let mut sample = Sample { text: &mut self.text, separator: '{' };
        if !labels.is_empty() {
            sample.text.push('{');
            sample.text.push_str(labels);
            sample.separator = ',';
        }
        sample
    }

    /// Writes a family gathered from the `prometheus` crate.
    pub(super) fn family(&mut self, format: Format, family: &MetricFamily) {
        let name = family.name();
        let kind = match family.get_field_type() {
            MetricType::COUNTER => Kind::Counter,
            MetricType::HISTOGRAM => Kind::Histogram,
            // Nothing else is registered: no summaries, no untyped metrics.
            _ => Kind::Gauge,
        };
        self.describe(format, name, kind, family.help());
        let mut labels = String::new();
        for metric in family.get_metric() {
            labels.clear();
            for pair in metric.get_label() {
                push_label(&mut labels, pair.name(), pair.value());
            }
            match kind {
                Kind::Counter => self.sample(name, &labels).float(metric.get_counter().get_value()),
                Kind::Gauge => self.sample(name, &labels).float(metric.get_gauge().get_value()),
                Kind::Histogram => self.histogram(name, &labels, metric),
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, metric: &Metric) {
        let histogram = metric.get_histogram();
        let bucket_name = format!("{name}_bucket");
        let infinity = (f64::INFINITY, histogram.get_sample_count());
        let buckets = histogram.get_bucket().iter();
        let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        for (bound, count) in buckets.filter(|(bound, _)| bound.is_finite()).chain([infinity]) {
            let mut le = String::new();
            push_float(&mut le, bound);
            // OpenMetrics wants canonical floats here, and both formats have to agree.
            if bound.is_finite() && !le.contains('.') {
                le.push_str(".0");
            }
            self.sample(&bucket_name, labels).label("le", &le).integer(count);
        }
        self.sample(&format!("{name}_sum"), labels).float(histogram.get_sample_sum());
        self.sample(&format!("{name}_count"), labels).integer(histogram.get_sample_count());
    }
}

impl<'a> Sample<'a> {
    fn close(self) -> &'a mut String {
        self.text.push_str(if self.separator == ',' { "} " } else { " " });
        self.text
    }

    /// Adds a label.
    pub(super) fn label(mut self, name: &str, value: &str) -> Self {
        self.text.push(self.separator);
        self.separator = ',';
        push_pair(self.text, name, value);
        self
    }

    /// Adds labels that the configuration gives.
    pub(super) fn labels<'l>(
        self,
        labels: impl IntoIterator<Item = (&'l LabelName, &'l String)>,
    ) -> Self {
        let add =
            |sample: Self, (name, value): (&LabelName, &String)| sample.label(name.as_str(), value);
        labels.into_iter().fold(self, add)
    }

    /// Ends the line with an integer.
    pub(super) fn integer(self, value: u64) {
        let text = self.close();
        text.push_str(itoa::Buffer::new().format(value));
        text.push('\n');
    }

    /// Ends the line with a float.
    pub(super) fn float(self, value: f64) {
        let text = self.close();
        push_float(text, value);
        text.push('\n');
    }

    /// Ends the line with a duration or a unix time in seconds, to the millisecond.
    pub(super) fn seconds(self, value: Duration) {
        let text = self.close();
        text.push_str(itoa::Buffer::new().format(value.as_secs()));
        let millis = value.subsec_millis();
        if millis > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, ".{millis:03}");
        }
        text.push('\n');
    }
}

/// Adds `name="value"` to label text, escaped as both formats want it.
pub(super) fn push_label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    push_pair(labels, name, value);
}

/// A label as it is rendered.
#[cfg(fuzzing)]
pub fn label(name: &str, value: &str) -> String {
    let mut text = String::new();
    push_label(&mut text, name, value);
    text
}

fn push_pair(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        text.push('\\');
        let (special, after) = special.split_at(1);
        text.push_str(if special == "\n" { "n" } else { special });
        rest = after;
    }
    text.push_str(rest);
    text.push('"');
}

fn push_float(text: &mut String, value: f64) {
    if value.is_nan() {
        text.push_str("NaN");
    } else if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // Writing to a String cannot fail.
        let _ = write!(text, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: impl FnOnce(Sample<'_>)) -> String {
        let mut lines = Lines::default();
        value(lines.sample("m", ""));
        lines.text
    }

    #[test]
    fn label_values_are_escaped() {
        let mut lines = Lines::default();
        let mut labels = String::new();
        push_label(&mut labels, "account", "q\"uo\\te");
        push_label(&mut labels, "user", "ünï\n%2E");
        lines.sample("m", &labels).label("type", "\\").integer(7);
        let expected = r#"m{account="q\"uo\\te",user="ünï\n%2E",type="\\"} 7"#;
        assert_eq!(lines.text, format!("{expected}\n"));
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(line(|sample| sample.integer(1 << 53)), "m 9007199254740992\n");
        assert_eq!(line(|sample| sample.float(0.1 + 0.2)), "m 0.30000000000000004\n");
        assert_eq!(line(|sample| sample.float(f64::INFINITY)), "m +Inf\n");
        assert_eq!(line(|sample| sample.float(f64::NAN)), "m NaN\n");
        let time = Duration::from_millis(1_759_499_127_045);
        assert_eq!(line(|sample| sample.seconds(time)), "m 1759499127.045\n");
        assert_eq!(line(|sample| sample.seconds(Duration::from_secs(30))), "m 30\n");
    }

    #[test]
    fn openmetrics_names_a_counter_without_its_suffix() {
        let mut lines = Lines::default();
        lines.describe(Format::OpenMetrics, "m_total", Kind::Counter, "say \"hi\"\\");
        assert_eq!(lines.text, "# HELP m say \\\"hi\\\"\\\\\n# TYPE m counter\n");
        lines.text.clear();
        lines.describe(Format::Text, "m_total", Kind::Counter, "say \"hi\"\n");
        assert_eq!(lines.text, "# HELP m_total say \"hi\"\\n\n# TYPE m_total counter\n");
    }

    #[test]
    fn histograms_have_cumulative_buckets_up_to_infinity() {
        let options = prometheus::HistogramOpts::new("h", "help").buckets(vec![0.5, 1.0]);
        let histogram = prometheus::Histogram::with_opts(options).unwrap();
        for value in [0.1, 0.7, 5.0] {
            histogram.observe(value);
        }
        let mut lines = Lines::default();
        lines.family(Format::Text, &prometheus::core::Collector::collect(&histogram)[0]);
        insta::assert_snapshot!(lines.text, @r#"
        # HELP h help
        # TYPE h histogram
        h_bucket{le="0.5"} 1
        h_bucket{le="1.0"} 2
        h_bucket{le="+Inf"} 3
        h_sum 5.8
        h_count 3
        "#);
    }
}
