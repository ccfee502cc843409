// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A generator inside the kernel: run by BPF_PROG_TEST_RUN with live frames, it makes of the pages that the kernel hands it
// packets and redirects them out of a device, or gives a page back as long as none is due. Pages reach the other end of a
// veth as a network card's driver would hand them up: no socket buffer, no copy.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

// What differs from flow to flow lies in the first bytes of a frame (Ethernet, IPv6, UDP, signature: 74).
#define HEAD_BYTES 80
// The kernel puts a packet at byte 368 of its page (`xdp_test_run_init_page`): so much of it is cut off that it begins with a
// line of cache, as what a card writes does. Kept in step with traffic/live/program.rs.
#define LEAD_BYTES 16
#define NS_PER_US 1000
// Packets that are late and are sent at once all the same; more are sent later instead. A veth has room for 256, of which a
// burst may take a part.
#define LATE_MAX 32
// Who is late by more than this at once was away.
#define AWAY_MIN_NS (500 * NS_PER_US)

// Kept in step with `Schedule` of traffic/live/schedule.rs.
struct schedule {
	__u64 interval_ps; // 0: as fast as can be
	__u64 began_ns;    // when the first burst began; 0: not yet
	__u64 ended_ns;    // when the last one did
	__u64 packets; // to be sent in all
	__u64 sent;
	__u64 slipped_ns; // by how much the schedule was moved on
	__u64 away_ns;
	__u32 burst; // packets between two looks at the clock
	__u32 left;  // of the burst
	__u32 flow;  // the next packet's
	__u32 unused;
};

struct head {
	__u8 bytes[HEAD_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct schedule);
} schedule SEC(".maps");

// One entry a flow; sized by the loader.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct head);
} heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} device SEC(".maps");

// Set by the loader: bytes of a head that the frame has, and flows.
const volatile __u32 head_bytes = 60;
const volatile __u32 flows = 1;

// Begins the next burst if it is due.
static __always_inline int begin_burst(struct schedule *s)
{
	__u64 now_ns;

	if (s->sent >= s->packets)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!s->began_ns)
		s->began_ns = now_ns;
	if (s->interval_ps) {
		__u64 due_ns = s->began_ns + s->slipped_ns + s->sent * s->interval_ps / 1000;
		__u64 late_ns = LATE_MAX * s->interval_ps / 1000;

		if (now_ns < due_ns)
			return 0;
		if (now_ns > due_ns + late_ns) {
			__u64 slip_ns = now_ns - due_ns - late_ns;

			s->slipped_ns += slip_ns;
			if (slip_ns > AWAY_MIN_NS)
				s->away_ns += slip_ns;
		}
	}
	s->ended_ns = now_ns;
	s->left = s->burst < s->packets - s->sent ? s->burst : s->packets - s->sent;
	return 1;
}

SEC("xdp")
int ze_live(struct xdp_md *ctx)
{
	__u32 zero = 0, len = head_bytes;
	struct schedule *s = bpf_map_lookup_elem(&schedule, &zero);
	struct head *head;

	if (!s)
		return XDP_ABORTED;
	if (!s->left && !begin_burst(s))
		return XDP_DROP;
	if (bpf_xdp_adjust_head(ctx, LEAD_BYTES))
		return XDP_ABORTED;
	head = bpf_map_lookup_elem(&heads, &s->flow);
	if (!head || len > sizeof(*head) || bpf_xdp_store_bytes(ctx, 0, head, len))
		return XDP_ABORTED;
	s->flow = s->flow + 1 < flows ? s->flow + 1 : 0;
	s->left--;
	s->sent++;
	return bpf_redirect_map(&device, 0, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
