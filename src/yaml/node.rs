//! A place in a tree that knows how it was reached, and the reading of mappings and lists.
//!
//! A [`Node`] is a value with its [`Trail`], from which a problem gets its words
//! (`accounts[0] "acme": users[3].id`) and its [`Spot`]. A [`MappingSection`] is a mapping of which the
//! keys are known. Readers note what is wrong and go on, so that one run finds everything.

use std::collections::BTreeMap;

use super::hint::{similar, tellable};
use super::locate::written;
use super::report::{Place, Report, Spot};
use super::tree::Tree;

/// A value and the way to it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    tree: &'a Tree,
    trail: Trail<'a>,
}

/// The way from the top of a file to a value. Lives on the stack: good values cost no allocation.
#[derive(Clone, Copy)]
enum Trail<'a> {
    Top { file: usize },
    Entry { above: &'a Trail<'a>, index: usize, key: &'a str },
    Item { above: &'a Trail<'a>, index: usize, title: Option<&'a str> },
}

impl Trail<'_> {
    fn steps(&self) -> (usize, Vec<usize>) {
        match self {
            Self::Top { file } => (*file, Vec::new()),
            Self::Entry { above, index, .. } | Self::Item { above, index, .. } => {
                let (file, mut steps) = above.steps();
                steps.push(*index);
                (file, steps)
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Top { .. } => String::new(),
            Self::Entry { above, key, .. } => {
                let joint = match above {
                    Self::Top { .. } => "",
                    Self::Item { title: Some(_), .. } => ": ",
                    _ => ".",
                };
                format!("{}{joint}{key}", above.words())
            }
            Self::Item { above, index, title } => {
                let title = title.map(|title| format!(" {title:?}")).unwrap_or_default();
                format!("{}[{index}]{title}", above.words())
            }
        }
    }

    /// A message about this place.
    fn about(&self, what: &str) -> String {
        let words = self.words();
        if words.is_empty() { what.to_owned() } else { format!("{words}: {what}") }
    }
}

impl<'a> Node<'a> {
    /// The top of the file with this index.
    pub(crate) fn top(tree: &'a Tree, file: usize) -> Self {
        Self { tree, trail: Trail::Top { file } }
    }

    /// The value.
    pub(crate) fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// The key it stands under, or nothing.
    pub(crate) fn key(&self) -> &'a str {
        match self.trail {
            Trail::Entry { key, .. } => key,
            _ => "",
        }
    }

    /// The same item of a list with a title that its problems will name.
    pub(crate) fn titled(self, title: Option<&'a str>) -> Self {
        match self.trail {
            Trail::Item { above, index, .. } => {
                Self { trail: Trail::Item { above, index, title }, ..self }
            }
            _ => self,
        }
    }

    /// Where the value is, for people: `accounts[0] "acme": users[3].id`.
    pub(crate) fn words(&self) -> String {
        self.trail.words()
    }

    /// Where the value is.
    pub(crate) fn spot(&self) -> Spot {
        let (file, steps) = self.trail.steps();
        Spot { file, place: Place::Value(steps) }
    }

    /// Where the key of the value is.
    pub(crate) fn key_spot(&self) -> Spot {
        let (file, steps) = self.trail.steps();
        Spot { file, place: Place::Key(steps) }
    }

    /// The scalar as it stands in `bytes`, the text of the file: `0x1F` and not 31. Nothing else has
    /// such a text.
    pub(crate) fn written(&self, bytes: &[u8]) -> Option<String> {
        match self.tree {
            Tree::Text(text) => Some(text.clone()),
            Tree::Bool(_) | Tree::Int(_) | Tree::Float => {
                written(bytes, &self.trail.steps().1, false)
            }
            Tree::Null | Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// The key of this entry as it stands in `bytes`.
    pub(crate) fn written_key(&self, bytes: &[u8]) -> Option<String> {
        written(bytes, &self.trail.steps().1, true)
    }

    /// Notes a problem of the value.
    pub(crate) fn problem(&self, report: &mut Report, what: &str) {
        report.problem(self.spot(), self.trail.about(what));
    }

    /// Notes a problem of the value's key.
    pub(crate) fn key_problem(&self, report: &mut Report, what: &str) {
        report.problem(self.key_spot(), self.trail.about(what));
    }

    /// Notes that the value is taken already by the one at `other`.
    pub(crate) fn taken(&self, report: &mut Report, what: &str, other: Spot) {
        report.conflict(self.spot(), self.trail.about(what), "; the other one is at ", other);
    }

    /// Notes a warning about the value.
    pub(crate) fn warn(&self, report: &mut Report, what: &str) {
        report.warn(self.spot(), self.trail.about(what));
    }

    /// The first value under `key`, if this is a mapping that has it.
    pub(crate) fn get<'s>(&'s self, key: &'s str) -> Option<Node<'s>> {
        self.entries().find_map(|(name, node)| match name {
            Tree::Text(name) if name == key => Some(node),
            _ => None,
        })
    }

    /// The entries of a mapping, none of anything else.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Tree, Node<'_>)> {
        let entries = match self.tree {
            Tree::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().enumerate().map(|(index, (key, tree))| {
            // What is no harmless word is not repeated: the place of the key has to do.
            let name = match key {
                Tree::Text(name) => tellable(name).unwrap_or("…"),
                _ => "…",
            };
            let trail = Trail::Entry { above: &self.trail, index, key: name };
            (key, Node { tree, trail })
        })
    }

    /// The items of a list; nothing at all stands for an empty one.
    pub(crate) fn items<'s>(
        &'s self,
        report: &mut Report,
        example: &str,
    ) -> impl Iterator<Item = Node<'s>> + use<'s> {
        let items = match self.tree {
            Tree::List(items) => items.as_slice(),
            Tree::Null => &[],
            other => {
                let kind = other.kind();
                self.problem(report, &format!("is {kind} where a list is wanted; write {example}"));
                &[]
            }
        };
        items.iter().enumerate().map(|(index, tree)| {
            let trail = Trail::Item { above: &self.trail, index, title: None };
            Node { tree, trail }
        })
    }

    /// Text with something in it.
    pub(crate) fn text(&self, report: &mut Report) -> Option<&'a str> {
        let quoted = match self.key() {
            "" => "\"…\"".to_owned(),
            "id" => "id: \"7\"".to_owned(),
            key => format!("{key}: \"…\""),
        };
        let what = match self.tree {
            Tree::Text(text) if !text.is_empty() => return Some(text),
            Tree::Text(_) | Tree::Null => "is empty; write a value or remove the key".to_owned(),
            Tree::Int(_) | Tree::Float => format!(
                "is a number where text is wanted; quote it ({quoted}), \
                 because YAML would turn 007 or 0x1F into something else"
            ),
            Tree::Bool(_) => {
                format!("is true or false where text is wanted; quote it ({quoted})")
            }
            Tree::List(_) | Tree::Map(_) => {
                format!("is {} where text is wanted", self.tree.kind())
            }
        };
        self.problem(report, &what);
        None
    }
}

/// A mapping whose keys were compared with those that exist.
pub(crate) struct MappingSection<'a> {
    node: Node<'a>,
    /// Keys that an unknown one was probably meant to be.
    meant: Vec<&'static str>,
}

impl<'a> MappingSection<'a> {
    /// Checks that `node` is a mapping and notes all of its keys that are not `known`. Nothing at
    /// all stands for an empty mapping: its keys are often all commented out.
    pub(crate) fn open(
        node: Node<'a>,
        known: &[&'static str],
        report: &mut Report,
    ) -> Option<Self> {
        if !matches!(node.tree, Tree::Map(_) | Tree::Null) {
            let known = known.join(", ");
            let what = format!("is {} where a mapping is wanted ({known})", node.tree.kind());
            node.problem(report, &what);
            return None;
        }
        let mut section = Self { node, meant: Vec::new() };
        for (key, entry) in unique_entries(&node, report) {
            if !known.contains(&key) {
                section.meant.extend(refuse_key(key, &entry, known, report));
            }
        }
        Some(section)
    }

    /// The value under a key, if it is there.
    pub(crate) fn get<'s>(&'s self, key: &'s str) -> Option<Node<'s>> {
        self.node.get(key)
    }

    /// The value under a key; noted if missing, unless a misspelt one was noted already.
    pub(crate) fn require<'s>(
        &'s self,
        key: &'s str,
        remedy: &str,
        report: &mut Report,
    ) -> Option<Node<'s>> {
        let found = self.get(key);
        if found.is_none() && !self.meant.contains(&key) {
            self.node.problem(report, &format!("has no {key}; {remedy}"));
        }
        found
    }

    /// Whether a key was probably misspelt.
    pub(crate) fn has_misspelt(&self) -> bool {
        !self.meant.is_empty()
    }

    /// The mapping itself.
    pub(crate) fn node(&self) -> &Node<'a> {
        &self.node
    }
}

/// The entries of a mapping whose keys are text, each key once; all others are noted.
pub(crate) fn unique_entries<'s>(
    node: &'s Node<'_>,
    report: &mut Report,
) -> Vec<(&'s str, Node<'s>)> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unique: Vec<(&str, Node<'_>)> = Vec::new();
    for (key, entry) in node.entries() {
        let Tree::Text(key) = key else {
            let what = format!("has a key that is {}; every key must be text", key.kind());
            report.problem(entry.key_spot(), node.trail.about(&what));
            continue;
        };
        if key == "<<" {
            let what = "merge keys (<<) do not work here; write the keys out, \
                        or repeat a whole value with an anchor (&a) and an alias (*a)";
            report.problem(entry.key_spot(), node.trail.about(what));
        } else if let Some((_, other)) = first.get(key.as_str()).and_then(|at| unique.get(*at)) {
            let message = entry.trail.about("is given twice; remove one of them");
            report.conflict(entry.key_spot(), message, "; the other one is at ", other.key_spot());
        } else {
            first.insert(key, unique.len());
            unique.push((key, entry));
        }
    }
    unique
}

/// Reports an unknown key and which known one was probably meant.
fn refuse_key(
    key: &str,
    entry: &Node<'_>,
    known: &[&'static str],
    report: &mut Report,
) -> Option<&'static str> {
    let Trail::Entry { above, .. } = entry.trail else { return None };
    let shown = tellable(key).map(|key| format!(" {key:?}")).unwrap_or_default();
    let meant = similar(key, known);
    let remedy = match meant {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("known here: {}", known.join(", ")),
    };
    report.problem(entry.key_spot(), above.about(&format!("unknown key{shown}; {remedy}")));
    meant
}
