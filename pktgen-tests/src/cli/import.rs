//! `ze-pktgen import`: makes a scenario of two captures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::scenario::router::Router;
use crate::scenario::write::{Draft, Line};
use crate::scenario::{Place, file};
use crate::traffic::Capture;

/// Frames of one capture; a scenario of more is nobody's to read.
const FRAMES_MAX: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What went into the router: pcap or pcapng.
    sent: PathBuf,
    /// What came out of it; nothing, if it is left out.
    came: Option<PathBuf>,
    /// The router's file.
    #[arg(long, value_name = "FILE")]
    router: PathBuf,
    /// The port that the first capture was taken at; the router's first if it has two.
    #[arg(long = "in", value_name = "PORT")]
    from: Option<String>,
    /// The port that the second capture was taken at; the router's second if it has two.
    #[arg(long = "out", value_name = "PORT")]
    to: Option<String>,
    /// The scenario's name.
    #[arg(long, default_value = "what was captured comes again")]
    name: String,
    /// Write it here.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Writes the scenario, and reads it again.
pub(super) fn run(args: &Args) -> Result<bool> {
    let router = Router::read(&args.router)?;
    let ports: Vec<&String> = router.ports.keys().collect();
    let names = router.ports.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let port = |named: &Option<String>, at: usize, option: &str| match (named, &ports[..]) {
        (Some(port), ports) if ports.contains(&port) => Ok(Place::Wire(port.clone())),
        (Some(port), _) => Err(anyhow!("the router has no port '{port}'; there are: {names}")),
        (None, [a, b]) => Ok(Place::Wire([a, b][at].to_string())),
        (None, ports) => Err(anyhow!("the router has {} ports: say which with {option}", ports.len())),
    };
    let (from, to) = (port(&args.from, 0, "--in")?, port(&args.to, 1, "--out")?);
    let sent = frames(&args.sent)?;
    let came = args.came.as_deref().map(frames).transpose()?.unwrap_or_default();
    let (sent_count, came_count) = (sent.len(), came.len());
    let out_of = args.came.as_ref().map_or_else(|| "nothing".to_owned(), |path| path.display().to_string());
    let about = format!("Imported - {} went in, {out_of} came out.", args.sent.display());
    // The clocks of two captures need not be the same: first everything goes in.
    let sent = sent.into_iter().map(|frame| Line::Send(from.clone(), frame));
    let came = came.into_iter().map(|frame| Line::Expect(to.clone(), frame));
    let lines: Vec<_> = sent.chain(came).collect();
    let router = std::path::absolute(&args.router)?;
    let router = beside(&router, &std::path::absolute(&args.output)?);
    let draft = Draft { about: &about, router: &router, name: &args.name, law_only: false, lines: &lines };
    std::fs::write(&args.output, draft.text()).with_context(|| format!("write {}", args.output.display()))?;
    file::read(&args.output)?;
    let file = args.output.display();
    say!("{file}: {sent_count} frames into {from}, {came_count} out of {to}.");
    say!("What is dropped by design still wants naming under `drops`: ze-pktgen run {file}");
    Ok(true)
}

/// The frames of a capture, all of them and whole.
fn frames(path: &Path) -> Result<Vec<Vec<u8>>> {
    let capture = Capture::read(path)?;
    if capture.left_out > 0 {
        bail!("{}: {} frames are not whole, or longer than a port takes", path.display(), capture.left_out);
    }
    if capture.frames.len() > FRAMES_MAX {
        bail!("{}: {} frames; a scenario has {FRAMES_MAX} at most", path.display(), capture.frames.len());
    }
    Ok(capture.frames.into_iter().map(|(_, frame)| frame).collect())
}

/// A file as it is seen from another that is to stand beside it or above it; whole if it is elsewhere.
pub(super) fn beside(file: &Path, from: &Path) -> PathBuf {
    let directory = from.parent().unwrap_or(Path::new(""));
    file.strip_prefix(directory).map_or_else(|_| file.to_owned(), Path::to_owned)
}
