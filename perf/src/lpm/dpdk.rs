//! DPDK's tables, in a C program that is built with the machine's own DPDK when it is measured: `perf/peers/dpdk.c`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::engine::{Built, Engine, UPDATES_MAX, UPDATES_TIME, Updates};
use super::table::{Addresses, CHUNK, Net, Table};
use crate::pipeline::routes::Family;

const PROGRAM: &str = include_str!("../../peers/dpdk.c");
/// Where it and DPDK write what is no answer.
const LOG: &str = "log";
/// Bits that DPDK's tables index directly; then come tables of eight bits.
const FIRST_BITS: u8 = 24;
const STEP_BITS: u8 = 8;
/// Tables more than the routes need.
const SPARE_TABLES: usize = 256;

/// The program, running; it ends when its standard input closes.
struct Program {
    folder: TempDir,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// One of DPDK's engines.
pub(super) struct Dpdk {
    name: &'static str,
    build_limit_s: u32,
    program: Arc<Mutex<Program>>,
}

/// The engines of a family.
pub(super) fn names(family: Family) -> [&'static str; 3] {
    match family {
        Family::V4 => ["rte_fib", "rte_fib_scalar", "rte_lpm"],
        Family::V6 => ["rte_fib6", "rte_fib6_scalar", "rte_lpm6"],
    }
}

impl Dpdk {
    /// Builds the program, starts it, and gives it the routes and addresses. An engine gives up when building its table
    /// takes longer than `build_limit_s`.
    ///
    /// # Errors
    /// When DPDK is not there, or the program does not start: why it is not measured.
    pub(super) fn start<F: Net>(table: &Table<F>, build_limit_s: u32) -> Result<Vec<Self>> {
        let folder = tempfile::Builder::new().prefix("ze-perf-lpm-").tempdir()?;
        compile(&folder)?;
        write_table(&folder, table)?;
        let program = Arc::new(Mutex::new(Program::start::<F>(folder, table)?));
        let engine = |name| Self { name, build_limit_s, program: Arc::clone(&program) };
        Ok(names(F::FAMILY).map(engine).into())
    }

    fn ask(&self, request: &str) -> Result<String> {
        let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        program.ask(request).with_context(|| format!("DPDK, asked '{request}'"))
    }
}

fn compile(folder: &TempDir) -> Result<()> {
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", "libdpdk"]).output();
    let flags = flags.context("pkg-config is not installed")?;
    if !flags.status.success() {
        bail!("DPDK's development package is not installed (Debian: dpdk-dev)");
    }
    let source = folder.path().join("dpdk.c");
    fs::write(&source, PROGRAM)?;
    let compiled = Command::new("cc")
        .args(["-O3", "-march=native", "-o"])
        .args([folder.path().join("dpdk"), source])
        .args(String::from_utf8_lossy(&flags.stdout).split_ascii_whitespace())
        .output()
        .context("no C compiler is installed")?;
    if !compiled.status.success() {
        let text = String::from_utf8_lossy(&compiled.stderr);
        bail!("the program does not compile with this DPDK: {}", text.lines().next().unwrap_or_default());
    }
    Ok(())
}

/// The files that the program reads.
fn write_table<F: Net>(folder: &TempDir, table: &Table<F>) -> Result<()> {
    let mut bytes = Vec::with_capacity(table.routes.len() * 24);
    for (prefix, value) in &table.routes {
        match F::to_ip(prefix.addr()) {
            std::net::IpAddr::V4(addr) => {
                bytes.extend(addr.octets());
                bytes.extend([0; 12]);
            }
            std::net::IpAddr::V6(addr) => bytes.extend(addr.octets()),
        }
        bytes.extend(value.get().to_ne_bytes());
        bytes.extend(u32::from(prefix.len()).to_ne_bytes());
    }
    fs::write(folder.path().join("routes"), bytes)?;
    for addresses in &table.traces {
        let mut bytes = Vec::new();
        addresses.all.iter().for_each(|&addr| F::write(addr, &mut bytes));
        fs::write(folder.path().join(addresses.trace.name()), bytes)?;
    }
    Ok(())
}

/// How many tables of eight bits the routes need, behind the first.
fn tables<F: Net>(table: &Table<F>) -> usize {
    let mut count = SPARE_TABLES;
    for bits in (FIRST_BITS..F::BITS).step_by(STEP_BITS.into()) {
        let longer = table.routes.iter().filter(|(prefix, _)| prefix.len() > bits);
        // Routes are sorted by address, so those that share a table are neighbours.
        let mut starts: Vec<_> = longer.map(|(prefix, _)| F::truncate(prefix.addr(), bits)).collect();
        starts.dedup();
        count += starts.len();
    }
    count
}

impl Program {
    fn start<F: Net>(folder: TempDir, table: &Table<F>) -> Result<Self> {
        let family = if F::FAMILY == Family::V4 { "4" } else { "6" };
        let mut child = Command::new(folder.path().join("dpdk"))
            .arg(folder.path())
            .args([family, &CHUNK.to_string(), &tables(table).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join(LOG))?)
            .spawn()
            .context("the program does not start")?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("no pipe")?);
        let mut program = Self { folder, child, input, output: BufReader::new(output) };
        match program.answer() {
            Ok(greeting) if greeting == "ready" => Ok(program),
            _ => {
                let log = fs::read_to_string(program.folder.path().join(LOG)).unwrap_or_default();
                bail!("DPDK does not start: {}", log.lines().next().unwrap_or("it says nothing"))
            }
        }
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        writeln!(self.input.as_mut().context("the program has ended")?, "{request}")?;
        let answer = self.answer()?;
        match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("ok", rest) => Ok(rest.to_owned()),
            (_, reason) => bail!("{reason}"),
        }
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the program has ended");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input = None; // it reads the end of its input, and leaves
        let _ = self.child.wait();
    }
}

impl<F: Net> Engine<F> for Dpdk {
    fn name(&self) -> &str {
        self.name
    }

    fn build(&mut self, _table: &Table<F>) -> Result<Built> {
        let answer = self.ask(&format!("build {} {}", self.name, self.build_limit_s))?;
        let (seconds, bytes) = answer.split_once(' ').context("no size")?;
        Ok(Built { seconds: seconds.parse()?, bytes: bytes.parse()? })
    }

    fn rates(&mut self, addresses: &Addresses<F>, batch: usize) -> Result<Vec<f64>> {
        let answer = self.ask(&format!("lookup {} {} {batch}", self.name, addresses.trace.name()))?;
        Ok(answer.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    }

    fn answers(&mut self, addresses: &Addresses<F>) -> Result<Vec<u32>> {
        self.ask(&format!("answers {} {}", self.name, addresses.trace.name()))?;
        let program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = fs::read(program.folder.path().join("answers"))?;
        let (words, _) = bytes.as_chunks();
        Ok(words.iter().map(|&word| u32::from_ne_bytes(word)).collect())
    }

    fn updates(&mut self, _table: &Table<F>, _batch: usize) -> Result<Updates> {
        let request = format!("update {} {} {}", self.name, UPDATES_MAX / 4, UPDATES_TIME.as_secs_f64());
        let millions: f64 = self.ask(&request)?.parse()?;
        Ok(Updates { per_second: millions * 1e6, readers_lose: None })
    }
}
