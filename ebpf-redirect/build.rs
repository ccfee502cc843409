//! Compiles the XDP program with clang; the object file becomes part of this crate.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use libbpf_cargo::SkeletonBuilder;

const SOURCE: &str = "src/bpf/redirect.bpf.c";

fn main() {
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=CLANG");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    if let Err(why) = Command::new(&clang).arg("--version").output() {
        fail(&format!(
            "cannot run '{clang}' ({why}): clang compiles the XDP program. \
             Install it (Debian: apt install clang libelf-dev zlib1g-dev), or name it in CLANG"
        ));
    }
    let object = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("redirect.bpf.o");
    let mut builder = SkeletonBuilder::new();
    builder.source(SOURCE).obj(&object).clang(&clang).clang_args(clang_args());
    if let Err(why) = builder.build() {
        fail(&format!("{SOURCE} does not compile: {why:?}"));
    }
    let len_bytes = fs::metadata(&object).map(|file| file.len()).unwrap_or_default();
    if len_bytes == 0 {
        fail(&format!("{clang} made no object file of {SOURCE}"));
    }
}

/// `asm/types.h` lies in the directory of the host's architecture, which `-target bpf` does not search (Debian).
fn clang_args() -> Vec<String> {
    // v3: atomic operations that tell what was there.
    let mut args = vec!["-Wall".to_owned(), "-Werror".to_owned(), "-mcpu=v3".to_owned()];
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let multiarch = format!("/usr/include/{machine}-linux-gnu");
    if fs::exists(&multiarch).unwrap_or(false) {
        args.push(format!("-I{multiarch}"));
    }
    args
}

fn fail(why: &str) -> ! {
    eprintln!("error: {why}");
    std::process::exit(1);
}
