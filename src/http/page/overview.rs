//! Account files that cannot be used.

use maud::{Markup, html};

use crate::http::format::number_of;
use crate::http::status::Status;

/// How many broken account files are named.
const BROKEN_MAX: usize = 20;

/// The account files that cannot be used: their accounts may be missing here.
pub(super) fn broken_files(status: &Status) -> Markup {
    let broken = &status.broken_files;
    html! {
        @if !broken.is_empty() {
            section.broken {
                h2 { (number_of(broken.len(), "account file")) " broken" }
                ul {
                    @for file in broken.iter().take(BROKEN_MAX) {
                        li.reason {
                            bdi { (file.file) } ": "
                            @match file.accounts.len() {
                                0 => { "no account comes from it" }
                                kept => { (number_of(kept, "account")) " as before" }
                            }
                            ". " (file.reason)
                        }
                    }
                }
            }
        }
    }
}
