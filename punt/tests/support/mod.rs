//! A lab for representors: a network namespace for the "daemon", uniquely named punt namespaces, and a guard that
//! leaves nothing behind.
#![allow(unreachable_pub, reason = "a module of one test binary")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// What a test may use.
pub struct Lab {
    /// The base name of this test's punt namespaces: nobody else's begins so.
    pub base: String,
}

/// Runs a test in a thread whose network namespace is its own. Skips visibly without root, fails so in CI.
pub fn lab(test: impl AsyncFnOnce(&Lab) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must run these tests as root");
        // Past the capture of test output, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: needs root");
        return;
    }
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let base = format!("ze-punt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let guard = Guard { base: base.clone() };
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(&Lab { base }));
    });
    let result = thread.join();
    drop(guard);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Removes the test's named namespaces, whatever happened. Their devices go with them.
struct Guard {
    base: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        for name in namespaces(&self.base) {
            let path = format!("/run/netns/{name}");
            let _ = umount2(path.as_str(), MntFlags::MNT_DETACH);
            let _ = fs::remove_file(path);
        }
    }
}

/// The named namespaces that begin like this.
pub fn namespaces(base: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(base)).collect();
    names.sort();
    names
}

/// Runs `work` inside a named namespace.
pub fn inside<T: Send + 'static>(netns: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file = File::open(format!("/run/netns/{netns}")).unwrap();
    let thread = std::thread::spawn(move || {
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a command in the calling thread's namespace and returns what it printed.
pub fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// As [`run`], read as JSON.
pub fn json(command: &str) -> serde_json::Value {
    serde_json::from_str(&run(command)).unwrap()
}

/// A file under `/proc/sys/net`, as a namespace sees it.
pub fn sysctl(netns: &str, key: &str) -> String {
    let path = format!("/proc/sys/net/{key}");
    inside(netns, move || {
        let mut text = String::new();
        File::open(path).unwrap().read_to_string(&mut text).unwrap();
        text.trim().to_owned()
    })
}

/// A device of the calling thread's namespace, seen frame by frame.
pub struct RawPort {
    socket: OwnedFd,
}

impl RawPort {
    pub fn open(device: &str) -> Self {
        let protocol = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
        let own = |address: &nix::ifaddrs::InterfaceAddress| {
            let link = *address.address.as_ref()?.as_link_addr()?;
            (address.interface_name == device).then_some(link)
        };
        let address = getifaddrs().unwrap().find_map(|address| own(&address)).unwrap();
        bind(socket.as_raw_fd(), &address).unwrap();
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50)).unwrap();
        // May fail for want of privilege; then a slow machine loses frames, and TCP repeats them.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &(8 << 20));
        Self { socket }
    }

    /// The next frame, if one comes within 50 ms.
    pub fn take(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 70_000];
        match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(len) => {
                buffer.truncate(len);
                Some(buffer)
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => None,
            Err(errno) => panic!("recv: {errno}"),
        }
    }

    /// The next frame that is wanted, within 3 s. All frames on the way are kept in `seen`.
    pub fn find(&self, seen: &mut Vec<Vec<u8>>, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            let Some(frame) = self.take() else { continue };
            seen.push(frame.clone());
            if wanted(&frame) {
                return frame;
            }
        }
        panic!("no such frame among {}", seen.len());
    }

    pub fn send(&self, frame: &[u8]) -> Result<usize, Errno> {
        send(self.socket.as_raw_fd(), frame, MsgFlags::empty())
    }
}
