//! The memory map of the machine, and the arguments of the linker.

use std::path::PathBuf;
use std::{env, fs};

const MEMORY: &str = r#"
MEMORY { RAM : ORIGIN = 0x80000000, LENGTH = 1M }
REGION_ALIAS("REGION_TEXT", RAM); REGION_ALIAS("REGION_RODATA", RAM);
REGION_ALIAS("REGION_DATA", RAM); REGION_ALIAS("REGION_BSS", RAM);
REGION_ALIAS("REGION_HEAP", RAM); REGION_ALIAS("REGION_STACK", RAM);
_max_hart_id = 2;
_hart_stack_size = 32K;
"#;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::write(out.join("memory.x"), MEMORY).unwrap();
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=--nmagic");
    println!("cargo:rustc-link-arg=-Tmemory.x");
    println!("cargo:rustc-link-arg=-Tlink.x");
}
