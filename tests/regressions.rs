//! Checks that `REGRESSIONS.md` has all its rows, and that the tests that it names exist. The same for the table of
//! promises in `TESTING.md`.

#![cfg(not(any(loom, shuttle, miri, target_family = "wasm")))]

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("REGRESSIONS.md");
const TESTING: &str = include_str!("../TESTING.md");

/// The section of `TESTING.md` that names the tests that would refute each sentence.
fn sentences() -> &'static str {
    let (_, rest) = TESTING.split_once("\n## Sentence by sentence\n").expect("the section");
    rest.split("\n## ").next().unwrap()
}

/// The text between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The source of the tests of `path`: `suite`, `suite::module`, `module` or `models::module`. A suite that is a package of
/// its own is in a file of its name.
fn source(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("{}.rs", path.replace("::", "/"));
    let suite = root.join("tests").join(&file);
    let module = root.join("src").join(&file);
    let [in_suite, in_module] = [&suite, &module].map(|file| file.with_extension(""));
    let package = in_suite.join(in_suite.file_name().unwrap()).with_extension("rs");
    let folders =
        [in_suite.join("main.rs"), package, in_module.join("mod.rs"), in_module.join("tests.rs")];
    // A suite and a module may have the same name, as `rwlock`, which has its examples in the module.
    let files = folders.iter().chain([&suite, &module]);
    files.filter_map(|file| fs::read_to_string(file).ok()).collect()
}

#[test]
fn whatever_is_named_is_there() {
    let names = quoted(PAGE).chain(quoted(sentences())).filter(|quote| quote.contains("::"));
    for quote in names {
        let (path, name) = quote.rsplit_once("::").unwrap();
        assert!(source(path).contains(&format!("fn {name}() {{")), "there is no {quote}");
    }
    // A test that is named without its suite would not have been checked above.
    for quote in quoted(PAGE).filter(|quote| !quote.contains("::")) {
        assert!(
            quote.matches('_').count() < 3 || quote.contains('/'),
            "in which suite is {quote}?"
        );
    }
}

#[test]
fn each_row_is_there_once() {
    let rows: Vec<_> = PAGE.lines().filter_map(|line| line.strip_prefix("| ")).collect();
    let ids = rows.iter().map(|row| row.split(" | ").next().unwrap()).filter(|id| *id != "row");
    let all = (1..=18).map(|n| format!("R{n}")).chain((1..=58).map(|n| format!("L{n}")));
    assert!(ids.eq(all));
    assert!(rows.iter().all(|row| row.split(" | ").count() == 3), "three columns");
}

/// Each sentence has a test, or says what else would refute it.
#[test]
fn each_sentence_has_a_test() {
    let rows: Vec<_> = sentences().lines().filter_map(|line| line.strip_prefix("| ")).collect();
    assert!(rows.len() > 50, "{}", rows.len());
    for row in rows {
        let columns: Vec<_> = row.trim_end_matches(" |").split(" | ").collect();
        let [sentence, test] = columns[..] else { panic!("two columns: {row}") };
        assert!(
            test == "test" || test.contains("::") || test.contains('.'),
            "what would refute {sentence:?}?"
        );
    }
}
