//! The report of the doctor: findings as text and as JSON.

use std::fmt::{self, Display};

use serde::Serialize;
use strum::IntoStaticStr;

use crate::text;

/// How many users or channels a sentence names; JSON has all of them.
const NAMED_MAX: usize = 20;

/// The findings about one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The account's name.
    pub account: String,
    /// `v2` or `v3`.
    pub api: &'static str,
    /// Where its API is.
    pub base_url: String,
    /// The results of the checks, in their order.
    pub findings: Vec<Finding>,
    /// The examined user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserReport>,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The result.
    pub verdict: Verdict,
    /// A sentence about it.
    pub words: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
    /// Ids of the users or channels concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<String>,
}

/// The findings of an examination so far.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

/// The checks, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Check {
    /// Whether the API can be reached and its certificate is good.
    Host,
    /// Whether there is a token, and when it ends.
    Token,
    /// Whether upstream accepts it for everything that is needed.
    Access,
    /// Whether there is a subscription to events.
    Webhooks,
    /// The difference between the clocks.
    Clock,
    /// Whether the channels are active.
    Channels,
    /// Whether the configured users exist.
    Users,
    /// Whether they have roles, without which their counters are 0.
    Roles,
    /// Whether messages can reach them.
    Reach,
    /// Whether the limit allows the interval.
    Limit,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No problem.
    Ok,
    /// A problem.
    Problem,
    /// Not known.
    Unknown,
}

/// One user's counter and its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserReport {
    /// The user's id.
    pub id: String,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// The raw response, shortened and without secrets, or why there is none.
    pub answer: String,
    /// The role that weighs most, where roles are known.
    pub role: Option<&'static str>,
    /// The channels on which the user has a role, where they are known.
    pub channels: Vec<String>,
    /// The resulting series, with their HELP.
    pub series: Vec<String>,
}

impl Diagnosis {
    /// Whether there is no problem.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Problem)
    }

    /// Adds the report on a user, and that Wazzup24 does not know him unless the account's findings say it.
    pub fn add_user(&mut self, user: UserReport) {
        let of_users = |finding: &&Finding| finding.check == Check::Users;
        let mut of_users = self.findings.iter().filter(of_users);
        let is_said = of_users.any(|finding| finding.concerns.contains(&user.id));
        if user.status == Some(404) && !is_said {
            self.findings.push(Finding {
                check: Check::Users,
                verdict: Verdict::Problem,
                words: format!("not a user of the account: {}", user.id),
                remedy: Some("correct the id; `wazzup-exporter poll` shows those that are polled"),
                concerns: vec![user.id.clone()],
            });
        }
        self.user = Some(user);
    }
}

impl Findings {
    /// There is no problem.
    pub(super) fn ok(&mut self, check: Check, words: impl Into<String>) {
        self.add(check, Verdict::Ok, words.into());
    }

    /// There is a problem.
    pub(super) fn problem(&mut self, check: Check, words: impl Into<String>, remedy: &'static str) {
        self.problem_of(Vec::new(), check, words, remedy);
    }

    /// There is a problem, which concerns these ids.
    pub(super) fn problem_of(
        &mut self,
        concerns: Vec<String>,
        check: Check,
        words: impl Into<String>,
        remedy: &'static str,
    ) {
        let finding = self.add(check, Verdict::Problem, words.into());
        (finding.remedy, finding.concerns) = (Some(remedy), concerns);
    }

    /// The check has no result.
    pub(super) fn unknown(&mut self, check: Check, words: impl Into<String>) {
        self.add(check, Verdict::Unknown, words.into());
    }

    fn add(&mut self, check: Check, verdict: Verdict, words: String) -> &mut Finding {
        self.0.push(Finding { check, verdict, words, remedy: None, concerns: Vec::new() });
        self.0.last_mut().expect("it was just added")
    }
}

impl Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}, {})", self.account, self.api, self.base_url)?;
        for finding in &self.findings {
            write!(f, "{finding}")?;
        }
        self.user.as_ref().map_or(Ok(()), |user| write!(f, "\n{user}"))
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Problem => "PROBLEM",
            Verdict::Unknown => "unknown",
        };
        let check: &str = self.check.into();
        writeln!(f, "  {verdict:<8} {check:<9} {}", self.words)?;
        match self.remedy {
            Some(remedy) => writeln!(f, "  {:<8} {:<9} → {remedy}", "", ""),
            None => Ok(()),
        }
    }
}

impl Display for UserReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  user {}", self.id)?;
        match self.status {
            Some(status) => writeln!(f, "    answer    {status} {}", self.answer)?,
            None => writeln!(f, "    answer    none: {}", self.answer)?,
        }
        writeln!(f, "    role      {}", self.role.unwrap_or("not known"))?;
        if !self.channels.is_empty() {
            writeln!(f, "    channels  {}", self.channels.join(", "))?;
        }
        writeln!(f, "    series:")?;
        self.series.iter().try_for_each(|line| writeln!(f, "      {line}"))
    }
}

/// The first of many names, for a sentence.
pub(super) fn named(names: &[String]) -> String {
    text::names(names.iter().map(String::as_str), NAMED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnosis_reads_well() {
        let mut findings = Findings::default();
        findings.ok(Check::Host, "answers");
        findings.problem(Check::Roles, "without a role: 7", "give them one");
        let diagnosis = Diagnosis {
            account: "acme".into(),
            api: "v2",
            base_url: "https://x/".into(),
            findings: findings.0,
            user: None,
        };
        assert!(!diagnosis.is_healthy());
        assert_eq!(
            diagnosis.to_string(),
            "acme (v2, https://x/)\n  ok       host      answers\n  PROBLEM  roles     \
             without a role: 7\n                     → give them one\n"
        );
    }

    #[test]
    fn of_many_only_some_are_named() {
        let many: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        assert!(named(&many).ends_with("18, 19 and 5 more"));
        assert_eq!(named(&many[..2]), "0, 1");
    }
}
