# Ze: the few commands one types. What they do stands in scripts/.
#
# CARGO_TARGET_DIR is respected. DEMO_ARGS goes to `ze demo`: make demo DEMO_ARGS=--keep

SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
DEMO_ARGS ?=
SOAK_MINUTES ?= 30
MUTANTS_SHARD ?= 0/16
# Recipes run in order, whatever -j says: they share two cores, the machine's namespaces and the target directory.
.NOTPARALLEL:

.DEFAULT_GOAL := help
.PHONY: help demo build test lint bench fib lab compare soak soak-lpm mutants clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

demo: ## build Ze, let real hosts talk through it, show the figures (root; DEMO_ARGS=--keep leaves it running)
	@scripts/setup.sh demo
	cargo build --release --bin ze --bin ze-fastpath --bin ze-slowpath
	@scripts/as-root.sh $(RELEASE)/ze demo $(DEMO_ARGS)

build: ## the programs, optimised, in target/release
	@scripts/setup.sh demo
	cargo build --release --bins

test: ## everything that must hold: format, lints, house rules, all tests, models of races, a minute of fuzzing
	@scripts/setup.sh test
	@scripts/test.sh

lint: ## format, lints and house rules only
	@scripts/setup.sh test
	@scripts/test.sh fmt clippy tidy

bench: ## cycles per packet and Mpps of one worker on in-memory ports
	@scripts/setup.sh demo
	cargo build --release --bin ze-perf
	$(RELEASE)/ze-perf pipeline ip4

fib: ## programming of tables: a full table through gRPC, updates, 100 flaps, what readers notice (root, minutes)
	@scripts/setup.sh demo
	cargo build --release --bin ze-perf --bin ze-fastpath
	@scripts/as-root.sh $(RELEASE)/ze-perf fib --flaps 100 $(FIB_ARGS)

lab: ## throughput, loss and latency of Ze over AF_XDP, a first look in less than 20 s (root)
	@scripts/setup.sh demo
	cargo build --release --bin ze-perf --bin ze-fastpath
	@scripts/as-root.sh $(RELEASE)/ze-perf lab --quick

compare: ## Ze beside the kernel, XDP and DPDK, by turns between the same two cables (root)
	@scripts/setup.sh demo
	cargo build --release --bin ze-perf --bin ze-fastpath
	@scripts/as-root.sh $(RELEASE)/ze-perf compare

soak: ## the randomised tests for SOAK_MINUTES (30), with a new seed
	@scripts/setup.sh test
	@scripts/soak.sh $(SOAK_MINUTES)

soak-lpm: ## the routing table against a plain one: ten million random operations a family, and readers meanwhile
	ZE_LPM_OPERATIONS=10000000 cargo test --release -p ze-lpm --test model -- --nocapture
	ZE_LPM_OPERATIONS=200000 cargo test --release -p ze-lpm --test concurrent -- --nocapture

mutants: ## do the tests notice changes to the nodes? MUTANTS_SHARD=0/16, a sample; cargo-mutants must be installed
	@scripts/mutants.sh $(MUTANTS_SHARD)

clean: ## what was built
	cargo clean
