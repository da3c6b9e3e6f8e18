//! What happens to the exporter for as long as it is watched: faults of upstream, reloads, readers of all kinds.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::report::Usage;
use super::support::files::write_private;
use super::support::http::client;
use super::support::wait::{guard, random_below};
use super::{KINDS, OF_A_KIND, Soak, configuration, names};

/// Faults of one account, and of the partner's login.
const FAULTS: [&str; 13] = [
    "status=500,probability=0.3",
    "status=503",
    // Of a refresh token it would be a refusal for good, and a person has to log in.
    "status=401,count=5,endpoint=counter",
    "status=404,probability=0.2",
    "hang",
    "reset,probability=0.5",
    "truncated,probability=0.3",
    "malformed,probability=0.3",
    "oversized,probability=0.3",
    "latency=10ms..800ms",
    "late=2s,endpoint=refresh",
    "status=503,endpoint=refresh,count=2",
    "status=503,endpoint=exchange,count=2",
];
const OF_THE_PARTNER: [&str; 2] =
    ["status=503,endpoint=machine_token,count=3", "hang,endpoint=machine_token,count=1"];

/// In how many parts of the run memory is looked at.
const PARTS: u32 = 6;

/// What was done, and the most that the exporter used meanwhile.
pub(crate) struct Chaos {
    pub(crate) faults: u32,
    pub(crate) reloads: u32,
    pub(crate) refused_reloads: u32,
    pub(crate) scrapes: u32,
    pub(crate) pages: u32,
    pub(crate) broken_off: u32,
    /// Answers to readers that were not 200.
    pub(crate) bad_answers: u32,
    /// Accounts that needed a login in some scrape.
    pub(crate) logins_needed: u32,
    pub(crate) most: Usage,
    /// Of each part of the run the memory at its end.
    pub(crate) memory_kib: Vec<usize>,
}

/// Does it all until `end`.
pub(crate) async fn run(soak: &Soak, end: Instant) -> Chaos {
    let (faults, (reloads, refused_reloads), readers, (most, memory_kib)) =
        tokio::join!(faults(soak, end), reloads(soak, end), readers(soak, end), watch(soak, end));
    let Readers { scrapes, pages, broken_off, bad_answers, logins_needed } = readers;
    Chaos {
        faults,
        reloads,
        refused_reloads,
        scrapes,
        pages,
        broken_off,
        bad_answers,
        logins_needed,
        most,
        memory_kib,
    }
}

/// One of so many.
fn pick(count: usize) -> usize {
    random_below(Duration::from_micros(count as u64)).as_micros() as usize
}

/// Waits up to so long; whether it is still before `end`.
async fn pause(longest: Duration, end: Instant) -> bool {
    let _ = timeout_at(end, sleep(random_below(longest))).await;
    Instant::now() < end
}

/// Up to three faults at a time, each of an account that is not steady or of the partner's login.
async fn faults(soak: &Soak, end: Instant) -> u32 {
    let mut added = 0;
    loop {
        for _ in 0..=pick(3) {
            let fault = if pick(8) == 0 {
                OF_THE_PARTNER[pick(OF_THE_PARTNER.len())].to_owned()
            } else {
                let account = names().nth(OF_A_KIND + pick(OF_A_KIND * (KINDS.len() - 1))).unwrap();
                format!("{},account={account}", FAULTS[pick(FAULTS.len())])
            };
            soak.api.add_fault(fault.parse().unwrap());
            added += 1;
        }
        let lasts = pause(soak.interval, end).await;
        soak.api.clear_faults();
        if !lasts || !pause(soak.interval / 4, end).await {
            return added;
        }
    }
}

/// Reloads of changed, broken and restored configurations; how many were taken and how many refused.
async fn reloads(soak: &Soak, end: Instant) -> (u32, u32) {
    let (file, whole) = (
        soak.folder.path().join("config.yaml"),
        configuration(&soak.api, &soak.url, soak.interval),
    );
    let without_last = {
        let last = names().last().unwrap();
        let start = whole.find(&format!("  - name: \"{last}\"")).unwrap();
        let end = whole.find("partners:\n").unwrap();
        format!("{}{}", &whole[..start], &whole[end..])
    };
    let labelled =
        whole.replace("  - name: \"token-", "  - labels: {soaked: \"yes\"}\n    name: \"token-");
    let broken = whole.replace("accounts:\n", "acounts:\n");
    let variants = [(&without_last, 200), (&labelled, 200), (&broken, 500), (&whole, 200)];
    let (mut taken, mut refused) = (0, 0);
    let reload = async |text: &str| {
        write_private(&file, text);
        let reload = client().post(soak.child.url("/-/reload")).send();
        guard("a reload", reload).await.unwrap().status().as_u16()
    };
    while pause(soak.interval * 2, end).await {
        let (text, expected) = variants[pick(variants.len())];
        assert_eq!(reload(text).await, expected);
        *(if expected == 200 { &mut taken } else { &mut refused }) += 1;
    }
    assert_eq!(reload(&whole).await, 200);
    (taken + 1, refused)
}

#[derive(Default)]
struct Readers {
    scrapes: u32,
    pages: u32,
    broken_off: u32,
    bad_answers: u32,
    logins_needed: u32,
}

/// Scrapes, compressed and plain, pages, and clients that go away without their answer.
async fn readers(soak: &Soak, end: Instant) -> Readers {
    let mut readers = Readers::default();
    let compressed = client();
    while pause(soak.interval / 2, end).await {
        let samples = soak.child.scrape().await;
        let needed = samples.keys().filter(|series| series.contains("reason=\"login_needed\""));
        readers.logins_needed += needed.count() as u32;
        let request = compressed.get(soak.child.url("/metrics")).header("accept-encoding", "gzip");
        let request = request.header("accept", "application/openmetrics-text;version=1.0.0");
        let answer = guard("a scrape", request.send()).await.unwrap();
        readers.bad_answers += u32::from(answer.status() != 200);
        drop(answer.bytes().await.unwrap());
        readers.scrapes += 2;
        for page in ["/", "/api/v1/status", "/-/healthy", "/config"] {
            let answer = soak.child.get(page).await;
            readers.bad_answers += u32::from(answer.status() != 200);
            drop(answer.bytes().await.unwrap());
            readers.pages += 1;
        }
        let mut gone = TcpStream::connect(soak.child.address).await.unwrap();
        gone.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        readers.broken_off += 1;
    }
    readers
}

/// The most of everything.
async fn watch(soak: &Soak, end: Instant) -> (Usage, Vec<usize>) {
    let (mut most, mut memory_kib) = (soak.child.usage(), Vec::new());
    let part = (end - Instant::now()) / PARTS;
    for left in (0..PARTS).rev() {
        while Instant::now() < end - part * left {
            let _ = timeout_at(end, sleep(Duration::from_millis(500))).await;
            most = most.max(soak.child.usage());
        }
        memory_kib.push(soak.child.usage().memory_kib);
    }
    (most, memory_kib)
}
