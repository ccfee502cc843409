//! l3fwd is packaged as source only: it is built once, and kept in the user's cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use super::on_path;

/// Names a program that is there already.
const PROGRAM_ENV: &str = "ZE_PERF_L3FWD";
const EXAMPLES: &str = "/usr/share/dpdk/examples";
/// Files that include others, as its own Makefile lists them.
const SOURCES: [&str; 8] = [
    "main.c",
    "l3fwd_acl.c",
    "l3fwd_em.c",
    "l3fwd_event.c",
    "l3fwd_event_generic.c",
    "l3fwd_event_internal_port.c",
    "l3fwd_fib.c",
    "l3fwd_lpm.c",
];
/// What is changed: tables as large as ours, and no checksum offload, which refuses devices without. File, text, new text.
const CHANGES: [(&str, &str, &str); 3] = [
    ("main.c", ".offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM,", ".offloads = 0,"),
    ("l3fwd_lpm.c", "IPV4_L3FWD_LPM_MAX_RULES         1024", "IPV4_L3FWD_LPM_MAX_RULES (1 << 17)"),
    ("l3fwd_lpm.c", "IPV4_L3FWD_LPM_NUMBER_TBL8S (1 << 8)", "IPV4_L3FWD_LPM_NUMBER_TBL8S (1 << 16)"),
];

/// Where l3fwd is, built if need be.
///
/// # Errors
/// A sentence that says what is missing, or why it can not be built.
pub(crate) fn l3fwd_program() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(PROGRAM_ENV).map(PathBuf::from) {
        return if named.is_file() {
            Ok(named)
        } else {
            Err(format!("{PROGRAM_ENV} names no file: {}", named.display()))
        };
    }
    if let Some(program) = on_path("dpdk-l3fwd") {
        return Ok(program);
    }
    let source = Path::new(EXAMPLES).join("l3fwd");
    if !source.join("main.c").is_file() || on_path("pkg-config").is_none() || on_path("cc").is_none() {
        return Err(String::from(
            "there is no dpdk-l3fwd, and no source of it with a compiler (Debian: apt install libdpdk-dev pkg-config gcc)",
        ));
    }
    build(&source).map_err(|why| format!("l3fwd could not be built: {why:#}"))
}

fn build(source: &Path) -> Result<PathBuf> {
    let version = output(Command::new("pkg-config").args(["--modversion", "libdpdk"]))?;
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .unwrap_or_else(env::temp_dir);
    let folder = cache.join("ze-perf");
    let program = folder.join(format!("dpdk-l3fwd-{}", version.trim()));
    if program.is_file() {
        return Ok(program);
    }
    // Another process may be building the same: each has its own place, the last rename stays.
    let work = folder.join(format!("l3fwd-{}", std::process::id()));
    fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    let built = build_in(&work, source);
    let result = built.and_then(|built| Ok(fs::rename(built, &program)?));
    fs::remove_dir_all(&work)?;
    result.map(|()| program)
}

fn build_in(work: &Path, source: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(source).with_context(|| source.display().to_string())? {
        let path = entry?.path();
        if path.is_file() {
            fs::copy(&path, work.join(path.file_name().unwrap_or_default()))?;
        }
    }
    for (file, text, new) in CHANGES {
        let path = work.join(file);
        let before = fs::read_to_string(&path)?;
        ensure!(before.contains(text), "{file} of this version has no '{text}'");
        fs::write(&path, before.replace(text, new))?;
    }
    let flags = |which: &str| -> Result<Vec<String>> {
        let text = output(Command::new("pkg-config").args([which, "libdpdk"]))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let mut compile = Command::new("cc");
    compile.current_dir(work).args(["-O3", "-march=native", "-w", "-DALLOW_EXPERIMENTAL_API"]);
    compile.args(["-I.".to_owned(), format!("-I{EXAMPLES}/common")]);
    compile.args(flags("--cflags")?).args(SOURCES).args(["-o", "l3fwd"]).args(flags("--libs")?);
    output(&mut compile)?;
    Ok(work.join("l3fwd"))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().find(|line| line.contains("error")).or(said.lines().next()).unwrap_or_default();
    ensure!(output.status.success(), "{why}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
