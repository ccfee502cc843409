//! Receiving ends that only count. They can not tell whose packets they are.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use libbpf_rs::{MapCore, MapFlags, MapHandle, ObjectBuilder, TC_INGRESS, TcHookBuilder};
use ze_redirect::{Link, Mode, NoSocket, Options, Program};
use ze_xsk::Device;

use super::TrafficError;
use super::object::{Aligned, map, missing};

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/drop.bpf.o")));
/// Its name in the object file.
const PROGRAM: &str = "ze_drop";

/// A device whose packets are counted and dropped.
pub struct Counter(Kind);

enum Kind {
    Driver { program: Program, link: Link },
    TrafficControl { packets: MapHandle },
}

impl Counter {
    /// By an XDP program in the driver: the cheapest for frames. A socket buffer on a veth has to become a frame first.
    /// Attaches to a device of the network namespace that the calling thread is in.
    ///
    /// # Errors
    /// When the program can not be loaded or attached.
    pub fn attach(device: &str) -> Result<Self, TrafficError> {
        let device = Device::by_name(device)?;
        ze_redirect::remove_stale(device.ifindex())?;
        let queues = device.rx_queues()?;
        let options = Options { promiscuous: true, macs: vec![], no_socket: NoSocket::Drop, queues };
        let program = Program::load(&options)?;
        let link = ze_redirect::attach(&program, device.ifindex(), Mode::Native)?;
        Ok(Self(Kind::Driver { program, link }))
    }

    /// By a program in traffic control: the cheapest for socket buffers. It goes with the device.
    ///
    /// # Errors
    /// When the program can not be loaded or attached.
    pub fn attach_tc(device: &str) -> Result<Self, TrafficError> {
        let ifindex = Device::by_name(device)?.ifindex();
        let object = ObjectBuilder::default().open_memory(&OBJECT.0)?.load()?;
        let mut programs = object.progs();
        let program = programs.find(|program| program.name() == OsStr::new(PROGRAM)).ok_or_else(missing)?;
        let mut builder = TcHookBuilder::new(program.as_fd());
        let hook = builder.ifindex(ifindex as i32).replace(true).handle(1).priority(1);
        hook.hook(TC_INGRESS).create()?.attach()?;
        Ok(Self(Kind::TrafficControl { packets: map(&object, "packets")? }))
    }

    /// Packets since it was attached.
    ///
    /// # Errors
    /// When the kernel refuses the read.
    pub fn count(&self) -> Result<u64, TrafficError> {
        match &self.0 {
            Kind::Driver { program, .. } => Ok(program.counters()?.no_socket_dropped),
            Kind::TrafficControl { packets } => {
                let of_cores = packets.lookup_percpu(&[0; 4], MapFlags::ANY)?.ok_or_else(missing)?;
                let values = of_cores.iter().filter_map(|value| value.first_chunk::<8>());
                Ok(values.map(|value| u64::from_ne_bytes(*value)).sum())
            }
        }
    }

    /// Goes off the device.
    pub fn detach(self) {
        if let Kind::Driver { link, .. } = self.0 {
            // A device that is gone has no program.
            let _ = link.detach();
        }
    }
}
