//! Compiles the XDP program of `ze-perf compare`, and notes which revision the program was built from: a benchmark's
//! figures belong to one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use libbpf_cargo::SkeletonBuilder;

const SOURCE: &str = "src/bpf/xdp_fib.bpf.c";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    compile();
    note_revision();
}

/// As ebpf-redirect does, whose build script says more about what may be missing: it runs first.
fn compile() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CLANG");
    let object = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("xdp_fib.bpf.o");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // `asm/types.h` lies in the directory of the host's architecture, which `-target bpf` does not search (Debian).
    let arguments = ["-Wall".to_owned(), "-Werror".to_owned(), format!("-I/usr/include/{machine}-linux-gnu")];
    let mut builder = SkeletonBuilder::new();
    builder.source(SOURCE).obj(&object).clang(&clang).clang_args(arguments);
    if let Err(why) = builder.build() {
        eprintln!("error: {SOURCE} does not compile: {why:?}");
        std::process::exit(1);
    }
}

fn note_revision() {
    // The log of HEAD grows with every commit and checkout. Where it is, git knows: a worktree has its own.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    if let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) {
        println!("cargo::rustc-env=ZE_PERF_REVISION={revision}");
    }
}

/// What git answers; none if it is not there or fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
