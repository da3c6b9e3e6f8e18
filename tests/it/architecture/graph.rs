//! The files of `src` and the imports between them, read from the text.
//!
//! A path such as `super::client::Client` is followed through modules and re-exports to the file that
//! defines what it names, so that a `mod.rs` that only re-exports ties nothing together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module by its path from the root of the crate: `["http", "page"]`.
type Module = Vec<String>;

/// What the text of a file says of modules.
#[derive(Default)]
struct File {
    path: PathBuf,
    /// Modules that it declares.
    children: BTreeSet<String>,
    /// Names that it re-exports, with the path where each comes from.
    exports: BTreeMap<String, Vec<String>>,
    /// Paths that its code names, apart from re-exports.
    paths: BTreeSet<Vec<String>>,
}

/// All modules of the crate.
pub(super) struct Graph(BTreeMap<Module, File>);

impl Graph {
    /// Reads every file of `source` but those that hold only tests.
    pub(super) fn read(source: &Path) -> Self {
        let mut modules = BTreeMap::new();
        for path in rust_files(source) {
            let relative = path.strip_prefix(source).unwrap().to_owned();
            let text = production_code(&std::fs::read_to_string(&path).unwrap());
            modules.insert(module_of(&relative), File::read(relative, &text));
        }
        Self(modules)
    }

    /// The room of each file and what its code names of other rooms, with the file that does.
    pub(super) fn rooms(&self) -> BTreeMap<String, BTreeMap<String, PathBuf>> {
        let mut rooms: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
        for (module, file) in &self.0 {
            let Some(room) = module.first().filter(|room| *room != "lib") else { continue };
            let imports = rooms.entry(room.clone()).or_default();
            for path in file.paths.iter().chain(file.exports.values()) {
                let (start, rest) = self.start(module, path);
                if let Some(other) = start.first().or(rest.first()).filter(|other| *other != room) {
                    imports.entry(other.clone()).or_insert_with(|| file.path.clone());
                }
            }
        }
        rooms
    }

    /// Every file with the files that it imports from.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
        let edges = self.0.iter().map(|(module, file)| {
            let found = file.paths.iter().filter_map(|path| self.file_of(module, path));
            (file.path.clone(), found.filter(|other| *other != file.path).collect())
        });
        edges.collect()
    }

    /// The module where a path begins, seen from `module`, and what is left of the path.
    fn start<'a>(&self, module: &Module, path: &'a [String]) -> (Module, &'a [String]) {
        let mut start = module.clone();
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" | "wazzup_exporter" => start.clear(),
                "self" => {}
                "super" => drop(start.pop()),
                _ => break,
            }
            rest = others;
        }
        // `main.rs` is the root of its own crate and has the commands as its child.
        if start == ["main"] && self.0.contains_key(rest.get(..1).unwrap_or_default()) {
            start.clear();
        }
        (start, rest)
    }

    /// The file in which what a path names is defined.
    fn file_of(&self, module: &Module, path: &[String]) -> Option<PathBuf> {
        let (mut place, rest) = self.start(module, path);
        for (at, name) in rest.iter().enumerate() {
            let child = [place.as_slice(), std::slice::from_ref(name)].concat();
            if self.0.contains_key(&child) {
                place = child;
                continue;
            }
            let export = self.0.get(&place).and_then(|file| file.exports.get(name));
            return match export {
                Some(from) => self.file_of(&place, &[from, &rest[at + 1..]].concat()),
                None => self.0.get(&place).map(|file| file.path.clone()),
            };
        }
        self.0.get(&place).map(|file| file.path.clone())
    }
}

impl File {
    fn read(path: PathBuf, text: &str) -> Self {
        let mut file = Self { path, ..Self::default() };
        let mut code = String::new();
        for statement in text.split_inclusive(';') {
            let from = statement.rfind("use ").filter(|at| is_use(statement, *at));
            match (from, declared_module(statement)) {
                (_, Some(name)) => drop(file.children.insert(name.to_owned())),
                (Some(at), None) => {
                    let is_export = statement[..at].ends_with("pub ")
                        || statement[..at].trim_end().ends_with(')');
                    code.push_str(&statement[..at]);
                    for (name, path) in use_tree(statement[at + 4..].trim_end_matches(';'), &[]) {
                        let own = file.children.contains(&path[0]);
                        let path =
                            if own { [vec!["self".to_owned()], path].concat() } else { path };
                        // What is exported by its name alone is a macro of this file.
                        if is_export && path != [name.as_str()] {
                            file.exports.insert(name, path);
                        } else {
                            file.paths.insert(path);
                        }
                    }
                }
                (None, None) => code.push_str(statement),
            }
        }
        file.paths.retain(|path| is_ours(&path[0]));
        let named = named_paths(&code, &file.children);
        file.paths.extend(named);
        file
    }
}

fn is_ours(first: &str) -> bool {
    ["crate", "wazzup_exporter", "self", "super"].contains(&first)
}

/// Whether the `use` at `at` is an item, and not a word of a text.
fn is_use(statement: &str, at: usize) -> bool {
    let before = statement[..at].rsplit('\n').next().unwrap_or_default().trim();
    let begins = before.is_empty() || before == "pub" || before.starts_with("pub(");
    let part = |letter: char| letter.is_alphanumeric() || "_:{},*; \n".contains(letter);
    begins && statement[at..].ends_with(';') && statement[at..].chars().all(part)
}

/// The name in `mod name;`.
fn declared_module(statement: &str) -> Option<&str> {
    let line = statement.trim().rsplit('\n').next()?;
    let (visibility, name) = line.strip_suffix(';')?.split_once("mod ")?;
    let plain = visibility.is_empty() || visibility.starts_with("pub");
    plain.then_some(name.trim())
}

/// The names that a `use` brings, each with its whole path.
fn use_tree(tree: &str, before: &[String]) -> Vec<(String, Vec<String>)> {
    let tree = tree.trim();
    if let Some((path, group)) = tree.split_once('{') {
        let steps = path.split("::").map(str::trim).filter(|step| !step.is_empty());
        let before: Vec<String> = before.iter().cloned().chain(steps.map(str::to_owned)).collect();
        let group = group.rsplit_once('}').expect("a group of imports is closed").0;
        return split_group(group).iter().flat_map(|part| use_tree(part, &before)).collect();
    }
    let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut path: Vec<String> =
        before.iter().cloned().chain(path.split("::").map(|step| step.trim().to_owned())).collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "self" || last == "*") {
        path.pop();
    }
    let last = path.last().cloned().unwrap_or_default();
    vec![(if name.is_empty() { last } else { name.trim().to_owned() }, path)]
}

/// The parts of a group, at commas that are in no group of their own.
fn split_group(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// Paths in code outside `use`: those that begin at a root, and those of declared child modules.
fn named_paths(code: &str, children: &BTreeSet<String>) -> BTreeSet<Vec<String>> {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let mut found = BTreeSet::new();
    let words = code.split(|letter| !part(letter));
    for word in words.filter(|word| word.contains("::") && !word.starts_with(':')) {
        let mut path: Vec<String> =
            word.split("::").filter(|step| !step.is_empty()).map(str::to_owned).collect();
        if children.contains(&path[0]) {
            path.insert(0, "self".to_owned());
        }
        if is_ours(&path[0]) {
            found.insert(path);
        }
    }
    found
}

fn module_of(relative: &Path) -> Module {
    let mut module: Module =
        relative.with_extension("").iter().map(|step| step.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            files.push(path);
        }
    }
    files
}

/// Without comments, which may mention anything, and without what is compiled for tests only.
pub(super) fn production_code(text: &str) -> String {
    let mut code = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // One item: a line, or everything up to the brace that closes it.
            let indent = line.len() - line.trim_start().len();
            let closes = |line: &str| {
                line.len() - line.trim_start().len() == indent && line.ends_with([';', '}'])
            };
            let _ = lines.by_ref().find(|line| closes(line));
        } else if !line.trim_start().starts_with("//") {
            code.push(line);
        }
    }
    code.join("\n")
}
