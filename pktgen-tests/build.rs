//! Compiles the programs of the generator and of the sink that run in the kernel.

use std::env;
use std::path::PathBuf;

use libbpf_cargo::SkeletonBuilder;

const SOURCES: [&str; 2] = ["drop", "live"];

/// As ebpf-redirect does, whose build script says more about what may be missing: it runs first.
fn main() {
    println!("cargo::rerun-if-env-changed=CLANG");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // `asm/types.h` lies in the directory of the host's architecture, which `-target bpf` does not search (Debian).
    let arguments = ["-Wall".to_owned(), "-Werror".to_owned(), format!("-I/usr/include/{machine}-linux-gnu")];
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for name in SOURCES {
        let source = format!("src/bpf/{name}.bpf.c");
        println!("cargo::rerun-if-changed={source}");
        let mut builder = SkeletonBuilder::new();
        builder.source(&source).obj(out.join(format!("{name}.bpf.o"))).clang(&clang).clang_args(&arguments);
        if let Err(why) = builder.build() {
            eprintln!("error: {source} does not compile: {why:?}");
            std::process::exit(1);
        }
    }
}
