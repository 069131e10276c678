//! What `duplicates` prints, and how it exits.

#![cfg(not(any(loom, shuttle, miri, target_family = "wasm")))]

#[path = "../../tests/support/program.rs"]
mod program;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use program::{Directory, command, run, stderr, stdout};

#[test]
fn prints_files_with_equal_content() {
    let tree = Directory::new("groups");
    tree.write("a", "some text");
    tree.write("x/b", "some text");
    tree.write("x/y/c", "some text");
    tree.write("x/other", "same size");
    tree.write("empty", "");
    tree.write("x/empty", "");
    // Equal for longer than one read.
    let mut long = vec![7; 300_000];
    tree.write("long", &long);
    tree.write("x/long", &long);
    *long.last_mut().unwrap() += 1;
    tree.write("long, but for the end", &long);

    let output = run("duplicates", &["."], &tree.0);
    let said = "\
2 files of 300000 bytes:
  \"./long\"
  \"./x/long\"
3 files of 9 bytes:
  \"./a\"
  \"./x/b\"
  \"./x/y/c\"
7 files of 900036 bytes, 3 duplicates of 300018 bytes, 0 unreadable
";
    assert_eq!((stdout(&output), stderr(&output)), (said, ""));
    assert_eq!(output.status.code(), Some(0));

    let output = run("duplicates", &["--min-size=0", "empty", "x"], &tree.0);
    assert!(stdout(&output).contains("2 files of 0 bytes:\n  \"empty\"\n  \"x/empty\"\n"));
}

#[test]
fn counts_a_file_once_that_it_finds_again() {
    let tree = Directory::new("again");
    tree.write("x/a", "some text");
    tree.write("x/b", "another text");
    #[cfg(unix)]
    {
        fs::hard_link(tree.0.join("x/a"), tree.0.join("hard")).unwrap();
        std::os::unix::fs::symlink("..", tree.0.join("x/circle")).unwrap();
        std::os::unix::fs::symlink("b", tree.0.join("x/link")).unwrap();
    }
    let output = run("duplicates", &["--jobs", "8", ".", "x", "x/../x"], &tree.0);
    let said = "2 files of 21 bytes, 0 duplicates of 0 bytes, 0 unreadable\n";
    assert_eq!((stdout(&output), stderr(&output)), (said, ""));
}

/// Many tasks share one index: in the end it has all files, in whatever order they were read.
#[test]
fn loses_nothing() {
    let tree = Directory::new("crowd");
    for file in 0..300 {
        tree.write(&format!("{}/{file}", file % 7), format!("content {:2}", file % 50));
    }
    // One task is still busy when the others have nothing left to do.
    tree.write("long", vec![7; 1_000_000]);
    for jobs in ["1", "2", "16"] {
        let output = run("duplicates", &["-j", jobs, "."], &tree.0);
        let last = stdout(&output).lines().last();
        let said = "301 files of 1003000 bytes, 250 duplicates of 2500 bytes, 0 unreadable";
        assert_eq!(last, Some(said), "{jobs} jobs");
        assert_eq!(
            stdout(&output).lines().filter(|line| line.starts_with("6 files of")).count(),
            50
        );
    }
}

/// Not even root can read from the beginning of its own memory.
#[cfg(target_os = "linux")]
#[test]
fn says_what_it_could_not_read() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let tree = Directory::new("unreadable");
    tree.write("a", "some text");
    fs::write(tree.0.join(OsStr::from_bytes(b"not\xFFUTF-8")), "some text").unwrap();
    let output = run("duplicates", &["--min-size=0", ".", "/proc/self/mem"], &tree.0);
    assert_eq!(output.status.code(), Some(1));
    let said = "\
2 files of 9 bytes:
  \"./a\"
  \"./not\\xFFUTF-8\"
2 files of 18 bytes, 1 duplicates of 9 bytes, 1 unreadable
";
    assert_eq!(stdout(&output), said);
    assert!(stderr(&output).starts_with("duplicates: \"/proc/self/mem\": "), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1);
}

#[test]
fn answers_questions_meanwhile() {
    let tree = Directory::new("questions");
    for name in ["a", "b", "x/a", "x/c"] {
        tree.write(name, "some text");
    }
    tree.write("x/b", "another text");
    let mut command = command("duplicates", &["--queries", "."], &tree.0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let (mut questions, answers) = (program.stdin.take().unwrap(), program.stderr.take().unwrap());
    let mut answers = BufReader::new(answers).lines().map(Result::unwrap);
    let mut ask = |question: &str| {
        writeln!(questions, "{question}").unwrap();
        answers.next().unwrap()
    };
    // The first answers may come before all files were found.
    let all = "5 files of 48 bytes, 3 duplicates of 27 bytes, 0 unreadable";
    while ask("nothing has that name")
        != format!("\"nothing has that name\": 0 groups so far, of {all}")
    {}
    assert_eq!(ask("x/c"), format!("\"x/c\": 1 groups so far, of {all}"));
    drop(questions);
    let group: Vec<_> = answers.collect();
    assert_eq!((group.len(), &*group[0]), (5, "4 files of 9 bytes:"));
    let output = program.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).lines().last()), (Some(0), Some(all)));
}

/// The answers and the groups stay on the terminal, and the bar does not. What is not a terminal never has it: in the
/// other tests there is none.
#[cfg(unix)]
#[test]
fn shows_a_bar_while_it_runs_on_a_terminal() {
    let tree = Directory::new("terminal");
    for name in ["a", "b"] {
        tree.write(name, "some text");
    }
    let totals = "2 files of 18 bytes, 1 duplicates of 9 bytes, 0 unreadable\n";
    let groups = format!("2 files of 9 bytes:\n  \"./a\"\n  \"./b\"\n{totals}");
    let mut question = format!("\"none\": 0 groups so far, of {totals}");
    // The terminal has 80 columns.
    question.insert(80, '\n');

    for piped in [false, true] {
        let mut command = command("duplicates", &["--queries", "."], &tree.0);
        let (mut program, mut terminal) = Terminal::spawn(&mut command, piped);
        let mut questions = program.stdin.take().unwrap();
        let full = format!("{} 2 of 2\n{totals}", "█".repeat(40));
        terminal.until(full.trim_end());
        writeln!(questions, "none").unwrap();
        terminal.until(format!("{question}{full}").trim_end());
        drop(questions);
        let output = program.wait_with_output().unwrap();
        let last = terminal.last();
        if piped {
            assert_eq!((stdout(&output), &*last), (&*groups, question.trim_end()));
        } else {
            assert_eq!(last, format!("{question}{groups}").trim_end());
        }
    }
}

/// What a user sees of a program.
#[cfg(unix)]
struct Terminal {
    screen: vt100::Parser,
    printed: mpsc::Receiver<Vec<u8>>,
}

#[cfg(unix)]
impl Terminal {
    /// Starts a program on a terminal, but for its input and, if `piped`, its output.
    fn spawn(command: &mut Command, piped: bool) -> (Child, Self) {
        let pty = rustix_openpty::openpty(None, None).unwrap();
        let out = if piped { Stdio::piped() } else { pty.user.try_clone().unwrap().into() };
        command.env("TERM", "xterm").stdin(Stdio::piped()).stdout(out).stderr(pty.user);
        let program = command.spawn().unwrap();
        // The terminal ends when nothing has this side of it.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (send, printed) = mpsc::channel();
        let mut terminal = File::from(pty.controller);
        thread::spawn(move || {
            let mut some = [0; 1_000];
            while let Ok(read @ 1..) = terminal.read(&mut some) {
                send.send(some[..read].to_vec()).unwrap();
            }
        });
        (program, Self { screen: vt100::Parser::default(), printed })
    }

    /// Waits until the terminal shows this.
    fn until(&mut self, expected: &str) {
        let late = Instant::now() + Duration::from_secs(30);
        while self.shows() != expected {
            let rest = late.saturating_duration_since(Instant::now());
            match self.printed.recv_timeout(rest) {
                Ok(printed) => self.screen.process(&printed),
                Err(_) => panic!("{}\ninstead of\n{expected}", self.shows()),
            }
        }
    }

    /// What the terminal shows in the end.
    fn last(mut self) -> String {
        self.printed.iter().for_each(|printed| self.screen.process(&printed));
        self.shows()
    }

    fn shows(&self) -> String {
        let rows = self.screen.screen().rows(0, 80);
        let rows: Vec<_> = rows.map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }
}

#[test]
fn does_nothing_if_its_arguments_are_wrong() {
    let tree = Directory::new("wrong");
    tree.write("a", "some text");
    for (args, why) in [
        (&["a", "missing"][..], "duplicates: \"missing\": "),
        (&[], "duplicates: no PATH\n"),
        (&["--jobs", "0", "a"], "duplicates: --jobs is a number from 1 to 256\n"),
        (&["--jobs", "many", "a"], "duplicates: "),
        (&["--unknown", "a"], "duplicates: invalid option '--unknown'\n"),
    ] {
        let output = run("duplicates", args, &tree.0);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{args:?}");
        assert!(stderr(&output).starts_with(why), "{args:?}: {}", stderr(&output));
    }
    let output = run("duplicates", &["--help"], &tree.0);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    assert!(stdout(&output).contains("usage: duplicates"));
}
