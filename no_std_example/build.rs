//! The memory map of the image's machine, and the arguments of the linker. They are not in
//! `.cargo/config.toml`, where a `RUSTFLAGS` variable would replace them.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let memory = match env::var("TARGET").unwrap().as_str() {
        "thumbv7m-none-eabi" => {
            "MEMORY { FLASH : ORIGIN = 0, LENGTH = 256K  RAM : ORIGIN = 0x20000000, LENGTH = 64K }"
        }
        "thumbv6m-none-eabi" => {
            "MEMORY { FLASH : ORIGIN = 0, LENGTH = 256K  RAM : ORIGIN = 0x20000000, LENGTH = 16K }"
        }
        "riscv32imac-unknown-none-elf" | "riscv32imc-unknown-none-elf" => {
            println!("cargo:rustc-link-arg=-Tmemory.x");
            "MEMORY { RAM : ORIGIN = 0x80000000, LENGTH = 1M }
            REGION_ALIAS(\"REGION_TEXT\", RAM); REGION_ALIAS(\"REGION_RODATA\", RAM);
            REGION_ALIAS(\"REGION_DATA\", RAM); REGION_ALIAS(\"REGION_BSS\", RAM);
            REGION_ALIAS(\"REGION_HEAP\", RAM); REGION_ALIAS(\"REGION_STACK\", RAM);"
        }
        target => panic!("there is no machine for {target}"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::write(out.join("memory.x"), memory).unwrap();
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=--nmagic");
    println!("cargo:rustc-link-arg=-Tlink.x");
    // The strings of the log, which stay on the host.
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo:rustc-link-arg=-Tdefmt.x");
    }
}
