//! A private network for one test: a namespace without a name, which vanishes with the thread that made it, whatever
//! becomes of the process.

#![expect(unsafe_code, reason = "packet sockets, and programs that are not ours, by their system calls")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::ffi::{CStr, c_int};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// The longest that anything here is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a test in a network (and mount) namespace of its own. Without the rights for it the test is skipped, visibly,
/// or fails where everything must run (`CI=true`).
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "this test needs root");
        eprintln!("SKIPPED: this test needs root");
        return;
    }
    let inside = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("a namespace");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
        test();
    };
    if let Err(panic) = std::thread::spawn(inside).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a command of iproute2 or the like in the thread's namespace.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().expect("a command")).args(words).output().expect(line);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A veth pair, both ends here and up, quiet: no addresses, so no neighbour discovery.
pub(crate) fn veth(a: &str, b: &str, queues: u32) {
    let counts = format!("numtxqueues {queues} numrxqueues {queues}");
    run(&format!("ip link add name {a} {counts} type veth peer name {b} {counts}"));
    for device in [a, b] {
        run(&format!("ip link set dev {device} addrgenmode none"));
        run(&format!("ip link set dev {device} up"));
    }
}

/// The index of a device.
pub(crate) fn ifindex(device: &str) -> u32 {
    nix::net::if_::if_nametoindex(device).expect(device)
}

/// The address of a device.
pub(crate) fn mac(device: &str) -> [u8; 6] {
    let line = run(&format!("ip -o link show dev {device}"));
    let text = line.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    let mut octets = text.split(':').map(|octet| u8::from_str_radix(octet, 16).expect("an octet"));
    std::array::from_fn(|_| octets.next().expect("six octets"))
}

/// Waits until `ready`, or fails.
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A frame: addresses, what follows them, padded to `len_bytes`.
pub(crate) fn frame(destination: [u8; 6], rest: &[u8], len_bytes: usize) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend_from_slice(&[0x02, 0, 0, 0, 0xff, 1]);
    frame.extend_from_slice(rest);
    while frame.len() < len_bytes {
        frame.push(frame.len() as u8);
    }
    frame
}

/// A device seen as the kernel's own programs see it: a packet socket.
pub(crate) struct RawPort {
    socket: OwnedFd,
}

impl RawPort {
    /// Opens a device for sending and receiving everything but what this host sends.
    pub(crate) fn open(device: &str) -> Self {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: makes a descriptor.
        let socket =
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol.into()) };
        let socket = owned(socket);
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol,
            sll_ifindex: ifindex(device).cast_signed(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let len_bytes = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `address` is that long, and outlives the call.
        check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len_bytes) });
        let port = Self { socket };
        port.option(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
        // A frame that came in a page counts as that page.
        port.option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20);
        port
    }

    fn option(&self, level: c_int, name: c_int, value: c_int) {
        let len_bytes = size_of::<c_int>() as libc::socklen_t;
        let value = (&raw const value).cast();
        // SAFETY: `value` is an integer, and outlives the call.
        check(unsafe { libc::setsockopt(self.socket.as_raw_fd(), level, name, value, len_bytes) });
    }

    /// Sends a frame. False when the device's queue is full.
    pub(crate) fn send(&self, frame: &[u8]) -> bool {
        // SAFETY: the buffer is that long, and outlives the call.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            let why = io::Error::last_os_error();
            assert_eq!(why.raw_os_error(), Some(libc::ENOBUFS), "{why}");
        }
        sent == frame.len() as isize
    }

    /// The next frame that has come, if there is one.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 4096];
        let (fd, flags) = (self.socket.as_raw_fd(), libc::MSG_DONTWAIT);
        // SAFETY: the buffer is that long, and outlives the call.
        let len_bytes = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        buffer.truncate(usize::try_from(len_bytes).ok()?);
        Some(buffer)
    }

    /// The next frame that `wanted` accepts.
    pub(crate) fn await_frame(&self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut found = None;
        wait_until(what, || {
            found = self.receive().filter(|frame| wanted(frame));
            found.is_some()
        });
        found.expect("waited for")
    }
}

/// A program of somebody else: lets every frame pass.
pub(crate) fn foreign_program(name: &CStr) -> OwnedFd {
    let instructions = [
        // r0 = XDP_PASS; exit
        libbpf_sys::bpf_insn { code: 0xb7, imm: 2, ..Default::default() },
        libbpf_sys::bpf_insn { code: 0x95, ..Default::default() },
    ];
    let license = c"Dual MIT/GPL";
    // SAFETY: names end with a zero, the instructions are two, null options mean the defaults.
    let fd = unsafe {
        libbpf_sys::bpf_prog_load(
            libbpf_sys::BPF_PROG_TYPE_XDP,
            name.as_ptr(),
            license.as_ptr(),
            instructions.as_ptr(),
            instructions.len() as libbpf_sys::size_t,
            std::ptr::null_mut(),
        )
    };
    owned(fd)
}

/// Attaches a program by netlink: it stays when its maker goes.
pub(crate) fn attach_by_netlink(program: &impl AsRawFd, device: &str, flags: u32) {
    let index = ifindex(device).cast_signed();
    // SAFETY: null options mean the defaults.
    let done = unsafe { libbpf_sys::bpf_xdp_attach(index, program.as_raw_fd(), flags, std::ptr::null()) };
    assert_eq!(done, 0, "{}", io::Error::from_raw_os_error(-done));
}

/// Pins a BPF object in a file system of BPF objects.
pub(crate) fn pin(object: &impl AsRawFd, path: &CStr) {
    // SAFETY: the path ends with a zero.
    let done = unsafe { libbpf_sys::bpf_obj_pin(object.as_raw_fd(), path.as_ptr()) };
    assert_eq!(done, 0, "{}", io::Error::from_raw_os_error(-done));
}

/// Makes a device without Ethernet headers; what is written to the file comes in by it.
pub(crate) fn tun(name: &str) -> File {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
    // SAFETY: integers, and a union of integers and a pointer that may be null.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, octet) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = octet.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    // SAFETY: the kernel reads the request, and writes the name into it.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) });
    file
}

fn check(result: c_int) {
    assert!(result >= 0, "{}", io::Error::last_os_error());
}

fn owned(fd: c_int) -> OwnedFd {
    assert!(fd >= 0, "{} ({fd})", io::Error::last_os_error());
    // SAFETY: the call has just made this descriptor for us; nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
