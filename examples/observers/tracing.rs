//! Observers for `tracing`: one event for each acquisition, or one span.
//!
//! ```text
//! cargo run --example tracing
//! ```

use std::mem;
use std::time::Instant;

use futures_lite::future::{block_on, yield_now, zip};
use multilock::observed::{Acquisition, NewObserver, Observer, RwLock};
use tracing::dispatcher::get_default;
use tracing::span::Id;
use tracing_subscriber::fmt::format::FmtSpan;

/// Logs each acquisition when it is successful, and when it ends, with the time that it took.
struct Events;

impl NewObserver for Events {
    const NEW: Self = Self;
}

impl Observer for Events {
    /// The beginning of the wait, or of the acquisition.
    type Record = Instant;

    fn waiting(&self, _: Acquisition<'_>) -> Instant {
        Instant::now()
    }

    fn acquired(&self, it: Acquisition<'_>, waited: Option<Instant>) -> Instant {
        let waited = waited.map(|since| since.elapsed());
        tracing::info!(lock = %it.lock(), mode = ?it.mode(), at = %it.site(), ?waited, "acquired");
        Instant::now()
    }

    fn released(&self, it: Acquisition<'_>, since: Instant) {
        let held = since.elapsed();
        tracing::info!(lock = %it.lock(), mode = ?it.mode(), at = %it.site(), ?held, "released");
    }

    fn cancelled(&self, it: Acquisition<'_>, since: Instant) {
        let waited = since.elapsed();
        tracing::warn!(lock = %it.lock(), mode = ?it.mode(), at = %it.site(), ?waited, "gave up");
    }
}

/// Makes a span of each wait and of each acquisition, within the current span.
///
/// A record is copied, so it is the number of the span. That needs a subscriber for the whole process, as
/// `tracing_subscriber::fmt().init()` sets it: of another one, the span would not be found again.
struct Spans;

impl Spans {
    fn open(span: tracing::Span) -> Option<u64> {
        let id = span.id().map(|id| id.into_u64());
        mem::forget(span);
        id
    }

    fn close(id: Option<u64>) {
        if let Some(id) = id {
            get_default(|subscriber| subscriber.try_close(Id::from_u64(id)));
        }
    }
}

impl NewObserver for Spans {
    const NEW: Self = Self;
}

impl Observer for Spans {
    type Record = Option<u64>;

    fn waiting(&self, it: Acquisition<'_>) -> Option<u64> {
        let (lock, mode, at) = (it.lock(), it.mode(), it.site());
        Self::open(tracing::info_span!("waits", %lock, ?mode, %at))
    }

    fn acquired(&self, it: Acquisition<'_>, waited: Option<Option<u64>>) -> Option<u64> {
        Self::close(waited.flatten());
        let (lock, mode, at) = (it.lock(), it.mode(), it.site());
        Self::open(tracing::info_span!("holds", %lock, ?mode, %at))
    }

    fn released(&self, _: Acquisition<'_>, held: Option<u64>) {
        Self::close(held);
    }

    fn cancelled(&self, _: Acquisition<'_>, waited: Option<u64>) {
        Self::close(waited);
    }
}

static EVENTS: RwLock<u32, Events> = RwLock::named("events", 0);
static SPANS: RwLock<u32, Spans> = RwLock::named("spans", 0);

fn main() {
    tracing_subscriber::fmt()
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();
    let task = async {
        let mut events = EVENTS.write().await;
        let mut spans = SPANS.write().await;
        yield_now().await;
        *events += 1;
        *spans += 1;
    };
    let reader = async {
        println!("{}", *EVENTS.read().await);
        println!("{}", *SPANS.read().await);
        // A task that waits for itself, and gives up.
        let _guard = SPANS.write().await;
        assert!(SPANS.write_or(yield_now()).await.is_err());
    };
    block_on(zip(task, reader));
}
