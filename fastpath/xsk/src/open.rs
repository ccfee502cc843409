//! Opening a port: device, program, sockets, in this order.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::Errno;
use ze_graph::{Frame, Port};
use ze_redirect::{Link, Mode, Options, Program};

use crate::error::Why;
use crate::exchange::{Exchange, PortRings, Takes};
use crate::mapping::RingSizes;
use crate::queue::{Settings, XskQueue};
use crate::spec::{QueueReport, RING_FRAMES_MAX};
use crate::umem::{Bound, Request, wait_until_unbound};
use crate::{
    BackPressure, BindMode, Device, Error, Lanes, Monitor, Offloads, PortReport, PortSpec, Result, Umem,
    qdisc,
};

/// A port that works. Its parts go separate ways: queues to the workers, the rest stays with the control thread.
pub struct OpenedPort {
    /// The queue pairs, in the order of `report.queues`.
    pub queues: Vec<Box<dyn Port>>,
    /// A look at each of them from outside.
    pub monitors: Vec<Monitor>,
    /// What ties the program to the device.
    pub link: Link,
    /// The program. Clear a queue's socket here before the queue is closed.
    pub program: Program,
    /// What became of the port.
    pub report: PortReport,
    /// What was changed on the device, and is put back when this goes.
    pub prepared: Prepared,
}

/// Changes on a device that are undone when this goes.
#[derive(Debug)]
pub struct Prepared {
    offloads: Offloads,
    back_pressure: Option<BackPressure>,
}

impl Prepared {
    fn device(device: &Device) -> Result<Self> {
        let offloads = Offloads::switch_off(device.name());
        let offloads = offloads.map_err(|source| device.failed("switch offloads off", source))?;
        let back_pressure = qdisc::back_pressure(device);
        let back_pressure = back_pressure.map_err(|source| device.failed("install back-pressure", source))?;
        Ok(Self { offloads, back_pressure })
    }

    /// Undoes the changes.
    ///
    /// # Errors
    /// When the device is gone, or refuses.
    pub fn restore(self) -> std::io::Result<()> {
        let offloads = self.offloads.restore();
        let back_pressure = self.back_pressure.map_or(Ok(()), BackPressure::restore);
        offloads.and(back_pressure)
    }
}

impl OpenedPort {
    /// Verifies every queue as [`Monitor::self_test`] does.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn self_test(&self) -> Result<()> {
        self.monitors.iter().try_for_each(Monitor::self_test)
    }

    /// Closes a port whose queues are all here, in the order that loses nothing: sockets out of the program, sockets
    /// closed, program off the device, device as before. Returns every frame.
    ///
    /// The program goes even if somebody else holds the link. A daemon that only restarts must not call this: it
    /// drops the parts, and the program stays and drops frames.
    pub fn close(self) -> Vec<Frame> {
        for queue in &self.report.queues {
            // The kernel does it anyway when the socket is closed; this is only earlier.
            let _ = self.program.clear_socket(queue.queue);
        }
        let frames = self.queues.into_iter().flat_map(Port::close).collect();
        // A device that is gone has no program.
        let _ = self.link.detach();
        // A device that is gone needs nothing put back.
        let _ = self.prepared.restore();
        frames
    }
}

/// Opens a port: checks the device, switches off what harms, loads and attaches the program, binds every queue in the
/// best mode that all of them take, and lets the frames in.
///
/// Takes the frames for the fill rings from the end of `frames`; if it fails, it takes none.
///
/// # Errors
/// Each names the device, the queue, the step, and what the kernel said.
pub fn open_port(mut spec: PortSpec, umem: &Umem, frames: &mut Vec<Frame>) -> Result<OpenedPort> {
    let adopted = spec.link.take();
    let device_queues = spec.device.rx_queues()?;
    let queues = check(&spec, device_queues, frames.len())?;
    let options = Options {
        promiscuous: spec.promiscuous,
        macs: spec.macs.iter().map(|mac| mac.0).collect(),
        no_socket: spec.no_socket,
        queues: device_queues,
    };
    let program = load(&spec, &options, None)?;
    let opening = Opening { program, spec: &spec, options, umem, queues, frames };
    opening.run(adopted, device_queues)
}

type BoxedPort = Box<dyn Port>;

/// A port half open.
struct Opening<'a> {
    spec: &'a PortSpec,
    options: Options,
    umem: &'a Umem,
    program: Program,
    queues: Vec<u32>,
    frames: &'a mut Vec<Frame>,
}

/// The program on the device.
struct Attachment {
    link: Link,
    mode: Mode,
    /// It came with a program of an earlier life, which must be replaced.
    adopted: bool,
}

impl Opening<'_> {
    fn run(mut self, adopted: Option<Link>, device_queues: u32) -> Result<OpenedPort> {
        let mut attachment = self.adopt(adopted)?;
        let prepared = Prepared::device(&self.spec.device)?;
        let mut tried = vec![];
        for mode in self.spec.modes.iter().copied() {
            match self.open_in(mode, &mut attachment) {
                Ok(bound) => return self.finish(mode, attachment, bound, tried, prepared, device_queues),
                Err(why) if is_final(&why) => {
                    give_up(attachment);
                    return Err(why);
                }
                Err(why) => tried.push(format!("{mode}: {why}")),
            }
        }
        give_up(attachment);
        Err(Error::NoMode { device: self.spec.device.name().to_owned(), tried })
    }

    /// What is on the device when we come: the link that was kept for us, or nothing once our own leavings are gone.
    fn adopt(&self, adopted: Option<Link>) -> Result<Option<Attachment>> {
        let ifindex = self.spec.device.ifindex();
        if let Some(link) = adopted
            && link.ifindex().is_ok_and(|index| index == ifindex)
            && let Some(there) = ze_redirect::attached(ifindex).map_err(|why| self.redirect(why))?
        {
            return Ok(Some(Attachment { link, mode: there.mode, adopted: true }));
        }
        ze_redirect::remove_stale(ifindex).map_err(|why| self.redirect(why))?;
        Ok(None)
    }

    /// Attaches and binds in one mode: all queues, or none.
    fn open_in(&mut self, mode: BindMode, attachment: &mut Option<Attachment>) -> Result<Vec<Bound>> {
        let wanted = mode.xdp_mode();
        self.choose_program(mode, attachment.as_ref())?;
        let there = match attachment.take() {
            Some(there) if there.mode == wanted => there,
            // To leave generic mode there would have to be a moment without any program.
            Some(there) if there.adopted && there.mode == Mode::Generic => {
                let refused = Err(self.redirect(ze_redirect::Error::Attach {
                    ifindex: self.spec.device.ifindex(),
                    mode: wanted,
                    source: std::io::Error::other("the link that was kept is in generic mode"),
                }));
                *attachment = Some(there);
                return refused;
            }
            // Both modes at once are refused by the kernel: the old link goes first.
            there => {
                if let Some(there) = there {
                    there.link.detach().map_err(|why| self.redirect(why))?;
                }
                let link = ze_redirect::attach(&self.program, self.spec.device.ifindex(), wanted);
                Attachment { link: link.map_err(|why| self.redirect(why))?, mode: wanted, adopted: false }
            }
        };
        *attachment = Some(there);
        self.bind_all(mode)
    }

    /// Where the kernel copies in the driver, the program that exchanges pages, if lanes were given and the kernel knows what
    /// it needs; else the one that does not.
    fn choose_program(&mut self, mode: BindMode, there: Option<&Attachment>) -> Result<()> {
        let lanes = self.spec.lanes.as_deref().filter(|_| mode == BindMode::Copy);
        if lanes.is_some() == self.program.exchange().is_some() {
            return Ok(());
        }
        self.program = match lanes.map(|lanes| load(self.spec, &self.options, Some(lanes))) {
            Some(Ok(program)) => program,
            // Before Linux 5.18.
            Some(Err(_)) => return Ok(()),
            None => load(self.spec, &self.options, None)?,
        };
        match there {
            Some(there) if !there.adopted => {
                there.link.update(&self.program).map_err(|why| self.redirect(why))
            }
            _ => Ok(()),
        }
    }

    fn bind_all(&self, mode: BindMode) -> Result<Vec<Bound>> {
        let mut bound = Vec::with_capacity(self.queues.len());
        for (queue, fill) in self.queues.iter().zip(self.frames.rchunks(self.spec.fill_frames as usize)) {
            match self.bind(*queue, mode, fill) {
                Ok(socket) => bound.push(socket),
                Err(why) => {
                    self.unbind(bound, mode);
                    return Err(self.queue_failed(*queue, why));
                }
            }
        }
        Ok(bound)
    }

    fn bind(&self, queue: u32, mode: BindMode, fill: &[Frame]) -> std::result::Result<Bound, Why> {
        let ifindex = self.spec.device.ifindex();
        let sizes = ring_sizes(self.spec);
        self.umem.bind(&Request { ifindex, queue, zero_copy: mode.is_zero_copy(), sizes, fill })
    }

    /// Gives up queues that were bound; their frames are ours again.
    fn unbind(&self, bound: Vec<Bound>, mode: BindMode) {
        let count = bound.len();
        drop(bound);
        if mode.is_zero_copy() {
            self.queues
                .iter()
                .take(count)
                .for_each(|queue| wait_until_unbound(self.spec.device.ifindex(), *queue));
        }
    }

    fn finish(
        mut self,
        mode: BindMode,
        attachment: Option<Attachment>,
        bound: Vec<Bound>,
        fallbacks: Vec<String>,
        prepared: Prepared,
        device_queues: u32,
    ) -> Result<OpenedPort> {
        let Some(Attachment { link, mode: xdp_mode, adopted }) = attachment else {
            return Err(Error::NoMode { device: self.spec.device.name().to_owned(), tried: fallbacks });
        };
        for (queue, bound) in self.queues.iter().zip(&bound) {
            self.program.set_socket(*queue, bound.socket.as_fd()).map_err(|why| self.redirect(why))?;
        }
        if adopted {
            link.update(&self.program).map_err(|why| self.redirect(why))?;
        }
        let zero_copy = mode.is_zero_copy();
        let report = PortReport {
            device: self.spec.device.name().to_owned(),
            ifindex: self.spec.device.ifindex(),
            driver: self.spec.device.driver(),
            device_queues,
            queues: self.queues.iter().map(|queue| QueueReport { queue: *queue, zero_copy }).collect(),
            xdp_mode,
            mode,
            exchanges: self.program.exchange().is_some(),
            fallbacks,
            offloads_off: prepared.offloads.changed().to_vec(),
            offloads_kept: prepared.offloads.kept().to_vec(),
            back_pressure: prepared.back_pressure.is_some(),
        };
        let (queues, monitors) = self.hand_over(bound, zero_copy, device_queues)?;
        Ok(OpenedPort { queues, monitors, link, program: self.program, report, prepared })
    }

    /// Now the frames in the fill rings are the queues'.
    fn hand_over(
        &mut self,
        bound: Vec<Bound>,
        zero_copy: bool,
        device_queues: u32,
    ) -> Result<(Vec<BoxedPort>, Vec<Monitor>)> {
        let device = &self.spec.device;
        let exchange = self.spec.lanes.as_ref().zip(self.program.exchange());
        let exchange = exchange.map(|(lanes, maps)| {
            let rings = PortRings::map(maps, device_queues);
            let rings = rings.map_err(|why| device.failed("map the rings for exchanging pages", why))?;
            let takes = Takes::new(device.ifindex(), device.mtu()?, lanes.count());
            Ok::<_, Error>((Arc::clone(lanes), Arc::new(rings), Arc::new(takes)))
        });
        let exchange = exchange.transpose()?;
        let chunks = self.umem.arena().chunks();
        let mut queues: Vec<BoxedPort> = Vec::with_capacity(bound.len());
        let mut monitors = Vec::with_capacity(bound.len());
        for (number, Bound { rings, socket }) in self.queues.iter().zip(bound) {
            let first = self.frames.len() - self.spec.fill_frames as usize;
            let settings = Settings {
                id: self.spec.id,
                ifindex: device.ifindex(),
                queue: *number,
                zero_copy,
                fill_frames: self.spec.fill_frames,
                transmit_size: ring_sizes(self.spec).transmit,
            };
            let weak = Arc::downgrade(&socket);
            let beside =
                exchange.clone().map(|(lanes, rings, takes)| Exchange::new(lanes, rings, takes, *number));
            let queue = XskQueue::new(socket, rings, self.frames.drain(first..), chunks, beside, settings);
            monitors.push(Monitor {
                device: device.name().to_owned(),
                queue: *number,
                zero_copy,
                socket: weak,
                last_error: queue.last_error(),
                takes: exchange.as_ref().map(|(_, _, takes)| Arc::clone(takes)),
            });
            queues.push(Box::new(queue));
        }
        Ok((queues, monitors))
    }

    fn redirect(&self, source: ze_redirect::Error) -> Error {
        Error::Redirect { device: self.spec.device.name().to_owned(), source }
    }

    fn queue_failed(&self, queue: u32, why: Why) -> Error {
        Error::Queue { device: self.spec.device.name().to_owned(), queue, step: why.step(), why }
    }
}

/// Takes our program off a device that could not be opened. One that was there before stays: it keeps the door shut.
fn give_up(attachment: Option<Attachment>) {
    if let Some(Attachment { link, adopted: false, .. }) = attachment {
        // A device that is gone has no program.
        let _ = link.detach();
    }
}

fn load(spec: &PortSpec, options: &Options, lanes: Option<&Lanes>) -> Result<Program> {
    let loaded = match lanes {
        Some(lanes) => Program::load_exchanging(options, lanes.maps()),
        None => Program::load(options),
    };
    loaded.map_err(|source| Error::Redirect { device: spec.device.name().to_owned(), source })
}

fn ring_sizes(spec: &PortSpec) -> RingSizes {
    let receive = spec.fill_frames.next_power_of_two();
    let transmit = spec.transmit_frames.next_power_of_two();
    // Each frame that is sent needs a place to be completed.
    RingSizes { fill: receive, completion: transmit, receive, transmit }
}

/// Would another mode not help?
fn is_final(why: &Error) -> bool {
    match why {
        Error::Queue { why, .. } => {
            matches!(why.errno(), Errno::BUSY | Errno::NODEV | Errno::PERM | Errno::MFILE | Errno::NFILE)
        }
        Error::Redirect { source, .. } => !matches!(source, ze_redirect::Error::Attach { .. }),
        _ => true,
    }
}

/// Checks what can be checked before anything is touched, and tells the queues to bind.
fn check(spec: &PortSpec, device_queues: u32, frames: usize) -> Result<Vec<u32>> {
    spec.device.check_mtu()?;
    let device = || spec.device.name().to_owned();
    let sizes =
        [("frames of a fill ring", spec.fill_frames), ("frames of a transmit ring", spec.transmit_frames)];
    for (what, value) in sizes {
        if value == 0 || value > RING_FRAMES_MAX {
            return Err(Error::Range { device: device(), what, range: "1 to 32768", value: value.into() });
        }
    }
    let queues = spec.queues.clone().unwrap_or_else(|| (0..device_queues).collect());
    if let Some(queue) = queues.iter().copied().find(|queue| *queue >= device_queues) {
        return Err(Error::NoSuchQueue { device: device(), queue, queues: device_queues });
    }
    if queues.is_empty() {
        return Err(Error::Range {
            device: device(),
            what: "the number of queues",
            range: "1 or more",
            value: 0,
        });
    }
    let needed = queues.len() * spec.fill_frames as usize;
    if frames < needed {
        return Err(Error::TooFewFrames { device: device(), queues: queues.len(), needed, given: frames });
    }
    Ok(queues)
}
