//! `ze show version`.

use std::time::Duration;

use serde::Serialize;
use ze_proto::v1::Info;
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::text::clean;

/// This command and the daemon.
#[derive(Debug, Serialize)]
struct Version<'a> {
    ze: &'static str,
    fastpath: &'a str,
    instance: u64,
    pid: u32,
    uptime_ms: u64,
    tsc_hz: u64,
    umem_pages: &'a str,
    umem_frames: u32,
    umem_bytes: u64,
    idle_mode: &'a str,
    worker_cores: &'a [u32],
    punt_namespace: &'a str,
    warnings: &'a [String],
}

/// Versions, and how the daemon runs.
pub(super) fn page(info: &Info, paint: Paint) -> Result<Page, Error> {
    let version = Version {
        ze: env!("CARGO_PKG_VERSION"),
        fastpath: &info.version,
        instance: info.instance,
        pid: info.pid,
        uptime_ms: info.uptime_ms,
        tsc_hz: info.tsc_hz,
        umem_pages: &info.umem_pages,
        umem_frames: info.umem_frames,
        umem_bytes: info.umem_bytes,
        idle_mode: &info.idle_mode,
        worker_cores: &info.worker_cores,
        punt_namespace: &info.punt_namespace,
        warnings: &info.warnings,
    };
    Page::new(&version, text(&version, paint))
}

fn text(version: &Version<'_>, paint: Paint) -> String {
    let cores: Vec<_> = version.worker_cores.iter().map(u32::to_string).collect();
    let lines = [
        ("ze", version.ze.to_owned()),
        ("ze-fastpath", clean(version.fastpath).into_owned()),
        (
            "running for",
            format!("{}, process {}", units::duration(Duration::from_millis(version.uptime_ms)), version.pid),
        ),
        ("workers", format!("{}, idle mode {}", on_cores(&cores), clean(version.idle_mode))),
        (
            "packet memory",
            format!(
                "{} frames, {}, {}",
                units::count(version.umem_frames.into()),
                units::bytes(version.umem_bytes),
                clean(version.umem_pages)
            ),
        ),
        ("clock", format!("{:.3} GHz TSC", version.tsc_hz as f64 / 1e9)),
        ("punt namespace", clean(version.punt_namespace).into_owned()),
    ];
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect();
    for warning in version.warnings {
        text += &paint.paint(Style::Warning, &format!("warning         {}", clean(warning)));
        text.push('\n');
    }
    text
}

fn on_cores(cores: &[String]) -> String {
    match cores {
        [] => "none".to_owned(),
        [core] => format!("1 on core {core}"),
        cores => format!("{} on cores {}", cores.len(), cores.join(", ")),
    }
}
