//! The loaded program, its table of flows, and where it sends.

use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::{MapCore, MapFlags, MapHandle, ObjectBuilder, OpenObject};

use super::run::run;
use super::schedule::Schedule;
use crate::traffic::TrafficError;
use crate::traffic::object::{Aligned, map, missing};
use crate::traffic::packets::Packets;
use crate::traffic::signature::Signature;

/// Bytes of a frame that the program writes: `HEAD_BYTES` of `src/bpf/live.bpf.c`. All that differs between flows lies
/// in them.
pub(super) const HEAD_BYTES_MAX: usize = 80;
/// Bytes before a packet that the program cuts off: `LEAD_BYTES` of `src/bpf/live.bpf.c`.
const LEAD_BYTES: usize = 16;
/// Its name in the object file.
const PROGRAM: &str = "ze_live";
/// Flows written at once.
const FLOWS_PER_WRITE: usize = 4096;
/// The only entry of maps that have one.
const ZERO: [u8; 4] = [0; 4];

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/live.bpf.o")));

pub(super) struct Program {
    program: OwnedFd,
    schedule: MapHandle,
    /// What is cut off, and the first packet whole: the rest of a frame is the same in all.
    template: Vec<u8>,
}

impl Program {
    pub(super) fn load(packets: &Packets, ifindex: u32) -> Result<Self, TrafficError> {
        let len_bytes = packets.only_bytes().ok_or_else(|| {
            TrafficError::Spec("live frames are all of one size: for more, send by AF_XDP".to_owned())
        })?;
        let head_bytes = len_bytes.min(HEAD_BYTES_MAX);
        let mut open = ObjectBuilder::default().open_memory(&OBJECT.0)?;
        configure(&mut open, packets.flows() as u32, head_bytes as u32)?;
        let object = open.load()?;
        let heads = map(&object, "heads")?;
        write_heads(&heads, packets, head_bytes)?;
        map(&object, "device")?.update(&ZERO, &ifindex.to_ne_bytes(), MapFlags::ANY)?;
        let program = object.progs_mut().find(|program| program.name() == PROGRAM).ok_or_else(missing)?;
        Ok(Self {
            program: program.as_fd().try_clone_to_owned()?,
            schedule: map(&object, "schedule")?,
            template: [vec![0; LEAD_BYTES], packet(packets, 0, len_bytes)].concat(),
        })
    }

    pub(super) fn set_schedule(&self, schedule: &Schedule) -> Result<(), TrafficError> {
        Ok(self.schedule.update(&ZERO, &schedule.to_bytes(), MapFlags::ANY)?)
    }

    pub(super) fn schedule(&self) -> Result<Schedule, TrafficError> {
        let bytes = self.schedule.lookup(&ZERO, MapFlags::ANY)?.ok_or_else(missing)?;
        Schedule::from_bytes(&bytes).ok_or_else(missing)
    }

    /// Runs it so many times, in batches.
    pub(super) fn run(&mut self, times: u64, batch: u32) -> Result<(), TrafficError> {
        let times = i32::try_from(times).unwrap_or(i32::MAX);
        Ok(run(self.program.as_fd(), &self.template, times, batch)?)
    }
}

fn configure(open: &mut OpenObject, flows: u32, head_bytes: u32) -> Result<(), TrafficError> {
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if name == "heads" {
            map.set_max_entries(flows)?;
        } else if name.ends_with(".rodata") {
            // As declared: `head_bytes`, then `flows`.
            let values = map.initial_value_mut().ok_or_else(missing)?;
            let (head, rest) = values.split_first_chunk_mut::<4>().ok_or_else(missing)?;
            *head = head_bytes.to_ne_bytes();
            *rest.first_chunk_mut::<4>().ok_or_else(missing)? = flows.to_ne_bytes();
        }
    }
    Ok(())
}

fn write_heads(heads: &MapHandle, packets: &Packets, head_bytes: usize) -> Result<(), TrafficError> {
    let flows: Vec<u32> = (0..packets.flows() as u32).collect();
    for some in flows.chunks(FLOWS_PER_WRITE) {
        let keys: Vec<u8> = some.iter().flat_map(|flow| flow.to_ne_bytes()).collect();
        let mut values = Vec::with_capacity(some.len() * HEAD_BYTES_MAX);
        for flow in some {
            let frame = packet(packets, u64::from(*flow), packets.longest_bytes());
            values.extend_from_slice(&frame[..head_bytes]);
            values.resize(values.len() + HEAD_BYTES_MAX - head_bytes, 0);
        }
        heads.update_batch(&keys, &values, some.len() as u32, MapFlags::ANY, MapFlags::ANY)?;
    }
    Ok(())
}

fn packet(packets: &Packets, number: u64, len_bytes: usize) -> Vec<u8> {
    let mut frame = vec![0; len_bytes];
    let signature = Signature { run: 0, stream: 0, sequence: 0, sent_at_ns: 0 };
    packets.write(number, signature, &mut frame);
    frame
}
