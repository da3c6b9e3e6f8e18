//! The configuration in use, as `/config` shows it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

type Render = Box<dyn Fn() -> String + Send + Sync>;

/// Renders the configuration in use, on request. A reload replaces it with [`set`](Self::set).
pub struct RunningConfig(ArcSwap<Render>);

impl RunningConfig {
    /// Shows the text of `render`, which must contain no secret.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(ArcSwap::from_pointee(Box::new(render)))
    }

    /// Replaces `render`.
    pub fn set(&self, render: impl Fn() -> String + Send + Sync + 'static) {
        self.0.store(Arc::new(Box::new(render)));
    }

    /// The text, in YAML.
    pub(super) fn text(&self) -> String {
        (self.0.load_full())()
    }
}

impl fmt::Debug for RunningConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunningConfig")
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
