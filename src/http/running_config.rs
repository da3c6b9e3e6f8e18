//! The configuration in use, as `/config` shows it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

type Render = Box<dyn Fn() -> String + Send + Sync>;

/// What to show of the configuration in use. Whoever takes another one into use calls
/// [`set`](Self::set); nothing is rendered before somebody asks for it.
pub struct RunningConfig(ArcSwap<Render>);

impl RunningConfig {
    /// Shows what `render` gives, which must not hold any secret.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(ArcSwap::from_pointee(Box::new(render)))
    }

    /// Shows from now on what `render` gives.
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
