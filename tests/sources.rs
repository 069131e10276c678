//! What must hold for all public functions and all source files, read from the sources.

#![cfg(not(any(miri, loom, shuttle, target_family = "wasm")))]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of the crate, without those that are only for tests.
fn sources() -> Vec<(String, String)> {
    let (mut files, mut paths) =
        (Vec::new(), vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")]);
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((name(&path), fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    files
}

/// The path relative to `src`.
fn name(path: &Path) -> String {
    let name: PathBuf = path.iter().skip_while(|part| *part != "src").skip(1).collect();
    name.to_str().unwrap().replace('\\', "/")
}

struct Function {
    name: String,
    /// The lines before the function: documentation and attributes, one each.
    head: Vec<String>,
    /// The return type. Of an `async fn`, that of its future.
    output: String,
    is_async: bool,
}

impl Function {
    /// The lines of the documentation, without what macros put into them.
    fn docs(&self) -> Vec<&str> {
        let starts = ["/// ", "///", "#[doc = concat!(\"", "#[doc = "];
        let text = |line| starts.iter().find_map(|start| str::strip_prefix(line, start));
        self.head.iter().filter_map(|line| text(line)).collect()
    }

    fn has(&self, attribute: &str) -> bool {
        self.head.iter().any(|line| line.starts_with(&format!("#[{attribute}")))
    }
}

/// All public functions, and the methods of public traits.
fn public_functions() -> Vec<Function> {
    let mut functions = Vec::new();
    for (file, text) in sources() {
        // The methods of a public trait are public, too.
        let traits = text
            .split("\npub trait ")
            .skip(1)
            .map(|text| text.split("\n}").next().unwrap().split("{}").next().unwrap());
        for (text, public) in traits.map(|text| (text, "")).chain([(&*text, "pub ")]) {
            let mut head: Vec<String> = Vec::new();
            let mut rest = text;
            while let Some((line, after)) =
                rest.split_once('\n').or((!rest.is_empty()).then_some((rest, "")))
            {
                let line = line.trim();
                let item = line.strip_prefix(public).unwrap_or("//");
                let item = ["const ", "async "]
                    .iter()
                    .fold(item, |item, word| item.strip_prefix(word).unwrap_or(item));
                let open = |line: &String| line.starts_with("#[") && !line.ends_with(']');
                if let Some(item) = item.strip_prefix("fn ") {
                    let signature = rest.split(" {\n").next().unwrap().split(';').next().unwrap();
                    let signature = signature.split("\n    where").next().unwrap();
                    let output = signature.rsplit_once(") -> ").map_or("", |(_, output)| output);
                    let is_async = line.contains("async fn");
                    functions.push(Function {
                        name: format!("{file}: {}", item.split(['(', '<']).next().unwrap()),
                        head: std::mem::take(&mut head),
                        output: output.trim().to_owned(),
                        is_async: is_async
                            || ["Future", "$Upgrade"].iter().any(|of| output.contains(of)),
                    });
                } else if let Some(attribute) = head.last_mut().filter(|line| open(line)) {
                    attribute.push_str(line);
                } else if line.starts_with("#[")
                    || line.starts_with("///")
                    || line.starts_with("$(#")
                {
                    head.push(line.to_owned());
                } else if !line.starts_with("//") {
                    head.clear();
                }
                rest = after;
            }
        }
    }
    assert!(functions.len() > 100, "only {}", functions.len());
    functions
}

/// The compiler already warns about an unused `Result`, future, iterator, or value of a
/// `#[must_use]` type.
#[test]
fn a_result_that_is_not_used_is_warned_of() {
    const EXCEPT: &[(&str, &str)] = &[
        (
            "named/mod.rs: release",
            "the caller may only want the name to be unused, whether or not it was used before",
        ),
        ("observed/task.rs: in_task", "the closure may return nothing"),
        ("rwlock/blocking.rs: with_blocking", "the closure may return nothing"),
        ("rwlock/blocking.rs: with_mut_blocking", "the closure may return nothing"),
        ("observed/rwlock/access.rs: $with_blocking", "the closure may return nothing"),
        ("observed/observer.rs: waiting", "a lock calls it"),
        ("observed/observer.rs: acquired", "a lock calls it"),
        ("observed/observer.rs: changed", "a lock calls it"),
    ];
    let named = |text: &str| {
        text.split("#[must_use")
            .skip(1)
            .filter_map(|after| {
                let (_, item) = after.split_once("pub struct ")?;
                let is_near = !after.split("pub struct ").next().unwrap().contains("fn ");
                let name: String =
                    item.chars().take_while(|c| c.is_alphanumeric() || "$_".contains(*c)).collect();
                is_near.then_some(name)
            })
            .collect::<Vec<_>>()
    };
    let mut types: Vec<_> = sources().iter().flat_map(|(_, text)| named(text)).collect();
    // The types that macros define.
    for (made, by) in [
        ("Guard", "$Guard"),
        ("GuardArc", "$Guard"),
        ("Monitor", "$Monitor"),
        ("MonitorArc", "$Monitor"),
        ("Subscription", "$Subscription"),
        ("SubscriptionArc", "$Subscription"),
        ("Changes", "$Changes"),
        ("ChangesArc", "$Changes"),
    ] {
        assert!(types.iter().any(|one| one == by));
        types.push(made.to_owned());
    }
    let is_used = |f: &Function| {
        let output = &*f.output;
        let name = output.split(['<', ' ']).next().unwrap();
        // In the macros this stands for a guard, or for the future of one.
        let of_macro = name.starts_with('$');
        match output {
            "" => true,
            _ if f.has("doc(hidden)") => true,
            _ if f.is_async || output.starts_with("impl Iterator") || name == "Result" => true,
            // The lint looks into neither.
            _ if output.contains("Guard") && (name == "Option" || name.starts_with("Self::")) => {
                f.has("must_use = ")
            }
            _ if of_macro => true,
            _ => f.has("must_use") || types.iter().any(|one| one == name),
        }
    };
    let wrong: Vec<_> = public_functions()
        .into_iter()
        .filter(|f| is_used(f) == EXCEPT.iter().any(|(name, _)| *name == f.name))
        .map(|f| f.name)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The compiler advises `let _ =`, which drops a guard at once.
#[test]
fn a_warning_says_what_to_do() {
    let lines = sources()
        .into_iter()
        .flat_map(|(_, text)| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>());
    let (advice, other): (Vec<_>, Vec<_>) = lines
        .filter(|line| line.starts_with("#[must_use = ") && line.contains("dropped:"))
        .partition(|line| line.contains("not with `let _ =`") || line.contains("pass it to"));
    assert!(advice.len() > 20 && other.is_empty(), "{} {other:#?}", advice.len());
}

/// What a caller may need to know, in one order. Only what is copied is shown, and all of it.
#[test]
fn each_function_is_documented_by_itself() {
    const EXCEPT: &[(&str, &str)] = &[
        ("raw/state.rs", "the example of `MultiLock::snapshot` calls all of them"),
        ("observed/observer.rs", "the example of `Observer` has all of them"),
    ];
    const SECTIONS: [&str; 5] =
        ["# Cancel safety", "# Deadlocks", "# Panics", "# Errors", "# Examples"];
    // An example may hide only the executor in which it runs.
    let is_executor = |line: &str| line.ends_with("block_on(async {") || line == "# });";
    let faults = |f: &Function| {
        let docs = f.docs();
        let has = |section: &str| docs.contains(&section);
        let sections: Vec<_> = docs.iter().filter(|line| SECTIONS.contains(line)).collect();
        let in_order: Vec<_> = SECTIONS.iter().filter(|section| has(section)).collect();
        let blocks = f.name.contains("block");
        let never_waits = docs.iter().any(|line| line.contains("Never waits"));
        let mut in_example = false;
        let hides = docs.iter().any(|line| {
            in_example ^= line.starts_with("```");
            in_example && (line.starts_with("# ") || *line == "#") && !is_executor(line)
        });
        let verb = docs.first().and_then(|line| line.split(' ').next()).unwrap_or_default();
        [
            (!verb.ends_with('s') || verb == "As", "does not begin with what the function does"),
            (!has("# Examples"), "has no example"),
            (hides, "hides a line of its example"),
            (f.is_async != has("# Cancel safety"), "says nothing of cancel safety, or too much"),
            (f.is_async && never_waits, "waits, and says that it does not"),
            ((blocks || f.is_async) && !has("# Deadlocks"), "says nothing of deadlocks"),
            (f.output.contains("Result<") && !has("# Errors"), "says nothing of its errors"),
            (sections != in_order, "has another order of sections"),
        ]
        .into_iter()
        .filter(|(is_fault, _)| *is_fault)
        .map(|(_, fault)| format!("{} {fault}", f.name))
        .collect::<Vec<_>>()
    };
    let wrong: Vec<_> = public_functions()
        .iter()
        .filter(|f| !f.has("doc(hidden)"))
        .filter(|f| !EXCEPT.iter().any(|(start, _)| f.name.starts_with(start)))
        .flat_map(faults)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_type_has_an_example() {
    const EXCEPT: &[(&str, &str)] = &[
        ("raw/state.rs: Snapshot", "the example of `MultiLock::snapshot` uses one"),
        ("set/acquire_all.rs: Sealed", "not public"),
        ("set/address_order.rs: AsGiven", "not public"),
        ("set/all_or_nothing.rs: AddressOrdered", "not public"),
        ("set/lock_all/requests.rs: Request", "not public"),
        ("set/lock_all/requests.rs: Sealed", "not public"),
        ("set/lock_all/requests.rs: Sealed", "not public"),
        ("set/lockable.rs: Locks", "not public"),
        ("set/lockable.rs: Sealed", "not public"),
        ("set/told.rs: Event", "not public"),
        ("set/told.rs: Record", "not public"),
    ];
    let mut without = Vec::new();
    for (file, text) in sources() {
        let (mut docs, mut of_macro) = (Vec::new(), false);
        for line in text.lines().map(str::trim) {
            let item = ["struct", "enum", "trait"]
                .iter()
                .find_map(|kind| line.strip_prefix("pub ")?.strip_prefix(kind)?.strip_prefix(' '));
            if line.starts_with("///") {
                docs.push(line);
            } else if !line.starts_with("#[") {
                // What a macro defines is documented where the macro is used.
                let item = item.or(of_macro.then_some(line)).filter(|_| !docs.is_empty());
                if let Some(item) = item.filter(|_| !docs.contains(&"/// # Examples")) {
                    let name = item.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                    without.push(format!("{file}: {name}"));
                }
                of_macro = line.ends_with("! {") && !line.ends_with("thread_local! {");
                docs.clear();
            }
        }
    }
    assert_eq!(without, EXCEPT.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

/// Except for futures, which panic when they are polled. What may tell an observer has another use for the line of the
/// caller.
#[test]
fn a_panic_is_the_callers() {
    let panics = |f: &Function| f.head.iter().any(|line| *line == "/// # Panics");
    let tells = |f: &Function| f.name.starts_with("observed/") || f.name.starts_with("set/");
    let wrong: Vec<_> = public_functions()
        .into_iter()
        .filter(|f| !f.is_async)
        .filter(|f| panics(f) != f.has("track_caller") && (panics(f) || !tells(f)))
        .map(|f| f.name)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[cfg(panic = "unwind")]
#[test]
fn a_panic_says_where_the_caller_is() {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::{Duration, Instant};

    use Mode::{Exclusive, Shared};
    use multilock::{
        HandleLock, LockGuard, LockSet, Mode, MultiLock, RwLock, RwLockUpgradableReadGuard,
        RwLockUpgradableReadGuardArc, lock_all, lock_all_blocking, lock_all_blocking_deadline,
        lock_all_blocking_timeout, lock_all_or,
    };

    thread_local! {
        /// The line of the last panic, while a panic is being checked.
        static LINE: Cell<Option<u32>> = const { Cell::new(None) };
    }
    let before = take_hook();
    set_hook(Box::new(move |info| match info.location() {
        Some(location) if LINE.get().is_some() && location.file() == file!() => {
            LINE.set(Some(location.line()));
        }
        _ => before(info),
    }));
    fn check(f: impl FnOnce(), line: u32) {
        LINE.set(Some(0));
        assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
        assert_eq!(LINE.take(), Some(line));
    }
    fn generic(mut guard: impl LockGuard) {
        check(|| guard.downgrade(Exclusive), line!());
    }

    let lock = Arc::new(MultiLock::new());
    let names = HandleLock::new();
    let set: LockSet<&MultiLock> = [&*lock].into_iter().collect();
    let guard = || lock.try_acquire(Shared).unwrap();
    check(|| guard().downgrade(Exclusive), line!());
    check(|| lock.try_acquire_arc(Shared).unwrap().downgrade(Exclusive), line!());
    check(|| names.try_context(Shared, 1).unwrap().downgrade(Exclusive), line!());
    check(|| set.try_acquire(Shared).unwrap().downgrade(Exclusive), line!());
    generic(guard());
    generic(set.try_acquire(Shared).unwrap());
    let data = RwLock::new(0);
    let mut reader = data.try_upgradable_read().unwrap();
    std::mem::forget(RwLockUpgradableReadGuard::try_upgrade_in_place(&mut reader));
    check(|| drop(RwLockUpgradableReadGuard::upgrade_blocking(reader)), line!());
    let data = RwLock::new(0);
    let mut reader = data.try_upgradable_read().unwrap();
    std::mem::forget(RwLockUpgradableReadGuard::try_upgrade_in_place(&mut reader));
    let upgrade = async { drop(RwLockUpgradableReadGuard::upgrade(reader).await) };
    let mut cx = Context::from_waker(Waker::noop());
    check(|| assert!(pin!(upgrade).poll(&mut cx).is_pending()), line!() - 2);
    let data = Arc::new(RwLock::new(0));
    let mut reader = data.try_upgradable_read_arc().unwrap();
    std::mem::forget(RwLockUpgradableReadGuardArc::try_upgrade_in_place(&mut reader));
    check(|| drop(RwLockUpgradableReadGuardArc::upgrade_blocking(reader)), line!());
    let twice = [lock.in_mode(Shared), lock.in_mode(Exclusive)];
    check(|| drop(lock_all(twice)), line!());
    check(|| drop(lock_all_or(twice, std::future::ready(()))), line!());
    check(|| drop(lock_all_blocking(twice)), line!());
    check(|| drop(lock_all_blocking_timeout(twice, Duration::ZERO)), line!());
    check(|| drop(lock_all_blocking_deadline(twice, Instant::now())), line!());
}

/// Whatever a promise depends on is checked in every build. These are checked in debug builds only,
/// for the stated reasons:
#[test]
fn nothing_that_is_promised_is_checked_in_some_builds_only() {
    const EXCEPT: &[(&str, &str)] = &[
        ("raw/list.rs", "consume: has no effect if the node is still queued"),
        (
            "raw/state.rs",
            "release: every release would pay for it; the caller has a guard or a handle",
        ),
        (
            "sync/leaf.rs",
            "the mutex of the queue is locked once at a time: its users are in one folder",
        ),
        ("sync/leaf.rs", "the same mutex without the check"),
    ];
    let found: Vec<_> = sources()
        .into_iter()
        .flat_map(|(file, text)| vec![file; text.matches("debug_assert").count()])
        .collect();
    assert_eq!(found, EXCEPT.iter().map(|(file, _)| *file).collect::<Vec<_>>());
}

/// The layout of most types is the compiler's choice: a size is for the tests to look at, and stops no build.
#[test]
fn no_size_stops_the_build() {
    let constants = |(file, text): (String, String)| {
        let of = |constant: &str| constant.split("\n\n").next().unwrap().contains("size_of");
        text.split("const _: () =").skip(1).any(of).then_some(file)
    };
    assert_eq!(sources().into_iter().filter_map(constants).collect::<Vec<_>>(), [""; 0]);
}

const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// The orderings that `text` names, in turn.
fn orderings(text: &str) -> Vec<&'static str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter_map(|word| ORDERINGS.into_iter().find(|one| *one == word))
        .collect()
}

/// The number of `ORDERING` comments of a function, or of its rows in `docs/orderings.md`, and its
/// orderings in turn.
type Orderings = BTreeMap<String, (usize, Vec<&'static str>)>;

/// The orderings of all functions that have one, and the text of the comments.
fn orderings_of_code() -> (Orderings, String) {
    let (mut found, mut comments) = (Orderings::new(), String::new());
    for (file, text) in sources() {
        // The release of a lock has the name of an ordering. So only what a file imports is one.
        let import = |line: &&str| {
            line.trim_start().starts_with("use crate::sync") && line.contains("Ordering")
        };
        let imported: Vec<_> = text.lines().filter(import).flat_map(orderings).collect();
        // Those of `sync::unmodeled` order nothing: they need no comment.
        let is_modeled = text.contains("use crate::sync::atomic::");
        let (mut function, mut in_comment) = (String::new(), false);
        for line in text.split("\nmod tests").next().unwrap().lines().map(str::trim) {
            let is_modifier = |word: &str| {
                word.starts_with("pub") || ["const", "unsafe", "async"].contains(&word)
            };
            if let Some((before, name)) = line.split_once("fn ") {
                if before.split_whitespace().all(is_modifier) {
                    function = format!("{file}: {}", name.split(['(', '<']).next().unwrap());
                }
            }
            let begins = line.starts_with("// ORDERING: ");
            in_comment = begins || in_comment && line.starts_with("//");
            if in_comment {
                comments.push_str(line);
            }
            if begins {
                found.entry(function.clone()).or_default().0 += 1;
            } else if !line.starts_with("//") && !line.starts_with("use ") {
                let of_line = orderings(line).into_iter().filter(|one| imported.contains(one));
                let mut of_line = of_line.filter(|_| !line.contains("unmodeled::")).peekable();
                if is_modeled && of_line.peek().is_some() || found.contains_key(&function) {
                    found.entry(function.clone()).or_default().1.extend(of_line);
                }
            }
        }
    }
    (found, comments)
}

/// `docs/orderings.md` has a row for each `ORDERING` comment. The rows of a function name its
/// orderings in turn, and a planted defect for each that is stronger than `Relaxed`.
#[test]
fn each_ordering_has_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/orderings.md")).unwrap();
    let (mut in_page, mut defects) = (Orderings::new(), Vec::new());
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split(" |").map(str::trim).collect();
        let [function, operations, _, _, named, ..] = cells[..] else { panic!("{row}") };
        let of_row = orderings(operations);
        let weaker = |one: &&str| match *one {
            "Relaxed" => 0,
            "AcqRel" => 2,
            _ => 1,
        };
        let named: Vec<_> = named.split('`').skip(1).step_by(2).collect();
        let needed: usize = of_row.iter().map(weaker).sum();
        assert!(named.len() >= needed, "too few defects: {row}");
        defects.extend(named);
        let function = function.trim_start_matches("| ").trim_matches('`').to_owned();
        let (rows, all) = in_page.entry(function).or_default();
        *rows += 1;
        all.extend(of_row);
    }
    let (in_code, _) = orderings_of_code();
    assert!(in_code.len() > 30, "only {}", in_code.len());
    for function in in_code.keys().chain(in_page.keys()) {
        assert_eq!(in_code.get(function), in_page.get(function), "code, and page: {function}");
    }
    let planted = fs::read_dir(root.join("ci/defects/models")).unwrap();
    let planted = planted.map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned());
    let planted: Vec<_> = planted.map(|name| name.into_string().unwrap()).collect();
    let is_planted = |one: &&str| planted.iter().any(|name| name == one);
    let unknown: Vec<_> = defects.iter().filter(|one| !is_planted(one)).collect();
    assert!(unknown.is_empty(), "no such defects: {unknown:?}");
    let is_named = |name: &&String| defects.contains(&name.as_str());
    let of_orderings = planted.iter().filter(|name| name.contains("ordering"));
    let in_no_row: Vec<_> = of_orderings.filter(|name| !is_named(name)).collect();
    assert!(in_no_row.is_empty(), "in no row: {in_no_row:?}");
}

/// The comments on orderings name the models that fail without them.
#[test]
fn models_that_comments_name_exist() {
    let of_models = sources().into_iter().filter(|(file, _)| file.starts_with("models/"));
    let models: String = of_models.map(|(_, text)| text).collect();
    let (_, comments) = orderings_of_code();
    let is_name = |name: &&str| name.matches('_').count() > 3 && !name.contains([' ', ':']);
    let named: Vec<_> = comments.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 10, "{named:?}");
    let is_model = |name: &str| models.contains(&format!("fn {name}()"));
    let unknown: Vec<_> = named.iter().filter(|name| !is_model(name)).collect();
    assert!(unknown.is_empty(), "no such models: {unknown:?}");
}

/// Otherwise its examples would not be tested.
#[test]
fn each_page_of_the_guide_is_shown() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    let module = fs::read_to_string(guide.join("mod.rs")).unwrap();
    let (_, list) = module.split_once("\npages! {").unwrap();
    let (list, others) = list.split_once('}').unwrap();
    for entry in fs::read_dir(guide).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(page) = name.strip_suffix(".md") else { continue };
        let is_listed = list.split_whitespace().any(|one| one == page);
        assert!(is_listed || others.contains(&format!("include_str!({name:?})")), "{page}");
    }
}

/// Otherwise `cargo test` would leave out its tests. `examples/cache` shows what a library needs, `examples/observers` needs
/// what no lock does, and `examples/web` is for another target: they are workspaces of their own.
#[test]
fn each_package_is_tested_with_the_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for folder in ["benches", "examples", "tests"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("\"{folder}/{}\"", entry.file_name().to_str().unwrap());
            let apart = ["\"examples/cache\"", "\"examples/observers\"", "\"examples/web\""]
                .contains(&name.as_str());
            if entry.path().join("Cargo.toml").exists() && !apart {
                assert_eq!(manifest.matches(&name).count(), 2, "member and default member: {name}");
            }
        }
    }
}
