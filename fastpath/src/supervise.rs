//! The supervisor: a small process that restarts the daemon and keeps its descriptors meanwhile.
//!
//! It speaks systemd's protocol to its child (see [`fdstore`](crate::fdstore)) and knows nothing else. A child that
//! fails before it was ever ready is not restarted: its error is the user's to see.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use command_fds::{CommandFdExt, FdMapping};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// Set in the child, to the supervisor's process number.
pub const SUPERVISOR_ENV: &str = "ZE_SUPERVISOR";
/// The first restart is immediate; the pause doubles with each failure in a row, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// A child that ran this long has not failed "in a row".
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Descriptors kept at most: one for each port, and ports have a limit.
const STORE_MAX: usize = 1024;

/// Descriptors kept for the child, by name.
type Store = Vec<(String, OwnedFd)>;

struct Supervisor {
    socket: AsyncFd<UnixDatagram>,
    path: PathBuf,
    store: Store,
    ready: bool,
}

/// Runs the daemon as a child until it ends in good order or is told to end.
///
/// # Errors
/// When the child can not be started at all.
pub fn supervise(run_dir: &Path) -> Result<ExitCode> {
    // A name of its own, so that who kills "ze-fastpath" by name kills the daemon and sees it come back.
    let _ = nix::sys::prctl::set_name(c"ze-supervisor");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Supervisor::open(run_dir)?.run().await })
}

/// In the child: end when the supervisor does, so that nothing is left behind.
pub fn follow_supervisor() {
    let Some(parent) = std::env::var(SUPERVISOR_ENV).ok().and_then(|pid| pid.parse::<i32>().ok()) else {
        return;
    };
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM);
    if nix::unistd::getppid().as_raw() != parent {
        // It died before the line above took effect.
        std::process::exit(1);
    }
}

impl Supervisor {
    fn open(run_dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(run_dir).with_context(|| format!("cannot use {}", run_dir.display()))?;
        let path = run_dir.join(format!("notify-{}.sock", std::process::id()));
        let socket = UnixDatagram::bind(&path).with_context(|| format!("cannot make {}", path.display()))?;
        socket.set_nonblocking(true)?;
        #[expect(
            deprecated,
            reason = "its replacement is unsafe; what is watched is owned here and stays open"
        )]
        let socket = AsyncFd::new(socket)?;
        Ok(Self { socket, path, store: Vec::new(), ready: false })
    }

    async fn run(mut self) -> Result<ExitCode> {
        let mut signals = Signals::listen()?;
        let mut pause = Duration::ZERO;
        loop {
            let began = Instant::now();
            let mut child = self.start()?;
            let Some(status) = self.watch(&mut child, &mut signals).await? else {
                return Ok(ExitCode::SUCCESS);
            };
            if status.success() || !self.ready {
                return Ok(ExitCode::from(status.code().unwrap_or(1) as u8));
            }
            pause = next_pause(pause, began.elapsed());
            warn!(%status, restart_in_ms = pause.as_millis(), "ze-fastpath died; ports drop until it is back");
            if signals.ended_within(pause).await {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    fn start(&self) -> Result<Child> {
        // LISTEN_PID must be the child's own number, which only it knows: a shell states it and becomes the child.
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg("LISTEN_PID=$$ exec \"$0\" \"$@\"").arg(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).arg("--no-supervisor");
        command.env(SUPERVISOR_ENV, std::process::id().to_string());
        command.env("NOTIFY_SOCKET", &self.path);
        command.env("LISTEN_FDS", self.store.len().to_string());
        command.env("LISTEN_FDNAMES", names(&self.store));
        let map = |(at, (_, fd)): (usize, &(String, OwnedFd))| {
            Ok(FdMapping { parent_fd: fd.try_clone()?, child_fd: 3 + at as i32 })
        };
        let mappings = self.store.iter().enumerate().map(map).collect::<Result<Vec<_>>>()?;
        command.fd_mappings(mappings).context("cannot pass descriptors on")?;
        command.spawn().context("cannot start ze-fastpath")
    }

    /// Until the child ends (its status) or we are told to (none, and the child has ended).
    async fn watch(
        &mut self,
        child: &mut Child,
        signals: &mut Signals,
    ) -> Result<Option<std::process::ExitStatus>> {
        loop {
            tokio::select! {
                status = child.wait() => {
                    self.take_messages();
                    return Ok(Some(status?));
                }
                guard = self.socket.readable() => {
                    guard?.clear_ready();
                    self.take_messages();
                }
                number = signals.next() => {
                    forward(child, number);
                    if number != nix::libc::SIGHUP {
                        child.wait().await?;
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn take_messages(&mut self) {
        while let Ok((text, fds)) = receive(self.socket.get_ref()) {
            self.obey(&text, fds);
        }
    }

    fn obey(&mut self, text: &str, fds: Vec<OwnedFd>) {
        let name = text.lines().find_map(|l| l.strip_prefix("FDNAME=")).unwrap_or("stored").to_owned();
        if text.lines().any(|l| l == "READY=1") {
            if self.ready {
                info!("ze-fastpath is back");
            }
            self.ready = true;
        }
        if text.lines().any(|l| l == "FDSTOREREMOVE=1") {
            self.store.retain(|(stored, _)| *stored != name);
        }
        if text.lines().any(|l| l == "FDSTORE=1") {
            for fd in fds.into_iter().take(STORE_MAX - self.store.len().min(STORE_MAX)) {
                self.store.push((name.clone(), fd));
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => nix::libc::SIGTERM,
            _ = self.interrupt.recv() => nix::libc::SIGINT,
            _ = self.hangup.recv() => nix::libc::SIGHUP,
        }
    }

    async fn ended_within(&mut self, pause: Duration) -> bool {
        tokio::select! {
            number = self.next() => number != nix::libc::SIGHUP,
            () = tokio::time::sleep(pause) => false,
        }
    }
}

fn forward(child: &Child, number: i32) {
    let signal = nix::sys::signal::Signal::try_from(number);
    if let (Some(pid), Ok(signal)) = (child.id(), signal) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), signal);
    }
}

fn names(store: &Store) -> String {
    store.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(":")
}

fn next_pause(last: Duration, ran: Duration) -> Duration {
    if ran >= STABLE_AFTER {
        return Duration::ZERO;
    }
    if last.is_zero() { PAUSE_MIN.min(ran) } else { (last * 2).min(PAUSE_MAX) }
}

fn receive(socket: &UnixDatagram) -> std::io::Result<(String, Vec<OwnedFd>)> {
    let mut bytes = [0; 4096];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg(socket.as_fd(), &mut buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let fds = ancillary
        .drain()
        .filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((String::from_utf8_lossy(&bytes[..message.bytes]).into_owned(), fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn descriptors_are_stored_replaced_and_removed_by_name() {
        let dir = std::env::temp_dir().join(format!("ze-supervise-{}", std::process::id()));
        let mut supervisor = Supervisor::open(&dir).unwrap();
        let fd = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        supervisor.obey("FDSTORE=1\nFDNAME=xdp-lan", vec![fd()]);
        supervisor.obey("FDSTORE=1\nFDNAME=xdp-wan", vec![fd()]);
        assert_eq!(names(&supervisor.store), "xdp-lan:xdp-wan");
        supervisor.obey("FDSTOREREMOVE=1\nFDNAME=xdp-lan", vec![]);
        assert_eq!(names(&supervisor.store), "xdp-wan");
        assert!(!supervisor.ready);
        supervisor.obey("READY=1", vec![]);
        assert!(supervisor.ready);
        drop(supervisor);
        // The socket went with it.
        std::fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn pauses_grow_with_failures_in_a_row_and_start_again_after_a_stable_run() {
        let soon = Duration::from_millis(300);
        let first = next_pause(Duration::ZERO, soon);
        assert_eq!(first, PAUSE_MIN);
        assert_eq!(next_pause(first, soon), PAUSE_MIN * 2);
        assert_eq!(next_pause(PAUSE_MAX, soon), PAUSE_MAX);
        assert_eq!(next_pause(PAUSE_MAX, STABLE_AFTER), Duration::ZERO);
    }
}
