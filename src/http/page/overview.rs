//! Account files that cannot be used, and accounts of which only the sums are shown.

use maud::{Markup, html};

use crate::http::format::{account_link, figure, grouped, number_of};
use crate::http::status::{AccountStatus, Status};

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

/// Accounts of which only the sums are shown.
pub(super) fn others(others: &[&AccountStatus]) -> Markup {
    html! {
        @if !others.is_empty() {
            section.others {
                h2 { (number_of(others.len(), "more account")) }
                table {
                    thead {
                        tr {
                            th scope="col" { "Account" }
                            @for title in ["Red", "Grey", "Users", "No figure"] {
                                th.number scope="col" { (title) }
                            }
                        }
                    }
                    tbody { @for account in others { (sums(account)) } }
                }
            }
        }
    }
}

fn sums(account: &AccountStatus) -> Markup {
    html! {
        tr data-key=(account.name) {
            th scope="row" {
                a href=(account_link(&account.name)) { bdi { (account.name) } }
                @if let Some(trouble) = &account.trouble { p.reason { (trouble.text) } }
            }
            td.number.red { (figure(account.totals.red)) }
            td.number { (figure(account.totals.grey)) }
            td.number { (grouped(account.users.len() as u64)) }
            td.number { (grouped(account.totals.users_missing as u64)) }
        }
    }
}
