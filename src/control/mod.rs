//! Messages to those who change what runs, each with a reply.
//!
//! Whoever takes a wish from outside, such as [`http`](crate::http), checks who asks and sends a message;
//! what becomes of it is decided by one task that receives it.

mod reload;
pub mod reset;

pub use self::reload::{Order, Orders, Reloads, Unloaded, reloads};
