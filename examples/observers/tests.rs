//! What the observers report.

#[path = "../../tests/support/program.rs"]
mod program;

use std::path::Path;

use program::{run, stderr, stdout};

#[test]
fn tracing_has_an_event_and_a_span_for_each_acquisition() {
    let output = run("tracing", &[], Path::new("."));
    // A time is at the end of its line.
    let without_times = |line: &str| {
        let end = ["=Some(", "held="].iter().find_map(|word| Some(line.find(word)? + word.len()));
        line[..end.unwrap_or(line.len())].to_owned()
    };
    let lines: Vec<_> = stdout(&output).lines().map(without_times).collect();
    let said = " INFO acquired lock=events mode=Exclusive at=tracing.rs:106:33 waited=None
 INFO holds{lock=spans mode=Exclusive at=tracing.rs:107:31}: close
 INFO released lock=events mode=Exclusive at=tracing.rs:106:33 held=
 INFO acquired lock=events mode=Shared at=tracing.rs:113:32 waited=Some(
1
 INFO released lock=events mode=Shared at=tracing.rs:113:32 held=
1
 INFO holds{lock=spans mode=Shared at=tracing.rs:114:31}: close
 INFO waits{lock=spans mode=Exclusive at=tracing.rs:117:23}: close
 INFO holds{lock=spans mode=Exclusive at=tracing.rs:116:28}: close";
    assert_eq!(lines, said.lines().collect::<Vec<_>>(), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn console_has_a_resource_for_each_lock_and_an_operation_for_each_wait() {
    let output = run("console", &[], Path::new("."));
    let resource = "runtime.resource{concrete_type=\"accounts\" kind=\"Sync\" loc.file=\"console.rs\" loc.line=94 \
                    loc.col=37}";
    let state = |op| format!("R: runtime::resource::state_update: holders=1 holders.op=\"{op}\"");
    let task = |name, what| {
        format!("runtime.spawn{{kind=\"task\" task.name=\"{name}\"}}: console: {what}")
    };
    let wait = "R:runtime.resource.async_op{source=\"acquire\"}: ";
    let said = [
        task("writer", "new"),
        "R: console: new".into(),
        state("add"),
        task("reader", "new"),
        format!("{wait}console: new"),
        format!("{wait}runtime::resource::poll_op: op_name=\"acquire\" is_ready=false"),
        state("sub"),
        task("writer", "close"),
        state("add"),
        format!("{wait}console: close"),
        state("sub"),
        task("reader", "close"),
    ];
    let text = stdout(&output).replace(resource, "R").replace("TRACE ", "");
    assert_eq!(text.lines().collect::<Vec<_>>(), said);
    assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
}

#[test]
fn metrics_has_histograms_for_each_lock() {
    let output = run("metrics", &[], Path::new("."));
    let said = "\
lock_cancelled accounts: Counter(1)
lock_held_seconds accounts, Exclusive: 1 values
lock_held_seconds accounts, Shared: 2 values
lock_held_seconds accounts, Upgradable: 0 values
lock_waited_seconds accounts: 3 values
";
    assert_eq!((stdout(&output), stderr(&output)), (said, ""));
    assert_eq!(output.status.code(), Some(0));
}
