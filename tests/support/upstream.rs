//! The simulated API, inside the test.

use tokio::net::TcpListener;
use wazzup_exporter::simulator::{AccountSpec, RateLimit, Role, Settings, Simulator, UserSpec};

/// Serves a simulated API on a port of its own for the rest of the test.
pub(crate) async fn serve(settings: Settings) -> (Simulator, String) {
    let api = Simulator::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = api.clone();
    tokio::spawn(async move { served.serve(listener, std::future::pending()).await });
    (api, url)
}

/// The configuration that the simulator writes, with other poll settings and without lists.
pub(crate) fn configuration(api: &Simulator, url: &str, poll: &str) -> String {
    let yaml = api.exporter_config(url, "1h");
    let (_, accounts) = yaml.split_once("accounts:").unwrap();
    // Tests count requests; those about channels switch them on.
    let accounts = accounts.replace("\n    users:", "\n    channels: {enabled: false}\n    users:");
    format!("poll: {{{poll}}}\naccounts:{accounts}")
}

/// Accounts whose counters do not change: each user's is red, ten times the user's index plus one.
pub(crate) fn still(accounts: &[&str], users: usize) -> Settings {
    let account = |(number, name): (usize, &&str)| {
        let id = format!("{:08}", 10_000_000 + number);
        let mut account = AccountSpec::new(name, &id, &format!("token-of-{name}"));
        for user in 0..users {
            let spec = UserSpec::new(&format!("u{user}"), &format!("User {user}"), Role::SalesRep);
            account = account.user(spec.pinned(user as u64 * 10 + 1, "red"));
        }
        account
    };
    Settings {
        accounts: accounts.iter().enumerate().map(account).collect(),
        speed: 0.0,
        limit: RateLimit::UNLIMITED,
        ..Settings::default()
    }
}

/// Such an account, `acme`, whose users have long names and labels: with so many that no buffer holds a document the
/// configuration takes long.
pub(crate) fn wide(users: usize) -> Settings {
    let mut settings = still(&["acme"], users);
    let label = |number| (format!("label_{number}"), "x".repeat(256));
    settings.accounts[0].labels = (0..2).map(label).collect();
    for user in &mut settings.accounts[0].users {
        user.name = format!("{} {}", user.name, "x".repeat(180));
    }
    settings
}
