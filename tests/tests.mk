# SPDX-License-Identifier: MIT
# The test suites. `make check` is the one to run; tests/run.py counts, and its last line is the sum.
TEST_PYTHON = /usr/bin/python3
TEST_RUN = $(Q)BUILD=$(BUILD) $(TEST_PYTHON) tests/run.py

FUZZ_SRC = $(wildcard tests/fuzz/fuzz-*.c)
FUZZ_BINS = $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/bin/%)

# the packages first: what follows finds its libraries through pkg-config
check: deps
	$(Q)$(MAKE) all
	$(Q)BUILD=$(BUILD) SECBOX_STRICT=1 $(TEST_PYTHON) tests/run.py all

check-lint: all
	$(TEST_RUN) lint

check-unit:
	$(TEST_RUN) unit

check-unit-asan:
	$(TEST_RUN) unit-asan

check-fuzz:
	$(TEST_RUN) fuzz

check-integration: all $(addprefix $(BUILD)/tests/,ws-echo-server ws-client mux-peer many-boxes way pace)
	$(TEST_RUN) integration

check-integration-asan:
	$(TEST_RUN) integration-asan

check-system: all
	$(TEST_RUN) system

# A healthy box under load, for an hour unless SOAK_SECONDS says otherwise.
SOAK_SECONDS = 3600
soak: deps all
	$(Q)SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -B tests/soak/soak.py $(SOAK_SECONDS)

# Only built; tests/run.py runs them.
unit-bins: $(UNIT_BINS)

# Wants CC=clang and SAN with fuzzer-no-link, as tests/run.py calls it, in a BUILD folder of its own.
fuzz-bins: $(FUZZ_BINS)

# what the agent, the gateway and recovery-agent alone parse
$(addprefix $(BUILD)/bin/fuzz-,podman watch): TEST_LIBS = $(AGENT_LIB) $(LIB)
$(BUILD)/bin/fuzz-rollout: TEST_LIBS = $(GATEWAY_LIB) $(LIB)
$(BUILD)/bin/fuzz-recovery: TEST_LIBS = $(RECOVERY_LIB) $(LIB)
$(BUILD)/bin/fuzz-%: $(BUILD)/obj/tests/fuzz/fuzz-%.o | $$(TEST_LIBS)
	$(call link_test,-fsanitize=fuzzer)

.PHONY: check check-lint check-unit check-unit-asan check-fuzz check-integration check-integration-asan check-system \
  soak unit-bins fuzz-bins
