//! What `words` prints, and how it exits.

#![cfg(not(any(loom, shuttle, miri, target_family = "wasm")))]

#[path = "../../tests/support/program.rs"]
mod program;

use program::{Directory, run, stderr, stdout};

/// Far more lines than the queue has room for.
#[test]
fn counts_all_that_passes_through_its_queue() {
    let tree = Directory::new("words");
    let line = |n: usize| format!("The lock, the guard {}\n", ["a", "b", "c"][n % 3]);
    for name in ["first", "second", "third"] {
        tree.write(name, (0..600).map(line).collect::<String>());
    }
    tree.write("empty", "");
    let output = run("words", &["first", "empty", "second", "third"], &tree.0);
    let said =
        "  3600 the\n  1800 guard\n  1800 lock\n   600 a\n   600 b\n9000 words, 6 different ones\n";
    assert_eq!((stdout(&output), output.status.code()), (said, Some(0)));
    let reported: Vec<_> = stderr(&output).lines().collect();
    let [.., before, queue] = &reported[..] else { panic!("{reported:?}") };
    assert_eq!(*before, "Counted");
    let peak: usize = queue.split(' ').nth(3).unwrap().parse().unwrap();
    assert!((1..=16).contains(&peak), "{queue}");
}

#[test]
fn counts_nothing_if_a_file_is_missing() {
    let tree = Directory::new("words-missing");
    tree.write("a", "some text");
    let output = run("words", &["a", "missing"], &tree.0);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "0 words, 0 different ones\n");
    assert!(stderr(&output).contains("words: missing: "), "{}", stderr(&output));
    assert!(stderr(&output).lines().any(|line| line == "Failed"), "{}", stderr(&output));
    let output = run("words", &[], &tree.0);
    assert_eq!((output.status.code(), stderr(&output)), (Some(2), "usage: words PATH...\n"));
}
