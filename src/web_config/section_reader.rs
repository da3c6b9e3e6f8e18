//! What all sections of the web configuration need to be read.
//!
//! A [`SectionReader`] holds the text, the folder that relative paths start from, the files that were
//! read and the problems that were found. Scalars follow the rules of the format's own YAML library:
//! any single value where text is expected is taken as it is written, and an absent one is the default.

use std::path::PathBuf;

use super::files::Files;
use crate::text;
use crate::yaml::node::Node;
use crate::yaml::report::Report;
use crate::yaml::tree::Tree;

/// The state of reading one web configuration.
pub(super) struct SectionReader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) folder: PathBuf,
    pub(super) files: Files,
    pub(super) report: Report,
}

impl SectionReader<'_> {
    /// The entries of a mapping whose keys are free text; each key once, as it is written.
    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n Node<'_>,
        example: &str,
    ) -> Vec<(String, Node<'n>)> {
        if !matches!(node.tree(), Tree::Map(_) | Tree::Null) {
            let kind = node.tree().kind();
            let what = format!("is {kind} where a mapping is wanted; write {example}");
            node.problem(&mut self.report, &what);
        }
        let mut entries: Vec<(String, Node<'n>)> = Vec::new();
        for (key, entry) in node.entries() {
            let written = match key {
                // The empty name, as the format's own library reads it.
                Tree::Null => Some(String::new()),
                Tree::Text(key) => Some(key.clone()),
                _ => entry.written_key(self.bytes),
            };
            match written {
                None => {
                    let what = "has a key that is no text; every key must be text";
                    entry.key_problem(&mut self.report, what);
                }
                Some(key) if entries.iter().any(|(other, _)| *other == key) => {
                    let what = "is given twice; remove one of them";
                    entry.key_problem(&mut self.report, what);
                }
                Some(key) => entries.push((key, entry)),
            }
        }
        entries
    }

    /// Text; nothing at all gives nothing, everything else that is one value is taken as written.
    pub(super) fn text(&mut self, node: &Node<'_>) -> Option<String> {
        let written = node.written(self.bytes);
        if written.is_none() && !matches!(node.tree(), Tree::Null) {
            let what = format!("is {} where text is wanted", node.tree().kind());
            node.problem(&mut self.report, &what);
        }
        written
    }

    /// A switch, in the words of YAML 1.1 too; nothing at all gives nothing.
    pub(super) fn flag(&mut self, node: &Node<'_>) -> Option<bool> {
        match node.tree() {
            Tree::Null => None,
            Tree::Bool(flag) => Some(*flag),
            Tree::Text(word) => match word.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
                _ => self.no_flag(node),
            },
            _ => self.no_flag(node),
        }
    }

    fn no_flag(&mut self, node: &Node<'_>) -> Option<bool> {
        node.problem(&mut self.report, "must be true or false, unquoted");
        None
    }

    /// The content of a file that is named there, with its name for messages.
    pub(super) fn file(&mut self, node: &Node<'_>, written: &str) -> Option<(Vec<u8>, String)> {
        let path = self.folder.join(written);
        let name = if tellable(written) { text::path(&path) } else { "the file".to_owned() };
        match self.files.read(&path) {
            Ok(content) => Some((content, name)),
            Err(fault) => {
                node.problem(&mut self.report, &format!("{name} {fault}"));
                None
            }
        }
    }
}

/// Whether it looks like a path and not like a key or a hash that was put in its place.
fn tellable(written: &str) -> bool {
    let plain = written.len() <= 255 && !written.chars().any(char::is_control);
    let path = written.starts_with('/') || written.contains('.') || written.len() <= 40;
    plain && path && !written.contains("-----") && !written.contains("$2")
}
