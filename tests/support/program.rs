//! Runs an example, as a user would.
//!
//! `cargo test` builds the examples of a package, and `cargo test --test NAME` does not: before that,
//! `cargo build --examples`.

#![allow(dead_code, reason = "each suite uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, process, str};

/// Runs an example to its end.
pub(crate) fn run(name: &str, args: &[&str], directory: &Path) -> Output {
    command(name, args, directory).output().unwrap()
}

pub(crate) fn command(name: &str, args: &[&str], directory: &Path) -> Command {
    let test = env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples");
    let program = built.join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{program:?} is missing: cargo build --examples");
    let mut command = Command::new(program);
    command.args(args).current_dir(directory);
    command
}

pub(crate) fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// A directory for one test, which is removed afterwards.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("multilock-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
