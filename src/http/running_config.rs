//! The configuration in use, as `/config` shows it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::status::BrokenFile;

type Render = Box<dyn Fn() -> String + Send + Sync>;

/// Renders the configuration in use, on request, and knows which account files are broken. A reload
/// replaces both.
pub struct RunningConfig {
    render: ArcSwap<Render>,
    broken: ArcSwap<Vec<BrokenFile>>,
}

impl RunningConfig {
    /// Shows the text of `render`, which must contain no secret.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { render: ArcSwap::from_pointee(Box::new(render)), broken: ArcSwap::default() }
    }

    /// Replaces `render`.
    pub fn set(&self, render: impl Fn() -> String + Send + Sync + 'static) {
        self.render.store(Arc::new(Box::new(render)));
    }

    /// Replaces the broken account files.
    pub fn set_broken(&self, broken: Vec<BrokenFile>) {
        self.broken.store(Arc::new(broken));
    }

    pub(super) fn broken(&self) -> Arc<Vec<BrokenFile>> {
        self.broken.load_full()
    }

    /// The text, in YAML.
    pub(super) fn text(&self) -> String {
        (self.render.load_full())()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_that_was_set_is_shown() {
        let running = RunningConfig::new(|| "first".to_owned());
        assert_eq!(running.text(), "first");
        running.set(|| "second".to_owned());
        assert_eq!(running.text(), "second");
    }
}
