//! Whether the certificate that a client shows is good.
//!
//! rustls asks [`ClientVerifier`] in every full handshake; [`http`](crate::http) asks once more where a
//! session was resumed, in which no certificate is sent. Verifying a chain is webpki's work; what the
//! format wants beyond that is here: certificates that are only asked for, those that stand in the
//! file of authorities themselves, and lists of allowed names.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::names::ClientAuth;
use super::pem::{Authority, CertificateFields};
use crate::text::opaque;

/// What is asked of clients.
pub(super) struct ClientVerifier {
    mandatory: bool,
    /// A certificate has to come from one of these or to be one; any will do where there is no list.
    authorities: Option<Vec<Authority>>,
    /// Names of which a certificate must have one, where there is a list.
    allowed: Option<BTreeSet<String>>,
    /// The authorities of the file, which are sent to clients as a hint.
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    /// What `auth` asks for; nothing if it asks for nothing. Without authorities those of the system
    /// decide.
    pub(super) fn new(
        auth: ClientAuth,
        authorities: Option<Vec<Authority>>,
        allowed: Option<BTreeSet<String>>,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Self> {
        let (mandatory, verified) = match auth {
            ClientAuth::None => return None,
            ClientAuth::Request => (false, false),
            ClientAuth::RequireAny => (true, false),
            ClientAuth::VerifyIfGiven => (false, true),
            ClientAuth::RequireAndVerify => (true, true),
        };
        let given = authorities.as_deref().unwrap_or_default();
        let hints = given.iter().map(|one| DistinguishedName::in_sequence(&one.anchor.subject));
        Some(Self {
            // Who shows nothing has no name that could be on the list.
            mandatory: mandatory || allowed.is_some(),
            hints: hints.collect(),
            authorities: verified.then(|| authorities.unwrap_or_else(of_the_system)),
            allowed,
            provider: Arc::clone(provider),
        })
    }

    /// Whether what a client showed when its session began is good now.
    pub(super) fn still_good(&self, shown: Option<&[CertificateDer<'_>]>) -> Result<(), Error> {
        match shown.and_then(<[_]>::split_first) {
            Some((own, chain)) => self.verify_client_cert(own, chain, UnixTime::now()).map(|_| ()),
            None if self.mandatory => Err(Error::NoCertificatesPresented),
            None => Ok(()),
        }
    }

    fn check_origin(
        &self,
        own: &CertificateDer<'_>,
        fields: &CertificateFields<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let Some(authorities) = &self.authorities else { return Ok(()) };
        if authorities.iter().any(|authority| authority.certificate == *own) {
            // webpki says of these that an authority is no client.
            return if !fields.valid.holds_at(now) {
                Err(CertificateError::Expired.into())
            } else if !fields.for_clients {
                Err(CertificateError::InvalidPurpose.into())
            } else {
                Ok(())
            };
        }
        // webpki takes no notice of the end of an authority.
        let good = authorities.iter().filter(|authority| authority.valid.holds_at(now));
        let roots = good.map(|authority| authority.anchor.clone()).collect::<RootCertStore>();
        let provider = Arc::clone(&self.provider);
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let webpki = builder.build().map_err(|_| CertificateError::UnknownIssuer)?;
        webpki.verify_client_cert(own, chain, now).map(|_| ())
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let fields = CertificateFields::of(end_entity).ok_or(CertificateError::BadEncoding)?;
        self.check_origin(end_entity, &fields, intermediates, now)?;
        match &self.allowed {
            Some(allowed) if !fields.names.iter().any(|name| allowed.contains(name)) => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

opaque!(ClientVerifier);

/// The authorities of the operating system; none where it has none.
fn of_the_system() -> Vec<Authority> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    certificates.into_iter().filter_map(Authority::new).collect()
}
