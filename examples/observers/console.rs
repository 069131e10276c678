//! An observer for `tokio-console`: locks are resources of the console, and waits are operations on them.
//!
//! The console knows both by the names and fields of their spans. Here they are printed. In a program that is watched by the
//! console, call `console_subscriber::init()` in place of the first line of `main`, and build with
//! `RUSTFLAGS="--cfg console_without_tokio_unstable"`: the crate `console-subscriber` refuses to start without that, or
//! without `tokio_unstable`, which is not needed for this.
//!
//! ```text
//! cargo run --example console
//! ```

use std::mem;
use std::sync::OnceLock;

use futures_lite::future::{block_on, yield_now, zip};
use multilock::observed::{Acquisition, NewObserver, Observer, RwLock};
use tracing::dispatcher::get_default;
use tracing::span::Id;
use tracing::{Instrument, Level, Span, trace, trace_span};
use tracing_subscriber::fmt::format::FmtSpan;

/// The span of a lock, which is made by its first acquisition.
struct Console(OnceLock<Span>);

impl Console {
    fn resource(&self, it: Acquisition<'_>) -> &Span {
        self.0.get_or_init(|| {
            let (name, at) = (it.lock().name().unwrap_or("RwLock"), it.lock().site());
            trace_span!(
                parent: None, "runtime.resource", concrete_type = name, kind = "Sync",
                loc.file = at.file(), loc.line = at.line(), loc.col = at.column()
            )
        })
    }

    fn count(&self, it: Acquisition<'_>, op: &'static str) {
        self.resource(it).in_scope(|| {
            trace!(target: "runtime::resource::state_update", holders = 1_u64, holders.op = op);
        });
    }

    fn end(waited: Option<u64>) {
        if let Some(id) = waited {
            get_default(|subscriber| subscriber.try_close(Id::from_u64(id)));
        }
    }
}

impl NewObserver for Console {
    const NEW: Self = Self(OnceLock::new());
}

impl Observer for Console {
    /// The number of the span of a wait. A record is copied, so it is not the span.
    type Record = Option<u64>;

    fn waiting(&self, it: Acquisition<'_>) -> Option<u64> {
        self.resource(it).in_scope(|| {
            let span = trace_span!("runtime.resource.async_op", source = "acquire");
            span.in_scope(|| {
                trace!(target: "runtime::resource::poll_op", op_name = "acquire", is_ready = false);
            });
            let id = span.id().map(|id| id.into_u64());
            mem::forget(span);
            id
        })
    }

    fn acquired(&self, it: Acquisition<'_>, waited: Option<Option<u64>>) -> Option<u64> {
        self.count(it, "add");
        Self::end(waited.flatten());
        None
    }

    fn changed(
        &self,
        _: Acquisition<'_>,
        _: Option<u64>,
        waited: Option<Option<u64>>,
    ) -> Option<u64> {
        Self::end(waited.flatten());
        None
    }

    fn released(&self, it: Acquisition<'_>, _: Option<u64>) {
        self.count(it, "sub");
    }

    fn cancelled(&self, _: Acquisition<'_>, waited: Option<u64>) {
        Self::end(waited);
    }
}

static LOCK: RwLock<u32, Console> = RwLock::named("accounts", 0);

/// What the console takes for a task.
async fn task(name: &'static str, task: impl Future<Output = ()>) {
    task.instrument(trace_span!("runtime.spawn", kind = "task", task.name = name)).await;
}

fn main() {
    tracing_subscriber::fmt()
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .without_time()
        .init();
    let writer = task("writer", async {
        let mut data = LOCK.write().await;
        yield_now().await;
        *data += 1;
    });
    let reader = task("reader", async { assert_eq!(*LOCK.read().await, 1) });
    block_on(zip(writer, reader));
}
