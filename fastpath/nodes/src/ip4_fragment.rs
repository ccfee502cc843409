//! `ip4_fragment`: one packet becomes several that fit the way out. RFC 791 §3.2.
//!
//! takes finished IPv4 frames that exceed the MTU in `icmp_mtu` and may be fragmented, one at a time · reads
//! `data_offset`, `l3_offset`, `l3_len`, the IPv4 header · writes fragments: all but the last into spare frames,
//! which stand in [`Ip4Fragment::made`] in order, the last into the packet's own frame · leaves by
//! `interface_output`, `drop` (no spare frame, or more fragments than a batch holds). All or nothing.
//!
//! The law: a packet that becomes n counts n - 1 as generated.

use ze_fib::REWRITE_BYTES;
use ze_graph::{BATCH_MAX, Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Frame, Meta, Node, Sink, flag};
use ze_packet::{checksum, ipv4};

ze_graph::edges! {
    /// The ways out of `ip4_fragment`.
    pub enum Next {
        InterfaceOutput = "interface_output",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct Ip4Fragment {
    /// Frames to fill.
    spare: Batch,
    /// Frames that were filled.
    pub made: Batch,
}

/// The longest IPv4 header.
const HEADER_BYTES_MAX: usize = 60;
/// RFC 791 §3.2: every module forwards 68 bytes without fragmenting, so no MTU is below.
const MTU_BYTES_MIN: usize = 68;

impl Ip4Fragment {
    /// Fetches the frames that fragmenting `frame` takes, as far as there are any.
    pub fn supply(&mut self, cx: &Cx<'_>, frame: &Frame, sink: &mut impl Sink) {
        let Some(plan) = Plan::new(cx.arena.meta(frame), cx.arena.chunk(frame)) else { return };
        while self.spare.len() + 1 < plan.fragments.min(BATCH_MAX) {
            let Some(spare) = sink.take() else { return };
            if let Err(frame) = self.spare.push(spare) {
                debug_assert!(false, "{frame:?}: the loop's condition leaves room");
                return;
            }
        }
    }

    /// Gives back what was not needed.
    pub fn release(&mut self, sink: &mut impl Sink) {
        sink.free(&mut self.spare);
    }

    fn fragment(&mut self, cx: &Cx<'_>, frame: &mut Frame) -> Result<(), DropReason> {
        let (meta, chunk) = cx.arena.parts_mut(frame);
        let plan = Plan::new(meta, chunk).ok_or(DropReason::FragmentationDisabled)?;
        if self.spare.len() + 1 < plan.fragments {
            return Err(DropReason::PoolEmpty);
        }
        for piece in plan.pieces() {
            if piece.is_last {
                plan.write(&piece, None, meta, chunk).ok_or(DropReason::FragmentationDisabled)?;
                continue;
            }
            let Some(mut spare) = self.spare.pop() else { return Err(DropReason::PoolEmpty) };
            let (spare_meta, spare_chunk) = cx.arena.parts_mut(&mut spare);
            *spare_meta = meta.clone();
            let written = plan.write(&piece, Some(chunk), spare_meta, spare_chunk);
            debug_assert!(written.is_some(), "the plan keeps every piece within the frame");
            let refused = self.made.push(spare);
            debug_assert!(refused.is_ok(), "the plan keeps the number below a batch");
            cx.counters.law.generated.add(1);
        }
        Ok(())
    }
}

impl Node for Ip4Fragment {
    const NAME: &'static str = "ip4_fragment";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        debug_assert!(batch.len() == 1 && self.made.is_empty(), "one packet at a time");
        batch.each(out, |frame| match self.fragment(cx, frame) {
            Ok(()) => Next::InterfaceOutput,
            Err(reason) => {
                cx.arena.meta_mut(frame).drop_reason = reason;
                Next::Drop
            }
        });
    }
}

/// How a packet is cut, with copies of its headers: the last piece overwrites them.
struct Plan {
    l2: ([u8; REWRITE_BYTES], usize),
    first: ([u8; HEADER_BYTES_MAX], usize),
    later: ([u8; HEADER_BYTES_MAX], usize),
    /// Where the payload starts in the chunk, and its length.
    payload: (usize, usize),
    first_bytes: usize,
    later_bytes: usize,
    fragments: usize,
    /// Flags and offset of the packet, which may be a fragment itself.
    word: u16,
}

/// One fragment: a part of the payload.
struct Piece {
    offset: usize,
    len: usize,
    is_last: bool,
}

impl Plan {
    /// None if it can not be cut: an MTU below what RFC 791 grants, or too many pieces.
    fn new(meta: &Meta, chunk: &[u8; CHUNK_BYTES]) -> Option<Self> {
        let (start, l3_len) = (usize::from(meta.l3_offset), usize::from(meta.l3_len));
        let mtu = usize::from(meta.icmp_mtu);
        let packet = chunk.get(start..start + l3_len)?;
        let view = ipv4::View(packet.first_chunk()?);
        let header_len = view.header_len_bytes();
        let first = padded(packet.get(..header_len)?);
        let later = later_header(packet.get(..header_len)?);
        if mtu < MTU_BYTES_MIN || l3_len <= mtu {
            return None;
        }
        let (first_bytes, later_bytes) = ((mtu - header_len) & !7, (mtu - later.1) & !7);
        let payload = l3_len - header_len;
        let fragments = 1 + (payload - first_bytes).div_ceil(later_bytes);
        let l2 = chunk.get(usize::from(meta.data_offset)..start)?;
        let mut l2_copy = [0; REWRITE_BYTES];
        l2_copy.get_mut(..l2.len())?.copy_from_slice(l2);
        (fragments <= BATCH_MAX).then_some(Self {
            l2: (l2_copy, l2.len()),
            first: (first, header_len),
            later,
            payload: (start + header_len, payload),
            first_bytes,
            later_bytes,
            fragments,
            word: view.fragment(),
        })
    }

    fn pieces(&self) -> impl Iterator<Item = Piece> + use<> {
        let (first, later, total, fragments) =
            (self.first_bytes, self.later_bytes, self.payload.1, self.fragments);
        (0..fragments).map(move |index| {
            let offset = if index == 0 { 0 } else { first + (index - 1) * later };
            let capacity = if index == 0 { first } else { later };
            Piece { offset, len: capacity.min(total - offset), is_last: index + 1 == fragments }
        })
    }

    /// Writes a piece into `chunk`: with a copy of its payload from another chunk, or around its payload in place.
    fn write(
        &self,
        piece: &Piece,
        from: Option<&[u8; CHUNK_BYTES]>,
        meta: &mut Meta,
        chunk: &mut [u8; CHUNK_BYTES],
    ) -> Option<()> {
        let (header, header_len) = if piece.offset == 0 { &self.first } else { &self.later };
        let source = self.payload.0 + piece.offset;
        let payload = if from.is_some() { self.payload.0 } else { source };
        if let Some(from) = from {
            let bytes = from.get(source..source + piece.len)?;
            chunk.get_mut(payload..payload + piece.len)?.copy_from_slice(bytes);
        }
        let l3 = payload.checked_sub(*header_len)?;
        let header = self.header(piece, header.get(..*header_len)?);
        chunk.get_mut(l3..payload)?.copy_from_slice(header.get(..*header_len)?);
        let l2 = l3.checked_sub(self.l2.1)?;
        chunk.get_mut(l2..l3)?.copy_from_slice(self.l2.0.get(..self.l2.1)?);
        (meta.data_offset, meta.l3_offset) = (l2 as u16, l3 as u16);
        meta.l3_len = (header_len + piece.len) as u16;
        meta.len = meta.l3_len + self.l2.1 as u16;
        if piece.offset > 0 {
            meta.flags |= flag::LATER_FRAGMENT;
        }
        Some(())
    }

    /// The header with this piece's length, offset, flags and checksum.
    fn header(&self, piece: &Piece, header: &[u8]) -> [u8; HEADER_BYTES_MAX] {
        let mut out = padded(header);
        let total = (header.len() + piece.len) as u16;
        let more = if piece.is_last { self.word & ipv4::MORE_FRAGMENTS } else { ipv4::MORE_FRAGMENTS };
        let offset = (self.word & ipv4::OFFSET_MASK).wrapping_add((piece.offset / 8) as u16);
        let word = (offset & ipv4::OFFSET_MASK) | more;
        out[2..4].copy_from_slice(&total.to_be_bytes());
        out[6..8].copy_from_slice(&word.to_be_bytes());
        out[10..12].fill(0);
        let sum = checksum::of(out.get(..header.len()).unwrap_or_default());
        out[10..12].copy_from_slice(&sum.to_be_bytes());
        out
    }
}

fn padded(header: &[u8]) -> [u8; HEADER_BYTES_MAX] {
    let mut out = [0; HEADER_BYTES_MAX];
    out.iter_mut().zip(header).for_each(|(to, from)| *to = *from);
    out
}

/// The header of all fragments but the first: only options with the copied bit (RFC 791 §3.1), padded to words.
fn later_header(header: &[u8]) -> ([u8; HEADER_BYTES_MAX], usize) {
    const COPIED: u8 = 0x80;
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    let (fixed, mut options) = header.split_at(ipv4::HEADER_BYTES.min(header.len()));
    let mut out = padded(fixed);
    let mut len = fixed.len();
    while let [kind, rest @ ..] = options {
        if *kind == END {
            break;
        }
        let size =
            if *kind == NO_OPERATION { 1 } else { rest.first().map_or(1, |size| usize::from(*size).max(2)) };
        let (option, after) = options.split_at(size.min(options.len()));
        if kind & COPIED != 0
            && let Some(place) = out.get_mut(len..len + option.len())
        {
            place.copy_from_slice(option);
            len += option.len();
        }
        options = after;
    }
    len = len.next_multiple_of(4); // what is padded is 0, "end of options"
    out[0] = 0x40 | (len / 4) as u8;
    (out, len)
}
