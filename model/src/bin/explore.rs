//! Visits all states of the waiters that are given, and prints how many there are.
//!
//! usage: explore WAITERS [--deferrals N] [--overtaken N] [--no-symmetry] [--minutes N]

use std::time::{Duration, Instant};

use multilock_model::system::{MOST_OVERTAKEN, System};
use multilock_model::text;
use stateright::{Checker, HasDiscoveries, Model};

fn main() {
    let mut args = std::env::args().skip(1);
    let mut system = System::new(text::specs(&args.next().expect("waiters")));
    let mut minutes = 60;
    let mut trace = false;
    while let Some(option) = args.next() {
        let mut number = || args.next().expect("a number").parse::<u64>().expect("a number");
        match &*option {
            "--deferrals" => system.deferrals = number() as u8,
            "--overtaken" => system.overtaken = number() as u8,
            "--minutes" => minutes = number(),
            "--no-symmetry" => system.symmetry = false,
            "--no-excuse" => system.excuses = false,
            "--trace" => trace = true,
            _ => panic!("{option} is unknown"),
        }
    }
    let start = Instant::now();
    let checker = system
        .checker()
        .threads(2)
        .timeout(Duration::from_secs(60 * minutes))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{} states, {} steps, depth {}, {:.1} s, {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_secs_f32(),
        if checker.is_done() { "all" } else { "not all" },
    );
    println!("overtaken at most {}", MOST_OVERTAKEN.load(std::sync::atomic::Ordering::Relaxed));
    for (name, path) in checker.discoveries() {
        println!("FAILS: {name}");
        for (state, action) in path.into_vec() {
            if trace {
                print!("{state}");
            }
            println!("{action:?}");
        }
    }
}
