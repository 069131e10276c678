//! Waiters as text: `2Xsv>S Sd0` is two exclusive waiters that are polled at other times, too, count how
//! often they are overtaken, and downgrade, and a shared one that may fall dormant, and acquires the lock
//! again and again. There are two locks, A and B. `XB` is an exclusive waiter of B, and `X` one of A. `X+S` is a
//! set that acquires A exclusively and B shared, together.

use crate::mode::Mode;
use crate::system::{Dormant, Spec, Use};

fn mode_of(letter: u8) -> Option<Mode> {
    match letter {
        b'S' => Some(Mode::Shared),
        b'U' => Some(Mode::Upgradable),
        b'X' => Some(Mode::Exclusive),
        _ => None,
    }
}

/// Parses waiters: for each kind of them how many there are, the mode, what else they may do, how often they
/// acquire the lock, and what they do with it.
///
/// | letter | |
/// |---|---|
/// | `B` | is a waiter of lock B |
/// | `+S`, `+U`, `+X` | acquires lock B, too, in this mode: all or nothing |
/// | `r` | is a set that was turned away so often before that it reserves a lock the next time |
/// | `t` | is a thread that blocks |
/// | `s` | is polled at other times, too |
/// | `d`, `D` | may fall dormant, and may be polled again |
/// | `c` | may be dropped |
/// | `v` | counts how often it is overtaken |
/// | a number | how often it acquires the lock: once, if there is none, and without a limit, if it is 0 |
/// | `>F`, `>S`, `>U`, `>X` | releases the lock fairly, downgrades to a mode, or upgrades |
///
/// # Panics
///
/// Panics if it is anything else.
pub fn specs(text: &str) -> Vec<Spec> {
    let mut specs = Vec::new();
    for word in text.split_whitespace() {
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count = if digits == 0 { 1 } else { word[..digits].parse().unwrap() };
        let mut letters = word[digits..].bytes();
        let mut spec = Spec::new(letters.next().and_then(mode_of).expect("a mode"));
        while let Some(letter) = letters.next() {
            spec = match letter {
                b'B' => spec.at(1),
                b'+' => spec.and(letters.next().and_then(mode_of).expect("a mode")),
                b'r' => spec.turned_away(),
                b't' => spec.thread(),
                b's' => spec.spurious(),
                b'd' => spec.dormant(Dormant::Forever),
                b'D' => spec.dormant(Dormant::Sometimes),
                b'c' => spec.drops(),
                b'v' => spec.counts(),
                b'0'..=b'9' => spec.rounds(letter - b'0'),
                b'>' => spec.holds(match letters.next() {
                    Some(b'F') => Use::ReleaseFair,
                    Some(b'X') => Use::Upgrade,
                    Some(letter) => Use::Downgrade(mode_of(letter).expect("a mode")),
                    None => panic!("what it does with the lock is missing in {word}"),
                }),
                _ => panic!("{} in {word} is unknown", letter as char),
            };
        }
        specs.extend((0..count).map(|_| spec));
    }
    specs
}
