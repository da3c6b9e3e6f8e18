//! The few fields of a certificate that neither rustls nor webpki hand out.
//!
//! A walk over DER that keeps slices and interprets nothing else. Whatever is not as expected gives
//! `None`: certificates of clients come from strangers.

use std::net::IpAddr;

use rustls::pki_types::UnixTime;

/// The fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CertificateFields<'a> {
    /// The public key with its algorithm, as a whole DER value.
    pub(super) public_key: &'a [u8],
    pub(super) valid: Validity,
    /// What the key may be used for, as object identifiers, where that is limited.
    pub(super) usages: Option<Vec<&'a [u8]>>,
    /// The alternative names: host names, mail addresses, URIs and addresses, as text.
    pub(super) names: Vec<String>,
}

/// First and last second in which a certificate is good, as numbers that read `YYYYMMDDhhmmss`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity(u64, u64);

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
/// Kinds of alternative names.
const MAIL: u8 = 0x81;
const HOST: u8 = 0x82;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;

const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
const CLIENT_USAGE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

impl<'a> CertificateFields<'a> {
    /// Finds the fields of a certificate in DER.
    pub(super) fn of(der: &'a [u8]) -> Option<Self> {
        let mut whole = Der(der);
        let mut certificate = Der(whole.take(SEQUENCE)?);
        let mut body = Der(certificate.take(SEQUENCE)?);
        body.skip(VERSION);
        body.take(INTEGER)?;
        let _algorithm = body.take(SEQUENCE)?;
        let _issuer = body.take(SEQUENCE)?;
        let mut validity = Der(body.take(SEQUENCE)?);
        let valid = Validity(validity.time()?, validity.time()?);
        let _subject = body.take(SEQUENCE)?;
        let before = body.0;
        body.take(SEQUENCE)?;
        let public_key = before.get(..before.len() - body.0.len())?;
        body.skip(ISSUER_UNIQUE_ID);
        body.skip(SUBJECT_UNIQUE_ID);
        let mut fields = Self { public_key, valid, usages: None, names: Vec::new() };
        if let Some(extensions) = body.skip(EXTENSIONS) {
            fields.extensions(extensions)?;
        }
        Some(fields)
    }

    /// Whether a client may show it.
    pub(super) fn for_clients(&self) -> bool {
        let good = |usage: &&[u8]| [ANY_USAGE, CLIENT_USAGE].contains(usage);
        self.usages.as_ref().is_none_or(|usages| usages.iter().any(good))
    }

    fn extensions(&mut self, wrapped: &'a [u8]) -> Option<()> {
        let mut extensions = Der(Der(wrapped).take(SEQUENCE)?);
        while !extensions.0.is_empty() {
            let mut extension = Der(extensions.take(SEQUENCE)?);
            let id = extension.take(OID)?;
            extension.skip(BOOLEAN);
            let value = extension.take(OCTETS)?;
            if id == ALTERNATIVE_NAMES {
                self.names = names(value)?;
            } else if id == EXTENDED_KEY_USAGE {
                let mut list = Der(Der(value).take(SEQUENCE)?);
                let mut usages = Vec::new();
                while !list.0.is_empty() {
                    usages.push(list.take(OID)?);
                }
                self.usages = Some(usages);
            }
        }
        Some(())
    }
}

impl Validity {
    /// Whether it holds then.
    pub(super) fn holds_at(self, moment: UnixTime) -> bool {
        digits(moment.as_secs()).is_some_and(|now| (self.0..=self.1).contains(&now))
    }

    /// Whether it is over.
    pub(super) fn is_over(self) -> bool {
        digits(UnixTime::now().as_secs()).is_some_and(|now| now > self.1)
    }
}

/// A moment of UTC, in seconds of Unix, as a number that reads `YYYYMMDDhhmmss`.
fn digits(unix: u64) -> Option<u64> {
    let moment = jiff::Timestamp::from_second(i64::try_from(unix).ok()?).ok()?;
    moment.strftime("%Y%m%d%H%M%S").to_string().parse().ok()
}

fn names(value: &[u8]) -> Option<Vec<String>> {
    let mut list = Der(Der(value).take(SEQUENCE)?);
    let mut names = Vec::new();
    while !list.0.is_empty() {
        let (kind, content) = list.next()?;
        match kind {
            MAIL | HOST | URI => names.push(str::from_utf8(content).ok()?.to_owned()),
            ADDRESS => names.push(address(content)?.to_string()),
            // Directory names and the like, which no configuration lists.
            _ => {}
        }
    }
    Some(names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four: Result<[u8; 4], _> = bytes.try_into();
    let sixteen: Result<[u8; 16], _> = bytes.try_into();
    four.map(IpAddr::from).or_else(|_| sixteen.map(IpAddr::from)).ok()
}

/// What is left of a sequence of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(*first) {
            short @ ..=0x7f => (short, rest),
            long @ 0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(long - 0x80)?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next value, which has to have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The content of the next value if it has this tag; otherwise it stays.
    fn skip(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.take(tag) } else { None }
    }

    fn time(&mut self) -> Option<u64> {
        let (tag, text) = self.next()?;
        let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
        let number: u64 =
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())??;
        match (tag, text.len()) {
            (UTC_TIME, 12) => {
                let century = if number >= 500_000_000_000 { 19 } else { 20 };
                Some(century * 1_000_000_000_000 + number)
            }
            (GENERALIZED_TIME, 14) => Some(number),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SanType};

    use super::*;

    fn certificate() -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["host.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2021, 2, 3);
        params.not_after = rcgen::date_time_ymd(2055, 6, 7);
        params.subject_alt_names.push(SanType::IpAddress("10.1.2.3".parse().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@b.test".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://c/d".try_into().unwrap()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn the_fields_are_found() {
        let (der, key) = certificate();
        let fields = CertificateFields::of(&der).unwrap();
        let server_usage: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
        let names = ["host.test", "10.1.2.3", "2001:db8::1", "a@b.test", "spiffe://c/d"];
        let expected = CertificateFields {
            public_key: &key.subject_public_key_info(),
            valid: Validity(20_210_203_000_000, 20_550_607_000_000),
            usages: Some(vec![server_usage]),
            names: names.map(str::to_owned).to_vec(),
        };
        assert_eq!(fields, expected);
        assert!(!fields.for_clients());
        let holds_at = |text: &str| {
            let unix = text.parse::<jiff::Timestamp>().unwrap().as_second() as u64;
            fields.valid.holds_at(UnixTime::since_unix_epoch(Duration::from_secs(unix)))
        };
        assert!(!holds_at("2021-02-02T23:59:59Z"));
        assert!(holds_at("2021-02-03T00:00:00Z"));
        assert!(holds_at("2055-06-07T00:00:00Z"));
        assert!(!holds_at("2055-06-07T00:00:01Z"));
    }

    #[test]
    fn a_certificate_without_limits_is_for_clients() {
        let key = KeyPair::generate().unwrap();
        let der = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
        let fields = CertificateFields::of(&der).unwrap();
        assert!(fields.for_clients() && fields.names.is_empty());
    }

    #[test]
    fn broken_certificates_are_answered() {
        let (der, _) = certificate();
        for length in 0..der.len() {
            assert_eq!(CertificateFields::of(&der[..length]), None, "{length}");
        }
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut broken = der.clone();
                broken[at] = value;
                // Whatever comes out: it must come out.
                let _ = CertificateFields::of(&broken);
            }
        }
    }
}
