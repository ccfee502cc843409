// SPDX-License-Identifier: Apache-2.0 OR MIT
//
// Steers the frames of one port to AF_XDP sockets, by the queue they came in on. It never writes to a frame:
// tagged and LLC frames reach userspace whole.
//
//   frame ── shorter than an Ethernet header ─────────▶ drop  RUNT
//         ── unicast, not one of our MACs ────────────▶ drop  OTHER_MAC        (unless promiscuous)
//         ── no socket on this queue ─────────────────▶ drop  NO_SOCKET_DROPPED / pass NO_SOCKET_PASSED
//         ── else ────────────────────────────────────▶ socket  REDIRECTED
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
	REASONS,
};

// Keep in step with `Settings` in maps.rs.
struct settings {
	__u32 promiscuous;
	__u32 no_socket; // enum xdp_action
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

static __always_inline int is_ours(const struct ethhdr *eth)
{
	struct mac_key key = {};

	__builtin_memcpy(key.mac, eth->h_dest, ETH_ALEN);
	return bpf_map_lookup_elem(&macs, &key) != 0;
}

SEC("xdp")
int ze_redirect(struct xdp_md *ctx)
{
	const void *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = (const void *)(long)ctx->data;
	__u32 first = 0;
	const struct settings *chosen = bpf_map_lookup_elem(&settings, &first);

	if (!chosen || (const void *)(eth + 1) > end)
		return count(RUNT, XDP_DROP);

	// IEEE 802-2014 §8.2: the group bit is the lowest of the first octet.
	if (!(eth->h_dest[0] & 1) && !chosen->promiscuous && !is_ours(eth))
		return count(OTHER_MAC, XDP_DROP);

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

char LICENSE[] SEC("license") = "Dual MIT/GPL";
