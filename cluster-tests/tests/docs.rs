//! What the documentation names exists, and what the catalogue of errors names is used.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use oms_types::{ErrorCode, catalogue};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files below a folder with this ending, without what is built or belongs to tools.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && !matches!(name.as_str(), "target" | "corpus" | "artifacts") {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
}

/// The pages that people read: those at the top and the design pages.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    files(&root().join("node/docs"), ".md", &mut paths);
    for entry in fs::read_dir(root()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().ends_with(".md") {
            paths.push(entry.path());
        }
    }
    let pages: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect();
    assert!(pages.len() >= 10, "{} pages", pages.len());
    pages
}

/// The targets of `[words](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect()
}

/// The texts between single backticks, outside of blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 0 {
            found.extend(part.split('`').skip(1).step_by(2));
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for (path, text) in pages() {
        for link in links(&text) {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            let file = link.split('#').next().unwrap_or(link);
            let target = path.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link} does not exist", path.display());
            checked += 1;
        }
    }
    assert!(checked >= 10, "only {checked} links");
}

/// A test is named `FILE::TEST`.
#[test]
fn tests_that_pages_name_exist() {
    let mut checked = 0;
    for (path, text) in pages() {
        for name in quoted(&text) {
            let Some((file, test)) = name.split_once("::").filter(|(f, _)| f.starts_with("cluster_")) else {
                continue;
            };
            let file = root().join(format!("cluster-tests/tests/{file}.rs"));
            let code =
                fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {name}: {e}", path.display()));
            assert!(
                code.contains(&format!("fn {test}(")),
                "{}: there is no test {name}",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked >= 10, "only {checked} tests");
}

#[test]
fn files_that_pages_name_exist() {
    let top: BTreeSet<String> = fs::read_dir(root())
        .unwrap()
        .flatten()
        .filter(|e| e.file_type().unwrap().is_dir())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "target")
        .collect();
    let mut checked = 0;
    for (path, text) in pages() {
        for name in quoted(&text) {
            // A path begins with a folder of the top and is nothing but a path.
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
            let Some((first, _)) = name.split_once('/') else {
                continue;
            };
            if !plain || !top.contains(first) {
                continue;
            }
            assert!(
                root().join(name).exists(),
                "{}: {name} does not exist",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} files");
}

#[test]
fn every_design_page_is_in_the_index() {
    let folder = root().join("node/docs");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let linked: BTreeSet<&str> = links(&index).into_iter().collect();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            name == "README.md" || !name.ends_with(".md") || linked.contains(name.as_str()),
            "{name} is not in node/docs/README.md"
        );
    }
}

/// Texts of the form `OMS-AREA-0000`.
fn codes_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("OMS-") {
        let rest = &text[at..];
        let area = rest[4..].bytes().take_while(u8::is_ascii_uppercase).count();
        let Some(number) = rest[4 + area..].strip_prefix('-') else {
            continue;
        };
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        if area > 0 && digits == 4 {
            found.push(&rest[..4 + area + 1 + digits]);
        }
    }
    found
}

#[test]
fn codes_that_are_mentioned_exist() {
    let mut sources = Vec::new();
    files(&root(), ".rs", &mut sources);
    files(&root(), ".proto", &mut sources);
    files(&root().join("deploy/examples"), "", &mut sources);
    let mut texts: Vec<(PathBuf, String)> = sources
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect();
    texts.extend(pages());
    let area = |code: &str| code.split('-').nth(1).unwrap_or_default().to_owned();
    let areas: BTreeSet<String> = catalogue().map(|c| area(c.as_str())).collect();
    let mut checked = 0;
    for (path, text) in texts {
        let page = path.extension().is_some_and(|e| e == "md");
        for code in codes_in(&text) {
            // What programs are tested with: numbers and areas that do not exist.
            if !page && (code.ends_with("-9999") || !areas.contains(&area(code))) {
                continue;
            }
            assert!(
                ErrorCode::find(code).is_some(),
                "{}: {code} is not in the catalogue",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked >= 100, "only {checked} codes");
}

#[test]
fn every_code_tells_what_happened_why_and_what_to_do() {
    for code in catalogue() {
        for (what, text) in [
            ("title", code.title()),
            ("cause", code.cause()),
            ("action", code.action()),
        ] {
            assert!(text.trim().len() >= 5, "{code} has no {what}");
            assert!(
                what == "title" || text.ends_with('.'),
                "{code}: its {what} is no sentence"
            );
        }
    }
}

/// The codes as the catalogue declares them: area, name and code.
fn declared() -> Vec<(String, String, String)> {
    let folder = root().join("proto/types/src/error_code/codes");
    let mut paths = Vec::new();
    files(&folder, ".rs", &mut paths);
    let mut all = Vec::new();
    for path in paths {
        let area = path.file_stem().unwrap().to_string_lossy().into_owned();
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some((name, rest)) = line.trim().split_once(" = \"OMS-") {
                let number = rest.split('"').next().unwrap();
                all.push((area.clone(), name.to_owned(), format!("OMS-{number}")));
            }
        }
    }
    assert_eq!(all.len(), catalogue().count());
    all
}

/// Whether `word` is there and not a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = text.as_bytes();
    text.match_indices(word).any(|(at, _)| {
        !part(at.checked_sub(1).and_then(|i| bytes.get(i))) && !part(bytes.get(at + word.len()))
    })
}

#[test]
fn no_code_is_dead() {
    let mut paths = Vec::new();
    files(&root(), ".rs", &mut paths);
    paths.retain(|p| {
        let p = p.to_string_lossy();
        let tests = [
            "/tests/",
            "/testing/",
            "/cluster-tests/",
            "/fuzz/",
            "/error_code/",
        ];
        !tests.iter().any(|t| p.contains(t)) && !p.ends_with("/testing.rs") && !p.ends_with("/tests.rs")
    });
    let texts: BTreeMap<PathBuf, String> = paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            // What follows is for tests only.
            let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
            (path, text[..end].to_owned())
        })
        .collect();
    let mut dead = Vec::new();
    for (area, name, code) in declared() {
        let path = format!("{area}::{name}");
        let renamed = format!("codes::{area} as codes");
        let short = format!("codes::{name}");
        let used = texts
            .values()
            .any(|text| has_word(text, &path) || (text.contains(&renamed) && has_word(text, &short)));
        if !used {
            dead.push(format!("{code} ({path})"));
        }
    }
    assert!(dead.is_empty(), "no code gives {}", dead.join(", "));
}
