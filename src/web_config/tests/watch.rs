//! What becomes of changed files.

use super::super::Watch;
use super::{Folder, pair, tls};

fn watch(folder: &Folder, yaml: &str) -> Watch {
    Watch::new(&folder.load(yaml).unwrap())
}

fn news(watch: &mut Watch) -> String {
    match watch.look() {
        None => "nothing".to_owned(),
        Some(Ok(config)) => {
            format!("changed, TLS: {}, users: {}", config.tls.is_some(), config.users.len())
        }
        Some(Err(error)) => format!("broken, {} problems", error.problems.len()),
    }
}

#[test]
fn a_change_counts_when_it_is_seen_twice_and_is_reported_once() {
    let folder = Folder::new();
    let mut watch = watch(&folder, &tls(""));
    assert_eq!(news(&mut watch), "nothing");
    folder.renew();
    let reported: Vec<_> = (0..4).map(|_| news(&mut watch)).collect();
    assert_eq!(reported, ["nothing", "changed, TLS: true, users: 0", "nothing", "nothing"]);
    // Found in between: the certificate is there already, its key not yet.
    let (certificate, key) = pair();
    folder.write("server.crt", &certificate);
    assert_eq!(news(&mut watch), "nothing");
    folder.write("server.key", &key);
    assert_eq!(news(&mut watch), "nothing");
    assert_eq!(news(&mut watch), "changed, TLS: true, users: 0");
}

#[test]
fn a_broken_file_is_reported_once_until_it_changes() {
    let folder = Folder::new();
    let mut watch = watch(&folder, &tls(""));
    let good = std::fs::read_to_string(folder.0.path().join("server.key")).unwrap();
    let mut reported = Vec::new();
    for key in ["nonsense", "other nonsense", &good] {
        folder.write("server.key", key);
        reported.extend((0..4).map(|_| news(&mut watch)));
    }
    let broken = ["nothing", "broken, 1 problems", "nothing", "nothing"];
    let mended = ["nothing", "changed, TLS: true, users: 0", "nothing", "nothing"];
    assert_eq!(reported, [broken, broken, mended].concat());
    std::fs::remove_file(folder.0.path().join("web.yml")).unwrap();
    assert_eq!((0..4).map(|_| news(&mut watch)).collect::<Vec<_>>(), broken);
}

#[test]
fn an_emptied_file_is_broken_where_it_guarded_something() {
    let folder = Folder::new();
    let hash = bcrypt::hash("x", 4).unwrap();
    let users = format!("basic_auth_users: {{alice: {hash}}}\n");
    for (before, reported) in [
        (users.as_str(), "broken, 1 problems"),
        (&tls(""), "broken, 1 problems"),
        ("rate_limit: {interval: 1s, burst: 1}", "changed, TLS: false, users: 0"),
    ] {
        let mut watch = watch(&folder, before);
        folder.write("web.yml", "# nothing\n");
        assert_eq!(news(&mut watch), "nothing");
        assert_eq!(news(&mut watch), reported, "{before}");
    }
    let mut watch = watch(&folder, &users);
    folder.write("web.yml", "{}\n");
    assert_eq!(news(&mut watch), "nothing");
    assert_eq!(news(&mut watch), "changed, TLS: false, users: 0");
}

#[test]
fn swapped_symlinks_are_a_change() {
    let folder = Folder::new();
    let at = |name: &str| folder.0.path().join(name);
    for version in ["one", "two"] {
        let (certificate, key) = pair();
        std::fs::create_dir(at(version)).unwrap();
        folder.write(&format!("{version}/tls.crt"), &certificate);
        folder.write(&format!("{version}/tls.key"), &key);
    }
    std::os::unix::fs::symlink("one", at("..data")).unwrap();
    let yaml = "tls_server_config: {cert_file: ..data/tls.crt, key_file: ..data/tls.key}\n";
    let mut watch = watch(&folder, yaml);
    std::os::unix::fs::symlink("two", at("new")).unwrap();
    std::fs::rename(at("new"), at("..data")).unwrap();
    assert_eq!(news(&mut watch), "nothing");
    assert_eq!(news(&mut watch), "changed, TLS: true, users: 0");
}
