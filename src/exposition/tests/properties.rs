//! What holds of every exposition, however accounts publish and time passes.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::account::{Account, LabelName, User, UserId, fixture};
use crate::clock::Stamp;
use crate::counter::{CounterType, Reading};
use crate::exposition::blocks::Blocks;
use crate::exposition::document::Document;
use crate::exposition::wanted::Wanted;
use crate::exposition::*;
use crate::metrics::{Outcome, ProcessMetrics};
use crate::snapshot::{AccountView, Attempt, Chunk, Facts, UserView, chunks};

const SECOND: Duration = Duration::from_secs(1);

fn at(second: u64) -> Stamp {
    let [uptime, unix] = [1000 + second, 1_759_499_000 + second].map(Duration::from_secs);
    Stamp { uptime, unix }
}

fn read(view: &mut UserView, count: u64, at: Stamp) {
    let kind = CounterType::Red;
    view.last_good = Some((Reading { count, kind, server_time: None, last_message: None }, at));
    view.last_attempt = Some(Attempt { outcome: Outcome::Ok, problem: None });
}

/// An account whose poller keeps its users, as pollers do.
struct Polled {
    account: Arc<Account>,
    users: Vec<Arc<Chunk>>,
    published: Arc<AccountView>,
}

impl Polled {
    fn new(name: &str, users: usize) -> Self {
        let ids: Vec<String> = (0..users).map(|number| format!("u{number}")).collect();
        let account = fixture(name, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        let account = Arc::new(account);
        let users = account.users.iter().map(|user| UserView::new(Arc::clone(user)));
        let users = chunks(users);
        let published = Self::view(&account, &users);
        Self { account, users, published }
    }

    fn view(account: &Arc<Account>, users: &[Arc<Chunk>]) -> Arc<AccountView> {
        let account = Arc::clone(account);
        Arc::new(AccountView { account, facts: Facts::default(), chunks: users.to_vec() })
    }

    fn read(&mut self, user: usize, count: u64, at: Stamp) {
        let mut users = self.users.iter_mut().flat_map(Arc::make_mut);
        read(users.nth(user).unwrap(), count, at);
    }

    fn publish(&mut self) {
        self.published = Self::view(&self.account, &self.users);
    }
}

/// What a scrape of the `wanted` accounts shows of them, which is the same in both encodings. `blocks` are
/// kept from one scrape to the next.
fn scrape(blocks: &mut Blocks, wanted: &Wanted<'_>, format: Format, now: Stamp) -> String {
    let document = Arc::new(Document::new(blocks, wanted, format, now));
    assert!(document.holds(now) && document.shows(wanted));
    let process = ProcessMetrics::default().gather();
    let end = document.end(&process, format, blocks);
    let [packed, plain] = [
        Answer::gzip(Arc::clone(&document), end),
        Answer::identity(document, &process, format, Arc::default()),
    ]
    .map(|answer| {
        let length = answer.length;
        let bytes = answer.fold(Vec::new(), |bytes, piece| [&bytes[..], &piece].concat());
        assert_eq!(bytes.len() as u64, length);
        bytes
    });
    let mut unpacked = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
    decoder.read_to_end(&mut unpacked).unwrap();
    assert!(decoder.into_inner().is_empty(), "bytes after the first member");
    assert!(unpacked == plain, "gzip and identity differ");
    let text = String::from_utf8(plain).unwrap();
    text.split("# HELP process").next().unwrap().to_owned()
}

/// One sample: its name, its labels and its value. Panics where the line is not one of the format.
fn parsed(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let brace = line.find('{').unwrap();
    let (name, mut rest) = line.split_at(brace);
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (label, value) = rest[1..].split_once("=\"").unwrap();
        let (mut text, mut letters) = (String::new(), value.char_indices());
        let end = loop {
            match letters.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => match letters.next().unwrap().1 {
                    'n' => text.push('\n'),
                    letter @ ('\\' | '"') => text.push(letter),
                    letter => panic!("\\{letter}"),
                },
                (_, letter) => text.push(letter),
            }
        };
        assert!(labels.insert(label.to_owned(), text).is_none(), "a label twice: {line}");
        rest = &value[end + 1..];
    }
    (name.to_owned(), labels, rest.strip_prefix("} ").unwrap().parse().unwrap())
}

#[derive(Debug, Clone)]
enum Event {
    Read { account: usize, user: usize, count: u64 },
    Publish(usize),
    Pass(u64),
    SetClock(u64),
    Scrape { account: Option<usize>, open_metrics: bool },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..8usize, 0..3000usize, 0..5u64)
            .prop_map(|(account, user, count)| Event::Read { account, user, count }),
        3 => (0..8usize).prop_map(Event::Publish),
        2 => (0..200u64).prop_map(Event::Pass),
        1 => (0..9u64).prop_map(Event::SetClock),
        3 => (proptest::option::of(0..8usize), any::<bool>())
            .prop_map(|(account, open_metrics)| Event::Scrape { account, open_metrics }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_kept_shows_the_same_as_what_is_rendered_anew_and_nothing_stale(
        sizes in vec(prop_oneof![0..5usize, 60..70usize, 300..700usize, 1000..1100usize], 1..6),
        events in vec(event(), 1..30),
    ) {
        let accounts = sizes.iter().enumerate();
        let mut accounts: Vec<Polled> =
            accounts.map(|(index, users)| Polled::new(&format!("a{index}"), *users)).collect();
        let (mut blocks, mut now) = (Blocks::new(), at(0));
        for event in events {
            match event {
                Event::Read { account, user, count } => {
                    let account = account % sizes.len();
                    if sizes[account] > 0 {
                        accounts[account].read(user % sizes[account], count, now);
                    }
                }
                Event::Publish(account) => accounts[account % sizes.len()].publish(),
                Event::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
                Event::SetClock(minutes) => {
                    now.unix = now.uptime + Duration::from_secs(1_759_000_000 + 60 * minutes);
                }
                Event::Scrape { account, open_metrics } => {
                    let views: Vec<_> =
                        accounts.iter().map(|account| Arc::clone(&account.published)).collect();
                    let format = if open_metrics { Format::OpenMetrics } else { Format::Text };
                    let names = account.map(|account| format!("a{}", account % sizes.len()));
                    let selection = Selection { format, accounts: names.into_iter().collect() };
                    let wanted = Wanted::new(&selection, &views).unwrap();
                    let kept = scrape(&mut blocks, &wanted, format, now);
                    let again = scrape(&mut Blocks::new(), &wanted, format, now);
                    prop_assert!(kept == again);
                    let lines = kept.lines().filter(|line| line.starts_with("wazzup_unanswered_messages{"));
                    let live: usize = wanted.views().flat_map(|view| view.users()).filter(|user| {
                        user.last_good.is_some_and(|(_, read)| read.age(now) < 120 * SECOND)
                    }).count();
                    prop_assert_eq!(lines.count(), 2 * live);
                }
            }
        }
    }

    #[test]
    fn what_is_rendered_parses_back_to_the_same(
        (name, label, id) in ("\\PC{0,40}[\\\\\n\"]?", "(\\PC|[\\\\\n\"])*", "[a-zé/\\\\\"]{1,20}"),
        counts in vec(0..(1u64 << 53), 1..4),
    ) {
        let mut account = fixture("acme \"&\" co", &[]);
        let labels = [(LabelName::parse("region").unwrap(), label.clone())].into();
        let ids: Vec<String> = (0..counts.len()).map(|number| format!("{id}{number}")).collect();
        let user = |id: &String| {
            let id = UserId::parse(id).unwrap();
            Arc::new(User { id, name: Some(name.clone()), labels: Clone::clone(&labels) })
        };
        account.users = ids.iter().map(user).collect();
        let mut users: Vec<_> =
            account.users.iter().map(|user| UserView::new(Arc::clone(user))).collect();
        for (user, count) in users.iter_mut().zip(&counts) {
            read(user, *count, at(0));
        }
        let view = Arc::new(AccountView::new(Arc::new(account), Facts::default(), &users));
        let text = scrape(&mut Blocks::new(), &Wanted::all(&[view]), Format::Text, at(1));
        let samples: Vec<_> =
            text.lines().filter(|line| !line.starts_with('#')).map(parsed).collect();
        let of = |family: &str, id: &str| {
            let fits = |(name, labels, _): &&(String, BTreeMap<String, String>, f64)| {
                name == family && labels.get("user").is_some_and(|user| user == id)
            };
            samples.iter().find(fits).cloned().unwrap()
        };
        for (id, count) in ids.iter().zip(counts) {
            let (_, labels, value) = of("wazzup_unanswered_messages", id);
            prop_assert_eq!((&*labels["account"], value), ("acme \"&\" co", count as f64));
            let (_, labels, _) = of("wazzup_user_info", id);
            prop_assert_eq!((&labels["name"], &labels["region"]), (&name, &label));
        }
    }
}

#[test]
fn lines_that_did_not_change_are_not_compressed_again() {
    let mut polled = Polled::new("acme", 3000);
    for user in 0..3000 {
        polled.read(user, 5, at(0));
    }
    polled.publish();
    let mut blocks = Blocks::new();
    let mut scrape_at = |polled: &Polled, second| {
        let views = [Arc::clone(&polled.published)];
        scrape(&mut blocks, &Wanted::all(&views), Format::Text, at(second));
        blocks.addresses()
    };
    let first = scrape_at(&polled, 1);
    assert_eq!(scrape_at(&polled, 2), first, "nothing was published");
    polled.read(1500, 5, at(30));
    polled.publish();
    let second = scrape_at(&polled, 31);
    let changed = first.iter().zip(&second).filter(|(first, second)| first != second);
    // The time of the reading, in one of three runs of users.
    assert_eq!((first.len(), changed.count()), (3 * 9 + 31, 1));
}
