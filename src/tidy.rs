//! The house rules, as tests over our own source text.
//!
//! Here: which folder may import which (`LAYERS`, the right column of the design's house plan), what the pure parts
//! may not touch, which file alone knows bincode, sled, the clock and the environment, and how a file begins and ends.
//! Not here: anything that a compiler lint can say (`Cargo.toml`, `ops/lint/clippy.toml`), or that runs the program.

use std::fs;
use std::path::{Path, PathBuf};

/// A module and what of ours it may import. `main`, `lib`, `cli` and this file may import everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("merkle", &[]),
    ("clock", &["domain"]),
    ("config", &[]),
    ("telemetry", &["domain", "config", "clock"]),
    ("vault", &["domain"]),
    ("log", &["domain", "merkle", "vault", "clock"]),
    ("projection", &["domain"]),
    ("ledger", &["domain", "merkle", "vault", "log", "projection", "clock"]),
    ("audit", &["domain", "merkle", "projection", "ledger"]),
    ("directory", &["domain"]),
    ("store", &["domain", "projection", "ledger", "clock"]),
    ("http", &["domain", "projection", "ledger", "audit", "directory", "store", "clock", "telemetry"]),
    ("console", &["domain", "ledger", "audit"]),
];
const IMPORTS_EVERYTHING: &[&str] = &["main", "lib", "cli", "tidy"];

/// The one file of the domain with a map that has no order.
const LOOKED_UP_BY_HASH: &str = "src/domain/state/pool_keys.rs";
/// What the pure part may not even name: time, randomness, waiting, the outside, and tables without an order.
const NOT_IN_DOMAIN: &[&str] = &[
    "std::time",
    "Instant",
    "SystemTime",
    "tokio",
    "async ",
    ".await",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "HashMap",
    "HashSet",
    "rand::",
    "getrandom",
    "println!",
    "eprintln!",
    "tracing::",
];

/// The folders and files that may stand at the top of the repository.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "proptests",
    "schemas",
    "ops",
    "README.md",
    "LICENSE",
    ".ci",
    ".cargo",
    ".gitignore",
    "rustfmt.toml",
];

const LINES_MAX: usize = 500;

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module of the crate that the file belongs to: `log` for `src/log/sled/feed.rs`, `clock` for `src/clock.rs`.
    fn layer(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    fn is_under(&self, prefix: &str) -> bool {
        self.path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/') || rest.starts_with('.'))
    }

    /// Lines with their numbers, comments taken out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter_map(|(at, line)| {
            let code = match line.find("//") {
                Some(start) if !line[..start].ends_with(':') => &line[..start],
                _ => line,
            };
            (!code.trim().is_empty()).then_some((at + 1, code))
        })
    }

    fn names(&self, words: &[&str]) -> Vec<String> {
        let mut found = vec![];
        for (line, code) in self.code() {
            found.extend(
                words.iter().filter(|w| code.contains(**w)).map(|w| format!("{}:{line} names `{w}`", self.path)),
            );
        }
        found
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|e| e.expect("a folder of ours can be listed").path()) {
        if entry.is_dir() {
            walk(&entry, into);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            into.push(entry);
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let mut paths = vec![];
    walk(&root().join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("source is text"),
        path: path.strip_prefix(root()).expect("found below the root").to_string_lossy().replace('\\', "/"),
    };
    paths.into_iter().map(read).collect()
}

/// `src` without this file, whose own words would be findings.
fn house() -> Vec<Source> {
    let all: Vec<_> = sources("src").into_iter().filter(|s| s.path != "src/tidy.rs").collect();
    assert!(!all.is_empty(), "no sources found below {}", root().display());
    all
}

#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The first names behind every `crate::` of a text, those of a braced list included.
fn imports(code: &str) -> Vec<String> {
    let mut found = vec![];
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = code[at + "crate::".len()..].trim_start();
        let first =
            |path: &str| path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let Some(list) = rest.strip_prefix('{') else {
            found.push(first(rest));
            continue;
        };
        let (mut depth, mut item) = (0_usize, String::new());
        for c in list.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => {
                    found.push(first(&item));
                    item.clear();
                }
                _ => item.push(c),
            }
            depth = depth + usize::from(c == '{') - usize::from(c == '}');
        }
        found.push(first(&item));
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn a_folder_imports_only_what_the_design_lets_it() {
    let known = |name: &str| LAYERS.iter().any(|(layer, _)| *layer == name) || IMPORTS_EVERYTHING.contains(&name);
    let mut findings = vec![];
    for source in house() {
        let layer = source.layer();
        if IMPORTS_EVERYTHING.contains(&layer) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            findings.push(format!("{}: `{layer}` has no place in the house plan (LAYERS in src/tidy.rs)", source.path));
            continue;
        };
        let code: String = source.code().map(|(_, line)| format!("{line}\n")).collect();
        for name in imports(&code) {
            if known(&name) && name != layer && !allowed.contains(&name.as_str()) {
                findings.push(format!("{}: imports crate::{name}; {layer} may import {allowed:?}", source.path));
            }
        }
        // `super` from a file directly below src/ or a folder's mod.rs is the crate's root
        let up = source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
        let climb = format!("use {}", "super::".repeat(up));
        for (line, code) in
            source.code().filter(|(_, code)| code.trim_start().trim_start_matches("pub ").starts_with(&climb))
        {
            let name: String =
                code.split(&climb).nth(1).unwrap_or("").chars().take_while(|c| c.is_alphanumeric()).collect();
            if known(&name) && name != layer && !allowed.contains(&name.as_str()) {
                findings.push(format!("{}:{line} climbs to {name}; {layer} may import {allowed:?}", source.path));
            }
        }
    }
    none(findings);
}

#[test]
fn imports_are_found_in_every_way_of_writing_them() {
    let text = "use crate::domain::{State, Event};\nuse crate::{log::{Record, Frame}, clock, self::x};\nlet x = crate::http::serve();\nmycrate::vault::x";
    assert_eq!(imports(text), ["domain", "log", "clock", "self", "http"]);
}

#[test]
fn the_domain_is_pure() {
    let house = house();
    let domain = house.iter().filter(|s| s.is_under("src/domain") && s.path != LOOKED_UP_BY_HASH);
    none(domain.flat_map(|s| s.names(NOT_IN_DOMAIN)).collect());
    // of the one map without an order nothing is asked but what a key has
    let asked = |s: &Source| s.code().map(|(_, line)| line.matches("by_hash").count()).sum::<usize>();
    let keys = house.iter().find(|s| s.path == LOOKED_UP_BY_HASH).expect("the file of the pools' keys");
    let without_map: Vec<_> = NOT_IN_DOMAIN.iter().copied().filter(|name| *name != "HashMap").collect();
    none(keys.names(&without_map));
    let known = ["by_hash: HashMap<", "by_hash.get(", "by_hash.insert(", "let by_hash =", "in_order, by_hash }"];
    let found: usize = known.iter().map(|known| keys.code().filter(|(_, line)| line.contains(known)).count()).sum();
    assert_eq!(asked(keys), found, "{LOOKED_UP_BY_HASH} asks its map for something else");
}

#[test]
fn deciding_and_evolving_name_every_case() {
    let folds = ["src/domain/decide", "src/domain/evolve"];
    let mut findings = vec![];
    for source in house().iter().filter(|s| folds.iter().any(|f| s.is_under(f)) && !s.path.ends_with("tests.rs")) {
        let body = source.text.split("#[cfg(test)]").next().unwrap_or("");
        let caught = body.lines().enumerate().filter(|(_, line)| {
            let arm = line.trim_start();
            arm.starts_with("_ =>") || arm.starts_with("_ if ")
        });
        findings.extend(caught.map(|(at, _)| format!("{}:{} an arm for everything else", source.path, at + 1)));
    }
    none(findings);
}

#[test]
fn one_file_knows_each_outside_thing() {
    // the word, and the files that may say it
    let homes: &[(&str, &[&str])] = &[
        ("bincode", &["src/log/record"]),
        ("httparse", &["src/http/straight"]),
        ("sled::", &["src/log/sled"]),
        ("env::var", &["src/config"]),
        ("SystemTime", &["src/clock"]),
        ("Instant::now", &["src/clock"]),
        ("Timestamp::now", &["src/clock"]),
        ("unsafe_code", &["src/log/sync_file_range", "src/merkle/pair", "src/main"]),
        ("is_x86_feature_detected!", &["src/merkle/pair"]),
    ];
    let mut findings = vec![];
    for source in house() {
        for (word, files) in homes.iter().filter(|(_, files)| !files.iter().any(|f| source.is_under(f))) {
            // our own folder may be called like the crate: `crate::log::sled::` and `super::sled::` are ours
            let outside = |code: &str| {
                code.match_indices(word).any(|(at, _)| {
                    let before = &code[..at];
                    !before.ends_with("log::")
                        && !before.ends_with("super::")
                        && !before.ends_with("self::")
                        && !before.ends_with('_')
                })
            };
            let said = source.code().filter(|(_, code)| outside(code));
            findings.extend(said.map(|(line, _)| format!("{}:{line} `{word}` belongs into {files:?}", source.path)));
        }
    }
    none(findings);
}

#[test]
fn every_file_says_what_lives_in_it() {
    let all = house().into_iter().chain(sources("proptests")).chain(sources("ops"));
    none(all.filter(|s| !s.text.starts_with("//!")).map(|s| format!("{} does not begin with //!", s.path)).collect());
}

#[test]
fn no_file_grows_out_of_sight() {
    let all = house().into_iter().chain(sources("proptests")).chain(sources("ops"));
    let long = all.map(|s| (s.text.lines().count(), s.path)).filter(|(lines, _)| *lines > LINES_MAX);
    none(
        long.map(|(lines, path)| format!("{path} has {lines} lines, more than {LINES_MAX}: split it into a folder"))
            .collect(),
    );
}

#[test]
fn no_file_is_without_a_use() {
    let mut findings = vec![];
    for (folder, roots) in [("src", ["lib.rs", "main.rs"].as_slice()), ("proptests", ["main.rs"].as_slice())] {
        let all = sources(folder);
        for source in &all {
            let path = Path::new(&source.path);
            let (mut parent, mut name) =
                (path.parent().expect("below a folder"), path.file_stem().expect("a name").to_string_lossy());
            if parent == Path::new(folder) && roots.iter().any(|r| path.ends_with(r)) {
                continue;
            }
            if name == "mod" {
                name = parent.file_name().expect("a name").to_string_lossy();
                parent = parent.parent().expect("below a folder");
            }
            let homes: Vec<String> = if parent == Path::new(folder) {
                roots.iter().map(|r| format!("{folder}/{r}")).collect()
            } else {
                vec![format!("{}.rs", parent.display()), format!("{}/mod.rs", parent.display())]
            };
            let declared = |home: &Source| {
                home.code().any(|(_, code)| {
                    let code = code.trim();
                    let code =
                        code.split_once(") ").filter(|(vis, _)| vis.starts_with("pub(")).map_or(code, |(_, rest)| rest);
                    code.trim_start_matches("pub ").trim_start_matches("#[cfg(test)] ") == format!("mod {name};")
                })
            };
            if !all.iter().any(|s| homes.contains(&s.path) && declared(s)) {
                findings.push(format!("{} has no `mod {name};` in {}", source.path, homes.join(" or ")));
            }
        }
    }
    none(findings);
}

#[test]
fn nothing_is_left_for_later_or_silenced() {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("#[", "allow("),
        concat!("#![", "allow("),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
    ];
    let all = house().into_iter().chain(sources("proptests")).chain(sources("ops"));
    none(all.flat_map(|s| s.names(&words)).collect());
}

#[test]
fn the_top_level_is_what_the_card_fixes() {
    let listed = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let Ok(listed) = listed.map(|o| o.stdout) else {
        panic!("git is needed to see what belongs to the repository");
    };
    let listed = String::from_utf8(listed).expect("our paths are text");
    let mut found: Vec<&str> =
        listed.split('\0').filter_map(|path| path.split('/').next()).filter(|p| !p.is_empty()).collect();
    found.dedup();
    assert!(found.contains(&"Cargo.toml"), "git lists nothing here");
    none(
        found.iter().filter(|p| !TOP_LEVEL.contains(p)).map(|p| format!("{p} has no place at the top level")).collect(),
    );
}
