//! What `server` says of itself.

#![cfg(not(any(loom, shuttle, miri, target_family = "wasm")))]

#[path = "../../tests/support/program.rs"]
mod program;

use program::{Directory, run, stderr, stdout};

/// The server sends itself requests over the loopback device. Any wrong answer is a panic.
#[test]
fn passes_its_own_test() {
    let directory = Directory::new("server");
    let output = run("server", &["--self-test"], &directory.0);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    assert_eq!(stdout(&output).lines().last(), Some("all tests have passed"));
}

#[test]
fn says_what_it_cannot_do() {
    let directory = Directory::new("server-wrong");
    for (args, code, why) in [
        (&["--unknown"][..], 2, "usage: server "),
        (&["127.0.0.1:0", "more"], 2, "usage: server "),
        (&["nowhere"], 1, "cannot listen at nowhere: "),
    ] {
        let output = run("server", args, &directory.0);
        assert_eq!((output.status.code(), stdout(&output)), (Some(code), ""), "{args:?}");
        assert!(stderr(&output).starts_with(why), "{args:?}: {}", stderr(&output));
    }
}
