//! The history of an account's red sum, drawn as an inline SVG.
//!
//! A period in which the sum was not known is a marked gap; one in which users were missing is drawn
//! dotted, as a lower bound. Neither looks like zero.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use crate::http::format::{age, figure};
use crate::http::status::HistoryStatus;

/// Widths of the chart, in points; the smallest into which everything fits is taken.
const WIDTHS: [usize; 4] = [15, 60, 180, WIDTH_MAX];
const WIDTH_MAX: usize = 360;
/// Fewer points than this are not drawn.
const POINTS_MIN: usize = 3;
/// Height of the drawing in its own units; the style sheet stretches it.
const HEIGHT: u64 = 100;
/// Smallest maximum of the scale, so that one message does not fill the chart.
const SCALE_MIN: u64 = 4;

/// What is drawn.
struct Chart {
    /// Points from the left edge to now.
    width: usize,
    /// Stretches in which the figure was known.
    runs: Vec<Vec<Dot>>,
    /// Where it was not known: each from the last known point to the next one, with its width.
    gaps: Vec<(usize, usize)>,
    /// The largest figure.
    peak: Option<u64>,
    /// The last one.
    now: Option<u64>,
}

/// A point in the drawing.
struct Dot {
    x: usize,
    y: u64,
    /// Whether users were missing.
    partial: bool,
}

/// The chart, if there are enough points.
pub(super) fn chart(history: Option<&HistoryStatus>) -> Markup {
    let Some((history, chart)) = history.and_then(|history| Some((history, Chart::new(history)?)))
    else {
        return html! {};
    };
    let span = age(Duration::from_secs_f64(history.period_seconds * chart.width as f64));
    let (now, peak) = (figure(chart.now), figure(chart.peak));
    html! {
        figure.chart {
            svg viewBox={ "0 0 " (chart.width - 1) " " (HEIGHT) } preserveAspectRatio="none"
                role="img" aria-label={ "Red over the last " (span) ": now " (now) ", peak " (peak) }
            {
                @for (x, width) in &chart.gaps {
                    rect.gap x=(x) width=(width) height=(HEIGHT) {}
                }
                path.area d=(chart.area()) {}
                @for (class, line) in
                    [("line", chart.line(false)), ("line partial", chart.line(true))]
                {
                    @if !line.is_empty() { path class=(class) d=(line) {} }
                }
            }
            figcaption { span { (span) " ago" } span { "peak " (peak) } span { "now" } }
        }
    }
}

impl Chart {
    /// `None` while there is nothing to draw.
    fn new(history: &HistoryStatus) -> Option<Self> {
        let known = history.red.iter().zip(&history.partial);
        let mut points: Vec<_> = known.map(|(red, partial)| Some(((*red)?, *partial))).collect();
        // The time since the last sample is a gap, too.
        let late = (history.age_seconds / history.period_seconds).round() as usize;
        points.extend(std::iter::repeat_n(None, late.saturating_sub(1).min(WIDTH_MAX)));
        // The time before the first known point is not a gap.
        let begin = points.iter().position(Option::is_some)?;
        points.drain(..begin);
        let needed = points.len();
        if needed < POINTS_MIN {
            return None;
        }
        let width = WIDTHS.into_iter().find(|width| needed <= *width).unwrap_or(WIDTH_MAX);
        points.drain(..needed.saturating_sub(width));
        let peak = points.iter().flatten().map(|(red, _)| *red).max();
        let now = points.last().copied().flatten().map(|(red, _)| red);
        let scale = u128::from(peak.unwrap_or_default().max(SCALE_MIN));
        // Margins above and below; u128 cannot overflow.
        let height = |red| HEIGHT - 2 - (u128::from(red) * u128::from(HEIGHT - 6) / scale) as u64;
        let (mut runs, mut gaps) = (Vec::new(), Vec::new());
        let mut x = width - points.len();
        for run in points.chunk_by(|one, next| one.is_some() == next.is_some()) {
            let known = (x..).zip(run).filter_map(|(x, point)| Some((x, (*point)?)));
            let known = known.map(|(x, (red, partial))| Dot { x, y: height(red), partial });
            let known: Vec<Dot> = known.collect();
            if known.is_empty() {
                gaps.push((x.saturating_sub(1), run.len() + 1));
            } else {
                runs.push(known);
            }
            x += run.len();
        }
        Some(Self { width, runs, gaps, peak, now })
    }

    /// The path around what is below the line.
    fn area(&self) -> String {
        let mut path = String::new();
        for run in &self.runs {
            for (index, Dot { x, y, .. }) in run.iter().enumerate() {
                // Writing to a string does not fail.
                let _ = match index {
                    0 => write!(path, "M{x} {HEIGHT}V{y}"),
                    _ => write!(path, "L{x} {y}"),
                };
            }
            let _ = write!(path, "V{HEIGHT}Z");
        }
        path
    }

    /// The path along the stretches between two points of which one is partial, or of which none is.
    fn line(&self, partial: bool) -> String {
        let mut path = String::new();
        for run in &self.runs {
            // A point without neighbours is a dot.
            if let [Dot { x, y, partial: alone }] = run.as_slice()
                && *alone == partial
            {
                let _ = write!(path, "M{x} {y}h0");
            }
            let mut end = None;
            for (from, to) in run.iter().zip(run.iter().skip(1)) {
                if (from.partial || to.partial) != partial {
                    continue;
                }
                if end != Some(from.x) {
                    let _ = write!(path, "M{} {}", from.x, from.y);
                }
                let _ = write!(path, "L{} {}", to.x, to.y);
                end = Some(to.x);
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(red: &[Option<u64>], partial: &[usize], age_seconds: f64) -> HistoryStatus {
        let partial = (0..red.len()).map(|index| partial.contains(&index)).collect();
        HistoryStatus { period_seconds: 60.0, age_seconds, red: red.to_vec(), partial }
    }

    /// Everything that is drawn.
    fn drawn(history: &HistoryStatus) -> Vec<String> {
        let html = chart(Some(history)).into_string();
        let (_, svg) = html.split_once("\">").unwrap();
        let shapes =
            svg.split('<').filter(|tag| tag.starts_with("path") || tag.starts_with("rect"));
        shapes.map(|tag| tag.trim_end_matches('>').to_owned()).collect()
    }

    #[test]
    fn a_gap_is_marked_and_nothing_is_drawn_across_it() {
        let drawn = drawn(&history(&[None, Some(94), Some(0), None, None, Some(47)], &[], 30.0));
        assert_eq!(
            drawn,
            [
                r#"rect class="gap" x="11" width="3" height="100""#,
                r#"path class="area" d="M10 100V4L11 98V100ZM14 100V51V100Z""#,
                r#"path class="line" d="M10 4L11 98M14 51h0""#,
            ]
        );
    }

    #[test]
    fn a_sum_that_lacks_users_is_drawn_apart() {
        let drawn = drawn(&history(&[Some(4), Some(4), Some(4), Some(4)], &[2], 0.0));
        assert_eq!(drawn[1], r#"path class="line" d="M11 4L12 4""#);
        assert_eq!(drawn[2], r#"path class="line partial" d="M12 4L13 4L14 4""#);
    }

    #[test]
    fn where_sampling_has_ended_there_is_a_gap() {
        let drawn = drawn(&history(&[Some(4), Some(4)], &[], 601.0));
        assert_eq!(drawn[0], r#"rect class="gap" x="5" width="10" height="100""#);
    }

    #[test]
    fn the_chart_is_as_wide_as_what_is_known() {
        let wide = |points: usize, age: f64| {
            let chart = Chart::new(&history(&vec![Some(1); points], &[], age)).unwrap();
            assert_eq!(chart.runs.len(), 1);
            (chart.width, chart.runs[0][0].x, chart.runs[0].len(), chart.gaps)
        };
        assert_eq!(wide(3, 0.0), (15, 12, 3, vec![]));
        assert_eq!(wide(60, 0.0), (60, 0, 60, vec![]));
        assert_eq!(wide(61, 0.0), (180, 119, 61, vec![]));
        assert_eq!(wide(360, 0.0), (360, 0, 360, vec![]));
        assert_eq!(wide(360, 120.0), (360, 0, 359, vec![(358, 2)]));
    }

    #[test]
    fn a_few_points_are_no_chart() {
        assert_eq!(chart(Some(&history(&[None, Some(1), Some(1)], &[], 0.0))).into_string(), "");
        assert_eq!(chart(Some(&history(&[None; 9], &[], 0.0))).into_string(), "");
        assert_eq!(chart(None).into_string(), "");
    }
}
