//! The section `tls_server_config`: what is taken and what is refused.

use std::path::Path;

use super::super::load;
use super::{Folder, pair, tls};

#[test]
fn half_pairs_are_refused() {
    let folder = Folder::new();
    let missing = |half: &str| {
        format!("tls_server_config: has neither {half}_file nor {half}; TLS needs both halves")
    };
    for (section, half) in [
        ("{cert_file: server.crt}", "key"),
        ("{cert_file: server.crt, key_file: ''}", "key"),
        ("{cert_file: server.crt, key: ''}", "key"),
        ("{key_file: server.key}", "cert"),
        ("{cert: '', key_file: server.key}", "cert"),
        ("{cert_file: ~, key_file: server.key}", "cert"),
    ] {
        let reported = folder.problems(&format!("tls_server_config: {section}\n"));
        assert_eq!(reported, format!("web.yml:1:20: {}", missing(half)), "{section}");
    }
    let reported = folder.problems("tls_server_config: {client_auth_type: RequestClientCert}\n");
    let both = format!("web.yml:1:20: {}\nweb.yml:1:20: {}", missing("cert"), missing("key"));
    assert_eq!(reported, both);
}

#[test]
fn files_that_are_missing_or_hold_something_else_are_refused_and_named() {
    let folder = Folder::new();
    folder.write("empty", "");
    folder.write("cut.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    folder.write("not.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    folder.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    folder.write("odd.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let pair = |certificate: &str, key: &str| {
        folder.problems(&format!(
            "tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n"
        ))
    };
    let at_certificate = "web.yml:2:14: tls_server_config.cert_file: ";
    let at_key = "web.yml:3:13: tls_server_config.key_file: ";
    let none = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(
        pair("somefile", "other/file.key"),
        format!("{at_certificate}the file {none}\n{at_key}the file {none}")
    );
    assert_eq!(
        pair("/dev/nonexistent/a.crt", "server.key"),
        format!("{at_certificate}/dev/nonexistent/a.crt {none}")
    );
    assert_eq!(
        pair("/dev/null", "server.key"),
        format!("{at_certificate}/dev/null is not a regular file")
    );
    for (file, fault) in [
        ("empty", "holds no certificate in PEM, -----BEGIN CERTIFICATE-----"),
        ("server.key", "holds no certificate in PEM, -----BEGIN CERTIFICATE-----"),
        ("cut.crt", "is not PEM at certificate 1; copy it again"),
        ("not.crt", "is not an X.509 certificate"),
        (
            "ca.crt",
            "is not for the key: they do not belong together; the server's own certificate comes first",
        ),
    ] {
        assert_eq!(pair(file, "server.key"), format!("{at_certificate}{file} {fault}"));
    }
    for (file, fault) in [
        ("empty", "holds no private key in PEM, -----BEGIN PRIVATE KEY-----"),
        ("server.crt", "holds no private key in PEM, -----BEGIN PRIVATE KEY-----"),
        ("locked.key", "is encrypted, and there is no way to enter the password; decrypt it"),
        (
            "odd.key",
            "is a key that cannot be used; RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, and Ed25519 can",
        ),
    ] {
        assert_eq!(pair("server.crt", file), format!("{at_key}{file} {fault}"));
    }
    let missing = load(Path::new("/nonexistent/web.yml")).unwrap_err().to_string();
    assert_eq!(missing, format!("/nonexistent/web.yml: {none}"));
}

#[test]
fn files_win_over_what_is_written_inline() {
    let folder = Folder::new();
    let (certificate, key) = pair();
    let indented = |pem: &str| pem.trim().replace('\n', "\n    ");
    let inline = format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n",
        indented(&certificate),
        indented(&key)
    );
    assert!(folder.load(&inline).unwrap().tls.is_some());
    // The inline half is for another key and is not looked at.
    let mixed = format!("{inline}  cert_file: server.crt\n  key_file: server.key\n");
    assert!(folder.load(&mixed).unwrap().tls.is_some());
    let half = format!("{inline}  cert_file: server.crt\n");
    assert!(folder.problems(&half).contains("do not belong together"));
    let broken = tls("cert: nonsense\n  key: nonsense");
    assert!(folder.load(&broken).unwrap().tls.is_some());
    let ca = tls("client_auth_type: RequestClientCert\n  client_ca: nonsense");
    assert!(folder.problems(&ca).contains("client_ca: holds no certificate"));
    assert!(folder.load(&format!("{ca}  client_ca_file: ca.crt\n")).unwrap().tls.is_some());
}

#[test]
fn invented_names_are_refused_and_what_is_lacking_is_reported_with_the_reason() {
    let folder = Folder::new();
    let suites = "those of TLS 1.3, and ECDHE with AES-GCM or ChaCha20-Poly1305";
    let curves = "X25519, CurveP256 and CurveP384";
    let versions = "TLS12 and TLS13";
    let old = "cannot be had: TLS 1.0 and 1.1 are broken, and rustls lacks them";
    let good = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    for (lines, expected) in [
        (
            format!("cipher_suites: [{good}, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048]"),
            format!("60: tls_server_config.cipher_suites[1]: is no cipher suite; there are {suites}"),
        ),
        (
            format!("cipher_suites: [{good}, TLS_RSA_WITH_AES_128_GCM_SHA256]"),
            format!("60: tls_server_config.cipher_suites[1]: TLS_RSA_WITH_AES_128_GCM_SHA256 cannot be had: rustls lacks RSA key exchange, which has no forward secrecy; there are {suites}"),
        ),
        (
            format!("cipher_suites: [{good}, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]"),
            format!("60: tls_server_config.cipher_suites[1]: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA cannot be had: rustls lacks CBC, RC4 and 3DES; there are {suites}"),
        ),
        (
            "curve_preferences: [CurveP257]".to_owned(),
            format!("23: tls_server_config.curve_preferences[0]: is no curve; there are {curves}"),
        ),
        (
            "curve_preferences: [CurveP521]".to_owned(),
            format!("23: tls_server_config.curve_preferences[0]: CurveP521 cannot be had: rustls has no P-521; there are {curves}"),
        ),
        (
            "min_version: TLS111".to_owned(),
            format!("16: tls_server_config.min_version: is no version of TLS; there are {versions}"),
        ),
        ("min_version: TLS10".to_owned(), format!("16: tls_server_config.min_version: TLS10 {old}; there are {versions}")),
        ("max_version: TLS11".to_owned(), format!("16: tls_server_config.max_version: TLS11 {old}; there are {versions}")),
        (
            "client_auth_type: x".to_owned(),
            "21: tls_server_config.client_auth_type: is no type of client authentication; there are NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven and RequireAndVerifyClientCert".to_owned(),
        ),
    ] {
        assert_eq!(folder.problems(&tls(&lines)), format!("web.yml:4:{expected}"), "{lines}");
    }
}

#[test]
fn settings_that_leave_no_way_are_refused() {
    let folder = Folder::new();
    let none = "web.yml:2:3: tls_server_config: leaves no way to encrypt: min_version, max_version \
                and cipher_suites exclude each other";
    for lines in [
        "min_version: TLS13\n  max_version: TLS12",
        "max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\nhttp_server_config: {http2: false}",
    ] {
        assert_eq!(folder.problems(&tls(lines)), none, "{lines}");
    }
}

#[test]
fn http_2_needs_a_cipher_of_its_own_where_tls_1_2_is_possible() {
    let folder = Folder::new();
    let list = "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]";
    let reported = "web.yml:4:18: tls_server_config.cipher_suites: lacks what HTTP/2 needs, \
                TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; \
                add one, or write http2: false";
    assert_eq!(folder.problems(&tls(list)), reported);
    for good in [
        format!("{list}\nhttp_server_config: {{http2: no}}"),
        format!("{list}\n  min_version: TLS13"),
        "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]".to_owned(),
        "cipher_suites: []".to_owned(),
    ] {
        assert!(folder.load(&tls(&good)).unwrap().tls.is_some(), "{good}");
    }
}

#[test]
fn authorities_without_a_policy_and_unusable_ones_are_refused() {
    let folder = Folder::new();
    let reported = "web.yml:2:3: tls_server_config: has a client CA, and asks no client for a \
                certificate; write client_auth_type: RequireAndVerifyClientCert";
    assert_eq!(folder.problems(&tls("client_ca_file: ca.crt")), reported);
    assert_eq!(
        folder.problems(&tls("client_ca_file: ca.crt\n  client_auth_type: NoClientCert")),
        reported
    );
    let required = "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file";
    for (file, fault) in [
        ("somefile", "the file cannot be read: No such file or directory (os error 2)"),
        ("server.key", "server.key holds no certificate in PEM, -----BEGIN CERTIFICATE-----"),
    ] {
        let expected = format!("web.yml:5:19: tls_server_config.client_ca_file: {fault}");
        assert_eq!(folder.problems(&tls(&format!("{required}: {file}"))), expected);
    }
}
