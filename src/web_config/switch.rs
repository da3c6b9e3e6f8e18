//! Switches, in the words of YAML 1.1 too.

use serde_saphyr::Spanned;

use crate::problems::place::place;
use crate::problems::scope::Scope;
use crate::problems::written::Written;

/// A switch; nothing where it is not given or not good.
pub(super) fn check_switch(
    written: Option<&Spanned<Written>>,
    key: &str,
    scope: &mut Scope<'_>,
) -> Option<bool> {
    let written = written?;
    let switch = written.value.as_bool();
    if switch.is_none() {
        scope.problem(place(written), key, "must be true or false, unquoted");
    }
    switch
}
