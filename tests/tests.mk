# SPDX-License-Identifier: MIT
# The test suites. `make check` is the one to run; tests/run.py counts, and its last line is the sum.
TEST_PYTHON = /usr/bin/python3
TEST_RUN = $(Q)BUILD=$(BUILD) $(TEST_PYTHON) tests/run.py

FUZZ_SRC = $(wildcard tests/fuzz/fuzz-*.c)
FUZZ_BINS = $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/bin/%)

# the packages first: what follows finds its libraries through pkg-config
check: deps ## build with gcc and clang and run every test; T=NAME: only tests whose name holds NAME
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(BUILD) SECBOX_STRICT=1 $(TEST_PYTHON) tests/run.py $(if $(T),--named '$(T)',all)

# Unit tests are linked from objects, so those that a change does not reach are not run again.
UNIT_PASSED = $(UNIT_SRC:tests/unit/%.c=$(BUILD)/passed/%)
quick: all ## lint, and the unit tests that the last change reaches
	$(TEST_RUN) lint
	$(Q)$(MAKE) --no-print-directory unit-bins
	$(Q)$(MAKE) --no-print-directory unit-passed
unit-passed: $(UNIT_PASSED)
$(BUILD)/passed/%: $(BUILD)/tests/%
	@mkdir -p $(@D)
	@echo "  PASS  $*"
	$(Q)CMOCKA_MESSAGE_OUTPUT=stdout $< >$@.out 2>&1 || { cat $@.out; exit 1; }
	@touch $@

# what tests read of the tree
$(addprefix $(BUILD)/passed/test-,agent-states gateway-rollout secbox-sync): docs/states.md
$(BUILD)/passed/test-secbox-rules: $(wildcard tests/cases/*)
$(BUILD)/passed/test-message: docs/wire-format.md $(wildcard tests/golden/*.json)
$(filter $(BUILD)/passed/test-mux%,$(UNIT_PASSED)): $(wildcard tests/golden/mux/*)
$(addprefix $(BUILD)/passed/test-,env examples): $(wildcard env/examples/* compose/examples/*)
$(BUILD)/passed/test-recovery-config: docs/man/recovery-agent.8 installer/recovery/recovery.env.example

check-lint: all ## what a program can check of the rules
	$(TEST_RUN) lint

check-unit: ## the unit tests
	$(TEST_RUN) unit

check-unit-asan: ## the same with AddressSanitizer and UBSan
	$(TEST_RUN) unit-asan

check-fuzz: ## each fuzz target for some seconds (FUZZ_SECONDS, FUZZ_RUNS)
	$(TEST_RUN) fuzz

PEERS = $(addprefix $(BUILD)/tests/,ws-echo-server ws-client mux-peer many-boxes strangers way pace)
check-integration: all $(PEERS) ## the integration tests against the programs as installed
	$(TEST_RUN) integration

check-integration-asan: ## the same with sanitizers in the programs
	$(TEST_RUN) integration-asan

check-system: all ## whole boxes, podman, PostgreSQL
	$(TEST_RUN) system

# A healthy box under load, for an hour unless SOAK_SECONDS says otherwise.
SOAK_SECONDS = 3600
soak: deps all ## a healthy box under load for SOAK_SECONDS
	$(Q)SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -B tests/soak/soak.py $(SOAK_SECONDS)

# A part of make check kills secbox and its database and cuts its tunnel a few times; this does it as often as it is told.
DATA_KILLS = 200
DATA_CRASHES = 20
DATA_CUTS = 30
DATA_TWISTINGS = 10
DATA_LARGE_KILLS = 10
data-kills: deps all ## kill secbox DATA_KILLS times while it syncs and sends, and its database: nothing lost, twice, or by half
	$(Q)DATA_KILLS=$(DATA_KILLS) DATA_CRASHES=$(DATA_CRASHES) DATA_CUTS=$(DATA_CUTS) DATA_TWISTINGS=$(DATA_TWISTINGS) \
	  SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) \
	  -m pytest -q tests/integration/test_replica_kill.py tests/integration/test_data_faults.py

camera-faults: deps all ## the tests of cameras with a Frigate that hangs, too, and a viewer who looks for five minutes
	$(Q)CAMERA_FAULTS=1 SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) \
	  -m pytest -q tests/integration/test_cameras.py

# Of package updates, which take seconds each, one point in so many; of the allocations of a push or an update so many.
FAULT_EVERY = 1
FAULT_PACKAGES_EVERY = 5
FAULT_ALLOCATIONS = 100
check-faults: deps all ## faults at each call of a push, an image update and an agent's update, and at each allocation of parsers
	$(Q)FAULT_EVERY=$(FAULT_EVERY) BUILD=$(BUILD) $(TEST_PYTHON) tests/run.py starved
	$(Q)FAULT_EVERY=$(FAULT_EVERY) FAULT_PACKAGES_EVERY=$(FAULT_PACKAGES_EVERY) ALLOC_EVERY=$(FAULT_EVERY) \
	  ALLOC_POINTS=$(FAULT_ALLOCATIONS) SECBOX_BIN=$(abspath $(BUILD))/bin \
	  $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) -m pytest -q -s \
	  tests/integration/test_fault_points.py tests/integration/test_package_faults.py tests/system/test_alloc_points.py \
	  tests/integration/test_releases.py
POWER_CUTS = 1000
POWER_BOOTS = 25
power-cuts: deps all ## power cuts at each state of a change and at POWER_CUTS moments, and one with a sync left out
	$(Q)SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -B -m tests.soak.power_replay $(POWER_CUTS) $(POWER_SEED)
	$(Q)POWER_ROUNDS=1 SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -B -m tests.soak.power_replay 150 \
	  $(or $(POWER_SEED),1) var/lib/tucomunidad/mgmt-agent
power-boots: deps all ## end a box in user-mode Linux POWER_BOOTS times while it is pushed to: old or new, as it says
	$(Q)SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -B -m tests.soak.power_cuts $(POWER_BOOTS) $(POWER_SEED)
.PHONY: check-faults power-cuts power-boots

data-large: deps all ## the same of a community with 10,000 bans and 100,000 guests, DATA_LARGE_KILLS times
	$(Q)DATA_KILLS=$(DATA_LARGE_KILLS) DATA_BANS=10000 DATA_GUESTS=100000 SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) \
	  -m tests.lab.isolate $(TEST_PYTHON) -m pytest -q tests/integration/test_replica_kill.py

ENGINES = podman-compose libpod
check-engines: deps all ## the tests of pushes and compose files on real podman, with each of ENGINES making all containers
	$(Q)for engine in $(ENGINES); do \
	  BOX_COMPOSE_ENGINE=$$engine SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) \
	  -m pytest -q tests/integration/test_compose_cases.py tests/integration/test_podman_traps_secbox.py \
	  tests/system/test_push.py tests/system/test_replace.py tests/system/test_rollback.py tests/system/test_one_shots.py \
	  tests/system/test_update.py tests/system/test_rootless.py || exit 1; done

agent-updates: deps all ## the agents' packages on a whole box: updated, taken back, and the power cut while dpkg is at work
	$(Q)SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) -m pytest -q \
	  tests/soak/test_package_updates.py

INSTALL_CYCLES = 6
install-kills: deps all ## kill the installer at 5 random moments on a bare box, INSTALL_CYCLES times: the next run always finishes
	$(Q)INSTALL_CYCLES=$(INSTALL_CYCLES) SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) \
	  -m pytest -q tests/system/test_installer_box.py -k 'dry_run or killed'

BOX_SUITE = bookworm
first-hour: deps all ## from a bare Debian to a guard's page in a browser: the one line, a QR code, a reboot (BOX_SUITE=trixie)
	$(Q)BOX_SUITE=$(BOX_SUITE) SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) -m pytest -q \
	  tests/soak/test_first_hour.py

host-mode: deps all ## the data plane as plain units of a real systemd: releases that are good, bad, killed, and cut by a reboot
	$(Q)SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate $(TEST_PYTHON) -m pytest -q tests/soak/test_host_mode.py
.PHONY: host-mode

FIELD =
check-field: deps all ## push the files of tests/field (or those whose names hold FIELD) to real podman, with both engines
	$(Q)SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -B -m tests.lab.isolate $(TEST_PYTHON) -B -m tests.field.check $(FIELD)
.PHONY: check-field

# The images are made before the tests, which have no network; the second time of the same packages, and then they are compared.
CHECK_ARCHES = 'ARCHES=amd64 arm64' PODMAN=true
check-images: deps all ## the images for both processors: what is in them is theirs and starts, and one index holds both
	$(Q)$(MAKE) -s images $(CHECK_ARCHES)
	$(Q)rm -rf $(PACKED)/images-before && mv $(PACKED)/images $(PACKED)/images-before
	$(Q)$(MAKE) -s images $(CHECK_ARCHES)
	$(Q)SECBOX_ARCHES=$(abspath $(PACKED)) SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate \
	  $(TEST_PYTHON) -m pytest -q tests/packages/test_images_arches.py
.PHONY: check-images

# What Debian has of the bundle, and the machine that it is installed on, are fetched before the test, which has no network.
air-gapped: deps all ## install a bare Debian from a bundle, with no route to anything; fetches what Debian has of it first
	$(Q)installer/debian-closure.sh $(BUILD)/debian
	$(Q)$(TEST_PYTHON) -m tests.lab.box_image bare
	$(Q)SECBOX_CLOSURE=$(abspath $(BUILD))/debian SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) -m tests.lab.isolate \
	  $(TEST_PYTHON) -m pytest -q tests/packages/test_air_gapped.py

# The last commit of version 0.1.0; who raises VERSION names that of the version before here. Its warnings are of its own time.
PREVIOUS = b90f8b912506
$(BUILD)/previous/done-$(PREVIOUS):
	$(Q)git rev-parse --verify -q '$(PREVIOUS)^{commit}' >/dev/null || \
	  { echo "wire-compat: this copy's history lacks $(PREVIOUS): git fetch --unshallow, or PREVIOUS=COMMIT" >&2; exit 1; }
	$(Q)rm -rf $(BUILD)/previous && mkdir -p $(BUILD)/previous
	$(Q)git archive $(PREVIOUS) | tar -C $(BUILD)/previous -x
	$(Q)env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -j$$(nproc) -C $(BUILD)/previous BUILD=build all
	$(Q)touch $@

wire-compat: deps all $(BUILD)/previous/done-$(PREVIOUS) ## boxes and gateways of this version beside those of the version PREVIOUS
	$(Q)SECBOX_PREVIOUS_BIN=$(abspath $(BUILD))/previous/build/bin SECBOX_BIN=$(abspath $(BUILD))/bin $(TEST_PYTHON) \
	  -m tests.lab.isolate $(TEST_PYTHON) -m pytest -q tests/soak/test_wire_compat.py

# Builds the packages twice from scratch, in two clones of the last commit.
packages-twice: deps ## build the packages of the last commit twice: they must be the same to the byte
	$(Q)$(TEST_PYTHON) -m pytest -q tests/packages/test_twice.py
.PHONY: packages-twice

# Only built; tests/run.py runs them.
unit-bins: $(UNIT_BINS)

# Wants CC=clang and SAN with fuzzer-no-link, as tests/run.py calls it, in a BUILD folder of its own.
fuzz-bins: $(FUZZ_BINS)

# what the agent, the gateway and recovery-agent alone parse
$(addprefix $(BUILD)/bin/fuzz-,podman watch health): TEST_LIBS = $(AGENT_LIB) $(LIB)
$(addprefix $(BUILD)/bin/fuzz-,rollout csv): TEST_LIBS = $(GATEWAY_LIB) $(LIB)
$(addprefix $(BUILD)/bin/fuzz-,sync gate camera faces matches media): TEST_LIBS = $(SECBOX_LIB) $(LIB)
$(BUILD)/bin/fuzz-recovery: TEST_LIBS = $(RECOVERY_LIB) $(LIB)
$(BUILD)/bin/fuzz-rathole: TEST_LIBS = $(RELAY_LIB) $(LIB)
$(BUILD)/bin/fuzz-%: $(BUILD)/obj/tests/fuzz/fuzz-%.o $(BUILD)/obj/tests/fuzz/starve.o | $$(TEST_LIBS)
	$(call link_test,$(BUILD)/obj/tests/fuzz/starve.o -fsanitize=fuzzer \
	  -Wl$(comma)--wrap=LLVMFuzzerTestOneInput -Wl$(comma)--wrap=abort)

check-compilers: ## all of it built with gcc and with clang
	$(TEST_RUN) compilers

errors: ## bring docs/errors.md up to date with the code
	$(Q)$(TEST_PYTHON) -B tests/lint/check_names.py --write-errors

docs-faults: ## make docs/faults.md of the table that the tests use
	$(Q)$(TEST_PYTHON) -B -m tests.lab.faults >docs/faults.md

# What clang-tidy reads are clang's own flags.
TIDY = $(filter-out tests/%,$(filter %.c,$(SOURCES)))
tidy: ## clang-tidy, with the checks of .clang-tidy, over the product's files, or over TIDY=FILES
	$(Q)$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/clang $(BUILD)/clang/compile_commands.json
	$(Q)printf '%s\n' $(TIDY) | xargs -P$$(nproc) -n4 clang-tidy -p $(BUILD)/clang --quiet 2>&1 | \
	  awk '!/^[0-9]+ warnings? generated\.$$/ { print; bad = bad || /error:/ } END { exit bad }'

# How much of the product's code the unit tests run; what only whole systems run counts as not run.
COVERAGE = $(BUILD)/coverage
coverage: ## lines and branches that the unit tests run: a page in build/coverage/, the sum on the screen
	$(Q)$(MAKE) --no-print-directory CC='clang -fprofile-instr-generate -fcoverage-mapping' OPT='-O1 -g' \
	  BUILD=$(COVERAGE) unit-bins
	$(Q)rm -rf $(COVERAGE)/raw
	$(Q)for t in $(UNIT_SRC:tests/unit/%.c=%); do \
	  LLVM_PROFILE_FILE=$(CURDIR)/$(COVERAGE)/raw/$$t-%p.profraw $(COVERAGE)/tests/$$t >/dev/null 2>&1 || \
	    { echo "$$t failed"; exit 1; }; done
	$(Q)llvm-profdata merge -sparse $(COVERAGE)/raw/*.profraw -o $(COVERAGE)/all.profdata
	$(Q)llvm-cov report $(UNIT_SRC:tests/unit/%.c=-object $(COVERAGE)/tests/%) -instr-profile=$(COVERAGE)/all.profdata \
	  -ignore-filename-regex='tests/' >$(COVERAGE)/report.txt
	@tail -1 $(COVERAGE)/report.txt | awk '{ print "functions " $$7 ", lines " $$10 ", branches " $$13 " of what the tests link" }'
	@echo "by file: $(COVERAGE)/report.txt"

.PHONY: errors docs-faults tidy coverage
.PHONY: check quick unit-passed check-compilers check-lint check-unit check-unit-asan check-fuzz check-integration \
  check-integration-asan check-system soak data-kills data-large camera-faults check-engines agent-updates install-kills \
  first-hour \
  air-gapped wire-compat unit-bins fuzz-bins
