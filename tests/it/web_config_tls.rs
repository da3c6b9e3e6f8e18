//! TLS: versions, ciphers, what is asked of clients, resumed sessions, HTTP/2, and connections that
//! are none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use reqwest::{Client, Version};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CipherSuite, ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion};
use rustls::{SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::cli::run;
use super::support::exporter::{Exporter, command, config_flag};
use super::support::files::write_config;
use super::support::http::client;
use super::support::pki::{Pair, Pki, authority, host, self_signed};
use super::support::upstream::{configuration, serve, still, wide};
use super::support::wait::guard;
use super::web_config::{ALICE, Guarded, send, tls, users};

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// What a handshake came to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shaken {
    version: ProtocolVersion,
    suite: CipherSuite,
    kind: HandshakeKind,
}

/// A client's side of rustls, with a change of what it offers.
fn config(
    guarded: &Guarded,
    versions: &[&'static SupportedProtocolVersion],
    pair: Option<&Pair>,
    change: impl FnOnce(&mut CryptoProvider),
) -> Arc<ClientConfig> {
    let mut provider = rustls::crypto::ring::default_provider();
    change(&mut provider);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(guarded.pki.ca().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    Arc::new(match pair {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
            let chain = chain.collect::<Result<_, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

/// Asks for health over a connection of its own, so that the server has finished the handshake too.
async fn ask(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Shaken> {
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        let request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if !answer.starts_with("HTTP/1.1 200 OK\r\n") {
            return Err(io::Error::other(format!("no answer: {answer:?}")));
        }
        let session = stream.get_ref().1;
        Ok(Shaken {
            version: session.protocol_version().unwrap(),
            suite: session.negotiated_cipher_suite().unwrap().suite(),
            kind: session.handshake_kind().unwrap(),
        })
    };
    guard("the end of a connection", asked).await
}

/// What a client that offers so much comes to, or the alert that it gets.
async fn offer(
    guarded: &Guarded,
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut CryptoProvider),
) -> Result<Shaken, String> {
    let config = config(guarded, versions, None, change);
    ask(guarded.world.exporter, &config).await.map_err(|error| error.to_string())
}

/// Whether a client with this certificate comes in, in each version of TLS; or the alerts it gets.
async fn visit(guarded: &Guarded, pair: Option<&Pair>) -> [String; 2] {
    let mut outcomes = Vec::new();
    for version in BOTH {
        let config = config(guarded, &[version], pair, |_| ());
        outcomes.push(match ask(guarded.world.exporter, &config).await {
            Ok(_) => "in".to_owned(),
            Err(error) => error.to_string(),
        });
    }
    outcomes.try_into().unwrap()
}

fn both(outcome: &str) -> [String; 2] {
    [outcome.to_owned(), outcome.to_owned()]
}

fn alert(name: &str) -> [String; 2] {
    both(&format!("received fatal alert: {name}"))
}

#[tokio::test]
async fn versions_are_kept() {
    let guarded = Guarded::start(&tls("")).await;
    for version in BOTH {
        assert_eq!(offer(&guarded, &[version], |_| ()).await.unwrap().version, version.version);
    }
    assert_eq!(offer(&guarded, &BOTH, |_| ()).await.unwrap().version, ProtocolVersion::TLSv1_3);
    guarded.stop().await;
    for (lines, kept, refused) in [
        ("min_version: TLS13", &version::TLS13, &version::TLS12),
        ("max_version: TLS12", &version::TLS12, &version::TLS13),
    ] {
        let guarded = Guarded::start(&tls(lines)).await;
        assert_eq!(offer(&guarded, &BOTH, |_| ()).await.unwrap().version, kept.version);
        let error = offer(&guarded, &[refused], |_| ()).await.unwrap_err();
        assert!(error.contains("ProtocolVersion"), "{error}");
        guarded.stop().await;
    }
}

#[tokio::test]
async fn the_list_of_ciphers_concerns_tls_1_2_only() {
    let listed = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let lines = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]";
    let guarded = Guarded::start(&tls(lines)).await;
    let only = |suite| {
        move |provider: &mut CryptoProvider| {
            provider.cipher_suites.retain(|one| one.suite() == suite);
        }
    };
    let shaken = offer(&guarded, &[&version::TLS12], |_| ()).await.unwrap();
    assert_eq!(shaken.suite, listed);
    let other = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    let error = offer(&guarded, &[&version::TLS12], only(other)).await.unwrap_err();
    assert_eq!(error, "received fatal alert: HandshakeFailure");
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let shaken = offer(&guarded, &[&version::TLS13], only(suite)).await.unwrap();
        assert_eq!(shaken.suite, suite);
    }
    guarded.stop().await;
    // A list without any of TLS 1.2 leaves TLS 1.3.
    let lines = "min_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\nhttp_server_config: {http2: false}";
    let guarded = Guarded::start(&tls(lines)).await;
    assert!(offer(&guarded, &[&version::TLS12], |_| ()).await.is_err());
    assert!(offer(&guarded, &[&version::TLS13], |_| ()).await.is_ok());
    guarded.stop().await;
}

#[tokio::test]
async fn curves_are_kept() {
    let guarded = Guarded::start(&tls("curve_preferences: [CurveP384]")).await;
    let only = |group| {
        move |provider: &mut CryptoProvider| provider.kx_groups.retain(|one| one.name() == group)
    };
    for version in BOTH {
        offer(&guarded, &[version], only(NamedGroup::secp384r1)).await.unwrap();
        let error = offer(&guarded, &[version], only(NamedGroup::X25519)).await.unwrap_err();
        assert_eq!(error, "received fatal alert: HandshakeFailure");
    }
    guarded.stop().await;
}

#[tokio::test]
async fn what_is_asked_of_clients_follows_the_type() {
    let stranger = self_signed(&CertificateParams::default());
    let ca = "\n  client_ca_file: ca.crt";
    let (required, unknown) = (alert("CertificateRequired"), alert("UnknownCA"));
    let came = both("in");
    for (auth, ca, nothing, foreign, own) in [
        ("NoClientCert", "", &came, &came, &came),
        ("RequestClientCert", "", &came, &came, &came),
        ("RequestClientCert", ca, &came, &came, &came),
        ("RequireAnyClientCert", "", &required, &came, &came),
        ("RequireClientCert", ca, &required, &came, &came),
        ("VerifyClientCertIfGiven", ca, &came, &unknown, &came),
        ("RequireAndVerifyClientCert", ca, &required, &unknown, &came),
        // The authorities of the system decide, which do not know ours.
        ("VerifyClientCertIfGiven", "", &came, &unknown, &unknown),
        ("RequireAndVerifyClientCert", "", &required, &unknown, &unknown),
    ] {
        let guarded = Guarded::start(&tls(&format!("client_auth_type: {auth}{ca}"))).await;
        let friend = guarded.pki.client(&[]);
        for (pair, expected) in [(None, nothing), (Some(&stranger), foreign), (Some(&friend), own)]
        {
            let outcome = visit(&guarded, pair).await;
            assert_eq!(&outcome, expected, "{auth}, {ca}, {}", pair.is_some());
        }
        guarded.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_of_authorities_those_of_the_system_decide() {
    let (api, url) = serve(still(&["acme"], 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        config_flag(&write_config(folder.path(), &configuration(&api, &url, "interval: 30s")));
    let pki = Pki::new();
    pki.write("web.yml", &tls("client_auth_type: RequireAndVerifyClientCert"));
    let mut command = command();
    command.arg(config).arg(format!("--web.config.file={}", pki.path("web.yml").display()));
    command.env("SSL_CERT_FILE", pki.path("ca.crt")).env_remove("SSL_CERT_DIR");
    let daemon = Exporter::spawn(&mut command);
    let ca = reqwest::Certificate::from_pem(pki.ca().as_bytes()).unwrap();
    let url = format!("https://{}/-/healthy", daemon.address);
    let trusting = || super::support::http::builder().tls_certs_only([ca.clone()]);
    let friend = super::web_config::identity(&pki.client(&[]));
    let stranger = super::web_config::identity(&self_signed(&CertificateParams::default()));
    let friend = trusting().identity(friend).build().unwrap();
    assert_eq!(send(&friend, &url, "GET", None).await.status(), 200);
    for other in [trusting().build().unwrap(), trusting().identity(stranger).build().unwrap()] {
        guard("an answer", other.get(&url).send()).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_certificate_that_stands_among_the_authorities_is_good_while_it_is_valid() {
    let require =
        tls("client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt");
    let of_an_authority = {
        let issuer = authority("a client that is its own authority");
        Pair { certificate: issuer.pem(), key: issuer.key().serialize_pem() }
    };
    let plain = self_signed(&CertificateParams::default());
    let mut ended = CertificateParams::default();
    ended.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let ended = self_signed(&ended);
    let mut for_servers = CertificateParams::default();
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let for_servers = self_signed(&for_servers);
    let pki = Pki::new();
    let all = [&of_an_authority, &plain, &ended, &for_servers];
    pki.write("clients.crt", &all.map(|pair| pair.certificate.clone()).concat());
    let guarded = Guarded::start_with(pki, &require, still(&["acme"], 1)).await;
    assert_eq!(visit(&guarded, Some(&of_an_authority)).await, both("in"));
    assert_eq!(visit(&guarded, Some(&plain)).await, both("in"));
    assert_eq!(visit(&guarded, Some(&ended)).await, alert("CertificateExpired"));
    assert_eq!(visit(&guarded, Some(&for_servers)).await, alert("UnsupportedCertificate"));
    guarded.stop().await;
}

#[tokio::test]
async fn an_expired_authority_vouches_for_no_client() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let old = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let client = CertificateParams::default().signed_by(&key, &old).unwrap();
    let client = Pair { certificate: client.pem(), key: key.serialize_pem() };
    let pki = Pki::new();
    pki.write("clients.crt", &format!("{}{}", old.pem(), pki.ca()));
    let yaml = tls("client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt");
    let guarded = Guarded::start_with(pki, &yaml, still(&["acme"], 1)).await;
    assert_eq!(visit(&guarded, Some(&client)).await, alert("UnknownCA"));
    assert_eq!(visit(&guarded, Some(&guarded.pki.client(&[]))).await, both("in"));
    guarded.stop().await;
}

#[tokio::test]
async fn allowed_names_are_those_of_hosts_addresses_mail_and_uris() {
    let lines = |auth: &str| {
        tls(&format!(
            "client_auth_type: {auth}\n  client_allowed_sans: [prometheus.test, 10.1.2.3, \
             'a@b.test', 'spiffe://c/d', '2001:db8::1']"
        ))
    };
    let guarded = Guarded::start(&lines("RequireAnyClientCert")).await;
    let client = |name| guarded.pki.client(&[host("other.test"), name]);
    for good in [
        host("prometheus.test"),
        SanType::IpAddress("10.1.2.3".parse().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::Rfc822Name("a@b.test".try_into().unwrap()),
        SanType::URI("spiffe://c/d".try_into().unwrap()),
    ] {
        let shown = format!("{good:?}");
        assert_eq!(visit(&guarded, Some(&client(good))).await, both("in"), "{shown}");
    }
    for bad in [
        host("prometheus.test.evil"),
        host("Prometheus.test"),
        host("*.test"),
        SanType::IpAddress("10.1.2.4".parse().unwrap()),
    ] {
        let shown = format!("{bad:?}");
        let outcome = visit(&guarded, Some(&client(bad))).await;
        assert_eq!(outcome, alert("AccessDenied"), "{shown}");
    }
    // A common name is no alternative name.
    let mut named = CertificateParams::default();
    named.distinguished_name.push(rcgen::DnType::CommonName, "prometheus.test");
    let named = guarded.pki.issue(&named);
    assert_eq!(visit(&guarded, Some(&named)).await, alert("AccessDenied"));
    guarded.stop().await;

    // Who shows nothing has none of the names, even where nothing has to be shown.
    for auth in ["RequestClientCert", "VerifyClientCertIfGiven"] {
        let guarded = Guarded::start(&lines(auth)).await;
        assert_eq!(visit(&guarded, None).await, alert("CertificateRequired"));
        guarded.stop().await;
    }
    let guarded = Guarded::start(&lines("NoClientCert")).await;
    assert_eq!(visit(&guarded, None).await, both("in"));
    guarded.stop().await;
}

#[tokio::test]
async fn an_allowed_name_does_not_replace_a_good_signature() {
    let guarded = Guarded::start(&tls(
        "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
         client_allowed_sans: [prometheus.test]",
    ))
    .await;
    let mut named = CertificateParams::default();
    named.subject_alt_names = vec![host("prometheus.test")];
    assert_eq!(visit(&guarded, Some(&guarded.pki.issue(&named))).await, both("in"));
    assert_eq!(visit(&guarded, Some(&self_signed(&named))).await, alert("UnknownCA"));
    assert_eq!(visit(&guarded, Some(&guarded.pki.client(&[]))).await, alert("AccessDenied"));
    guarded.stop().await;
}

#[tokio::test]
async fn a_resumed_session_is_good_as_long_as_its_certificate() {
    let guarded = Guarded::start(&tls(
        "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
         client_allowed_sans: [prometheus.test]",
    ))
    .await;
    let mut short = CertificateParams::default();
    short.subject_alt_names = vec![host("prometheus.test")];
    // Long enough for some handshakes on a busy machine.
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(10);
    short.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
    let pair = guarded.pki.issue(&short);
    let address = guarded.world.exporter;
    for version in BOTH {
        let config = config(&guarded, &[version], Some(&pair), |_| ());
        assert_eq!(ask(address, &config).await.unwrap().kind, HandshakeKind::Full);
        assert_eq!(ask(address, &config).await.unwrap().kind, HandshakeKind::Resumed);
    }
    let tickets: Vec<_> =
        BOTH.iter().map(|version| config(&guarded, &[version], Some(&pair), |_| ())).collect();
    for config in &tickets {
        ask(address, config).await.unwrap();
    }
    let over = async {
        let fresh = || config(&guarded, &BOTH, Some(&pair), |_| ());
        loop {
            match ask(address, &fresh()).await {
                // Not too often: the exporter remembers 256 sessions.
                Ok(_) => tokio::time::sleep(Duration::from_millis(250)).await,
                Err(error) => return error.to_string(),
            }
        }
    };
    assert_eq!(guard("the end of the certificate", over).await, alert("CertificateExpired")[0]);
    for config in &tickets {
        // No handshake fails, but there is no answer.
        let error = ask(address, config).await.unwrap_err().to_string();
        assert!(!error.contains("CertificateExpired"), "{error}");
    }
    guarded.stop().await;
}

#[tokio::test]
async fn http_2_is_spoken_unless_it_is_turned_off() {
    for (section, version) in [
        ("", Version::HTTP_2),
        ("http_server_config: {http2: true}", Version::HTTP_2),
        ("http_server_config: {http2: false}", Version::HTTP_11),
    ] {
        let guarded = Guarded::start(&format!("{}{section}\n", tls(""))).await;
        let client = guarded.client();
        let answer = send(&client, &guarded.url("/metrics"), "GET", None).await;
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version), "{section}");
        let head = send(&client, &guarded.url("/metrics"), "HEAD", None).await;
        assert!(head.headers()["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 1000);
        assert!(head.bytes().await.unwrap().is_empty());
        let old = guarded.trusting().http1_only().build().unwrap();
        let answer = send(&old, &guarded.url("/metrics"), "GET", None).await;
        assert_eq!(answer.version(), Version::HTTP_11);
        guarded.stop().await;
    }
}

#[tokio::test]
async fn clients_of_http_2_that_do_not_read_keep_no_others_out() {
    let guarded = Guarded::start_with(Pki::new(), &tls(""), wide(5_000)).await;
    for path in ["/metrics", "/api/v1/status"] {
        let slow = guarded.trusting().http2_initial_stream_window_size(1).build().unwrap();
        let mut stuck = Vec::new();
        // All on one connection: with one more document it would be given up.
        for _ in 0..8 {
            let answer = send(&slow, &guarded.url(path), "GET", None).await;
            assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
            stuck.push(answer);
        }
        for path in [path, "/-/healthy"] {
            let answer = send(&guarded.client(), &guarded.url(path), "GET", None).await;
            assert_eq!(answer.status(), 200, "{path}");
        }
    }
    guarded.stop().await;
}

#[tokio::test]
async fn a_scrape_in_flight_is_finished_before_the_end() {
    for http2 in [true, false] {
        let yaml = format!("{}http_server_config: {{http2: {http2}}}\n", tls(""));
        let guarded = Guarded::start_with(Pki::new(), &yaml, wide(5_000)).await;
        let answer = send(&guarded.client(), &guarded.url("/metrics"), "GET", None).await;
        let length = answer.content_length().unwrap();
        assert!(length > 1_000_000, "{length}");
        guarded.world.shutdown.begin();
        let body = guard("the rest", answer.bytes()).await.unwrap();
        assert_eq!(body.len() as u64, length);
        guarded.stop().await;
    }
}

#[tokio::test]
async fn connections_without_a_handshake_keep_no_client_out() {
    let guarded = Guarded::start(&tls("")).await;
    let mut idle = Vec::new();
    for _ in 0..600 {
        idle.push(TcpStream::connect(guarded.world.exporter).await.unwrap());
    }
    let answer = send(&guarded.client(), &guarded.url("/-/healthy"), "GET", None).await;
    assert_eq!(answer.status(), 200);
    guarded.stop().await;
}

#[tokio::test]
async fn who_speaks_plain_http_or_nonsense_to_tls_is_answered_and_harms_no_others() {
    let guarded = Guarded::start(&tls("")).await;
    let url = format!("http://{}/metrics", guarded.world.exporter);
    let answer = send(&client(), &url, "GET", None).await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("write https://"));
    for bytes in [&b"\x16\x03\x01garbage"[..], b"\x80\x00", b"\0", b""] {
        let mut stream = TcpStream::connect(guarded.world.exporter).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        drop(stream);
    }
    let https = send(&guarded.client(), &guarded.url("/metrics"), "GET", None).await;
    assert_eq!(https.status(), 200);
    guarded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_asks_over_tls_when_it_may_take_any_certificate() {
    let yaml = format!("{}{}", tls(""), users(4));
    let guarded = Guarded::start(&yaml).await;
    let url = format!("--url={}", guarded.url("/-/healthy"));
    let check = |flags: Vec<String>| {
        tokio::task::spawn_blocking(move || {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            run(&flags)
        })
    };
    let insecure = ["healthcheck".to_owned(), url.clone(), "--insecure".to_owned()];
    let good = check(insecure.to_vec()).await.unwrap();
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let strict = check(insecure[..2].to_vec()).await.unwrap();
    assert_eq!(strict.status.code(), Some(1), "{strict:?}");
    let error = String::from_utf8(strict.stderr).unwrap();
    assert!(error.contains("UnknownIssuer"), "{error}");
    assert_eq!(login(&guarded, &guarded.client()).await, 200);
    guarded.stop().await;
}

async fn login(guarded: &Guarded, client: &Client) -> u16 {
    send(client, &guarded.url("/metrics"), "GET", Some(ALICE)).await.status().as_u16()
}
