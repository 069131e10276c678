//! An observer that writes down what it is told.

use std::fmt::Write as _;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use multilock::Mode;
use multilock::observed::{Acquisition, Observer};

/// Is called with the name of each call.
pub(crate) type Hook = Arc<dyn Fn(&str) + Send + Sync>;

/// Writes down each call, in short: the first letter of the call, that of the mode, and the number of the record that was
/// returned, or that was given back. `wS0 aS0>1 rS1` is a shared acquisition that has waited. `x` stands for `cancelled`.
#[derive(Default)]
pub(crate) struct Log {
    text: Mutex<String>,
    sites: Mutex<Vec<&'static Location<'static>>>,
    records: AtomicUsize,
    /// Called at each call, before anything else, with its name.
    pub(crate) hook: Mutex<Option<Hook>>,
}

impl Log {
    fn begin(&self, call: &str) {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(call);
        }
    }

    fn write(&self, call: &str, acquisition: Acquisition<'_>, rest: &str) {
        let letter = |mode: Mode| format!("{mode:?}").chars().next().unwrap();
        let from = acquisition.changed_from().map(|from| format!("{}>", letter(from)));
        let (from, mode) = (from.unwrap_or_default(), letter(acquisition.mode()));
        let call = if call == "cancelled" { "x" } else { &call[..1] };
        write!(self.text.lock().unwrap(), "{call}{from}{mode}{rest} ").unwrap();
        self.sites.lock().unwrap().push(acquisition.site());
    }

    fn record(&self) -> usize {
        self.records.fetch_add(1, Relaxed)
    }

    /// What was told since the last call of this.
    pub(crate) fn take(&self) -> String {
        self.sites.lock().unwrap().clear();
        self.records.store(0, Relaxed);
        std::mem::take(&mut *self.text.lock().unwrap()).trim_end().to_owned()
    }

    /// The lines of the calls that were told since the last call of `take` or of this.
    pub(crate) fn lines(&self) -> Vec<u32> {
        let sites = std::mem::take(&mut *self.sites.lock().unwrap());
        sites.iter().map(|site| site.line()).collect()
    }
}

impl Observer for Log {
    type Record = usize;

    fn waiting(&self, acquisition: Acquisition<'_>) -> usize {
        self.begin("waiting");
        let record = self.record();
        self.write("waiting", acquisition, &format!("{record}"));
        record
    }

    fn acquired(&self, acquisition: Acquisition<'_>, waited: Option<usize>) -> usize {
        self.begin("acquired");
        let record = self.record();
        let waited = waited.map(|waited| format!("{waited}>")).unwrap_or_default();
        self.write("acquired", acquisition, &format!("{waited}{record}"));
        record
    }

    fn changed(&self, acquisition: Acquisition<'_>, held: usize, waited: Option<usize>) -> usize {
        self.begin("changed");
        let record = self.record();
        let waited = waited.map(|waited| format!("+{waited}")).unwrap_or_default();
        self.write("changed", acquisition, &format!("{held}{waited}>{record}"));
        record
    }

    fn released(&self, acquisition: Acquisition<'_>, held: usize) {
        self.begin("released");
        self.write("released", acquisition, &format!("{held}"));
    }

    fn cancelled(&self, acquisition: Acquisition<'_>, waited: usize) {
        self.begin("cancelled");
        self.write("cancelled", acquisition, &format!("{waited}"));
    }
}
