/* DPDK's longest-prefix match, for `ze-perf lpm` to measure beside Ze's.
 *
 * `ze-perf` builds this with the machine's own DPDK (pkg-config libdpdk), hands it a directory with the routes and the
 * addresses, and then asks, a line at a time, on standard input:
 *
 *   build ENGINE LIMIT            → ok SECONDS BYTES      an error if it takes longer than LIMIT seconds
 *   lookup ENGINE TRACE BATCH     → ok RATE RATE …        million lookups a second, one figure a chunk
 *   answers ENGINE TRACE          → ok                    u32 values in the file `answers`, 0 where there is no route
 *   update ENGINE COUNT SECONDS   → ok RATE               million changes a second
 *
 * or, instead of ok, `error TEXT`. Engines: rte_fib rte_fib_scalar rte_lpm (IPv4), rte_fib6 rte_fib6_scalar rte_lpm6.
 * Nothing but this one thread runs, so a line's work disturbs nobody who waits for its answer.
 *
 * Usage: dpdk DIRECTORY FAMILY CHUNK TBL8S, where TBL8S is how many tables of 256 the routes need beyond the first 24 bits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define BATCH_MAX 65536
#define HUGE_PAGE ((size_t)2 << 20)
/* What a lookup says where there is no route: fits the fifteen bits of a two-byte nexthop, and is nobody's number. */
#define NO_ROUTE 0x7fff

struct route {
	uint8_t address[16]; /* IPv4: the first four; network order */
	uint32_t value;
	uint32_t length;
};

static const char *directory;
static int family;
static size_t chunk;
static uint32_t tbl8s;
static struct route *routes;
static size_t route_count;

static struct rte_fib *fib;
static struct rte_fib6 *fib6;
static struct rte_lpm *lpm;
static struct rte_lpm6 *lpm6;

/* rte_fib6 sets tables aside for each route as if it shared none with its neighbours, and refuses routes when what is
 * set aside exceeds what there is. So it gets more than it uses; only those that it uses are counted as its memory. */
static uint32_t reserved_tbl8s;
#define RESERVED_TBL8S_MAX (1u << 21) /* its own limit */

/* ---- what differs between engines ---------------------------------------------------------------------------- */

struct engine {
	const char *name;
	int family;
	int (*build)(void);
	int (*select)(void); /* before lookups: which of several codes of one table */
	int (*add)(const struct route *route, uint32_t value);
	int (*del)(const struct route *route);
	/* Values of `count` addresses, in whatever type the engine gives. */
	void (*lookup)(const void *addresses, void *values, unsigned count);
	size_t value_bytes;
	uint32_t (*value)(const void *values, size_t at);
	uint64_t (*bytes)(void);
};

static uint32_t host_order(const struct route *route)
{
	const uint8_t *a = route->address;
	return (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
}

static uint32_t value64(const void *values, size_t at)
{
	uint64_t value = ((const uint64_t *)values)[at];
	return value == NO_ROUTE ? 0 : (uint32_t)value;
}

/* rte_fib: DIR-24-8, two bytes a nexthop. */
static int fib_build(void)
{
	struct rte_fib_conf conf = { .type = RTE_FIB_DIR24_8, .default_nh = NO_ROUTE, .max_routes = (int)route_count + 1024 };
	conf.dir24_8.nh_sz = RTE_FIB_DIR24_8_2B;
	conf.dir24_8.num_tbl8 = tbl8s < 32767 ? tbl8s : 32767;
	rte_fib_free(fib); /* of an earlier attempt */
	fib = rte_fib_create("fib", -1, &conf);
	return fib ? 0 : -rte_errno;
}
static int fib_vector(void) { return rte_fib_select_lookup(fib, RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512); }
static int fib_scalar(void) { return rte_fib_select_lookup(fib, RTE_FIB_LOOKUP_DIR24_8_SCALAR_MACRO); }
static int fib_add(const struct route *r, uint32_t value) { return rte_fib_add(fib, host_order(r), r->length, value); }
static int fib_del(const struct route *r) { return rte_fib_delete(fib, host_order(r), r->length); }
static void fib_lookup(const void *a, void *v, unsigned n) { rte_fib_lookup_bulk(fib, (uint32_t *)(uintptr_t)a, v, n); }
static uint64_t fib_bytes(void) { return 2 * ((1ull << 24) + 256ull * tbl8s); }

/* rte_fib6: a multibit trie 24-8-8-…, four bytes a nexthop. */
static int fib6_build(void)
{
	struct rte_fib6_conf conf = { .type = RTE_FIB6_TRIE, .default_nh = NO_ROUTE, .max_routes = (int)route_count + 1024 };
	conf.trie.nh_sz = RTE_FIB6_TRIE_4B;
	conf.trie.num_tbl8 = reserved_tbl8s;
	rte_fib6_free(fib6); /* of an earlier attempt */
	fib6 = rte_fib6_create("fib6", -1, &conf);
	return fib6 ? 0 : -rte_errno;
}
static int fib6_vector(void) { return rte_fib6_select_lookup(fib6, RTE_FIB6_LOOKUP_TRIE_VECTOR_AVX512); }
static int fib6_scalar(void) { return rte_fib6_select_lookup(fib6, RTE_FIB6_LOOKUP_TRIE_SCALAR); }
static int fib6_add(const struct route *r, uint32_t value) { return rte_fib6_add(fib6, r->address, r->length, value); }
static int fib6_del(const struct route *r) { return rte_fib6_delete(fib6, r->address, r->length); }
static void fib6_lookup(const void *a, void *v, unsigned n) { rte_fib6_lookup_bulk(fib6, (void *)(uintptr_t)a, v, n); }
static uint64_t fib6_bytes(void) { return 4 * ((1ull << 24) + 256ull * tbl8s); }

/* rte_lpm: DIR-24-8, four bytes. */
static int lpm_build(void)
{
	struct rte_lpm_config conf = { .max_rules = (uint32_t)route_count + 1024, .number_tbl8s = tbl8s, .flags = 0 };
	rte_lpm_free(lpm); /* of an earlier attempt */
	lpm = rte_lpm_create("lpm", -1, &conf);
	return lpm ? 0 : -rte_errno;
}
static int lpm_add(const struct route *r, uint32_t value) { return rte_lpm_add(lpm, host_order(r), r->length, value); }
static int lpm_del(const struct route *r) { return rte_lpm_delete(lpm, host_order(r), r->length); }
static void lpm_lookup(const void *a, void *v, unsigned n) { rte_lpm_lookup_bulk(lpm, a, v, n); }
static uint32_t lpm_value(const void *values, size_t at)
{
	uint32_t value = ((const uint32_t *)values)[at];
	return value & RTE_LPM_LOOKUP_SUCCESS ? value & 0xffffff : 0;
}
static uint64_t lpm_bytes(void) { return 4 * ((1ull << 24) + 256ull * tbl8s); }

/* rte_lpm6. */
static int lpm6_build(void)
{
	struct rte_lpm6_config conf = { .max_rules = (uint32_t)route_count + 1024, .number_tbl8s = tbl8s, .flags = 0 };
	rte_lpm6_free(lpm6); /* of an earlier attempt */
	lpm6 = rte_lpm6_create("lpm6", -1, &conf);
	return lpm6 ? 0 : -rte_errno;
}
static int lpm6_add(const struct route *r, uint32_t value)
{
	return rte_lpm6_add(lpm6, (uint8_t *)(uintptr_t)r->address, r->length, value);
}
static int lpm6_del(const struct route *r) { return rte_lpm6_delete(lpm6, (uint8_t *)(uintptr_t)r->address, r->length); }
static void lpm6_lookup(const void *a, void *v, unsigned n)
{
	rte_lpm6_lookup_bulk_func(lpm6, (void *)(uintptr_t)a, v, n);
}
static uint32_t lpm6_value(const void *values, size_t at)
{
	int32_t value = ((const int32_t *)values)[at];
	return value < 0 ? 0 : (uint32_t)value;
}

static const struct engine engines[] = {
	{ "rte_fib", 4, fib_build, fib_vector, fib_add, fib_del, fib_lookup, 8, value64, fib_bytes },
	{ "rte_fib_scalar", 4, fib_build, fib_scalar, fib_add, fib_del, fib_lookup, 8, value64, fib_bytes },
	{ "rte_lpm", 4, lpm_build, NULL, lpm_add, lpm_del, lpm_lookup, 4, lpm_value, lpm_bytes },
	{ "rte_fib6", 6, fib6_build, fib6_vector, fib6_add, fib6_del, fib6_lookup, 8, value64, fib6_bytes },
	{ "rte_fib6_scalar", 6, fib6_build, fib6_scalar, fib6_add, fib6_del, fib6_lookup, 8, value64, fib6_bytes },
	{ "rte_lpm6", 6, lpm6_build, NULL, lpm6_add, lpm6_del, lpm6_lookup, 4, lpm6_value, fib6_bytes },
};

/* ---- time, files, pages -------------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The whole file, in memory of our own; the length in bytes. */
static void *read_file(const char *name, size_t *bytes)
{
	char path[4096];
	struct stat status;
	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "rb");
	if (!file || fstat(fileno(file), &status))
		return NULL;
	*bytes = (size_t)status.st_size;
	void *data = aligned_alloc(HUGE_PAGE, (*bytes / HUGE_PAGE + 1) * HUGE_PAGE);
	if (data && fread(data, 1, *bytes, file) != *bytes) {
		free(data);
		data = NULL;
	}
	fclose(file);
	return data;
}

/* Puts what DPDK has allocated on 2 MB pages, as a router would have it, without asking for a pool of such pages: each
 * stretch of 2 MB of which something is in memory is collapsed. That may fail, and then costs speed only. */
static void use_huge_pages(void)
{
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps)) {
		size_t start, end;
		char rights[8];
		if (sscanf(line, "%zx-%zx %7s", &start, &end, rights) != 3 || strncmp(rights, "rw", 2))
			continue;
		for (size_t at = (start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE; at + HUGE_PAGE <= end; at += HUGE_PAGE) {
			unsigned char present[HUGE_PAGE / 4096];
			if (mincore((void *)at, HUGE_PAGE, present))
				continue;
			bool any = false;
			for (size_t page = 0; page < sizeof present && !any; page++)
				any = present[page] & 1;
			if (any)
				madvise((void *)at, HUGE_PAGE, MADV_COLLAPSE);
		}
	}
	if (maps)
		fclose(maps);
}

/* ---- the four requests --------------------------------------------------------------------------------------- */

/* Makes the engine's table and fills it; returns the CPU time that took, or says what went wrong and returns a negative
 * number. Engines that differ in code only share a table. */
static double fill(const struct engine *engine, double limit)
{
	static int (*made[4])(void);
	static double seconds[4];
	size_t n = 0;
	for (; n < 4 && made[n]; n++)
		if (made[n] == engine->build)
			return seconds[n];
	double start = cpu_seconds();
	int failed = engine->build();
	if (failed) {
		printf("error the table could not be made: %s\n", strerror(-failed));
		return -1;
	}
	for (size_t i = 0; i < route_count; i++) {
		failed = engine->add(&routes[i], routes[i].value);
		if (failed == -ENOSPC && engine->build == fib6_build && reserved_tbl8s < RESERVED_TBL8S_MAX) {
			reserved_tbl8s = reserved_tbl8s > RESERVED_TBL8S_MAX / 4 ? RESERVED_TBL8S_MAX : 4 * reserved_tbl8s;
			return fill(engine, limit);
		}
		if (failed) {
			printf("error route %zu of %zu was refused: %s\n", i + 1, route_count, strerror(-failed));
			return -1;
		}
		if (i % 1024 == 0 && cpu_seconds() - start > limit) {
			printf("error building takes longer than %g s (--build-limit): %zu of %zu routes were in\n", limit, i,
			       route_count);
			return -1;
		}
	}
	made[n] = engine->build;
	return seconds[n] = cpu_seconds() - start;
}

static void build(const struct engine *engine, double limit)
{
	double seconds = fill(engine, limit);
	if (seconds < 0)
		return;
	if (engine->select && engine->select()) {
		printf("error this CPU, or this build of DPDK, lacks the instructions\n");
		return;
	}
	use_huge_pages();
	printf("ok %.6f %" PRIu64 "\n", seconds, engine->bytes());
}

/* The addresses of a trace; the last one asked for is kept. */
static const uint8_t *trace(const char *name, size_t *count)
{
	static char kept_name[64];
	static uint8_t *kept;
	static size_t kept_bytes;
	if (strcmp(kept_name, name)) {
		free(kept);
		kept = read_file(name, &kept_bytes);
		snprintf(kept_name, sizeof kept_name, "%s", kept ? name : "");
	}
	*count = kept_bytes / (family == 4 ? 4 : 16);
	return kept;
}

static void lookup(const struct engine *engine, const char *name, unsigned batch)
{
	static uint64_t values[BATCH_MAX];
	size_t count, width = family == 4 ? 4 : 16;
	const uint8_t *addresses = trace(name, &count);
	if (!addresses || batch == 0 || batch > BATCH_MAX || (engine->select && engine->select())) {
		printf("error no such trace, batch or code\n");
		return;
	}
	printf("ok");
	for (size_t at = 0; at + chunk <= count; at += chunk) {
		double start = cpu_seconds();
		for (size_t i = at; i < at + chunk; i += batch) {
			size_t rest = at + chunk - i;
			engine->lookup(addresses + i * width, values, rest < batch ? (unsigned)rest : batch);
			__asm__ volatile("" : : "r"(values) : "memory");
		}
		printf(" %.3f", (double)chunk / (cpu_seconds() - start) / 1e6);
	}
	printf("\n");
}

static void answers(const struct engine *engine, const char *name)
{
	static uint64_t values[BATCH_MAX];
	char path[4096];
	size_t count, width = family == 4 ? 4 : 16;
	const uint8_t *addresses = trace(name, &count);
	snprintf(path, sizeof path, "%s/answers", directory);
	FILE *file = fopen(path, "wb");
	if (!addresses || !file || (engine->select && engine->select())) {
		printf("error no such trace, file or code\n");
		if (file)
			fclose(file);
		return;
	}
	bool written = true;
	for (size_t at = 0; at < count; at += 256) {
		size_t rest = count - at < 256 ? count - at : 256;
		engine->lookup(addresses + at * width, values, (unsigned)rest);
		for (size_t i = 0; i < rest; i++) {
			uint32_t value = engine->value(values, i);
			written &= fwrite(&value, sizeof value, 1, file) == 1;
		}
	}
	written &= fclose(file) == 0;
	printf(written ? "ok\n" : "error the answers could not be written\n");
}

/* Takes random routes out, puts them back, and points them elsewhere and back: four changes each. */
static void update(const struct engine *engine, size_t count, double seconds)
{
	static int (*measured)(void); /* engines that share a table share its updates */
	static double rate;
	if (measured == engine->build) {
		printf("ok %.6f\n", rate);
		return;
	}
	uint64_t state = 11;
	size_t done = 0;
	double start = cpu_seconds();
	while (done < count && (done % 16 || cpu_seconds() - start < seconds)) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		const struct route *route = &routes[(state >> 24) % route_count];
		if (engine->del(route) || engine->add(route, route->value) || engine->add(route, route->value % 250 + 1) ||
		    engine->add(route, route->value)) {
			printf("error a change was refused\n");
			return;
		}
		done += 1;
	}
	rate = 4.0 * (double)done / (cpu_seconds() - start) / 1e6;
	measured = engine->build;
	printf("ok %.6f\n", rate);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: %s DIRECTORY FAMILY CHUNK TBL8S\n", argv[0]);
		return 2;
	}
	directory = argv[1];
	family = atoi(argv[2]);
	chunk = strtoul(argv[3], NULL, 10);
	tbl8s = (uint32_t)strtoul(argv[4], NULL, 10);
	reserved_tbl8s = tbl8s;
	/* Answers go to standard output, which EAL would talk on too. */
	char *eal[] = { argv[0], "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "4096",
			"--force-max-simd-bitwidth=512", "--log-level=lib.*:error", "-l", NULL, NULL };
	char core[16];
	snprintf(core, sizeof core, "%d", sched_getcpu());
	eal[10] = core;
	int out = dup(1);
	dup2(2, 1);
	if (rte_eal_init(11, eal) < 0) {
		fprintf(stderr, "EAL does not start: %s\n", strerror(rte_errno));
		return 1;
	}
	fflush(stdout);
	dup2(out, 1);
	setvbuf(stdout, NULL, _IOLBF, 1 << 16);
	size_t bytes;
	routes = read_file("routes", &bytes);
	if (!routes) {
		fprintf(stderr, "no routes in %s\n", directory);
		return 1;
	}
	route_count = bytes / sizeof *routes;
	printf("ready\n");

	char line[256], verb[16], name[32], third[32], fourth[32];
	while (fgets(line, sizeof line, stdin)) {
		int words = sscanf(line, "%15s %31s %31s %31s", verb, name, third, fourth);
		const struct engine *engine = NULL;
		for (size_t i = 0; words >= 2 && i < sizeof engines / sizeof *engines; i++)
			if (!strcmp(engines[i].name, name) && engines[i].family == family)
				engine = &engines[i];
		if (!engine)
			printf("error no such engine for this family\n");
		else if (!strcmp(verb, "build") && words == 3)
			build(engine, atof(third));
		else if (!strcmp(verb, "lookup") && words == 4)
			lookup(engine, third, (unsigned)atoi(fourth));
		else if (!strcmp(verb, "answers") && words == 3)
			answers(engine, third);
		else if (!strcmp(verb, "update") && words == 4)
			update(engine, strtoul(third, NULL, 10), atof(fourth));
		else
			printf("error what?\n");
	}
	return 0;
}
