//! The configuration in use, as `/config` shows it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::status::BrokenFile;

type Render = Box<dyn Fn() -> String + Send + Sync>;

/// Renders the configuration in use, on request, and knows which account files are broken. A reload
/// replaces both at once.
pub struct RunningConfig(ArcSwap<(Render, Arc<Vec<BrokenFile>>)>);

impl RunningConfig {
    /// Shows the text of `render`, which must contain no secret.
    pub fn new(
        render: impl Fn() -> String + Send + Sync + 'static,
        broken: Vec<BrokenFile>,
    ) -> Self {
        Self(ArcSwap::from_pointee((Box::new(render), Arc::new(broken))))
    }

    /// Replaces what is shown by what `other` shows.
    pub fn set(&self, other: Self) {
        self.0.store(other.0.into_inner());
    }

    pub(super) fn broken(&self) -> Arc<Vec<BrokenFile>> {
        Arc::clone(&self.0.load().1)
    }

    /// The text, in YAML.
    pub(super) fn text(&self) -> String {
        (self.0.load_full().0)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_that_was_set_is_shown() {
        let running = RunningConfig::new(|| "first".to_owned(), Vec::new());
        assert_eq!(running.text(), "first");
        running.set(RunningConfig::new(|| "second".to_owned(), Vec::new()));
        assert_eq!(running.text(), "second");
    }
}
