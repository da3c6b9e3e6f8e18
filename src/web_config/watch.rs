//! Looks whether the files have changed, and what that means.
//!
//! A [`Watch`] judges a change when it finds the same content twice in a row, because a file may be
//! found half written and a certificate without its new key. It reports every change once.

use super::files::FileDigests;
use super::load::{WebConfig, read};
use crate::problems::ConfigError;

/// The files of a web configuration under observation.
#[derive(Clone)]
pub struct Watch {
    path: std::path::PathBuf,
    /// What was judged last.
    judged: FileDigests,
    /// What was found last, if it differs and is not judged yet.
    found: Option<FileDigests>,
    /// Whether the configuration in use has TLS or users.
    guarding: bool,
}

impl Watch {
    /// Observes the files of a configuration that is taken into use.
    pub fn new(config: &WebConfig) -> Self {
        Self {
            path: config.path.clone(),
            judged: config.digests.clone(),
            found: None,
            guarding: config.guards(),
        }
    }

    /// Reads the files and returns a change since the last time: a configuration to be used from now on or,
    /// where what is in use stays in use, why. Blocks on disks, so it must not run on an async thread.
    pub fn look(&mut self) -> Option<Result<WebConfig, ConfigError>> {
        if self.judged.again() == self.judged {
            self.found = None;
            return None;
        }
        let (read, digests) = read(&self.path);
        if self.found.as_ref() != Some(&digests) {
            self.found = Some(digests);
            return None;
        }
        self.found = None;
        self.judged = digests;
        let read = read.and_then(|config| {
            if config.empty && self.guarding {
                let what = "is empty, which would end TLS and logins; restore its content, or write {} if \
                            that is meant";
                return Err(ConfigError::whole(&self.path, what.to_owned()));
            }
            self.guarding = config.guards();
            Ok(config)
        });
        Some(read)
    }
}

impl WebConfig {
    fn guards(&self) -> bool {
        self.tls.is_some() || !self.users.is_empty()
    }
}
