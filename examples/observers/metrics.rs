//! An observer for `metrics`: histograms of how long each lock is waited for, and held, for Prometheus or any other
//! exporter.
//!
//! ```text
//! cargo run --example metrics
//! ```

use std::time::Instant;

use futures_lite::future::{block_on, yield_now, zip};
use metrics::{Counter, Histogram};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use multilock::Mode;
use multilock::observed::{Acquisition, Observer, RwLock};

/// The histograms of one lock. They are looked up once, when the lock is made, and not at each acquisition.
struct Metrics {
    waited: Histogram,
    /// One for each mode.
    held: [Histogram; 3],
    cancelled: Counter,
}

impl Metrics {
    fn new(lock: &'static str) -> Self {
        let held = |mode: Mode| metrics::histogram!("lock_held_seconds", "lock" => lock, "mode" => format!("{mode:?}"));
        Self {
            waited: metrics::histogram!("lock_waited_seconds", "lock" => lock),
            held: Mode::ALL.map(held),
            cancelled: metrics::counter!("lock_cancelled", "lock" => lock),
        }
    }
}

impl Observer for Metrics {
    /// The beginning of the wait, or of the acquisition.
    type Record = Instant;

    fn waiting(&self, _: Acquisition<'_>) -> Instant {
        Instant::now()
    }

    fn acquired(&self, _: Acquisition<'_>, waited: Option<Instant>) -> Instant {
        // An acquisition that does not wait counts as well: otherwise the mean would be that of the slow ones.
        self.waited.record(waited.map_or(0.0, |since| since.elapsed().as_secs_f64()));
        Instant::now()
    }

    fn released(&self, it: Acquisition<'_>, since: Instant) {
        // The lock is released already, so this delays no other task.
        self.held[it.mode() as usize].record(since.elapsed());
    }

    fn cancelled(&self, _: Acquisition<'_>, _: Instant) {
        self.cancelled.increment(1);
    }
}

fn main() {
    // In a program, this is an exporter, such as that of `metrics-exporter-prometheus`.
    let recorder = DebuggingRecorder::new();
    let values = recorder.snapshotter();
    recorder.install().expect("the only one");

    let lock = RwLock::with_observer("accounts", 0, Metrics::new("accounts"));
    let writer = async {
        let mut data = lock.write().await;
        yield_now().await;
        *data += 1;
    };
    let reader = async {
        assert_eq!(*lock.read().await, 1);
        let _guard = lock.read().await;
        // Gives up.
        assert!(lock.write_or(yield_now()).await.is_err());
    };
    block_on(zip(writer, reader));

    let mut lines: Vec<_> = values
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let key = key.key();
            let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
            let value = match value {
                DebugValue::Histogram(values) => format!("{} values", values.len()),
                value => format!("{value:?}"),
            };
            format!("{} {}: {value}", key.name(), labels.join(", "))
        })
        .collect();
    lines.sort();
    println!("{}", lines.join("\n"));
}
