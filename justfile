# Recipes for contributors. Each calls scripts of `ci`: `.ci/run --list` names all of them, with their times.

# Lists the recipes.
default:
    @just --list --unsorted

# Runs all suites, natively, on the default features (1 min).
test *args:
    cargo test {{args}}

# Formats all crates of the repository (1 s).
fmt:
    for crate in . no_std_example no_std_example/cost no_std_example/cost/two_cores no_std_example/two_cores fuzz model examples/cache examples/web; do (cd $crate && cargo fmt) || exit; done

# Checks the format, Clippy, and each combination of features (40 s).
lint:
    ci/format
    ci/clippy
    ci/features-build

# Builds the documentation, and fails if there is a warning or a dead link (20 s).
docs:
    ci/docs
    ci/docs-rs

# Runs the models under loom, the crowds under shuttle, and the model of more waiters (3 min).
models:
    ci/models
    ci/shuttle
    ci/model

# Checks that planted defects are found: those of KIND (models, crowds, firmware or design) that contain FILTER (1 to 6 min).
defects KIND="models" FILTER="":
    ci/defects-apply
    ci/defects-{{KIND}} {{quote(FILTER)}}

# Runs the suites in Miri (5 min).
miri:
    .ci/run miri

# Runs the firmware in QEMU, on three kinds of cores and on two cores, and checks its cost (5 min).
firmware:
    .ci/run firmware-

# Checks the suites with threads under the sanitizer for threads (2 min).
sanitize:
    ci/sanitize thread

# Runs the benchmarks (10 min; 3 min with --quick; see `benches/locks/locks.rs` for the arguments).
bench *args:
    cargo bench --bench locks -- {{args}}

# Lets a fuzzer choose the schedules (5 min).
fuzz *args:
    ci/fuzz {{args}}

# Runs all that a change must pass (30 min).
all *args:
    .ci/run {{args}}

# Runs all that takes too long for each change (5 h).
deep *args:
    .ci/deep {{args}}
