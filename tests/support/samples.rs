//! The text format, read into pairs of series and value.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::process::Process;
use super::wait::until;

/// The samples of an exposition by series, both as text.
pub(crate) type Samples = BTreeMap<String, String>;

pub(crate) fn samples(text: &str) -> Samples {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(series, value)| (series.to_owned(), value.to_owned())).collect()
}

/// The series of a user's counter.
pub(crate) fn counter(account: &str, user: &str, kind: &str) -> String {
    format!(r#"wazzup_unanswered_messages{{account="{account}",user="{user}",type="{kind}"}}"#)
}

/// The value of a series, or `None` if it does not exist.
pub(crate) fn value(samples: &Samples, series: &str) -> Option<f64> {
    Some(samples.get(series)?.parse().unwrap())
}

/// Scrapes until the samples satisfy `fits`.
pub(crate) async fn until_samples(
    what: impl Display,
    processes: &[&Process],
    scrape: impl AsyncFn() -> Samples,
    mut fits: impl FnMut(&Samples) -> bool,
) -> Samples {
    until(what, processes, async || {
        let samples = scrape().await;
        if fits(&samples) { Ok(samples) } else { Err(format!("{} other samples", samples.len())) }
    })
    .await
}
