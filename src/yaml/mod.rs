//! Reads YAML so that every mistake is reported at once, with its place and the remedy.
//!
//! [`config`](crate::config) reads its files this way. `source` reads a file, `tree` parses it into an ordered tree
//! that still knows what a person wrote, `node` walks the tree and knows the way, and `report`
//! collects what is wrong and finds its line through `locate`. What comes out is a [`ConfigError`].
//!
//! Nothing here prints a value that may be a secret, wherever a person put it by mistake.

pub(crate) mod hint;
pub(crate) mod locate;
pub(crate) mod node;
pub(crate) mod problem;
pub(crate) mod report;
pub(crate) mod source;
pub(crate) mod tree;

pub use self::problem::{ConfigError, ConfigProblem};
