//! The section `basic_auth_users`: names and bcrypt hashes of passwords.
//!
//! Trying a password takes a quarter of a second at the usual cost, which is what makes it safe;
//! [`http`](crate::http) does it off the async threads and caches the valid ones.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::ops::RangeInclusive;

use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use serde_saphyr::Spanned;
use subtle::ConstantTimeEq as _;

use crate::problems::place::{Entries, place};
use crate::problems::read::tellable;
use crate::problems::report::Scope;
use crate::text::opaque;

/// The costs that exist, as powers of two.
const COSTS: RangeInclusive<u32> = 4..=31;
/// Bytes of a password that count; bcrypt ignores the rest.
const PASSWORD_MAX: usize = 72;
/// Tools fill the last bits of a salt with whatever they like.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The section: hashes of passwords by names.
pub(super) type UsersKeys = Entries<Spanned<Option<String>>>;

/// Who may log in: hashes of passwords by names.
#[derive(Clone, Default)]
pub struct Users(HashMap<String, PasswordHash>);

/// The bcrypt hash of a password.
#[derive(Clone, Copy)]
pub struct PasswordHash {
    cost: u32,
    salt: [u8; 16],
    digest: [u8; 23],
}

/// Which hash a password has to be tried against.
#[derive(Debug)]
pub struct PasswordCheck {
    /// The hash.
    pub hash: PasswordHash,
    /// Whether it is that of the user; otherwise it belongs to another one, and trying it only takes
    /// the time that a known user would have taken.
    pub known: bool,
}

impl Users {
    /// Makes users of the section.
    pub(super) fn check(keys: &UsersKeys, scope: &mut Scope<'_>) -> Self {
        let mut users = Self::default();
        for entry in &keys.0 {
            match PasswordHash::parse(entry.value.value.as_deref().unwrap_or_default()) {
                Ok(hash) => {
                    users.0.insert(entry.key.clone(), hash);
                }
                Err(why) => {
                    let name = tellable(&entry.key).unwrap_or("…");
                    let what = format!("{why}; make one with htpasswd -nBC 10 \"\"");
                    scope.problem(place(&entry.value), name, what);
                }
            }
        }
        users
    }

    /// Whether there are no users.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The hash to check the password of `name` against; nothing if there are no users.
    pub fn check_for(&self, name: &str) -> Option<PasswordCheck> {
        if let Some(hash) = self.0.get(name) {
            return Some(PasswordCheck { hash: *hash, known: true });
        }
        // Unknown names are spread over the hashes unpredictably.
        let index = self.0.hasher().hash_one(name).checked_rem(self.0.len() as u64)?;
        let hash = self.0.values().nth(index as usize)?;
        Some(PasswordCheck { hash: *hash, known: false })
    }
}

opaque!(Users, PasswordHash);

impl PasswordHash {
    /// Reads `$2y$10$` and 53 characters of base64; says in words that follow a name what is wrong.
    fn parse(text: &str) -> Result<Self, &'static str> {
        const NONE: &str = "is not a bcrypt hash";
        if !text.is_ascii() || !text.starts_with("$2") {
            return Err(NONE);
        }
        if text.len() != 60 {
            return Err("is not a whole bcrypt hash, which has 60 characters");
        }
        let rest = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().find_map(|kind| text.strip_prefix(kind));
        let (cost, rest) = rest.and_then(|rest| rest.split_once('$')).ok_or(NONE)?;
        let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = cost.parse().ok().filter(|cost| digits && COSTS.contains(cost));
        let cost = cost.ok_or("has a cost that bcrypt does not have; it goes from 04 to 31")?;
        let (salt, digest) = rest.split_at_checked(22).ok_or(NONE)?;
        Ok(Self { cost, salt: decode(salt).ok_or(NONE)?, digest: decode(digest).ok_or(NONE)? })
    }

    /// Whether it is the hash of `password`. Takes as long as the cost says, so it must not run on an async thread.
    pub fn matches(&self, password: &[u8]) -> bool {
        // As C did it: up to and with the zero at the end, where there is room for it.
        let mut key = password.get(..PASSWORD_MAX).unwrap_or(password).to_vec();
        if key.len() < PASSWORD_MAX {
            key.push(0);
        }
        let made = bcrypt::bcrypt(self.cost, self.salt, &key);
        let made = made.get(..self.digest.len()).unwrap_or_default();
        made.ct_eq(&self.digest).into()
    }

    /// The parts that identify the hash.
    pub fn identity(&self) -> impl AsRef<[u8]> + use<> {
        [self.cost.to_be_bytes().as_slice(), &self.salt, &self.digest].concat()
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_every_kind_match_their_password_and_no_other() {
        let made = bcrypt::hash("open sesame", 4).unwrap();
        for kind in ["$2a$", "$2b$", "$2x$", "$2y$"] {
            let hash = PasswordHash::parse(&made.replace("$2b$", kind)).unwrap();
            assert!(hash.matches(b"open sesame"), "{kind}");
            assert!(!hash.matches(b"open sesam") && !hash.matches(b""), "{kind}");
        }
        // Of the tests of OpenBSD's bcrypt.
        let empty = "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
        assert!(PasswordHash::parse(empty).unwrap().matches(b""));
    }

    #[test]
    fn passwords_are_cut_at_72_bytes() {
        let long = "x".repeat(72);
        let hash = PasswordHash::parse(&bcrypt::hash(&long, 4).unwrap()).unwrap();
        assert!(hash.matches(long.as_bytes()));
        assert!(hash.matches(format!("{long}anything").as_bytes()));
        assert!(!hash.matches(&long.as_bytes()[..71]));
    }

    #[test]
    fn a_salt_may_have_odd_last_bits() {
        let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert!(PasswordHash::parse(hash).unwrap().matches(b"U*U"));
        let odd = hash.replacen("CCCCC.E5", "CCCCC/E5", 1);
        assert!(PasswordHash::parse(&odd).unwrap().matches(b"U*U"));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_cost_18_is_one() {
        let good = bcrypt::hash("x", 4).unwrap();
        for bad in [
            "",
            "doe",
            "$1$salt$hash",
            &good[..59],
            &format!("{good}\n"),
            &good.replace("$2b$", "$3b$"),
            &good.replace("$04$", "$03$"),
            &good.replace("$04$", "$32$"),
            &good.replace("$04$", "$+4$"),
            &format!("{}!", &good[..59]),
            &"ü".repeat(30),
        ] {
            assert!(PasswordHash::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(PasswordHash::parse(&good.replace("$04$", "$18$")).unwrap().cost, 18);
    }

    #[test]
    fn unknown_users_are_tried_against_a_hash_of_the_file() {
        let mut users = Users::default();
        assert!(users.check_for("anybody").is_none());
        for name in ["alice", "bob"] {
            let hash = PasswordHash::parse(&bcrypt::hash(name, 4).unwrap()).unwrap();
            users.0.insert(name.to_owned(), hash);
        }
        assert!(users.check_for("alice").unwrap().known);
        let mallory = users.check_for("mallory").unwrap();
        assert!(!mallory.known);
        let again = users.check_for("mallory").unwrap();
        assert_eq!(mallory.hash.identity().as_ref(), again.hash.identity().as_ref());
        assert_eq!(
            format!("{users:?} {mallory:?}"),
            "Users PasswordCheck { hash: PasswordHash, known: false }"
        );
    }
}
