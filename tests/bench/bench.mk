# SPDX-License-Identifier: MIT
# Benchmarks beside the peers, each in one run with them: a table, and $(BUILD)/bench/SUITE.json.
BENCH_RUNS = 5
BENCH = $(Q)BUILD=$(BUILD) SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -B tests/bench/run.py --runs $(BENCH_RUNS)

# one after another: they measure
bench: ## figures beside the alternatives
	$(Q)$(MAKE) bench-push
	$(Q)$(MAKE) bench-update
	$(Q)$(MAKE) bench-tunnel
	$(Q)$(MAKE) bench-data
	$(Q)$(MAKE) bench-relay
	$(Q)$(MAKE) bench-cameras
	$(Q)$(MAKE) bench-hostile

# the packages first: what follows finds its libraries through pkg-config
bench-deps:
	$(Q)installer/deps.sh build bench

bench-push: bench-deps
	$(Q)$(MAKE) all $(BUILD)/tests/ws-echo-server
	$(BENCH) push

bench-update: bench-deps
	$(Q)$(MAKE) all
	$(BENCH) update

bench-tunnel: bench-deps
	$(Q)$(MAKE) all $(addprefix $(BUILD)/tests/,many-boxes way pace)
	$(BENCH) tunnel

bench-data: bench-deps
	$(Q)$(MAKE) all $(BUILD)/tests/tablet
	$(BENCH) data

bench-relay: bench-deps
	$(Q)$(MAKE) all $(BUILD)/tests/pace
	$(BENCH) relay

bench-cameras: bench-deps
	$(Q)$(MAKE) all $(BUILD)/tests/pace
	$(BENCH) cameras

bench-hostile: bench-deps
	$(Q)$(MAKE) all $(addprefix $(BUILD)/tests/,many-boxes strangers)
	$(BENCH) hostile

.PHONY: bench bench-cameras bench-data bench-deps bench-hostile bench-push bench-relay bench-update bench-tunnel
