// SPDX-License-Identifier: Apache-2.0 OR MIT
//
// Steers the frames of one port to AF_XDP sockets, by the queue they came in on. Tagged and LLC frames
// reach userspace whole.
//
//   frame ── shorter than an Ethernet header ─────────▶ drop  RUNT
//         ── unicast, not one of our MACs ────────────▶ drop  OTHER_MAC        (unless promiscuous)
//         ── no socket on this queue ─────────────────▶ drop  NO_SOCKET_DROPPED / pass NO_SOCKET_PASSED
//         ── else ────────────────────────────────────▶ socket  REDIRECTED
//
// `ze_exchange` does the same, and more where the device's driver receives into pages that it must copy from anyway: see
// "Exchange" below. It needs Linux 5.18.
//
// No kernel types are touched, so there is nothing to relocate and no kernel BTF is needed to load it.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

// Keep in step with `Counters` in maps.rs.
enum reason {
	REDIRECTED,
	OTHER_MAC,
	NO_SOCKET_DROPPED,
	NO_SOCKET_PASSED,
	RUNT,
	EXCHANGED,
	EXCHANGE_FULL,
	REASONS,
};

// Keep in step with `Settings` in maps.rs.
struct settings {
	__u32 promiscuous;
	__u32 no_socket; // enum xdp_action
	// The first of `macs`, if it has any: nearly all frames are for it, and a look into a table costs more than the rest.
	__u8 mac[ETH_ALEN];
	__u16 has_mac;
};

struct mac_key {
	__u8 mac[ETH_ALEN];
	__u8 zero[2];
};

// One place a queue; sized before loading.
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

// MACS_MAX in maps.rs.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct mac_key);
	__type(value, __u8);
} macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline int count(__u32 reason, int action)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &reason);

	if (counter)
		*counter += 1;
	return action;
}

static __always_inline int is_ours(const struct ethhdr *eth, const struct settings *chosen)
{
	struct mac_key key = {};

	if (chosen->has_mac && *(const __u32 *)eth->h_dest == *(const __u32 *)chosen->mac &&
	    *(const __u16 *)(eth->h_dest + 4) == *(const __u16 *)(chosen->mac + 4))
		return 1;
	__builtin_memcpy(key.mac, eth->h_dest, ETH_ALEN);
	return bpf_map_lookup_elem(&macs, &key) != 0;
}

// The way of a frame that is neither dropped nor passed, or none: then `chosen` is set.
static __always_inline int is_wanted(const struct xdp_md *ctx, const struct settings **chosen, int *action)
{
	const void *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = (const void *)(long)ctx->data;
	__u32 first = 0;

	*chosen = bpf_map_lookup_elem(&settings, &first);
	if (!*chosen || (const void *)(eth + 1) > end) {
		*action = count(RUNT, XDP_DROP);
		return 0;
	}
	// IEEE 802-2014 §8.2: the group bit is the lowest of the first octet.
	if (!(eth->h_dest[0] & 1) && !(*chosen)->promiscuous && !is_ours(eth, *chosen)) {
		*action = count(OTHER_MAC, XDP_DROP);
		return 0;
	}
	return 1;
}

static __always_inline int to_socket(const struct xdp_md *ctx, const struct settings *chosen)
{
	// The flags are the answer where there is no socket.
	switch (bpf_redirect_map(&sockets, ctx->rx_queue_index, chosen->no_socket)) {
	case XDP_REDIRECT:
		return count(REDIRECTED, XDP_REDIRECT);
	case XDP_PASS:
		return count(NO_SOCKET_PASSED, XDP_PASS);
	default:
		return count(NO_SOCKET_DROPPED, XDP_DROP);
	}
}

SEC("xdp")
int ze_redirect(struct xdp_md *ctx)
{
	const struct settings *chosen;
	int action;

	return is_wanted(ctx, &chosen, &action) ? to_socket(ctx, chosen) : action;
}

// ---- Exchange -----------------------------------------------------------------------------------------------------
//
// A socket in copy mode costs a copy in, and on the way out a socket buffer, a copy and a walk through the stack for
// each frame. But each frame that is copied in leaves a page behind, which would be thrown away: it carries one out.
//
//   frame ── copied into `received` of its queue ──▶ the worker                (full: EXCHANGE_FULL)
//   its page ── `sending` of the worker's lane has something ──▶ that is copied into it, and it leaves by that device
//            ── else ──▶ given back to the driver
//
// User space switches a queue over when it is busy, and sends by its sockets what no page comes for.

// Kept in step with exchange.rs, as are the structures.
#define SLOTS 1024 // of each ring; a power of two
// The shortest frame and what is said of it fill one line of a cache.
#define HEAD_BYTES 60
#define REST_BYTES 1792
#define LEN_BITS 11
#define LEN_MASK ((1 << LEN_BITS) - 1)
#define FRAME_BYTES_MIN 14
#define FRAME_BYTES_MAX 1792 // what a frame of user space holds; longer ones are for the socket to refuse
// Slots that one page looks at: those that were taken back are in the way.
#define LOOKS 4

enum state {
	OFF,    // frames go to the socket
	AWAKE,  // the worker looks into the ring by itself
	ASLEEP, // so does the worker; when there are enough, it is woken by its socket
};

struct slot {
	__u8 head[HEAD_BYTES];
	// Bytes of the frame in the lower LEN_BITS. Above, of `sending`, the ifindex by which it is to leave; all 0 when it is
	// nobody's: who sets it to 0 has it.
	__u32 what;
	__u8 rest[REST_BYTES]; // with it, an odd number of lines: slots must not all fall into the same sets of a cache
};

// An index that one side writes, on a line of its own, and what it says besides.
struct index {
	__u32 value;
	// Of a queue's tail: how many pages have carried something, or could have. Of its head: frames in the ring that end a sleep.
	__u32 more;
	__u32 cpu; // of a queue's tail: where frames came when the queue was last off
	__u32 unused[13];
};

struct queue {
	__u32 state; // enum state
	__u32 lane;
	__u32 unused[14];
	struct index tail; // ours
	struct index head; // the worker's
};

struct lane {
	__u32 cpu; // of the worker. Pages carry only there: on two CPUs at once they would overtake each other
	__u32 unused[15];
	struct index tail; // the worker's
	struct index head; // ours
};

// One a queue; sized before loading.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct queue);
} queues SEC(".maps");

// SLOTS a queue; sized before loading.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot);
} received SEC(".maps");

// The two of all workers, the same for all ports: put in by the loader.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lane);
} lanes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot);
} sending SEC(".maps");

// Looks at memory that the other side writes.
#define LOOK(place) (*(const volatile __u32 *)&(place))

// Gives slots back to the worker; if another page has moved on meanwhile, it knows better.
static __always_inline void advance(struct lane *lane, __u32 from, __u32 to)
{
	if (from != to)
		__sync_val_compare_and_swap(&lane->head.value, from, to);
}

// Copies HEAD_BYTES in the simplest way there is: a copy of unknown length costs as much as all else here.
static __always_inline void copy_head(void *to, const void *from)
{
	for (int at = 0; at < HEAD_BYTES / 8; at++)
		((__u64 *)to)[at] = ((const __u64 *)from)[at];
	*(__u32 *)(to + HEAD_BYTES - 4) = *(const __u32 *)(from + HEAD_BYTES - 4);
}

// Copies the page's `len` bytes into a slot. Returns 0, or what was wrong.
static __always_inline int read_page(struct xdp_md *ctx, struct slot *slot, __u32 len)
{
	const void *data = (const void *)(long)ctx->data;

	if (data + HEAD_BYTES > (const void *)(long)ctx->data_end)
		return len > HEAD_BYTES ? -1 : bpf_xdp_load_bytes(ctx, 0, slot->head, len);
	copy_head(slot->head, data);
	if (len <= HEAD_BYTES)
		return 0;
	return bpf_xdp_load_bytes(ctx, HEAD_BYTES, slot->rest, len - HEAD_BYTES);
}

// Makes the page one of `len` bytes, those of a slot. Returns 0, or what was wrong.
static __always_inline int write_page(struct xdp_md *ctx, struct slot *slot, __u32 len)
{
	int grow = (int)len - (int)(ctx->data_end - ctx->data);
	void *data;

	if (grow && bpf_xdp_adjust_tail(ctx, grow))
		return -1;
	data = (void *)(long)ctx->data;
	if (data + HEAD_BYTES > (void *)(long)ctx->data_end)
		return len > HEAD_BYTES ? -1 : bpf_xdp_store_bytes(ctx, 0, slot->head, len);
	copy_head(data, slot->head);
	if (len <= HEAD_BYTES)
		return 0;
	return bpf_xdp_store_bytes(ctx, HEAD_BYTES, slot->rest, len - HEAD_BYTES);
}

// Puts something into this page that waits to be sent. Returns whether it leaves by that, or the page is given back.
static __always_inline int carry(struct xdp_md *ctx, struct queue *queue)
{
	struct lane *lane = bpf_map_lookup_elem(&lanes, &queue->lane);
	__u32 began, head;

	if (!lane || LOOK(lane->cpu) != bpf_get_smp_processor_id())
		return XDP_DROP;
	began = head = LOOK(lane->head.value);
	for (int look = 0; look < LOOKS; look++) {
		__u32 at = queue->lane * SLOTS + (head & (SLOTS - 1));
		struct slot *slot;
		__u32 what, len;

		if (head == LOOK(lane->tail.value)) {
			queue->tail.more++;
			break;
		}
		slot = bpf_map_lookup_elem(&sending, &at);
		if (!slot)
			break;
		what = LOOK(slot->what);
		len = what & LEN_MASK;
		if (what && len >= FRAME_BYTES_MIN && len <= FRAME_BYTES_MAX) {
			// A page that is too small leaves it to the next one, or to the worker, which does not wait for ever.
			if (write_page(ctx, slot, len))
				break;
			if (__sync_val_compare_and_swap(&slot->what, what, 0) == what) {
				advance(lane, began, head + 1);
				queue->tail.more++;
				return bpf_redirect(what >> LEN_BITS, 0);
			}
		}
		head++;
	}
	advance(lane, began, head);
	return XDP_DROP;
}

// Makes a bell of this page: a frame that says nothing, and ends the sleep of whoever polls the socket. Its address is one that no
// frame can have that came here. Returns whether it is one.
static __always_inline int cast_bell(struct xdp_md *ctx)
{
	__u8 address[ETH_ALEN] = { 0x02, 'z', 'e', 'b', 'e', 'l' };
	int shrink = (int)FRAME_BYTES_MIN - (int)(ctx->data_end - ctx->data);

	return !(shrink && bpf_xdp_adjust_tail(ctx, shrink)) && !bpf_xdp_store_bytes(ctx, 0, address, sizeof(address));
}

// Is somebody to be told that the ring has something?
static __always_inline int is_to_wake(struct queue *queue)
{
	switch (LOOK(queue->state)) {
	case ASLEEP:
		return queue->tail.value - LOOK(queue->head.value) >= LOOK(queue->head.more);
	case OFF: // a moment ago it was not
		return 1;
	default:
		return 0;
	}
}

static __always_inline int exchange(struct xdp_md *ctx, struct queue *queue, __u32 len)
{
	__u32 tail = queue->tail.value;
	__u32 at = ctx->rx_queue_index * SLOTS + (tail & (SLOTS - 1));
	struct slot *slot = bpf_map_lookup_elem(&received, &at);

	if (!slot || tail - LOOK(queue->head.value) >= SLOTS || read_page(ctx, slot, len)) {
		count(EXCHANGE_FULL, XDP_DROP);
	} else {
		slot->what = len;
		// Nobody else writes it. The frame is seen before the index, and the index before we look who sleeps.
		__sync_val_compare_and_swap(&queue->tail.value, tail, tail + 1);
		count(EXCHANGED, XDP_DROP);
	}
	if (is_to_wake(queue) && cast_bell(ctx) &&
	    __sync_val_compare_and_swap(&queue->state, ASLEEP, AWAKE) != AWAKE)
		return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
	return carry(ctx, queue);
}

SEC("xdp")
int ze_exchange(struct xdp_md *ctx)
{
	const struct settings *chosen;
	struct queue *queue;
	__u32 len, key = ctx->rx_queue_index;
	int action;

	if (!is_wanted(ctx, &chosen, &action))
		return action;
	queue = bpf_map_lookup_elem(&queues, &key);
	len = ctx->data_end - ctx->data;
	// The socket goes with its process, and with it whoever looks into the ring.
	if (!queue || !len || len > FRAME_BYTES_MAX || !bpf_map_lookup_elem(&sockets, &key))
		return to_socket(ctx, chosen);
	if (LOOK(queue->state) == OFF) {
		queue->tail.cpu = bpf_get_smp_processor_id();
		return to_socket(ctx, chosen);
	}
	return exchange(ctx, queue, len);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
