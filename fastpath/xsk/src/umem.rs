//! One arena for all ports: how sockets come to share it.
//!
//! The memory is registered by the first socket that is bound, and later sockets name *any bound* socket of the same
//! registration. The mode (copy, zero copy) is a property of a registration: `xp_assign_dev_shared` in the kernel
//! forces each later bind into the mode of the first. So there are up to two registrations of the same memory, one
//! for each mode, and frames travel between the ports of both. See ADR 0002.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use ze_graph::{Arena, CHUNK_BYTES, Frame};

use crate::error::{Step, Why};
use crate::mapping::{RingSizes, Rings};
use crate::ring::Producer;
use crate::socket::Socket;

/// How long the kernel may take to let go of a queue whose socket was just closed. Measured: 10 to 30 ms.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// The arena, and which sockets are bound with it. One for the process; on the control side.
#[derive(Debug)]
pub struct Umem {
    arena: Arc<Arena>,
    bound: Mutex<Registrations>,
}

/// Sockets by the registration they belong to.
#[derive(Debug, Default)]
struct Registrations {
    zero_copy: Vec<Member>,
    copy: Vec<Member>,
}

/// A socket that was bound, and may be gone.
#[derive(Debug)]
struct Member {
    ifindex: u32,
    queue: u32,
    socket: Weak<Socket>,
}

/// What to bind.
pub(crate) struct Request<'a> {
    pub(crate) ifindex: u32,
    pub(crate) queue: u32,
    pub(crate) zero_copy: bool,
    pub(crate) sizes: RingSizes,
    /// Frames for the fill ring. They stay the caller's until the bind has succeeded.
    pub(crate) fill: &'a [Frame],
}

/// A socket that is bound, with its rings.
pub(crate) struct Bound {
    pub(crate) rings: Rings,
    pub(crate) socket: Arc<Socket>,
}

impl Umem {
    /// An arena that no socket uses yet.
    pub fn new(arena: Arc<Arena>) -> Self {
        Self { arena, bound: Mutex::default() }
    }

    /// The arena.
    pub const fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Binds a new socket. Retries while the kernel has not let go of an earlier socket on the queue: with all rings
    /// unmapped between the tries, for a mapped ring keeps its socket alive.
    pub(crate) fn bind(&self, request: &Request<'_>) -> Result<Bound, Why> {
        let mut registrations = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let members = registrations.of_mode(request.zero_copy);
        let deadline = Instant::now() + BUSY_TIMEOUT;
        loop {
            members.retain(|member| member.socket.strong_count() > 0);
            // Not a socket of the same queue: sharing with that means sharing its rings, which is another thing.
            let mut others = members.iter().filter(|member| !member.is_at(request));
            let with = others.find_map(|member| member.socket.upgrade());
            match self.attempt(request, with.as_deref()) {
                Ok(bound) => {
                    let socket = Arc::downgrade(&bound.socket);
                    members.push(Member { ifindex: request.ifindex, queue: request.queue, socket });
                    return Ok(bound);
                }
                // Its device has gone, and the kernel has unbound it: the next one, or a registration of our own.
                Err(why) if with.is_some() && why.errno() == Errno::BADF => {
                    let gone = with.as_ref().map(Arc::downgrade);
                    members.retain(|member| gone.as_ref().is_none_or(|gone| !gone.ptr_eq(&member.socket)));
                }
                Err(why) if why.errno() == Errno::BUSY && Instant::now() < deadline => {
                    std::thread::sleep(BUSY_PAUSE);
                }
                Err(why) => return Err(why),
            }
        }
    }

    fn attempt(&self, request: &Request<'_>, with: Option<&Socket>) -> Result<Bound, Why> {
        let socket = Socket::new().map_err(|errno| Why::new(Step::Socket, errno))?;
        if with.is_none() {
            socket.register(&self.arena).map_err(|errno| Why::new(Step::Register, errno))?;
        }
        let mut rings = socket.rings(request.sizes).map_err(|errno| Why::new(Step::Rings, errno))?;
        // Before the bind: zero-copy drivers take their first frames out of it there, and some never recover from
        // finding it empty.
        prime(&mut rings.fill, request.fill);
        match with {
            None => socket
                .bind_own(request.ifindex, request.queue, request.zero_copy)
                .map_err(|errno| Why::new(Step::Bind, errno))?,
            Some(with) => socket
                .bind_shared(request.ifindex, request.queue, with)
                .map_err(|errno| Why::new(Step::BindShared, errno))?,
        }
        let zero_copy = socket.is_zero_copy().map_err(|errno| Why::new(Step::Options, errno))?;
        if zero_copy != request.zero_copy {
            return Err(Why::new(Step::Options, Errno::OPNOTSUPP));
        }
        Ok(Bound { rings, socket: Arc::new(socket) })
    }
}

impl Registrations {
    fn of_mode(&mut self, zero_copy: bool) -> &mut Vec<Member> {
        if zero_copy { &mut self.zero_copy } else { &mut self.copy }
    }
}

impl Member {
    fn is_at(&self, request: &Request<'_>) -> bool {
        self.ifindex == request.ifindex && self.queue == request.queue
    }
}

/// Enters the frames' addresses.
fn prime(fill: &mut Producer<u64>, frames: &[Frame]) {
    let free = fill.free(frames.len() as u32);
    debug_assert!(free as usize >= frames.len(), "the ring was made for these frames");
    for frame in frames.iter().take(free as usize) {
        fill.write(u64::from(frame.index()) * CHUNK_BYTES as u64);
    }
    fill.publish();
}

/// Waits until the driver has let go of a queue that was bound for zero copy: until then it may still receive into
/// frames. The kernel tells by accepting another socket on the queue.
pub(crate) fn wait_until_unbound(ifindex: u32, queue: u32) {
    let Ok((arena, frames)) = Arena::allocate(1, false) else { return };
    let probe = Umem::new(Arc::new(arena));
    let sizes = RingSizes { fill: 1, completion: 1, receive: 1, transmit: 1 };
    // Anything but "busy" says that nothing is bound there; "busy" is retried for as long as we are ready to wait.
    let _ = probe.bind(&Request { ifindex, queue, zero_copy: false, sizes, fill: &frames });
}
