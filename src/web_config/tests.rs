//! What the module does as a whole: from files to a configuration, or to the words an operator
//! reads.

mod tls;
mod watch;

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::{RequestRate, WebConfig, load};

/// A folder with `server.crt`, `server.key`, `other.key` and `ca.crt`.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.renew();
        let other = KeyPair::generate().unwrap();
        folder.write("other.key", &other.serialize_pem());
        folder.write("ca.crt", &CertificateParams::default().self_signed(&other).unwrap().pem());
        folder
    }

    /// Writes another certificate with another key.
    fn renew(&self) {
        let (certificate, key) = pair();
        self.write("server.crt", &certificate);
        self.write("server.key", &key);
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn load(&self, yaml: &str) -> Result<WebConfig, String> {
        self.write("web.yml", yaml);
        load(&self.0.path().join("web.yml")).map_err(|error| self.shown(&error.to_string()))
    }

    /// A text without the folder in it.
    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn problems(&self, yaml: &str) -> String {
        match self.load(yaml) {
            Err(problems) => problems,
            Ok(config) => panic!("it is taken: {yaml}\n{config:?}"),
        }
    }

    fn warnings(&self, yaml: &str) -> Vec<String> {
        let config = self.load(yaml).unwrap();
        config.warnings.iter().map(|warning| self.shown(&warning.to_string())).collect()
    }
}

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["exporter.test".to_owned()]).unwrap();
    (certificate.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A section with the usual pair, and these lines.
fn tls(lines: &str) -> String {
    format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  {lines}\n")
}

#[test]
fn an_empty_file_says_nothing_and_is_reported() {
    let folder = Folder::new();
    for empty in ["", "# only a comment\n", "---\n", "{}\n", "tls_server_config:\nrate_limit: ~\n"]
    {
        let config = folder.load(empty).unwrap();
        assert!(config.tls.is_none() && config.users.is_empty() && config.http2, "{empty}");
        assert_eq!((config.headers.len(), config.rate_limit), (0, None), "{empty}");
    }
    assert_eq!(folder.warnings(""), ["web.yml: is empty: no TLS, and no login is required"]);
}

#[test]
fn every_key_arrives() {
    let folder = Folder::new();
    let hash = bcrypt::hash("x", 4).unwrap();
    let yaml = format!(
        "\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [one, \"10.0.0.1\"]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519, CurveP256, CurveP384]
http_server_config:
  http2: false
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 1
    Strict-Transport-Security: max-age=31536000; includeSubDomains
basic_auth_users:
  alice: {hash}
  0x1F: {hash}
  true: {hash}
rate_limit: {{interval: 1m30s, burst: 20}}
"
    );
    let config = folder.load(&yaml).unwrap();
    assert!(config.tls.is_some() && !config.http2);
    let headers: Vec<_> = config
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let expected = [
        "content-security-policy: default-src 'self'",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "x-xss-protection: 1",
        "strict-transport-security: max-age=31536000; includeSubDomains",
    ];
    assert_eq!(headers, expected);
    for name in ["alice", "0x1F", "true"] {
        assert!(config.users.check_for(name).unwrap().known, "{name}");
    }
    assert!(!config.users.check_for("31").unwrap().known);
    let limit = RequestRate { interval: Duration::from_secs(90), burst: 20 };
    assert_eq!((config.rate_limit, config.warnings), (Some(limit), Vec::new()));
}

#[test]
fn unknown_keys_and_wrong_types_are_refused_where_they_stand() {
    let folder = Folder::new();
    for (yaml, expected) in [
        (
            "tls_server_config:\n  cert_filse: server.crt\n",
            "web.yml:2:3: unknown key \"cert_filse\"; did you mean cert_file?",
        ),
        (
            "tls_config: {}\n",
            "web.yml:1:1: unknown key \"tls_config\"; known here: tls_server_config, \
             http_server_config, basic_auth_users, rate_limit",
        ),
        (
            "rate_limit: {burst: 1, burst: 2}\n",
            "web.yml:1:24: burst is given twice; remove one of them",
        ),
        (
            "hWkNKCp3fvIx3jKnsaBI\nTuEjdwNS8A2vYdFbiKqr\n",
            "web.yml:1:1: must be a mapping, keys with a value each: {key: value}",
        ),
        (
            "tls_server_config: [x]\n",
            "web.yml:1:20: must be a mapping, keys with a value each: {key: value}",
        ),
        (
            "http_server_config: {http2: 1}\n",
            "web.yml:1:29: http_server_config.http2: must be true or false, unquoted",
        ),
        (
            "http_server_config: {http2: \"true\"}\n",
            "web.yml:1:29: http_server_config.http2: must be true or false, unquoted",
        ),
        (
            "http_server_config: {headers: [x]}\n",
            "web.yml:1:31: must be a mapping, keys with a value each: {key: value}",
        ),
        (
            "basic_auth_users: [alice]\n",
            "web.yml:1:19: must be a mapping, keys with a value each: {key: value}",
        ),
        ("rate_limit: {interval: 1}\n---\n]\n", ""),
        (
            "rate_limit: {burst: '1'}\n",
            "web.yml:1:21: rate_limit.burst: is not a whole number; write one, unquoted, as 20",
        ),
        (
            "rate_limit: {interval: 1 day}\n",
            "web.yml:1:24: rate_limit.interval: is not a duration; write 1s, 1m30s or 200ms",
        ),
        (
            "rate_limit: [1\n",
            "web.yml:1:13: must be a mapping, keys with a value each: {key: value}",
        ),
        ("rate_limit: {burst: 1\n", "web.yml:1:13: is not YAML: unclosed bracket '{'"),
    ] {
        if expected.is_empty() {
            folder.load(yaml).unwrap();
        } else {
            assert_eq!(folder.problems(yaml), expected, "{yaml}");
        }
    }
}

#[test]
fn headers_are_exactly_five_with_exact_values() {
    let folder = Folder::new();
    let headers = |lines: &str| format!("http_server_config:\n  headers:\n    {lines}\n");
    let others = "cannot be configured; only these can: Content-Security-Policy, X-Frame-Options, \
                  X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security";
    for (line, column, fault) in [
        ("Content-Type: foo", 5, others.to_owned()),
        ("x-frame-options: deny", 5, others.to_owned()),
        ("X-Frame-Options: DENY", 22, "must be deny or sameorigin".to_owned()),
        ("X-Frame-Options: ''", 22, "must be deny or sameorigin".to_owned()),
        ("X-Content-Type-Options: sniff", 29, "must be nosniff".to_owned()),
        (
            "Content-Security-Policy: \"a\\nb\"",
            30,
            "holds a character that no header has; write it again".to_owned(),
        ),
    ] {
        let reported = folder.problems(&headers(line));
        let reported =
            reported.strip_prefix(&format!("web.yml:3:{column}: http_server_config.headers."));
        let (_, what) = reported.unwrap().split_once(": ").unwrap();
        assert_eq!(what, fault, "{line}");
    }
    for (key, shown) in [
        ("X-Foo", "X-Foo"),
        ("x-frame-options", "x-frame-options"),
        ("X-XSS-Protecton", "X-XSS-Protecton"),
        ("hunterTwo-2", "…"),
    ] {
        let reported = folder.problems(&headers(&format!("{key}: a")));
        let place = format!("web.yml:3:5: http_server_config.headers.{shown}: {others}");
        assert_eq!(reported, place, "{key}");
    }
    let blank = headers("Strict-Transport-Security: ''\n    X-Frame-Options: ~");
    let blank = folder.load(&blank).unwrap().headers;
    let [(name, value)] = blank.as_slice() else { panic!("{blank:?}") };
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("strict-transport-security", ""));
}

#[test]
fn rate_limits_are_read_as_the_toolkit_reads_them() {
    let folder = Folder::new();
    let limit =
        |section: &str| folder.load(&format!("rate_limit: {section}\n")).unwrap().rate_limit;
    let of = |nanos, burst| Some(RequestRate { interval: Duration::from_nanos(nanos), burst });
    for (section, expected) in [
        ("{interval: 1s, burst: 20}", of(1_000_000_000, 20)),
        ("{interval: \"1.5ms\", burst: 1}", of(1_500_000, 1)),
        // A bare number is nanoseconds.
        ("{interval: 250, burst: 1}", of(250, 1)),
        ("{interval: 0, burst: 0}", None),
        ("{interval: \"0\", burst: 3}", None),
        ("{interval: -1s, burst: 3}", None),
        ("{interval: -5, burst: 3}", None),
        ("{burst: 3}", None),
        ("{interval: ~, burst: ~}", None),
        ("{interval: 1s}", of(1_000_000_000, 0)),
        ("{interval: 1s, burst: -1}", of(1_000_000_000, 0)),
        ("{interval: 1s, burst: 99999999999}", of(1_000_000_000, u32::MAX)),
    ] {
        assert_eq!(limit(section), expected, "{section}");
    }
    let reported =
        "web.yml:1:13: rate_limit: answers every request 429, because burst is 0; write burst: 20";
    assert_eq!(folder.warnings("rate_limit: {interval: 1s, burst: 0}\n"), [reported]);
}

#[test]
fn what_is_legal_and_unwise_is_reported() {
    let folder = Folder::new();
    let unasked = "has client_allowed_sans, and asks no client for a certificate, so every client \
                   may come; write client_auth_type: RequireAndVerifyClientCert";
    for (yaml, expected) in [
        (tls("client_allowed_sans: [one]"), vec![format!("web.yml:2:3: tls_server_config: {unasked}")]),
        (
            tls("client_auth_type: RequireAnyClientCert\n  client_allowed_sans: []"),
            vec!["web.yml:5:24: tls_server_config.client_allowed_sans: is empty, so no client may come".to_owned()],
        ),
        (
            "tls_server_config: {min_version: TLS13}\n".to_owned(),
            vec!["web.yml:1:20: tls_server_config: names no certificate, so there is no TLS; give cert_file and key_file".to_owned()],
        ),
        (
            "rate_limit: {}\n---\nbasic_auth_users: {alice: x}\n".to_owned(),
            vec!["web.yml: only the first YAML document is read; what follows --- counts for nothing".to_owned()],
        ),
        (tls("client_allowed_sans: ~\n  min_version: ~\n  cipher_suites: ~"), Vec::new()),
    ] {
        assert_eq!(folder.warnings(&yaml), expected, "{yaml}");
    }
    let key = KeyPair::generate().unwrap();
    let mut old = CertificateParams::default();
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let old = old.self_signed(&key).unwrap().pem();
    folder.write("server.crt", &old);
    folder.write("ca.crt", &old);
    folder.write("server.key", &key.serialize_pem());
    let reported =
        "web.yml:2:14: tls_server_config.cert_file: server.crt has expired; clients will refuse it";
    assert_eq!(folder.warnings(&tls("")), [reported]);
    let ca = tls("client_auth_type: RequestClientCert\n  client_ca_file: ca.crt");
    let of_the_ca = "web.yml:5:19: tls_server_config.client_ca_file: ca.crt holds a certificate, \
                     number 1, that has expired";
    assert_eq!(folder.warnings(&ca), [reported, of_the_ca]);
}

#[test]
fn null_means_the_default() {
    let folder = Folder::new();
    let yaml = "tls_server_config: {cert: ~, client_auth_type: ~, prefer_server_cipher_suites: ~}\n\
                http_server_config: {http2: ~, headers: ~}\n\
                basic_auth_users: ~\nrate_limit: {interval: ~, burst: ~}\n";
    let config = folder.load(yaml).unwrap();
    assert!(config.tls.is_none() && config.users.is_empty() && config.http2);
    assert_eq!((config.headers.len(), config.rate_limit), (0, None));
}

#[test]
fn no_message_and_no_debug_output_holds_a_secret() {
    const SECRETS: [&str; 4] = ["hunter2", "MIGHAgEAMBMGByqGSM49", "$2y$10$hidden", "s3cr3t"];
    let folder = Folder::new();
    let key = "-----BEGIN PRIVATE KEY-----\\nMIGHAgEAMBMGByqGSM49\\n-----END PRIVATE KEY-----";
    for yaml in [
        "basic_auth_users: {alice: hunter2}".to_owned(),
        "basic_auth_users: {alice: [hunter2]}".to_owned(),
        "basic_auth_users: {alice: $2y$10$hidden}".to_owned(),
        "basic_auth_users: {$2y$10$hidden: alice}".to_owned(),
        "basic_auth_users: hunter2".to_owned(),
        format!("tls_server_config: {{cert_file: server.crt, key: \"{key}\"}}"),
        format!("tls_server_config: {{cert_file: server.crt, key_file: \"{key}\"}}"),
        format!("tls_server_config: {{cert: \"{key}\", key_file: server.key}}"),
        "tls_server_config: {key: hunter2, s3cr3tPassw0rd: x}".to_owned(),
        "tls_server_config: hunter2".to_owned(),
        "tls_server_config: {cert_file: server.crt, key_file: $2y$10$hidden}".to_owned(),
        "tls_server_config: {cert: x, key: x, client_auth_type: hunter2}".to_owned(),
        "http_server_config: {headers: {s3cr3tPassw0rd: x}}".to_owned(),
        "http_server_config: {http2: hunter2}".to_owned(),
        "rate_limit: {interval: hunter2, burst: hunter2}".to_owned(),
        "basic_auth_users: {alice: !!int hunter2}".to_owned(),
        "basic_auth_users: {alice: hunter2".to_owned(),
    ] {
        let reported = folder.problems(&yaml);
        for secret in SECRETS {
            assert!(!reported.contains(secret), "{yaml}\n{reported}");
        }
    }
    let hash = bcrypt::hash("hunter2", 4).unwrap();
    let (certificate, key) = pair();
    folder.write("server.crt", &certificate);
    folder.write("server.key", &key);
    let good = format!(
        "{}basic_auth_users: {{alice: {hash}}}\n",
        tls("client_auth_type: RequestClientCert")
    );
    let shown = format!("{:?}", folder.load(&good).unwrap());
    for secret in [hash.as_str(), &hash[7..], key.lines().nth(1).unwrap()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn the_documented_example_is_good() {
    let documentation = include_str!("../../docs/web-configuration.md");
    let (_, example) = documentation.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let folder = Folder::new();
    let (certificate, key) = pair();
    folder.write("tls.crt", &certificate);
    folder.write("tls.key", &key);
    folder.write("clients.crt", &certificate);
    let config = folder.load(example).unwrap();
    assert_eq!((config.warnings.len(), config.tls.is_some(), config.headers.len()), (0, true, 2));
    let check = config.users.check_for("prometheus").unwrap();
    assert!(check.known && check.hash.matches(b"open sesame"));
}
