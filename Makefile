# SecBox. `make help` says what there is. V=1 shows commands.
BUILD ?= build
V ?= 0
Q = $(if $(filter 1,$(V)),,@)
PKGS = libsystemd libcjson yaml-0.1 libcurl libssl libcrypto libpq libqrencode libarchive
VERSION = 0.2.0

# All cores, unless -j says otherwise. While it reads, make does not tell what its -j is: its command line does. A make
# below another one takes part in that one's jobs.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += $(shell { tr '\0' '\n' </proc/$$PPID/cmdline; printenv MAKEFLAGS | tr ' ' '\n'; } | \
  grep -qE '^(-[a-zA-Z]*j|--jobs)' || echo -j$$(nproc))
endif

ifeq ($(origin CC),default)
CC = gcc
endif

# those of the words that this compiler knows; clang before 16 wants to hear more before it zeroes variables
if_known = $(shell for word in $(1); do $(CC) -Werror $$word -E -x c /dev/null >/dev/null 2>&1 && echo $$word; done)
ZERO := -ftrivial-auto-var-init=zero
ZERO_OF_OLD_CLANG := -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
SOME_WARN := $(call if_known,-Wtrampolines -Wbidi-chars=any)
SOME_HARDEN := $(call if_known,-fstack-clash-protection -fcf-protection=full -mbranch-protection=standard $(ZERO))
ifeq ($(filter $(ZERO),$(SOME_HARDEN)),)
SOME_HARDEN += $(ZERO) $(ZERO_OF_OLD_CLANG)
endif

WARN = -Wall -Wextra -Wformat=2 -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wshadow -Wvla \
  -Wstrict-prototypes -Wmissing-prototypes -Werror $(SOME_WARN)
HARDEN = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fno-delete-null-pointer-checks \
  -fno-strict-overflow -fno-strict-aliasing -fPIE $(SOME_HARDEN)
OPT = -O2 -g
SAN =
PKG_CONFIG = pkg-config
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
comma := ,
# what a program does not use of a file stays out of it
CFLAGS += -std=gnu17 -D_GNU_SOURCE $(OPT) -ffunction-sections -fdata-sections $(WARN) \
  $(if $(SAN),$(SAN) -fPIE,$(HARDEN)) -I. -MMD -MP \
  -DSECBOX_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
# of which linkers for other processors know nothing yet
RELR := $(if $(findstring x86_64,$(shell $(CC) -dumpmachine)),-Wl$(comma)-z$(comma)pack-relative-relocs)
LDFLAGS += -pie -Wl,--gc-sections $(RELR) -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack \
  -Wl,-z,separate-code -Wl,--as-needed $(SAN)
LIBS = $(PKG_LIBS) -lm

FLAGS := $(CC) $(CFLAGS)

LIB_SRC = $(wildcard lib/*/*.c env/*.c compose/*.c compose/*/*.c)
LIB_OBJ = $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
LIB = $(BUILD)/libsecbox.a

# SAN_LOGS=FOLDER: what is linked writes what its sanitizers find to files there
SAN_LOGS =
LIBS += $(if $(SAN_LOGS),-DSANITIZER_LOGS='"$(SAN_LOGS)"' tests/lab/sanitizer-options.c)

# What secbox says of itself when it starts, and the time before which secboxctl takes no clock for right. The time is that of the commit, so that the same commit gives the same bytes.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
COMMIT_TIME := $(shell date -u -d "@$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 0)}" +%Y-%m-%dT%H:%M:%SZ)
BUILT_FROM := $(COMMIT) $(COMMIT_TIME)

# program: every .c of its folder(s) that no other program owns
mgmt-agent_SRC = $(wildcard mgmt-agent/agent/*.c)
mgmt-link_SRC = $(wildcard mgmt-agent/link/*.c)
mgmt-worker_SRC = $(wildcard mgmt-agent/worker/*.c mgmt-agent/worker/*/*.c mgmt-agent/health/*.c mgmt-agent/state/*.c mgmt-agent/host/*.c)
secboxctl_SRC = $(wildcard mgmt-agent/secboxctl/*.c mgmt-agent/host/*.c mgmt-agent/state/*.c)
secbox-gateway_SRC = $(filter-out gateway/fleet/%,$(wildcard gateway/*.c gateway/*/*.c))
secbox-fleet_SRC = $(wildcard gateway/fleet/*.c)
secbox_SRC = $(filter-out secbox/pairing/%,$(wildcard secbox/*.c secbox/*/*.c))
secbox-pairing_SRC = $(wildcard secbox/pairing/*.c)
mount.secbox_SRC = $(wildcard mgmt-agent/mount/*.c)
recovery-agent_SRC = $(wildcard recovery-agent/*.c)
session-recorder_SRC = $(wildcard session-recorder/*.c)
relay-client_SRC = $(wildcard relay-client/*.c relay-client/*/*.c)
PROGRAMS = $(foreach p,mgmt-agent mgmt-worker mgmt-link secboxctl secbox-gateway secbox-fleet secbox secbox-pairing recovery-agent session-recorder relay-client mount.secbox,$(if $($(p)_SRC),$(p)))
BINS = $(PROGRAMS:%=$(BUILD)/bin/%)

# What the agent has in common with its worker. It takes of it what it needs: libarchive, which the worker needs, and the libraries of
# that would double the memory of mgmt-agent.
STATE_SRC = $(wildcard mgmt-agent/health/*.c mgmt-agent/state/*.c)
STATE_LIB = $(BUILD)/libstate.a
mgmt-agent_LIB = $(STATE_LIB)

# the agent without its mains, for its unit tests
AGENT_SRC = $(filter-out %/main.c,$(sort $(mgmt-agent_SRC) $(mgmt-worker_SRC)))
AGENT_LIB = $(BUILD)/libagent.a

# the same of the gateway
GATEWAY_LIB = $(BUILD)/libgateway.a

# the same of recovery-agent
RECOVERY_LIB = $(BUILD)/librecovery.a

# the same of relay-client
RELAY_LIB = $(BUILD)/librelay.a

# the same of secbox-pairing
PAIRING_LIB = $(BUILD)/libpairing.a

# the same of secbox
SECBOX_LIB = $(BUILD)/libdataplane.a

UNIT_SRC = $(wildcard tests/unit/test-*.c)
UNIT_BINS = $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)

# Two files that change with what they hold: another compiler or other flags compile everything anew, a file that came
# or went makes the libraries anew.
SOURCES := $(sort $(LIB_SRC) $(foreach p,$(PROGRAMS),$($(p)_SRC)) $(wildcard tests/*/*.c))
# GNU make 4.3 forgets to take the newline off the end of a longer file, depending on where its buffer lies: hence strip.
define note
ifneq ($$(strip $$(file <$(BUILD)/$(1))),$$(strip $$($(2))))
$$(shell mkdir -p $(BUILD))
$$(file >$(BUILD)/$(1),$$($(2)))
endif
endef
$(eval $(call note,flags,FLAGS))
$(eval $(call note,sources,SOURCES))
$(eval $(call note,commit,BUILT_FROM))

all: $(BINS) $(BUILD)/compile_commands.json ## build the programs into build/bin (the default)

# thin: a list of objects, which the linker then names by their paths
define archive
	@echo "  AR    $@"
	$(Q)rm -f $@; ar qcs --thin $@ $(filter %.o,$^)
endef

$(LIB): $(LIB_OBJ) $(BUILD)/sources
	$(archive)

$(STATE_LIB): $(STATE_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/sources
	$(archive)

$(AGENT_LIB): $(AGENT_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/sources
	$(archive)

$(GATEWAY_LIB): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(secbox-gateway_SRC))) $(BUILD)/sources
	$(archive)

$(RECOVERY_LIB): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(recovery-agent_SRC))) $(BUILD)/sources
	$(archive)

$(RELAY_LIB): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(relay-client_SRC))) $(BUILD)/sources
	$(archive)

$(PAIRING_LIB): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(secbox-pairing_SRC))) $(BUILD)/sources
	$(archive)

$(SECBOX_LIB): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(secbox_SRC))) $(BUILD)/sources
	$(archive)

# one sentence in place of all that would fail to compile and to link
libs-missing:
	@PKG_CONFIG='$(PKG_CONFIG)' installer/libs-missing.sh $(PKGS)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(if $(PKG_LIBS),,libs-missing)
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# only what changes with each commit
$(BUILD)/build-info.o: $(BUILD)/commit
	@echo "  CC    $@"
	$(Q)printf 'const char build_commit[] = "%s", build_time[] = "%s";\n' $(BUILT_FROM) | $(CC) $(CFLAGS) -c -o $@ -x c -
$(BUILD)/bin/secbox $(BUILD)/bin/secboxctl: $(BUILD)/build-info.o

define program_rule
$(BUILD)/bin/$(1): $$($(1)_SRC:%.c=$(BUILD)/obj/%.o) $$($(1)_LIB) $(LIB)
	@echo "  LD    $$@"
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

$(BUILD)/obj/secbox/lan/app-files.o: $(wildcard secbox/lan/app/*)
$(BUILD)/obj/secbox/pairing/page-files.o: $(wildcard secbox/pairing/app/*) $(wildcard secbox/lan/app/jsqr*)

# Test programs. The linker names what it took out of the libraries (--trace), and that is what a program depends on:
# after a change only those are linked again, and run by `make quick`, that contain what has changed.
TEST_LIBS = $(LIB)
$(BUILD)/tests/test-agent-%: TEST_LIBS = $(AGENT_LIB) $(LIB)
$(BUILD)/tests/test-gateway-%: TEST_LIBS = $(GATEWAY_LIB) $(LIB)
$(BUILD)/tests/test-secbox-%: TEST_LIBS = $(SECBOX_LIB) $(LIB)
$(BUILD)/tests/test-pairing-%: TEST_LIBS = $(PAIRING_LIB) $(LIB)
$(BUILD)/tests/test-relay-%: TEST_LIBS = $(RELAY_LIB) $(LIB)
$(BUILD)/tests/test-recovery-%: TEST_LIBS = $(RECOVERY_LIB) $(LIB)
define link_test
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -Wl,--trace -o $@ $< $(TEST_LIBS) $(LIBS) $(1) >$@.trace
	@sed -n 's|^$(BUILD)/.*\.o$$|$@: &\n&:|p' $@.trace >$@.d; rm $@.trace
endef

.SECONDEXPANSION:
# the peers of the interoperation tests, and load for benchmarks and the tests of storms, stand beside the unit tests
$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/unit/filter.o | $$(TEST_LIBS)
	$(call link_test,$(BUILD)/obj/tests/unit/filter.o -lcmocka)
$(BUILD)/tests/%: $(BUILD)/obj/tests/integration/%.o | $$(TEST_LIBS)
	$(call link_test)
$(BUILD)/tests/%: $(BUILD)/obj/tests/bench/%.o | $$(TEST_LIBS)
	$(call link_test)

# for editors (clangd looks here) and clang-tidy
define compile_command
{"directory": "$(CURDIR)", "file": "$(1)", "command": "$(subst ",\",$(subst \,\\,$(FLAGS))) -c $(1)"}
endef
$(BUILD)/compile_commands.json: $(BUILD)/flags $(BUILD)/sources
	$(Q)$(file >$@,[$(subst } {,}$(comma) {,$(foreach source,$(SOURCES),$(call compile_command,$(source))))])
compile_commands.json: $(BUILD)/compile_commands.json ## what compiles each file, for editors and tools: in build/

unit: $(UNIT_BINS)
	$(Q)for t in $(UNIT_BINS); do $$t || exit 1; done

clean: ## remove what was built
	rm -rf $(BUILD)

# A tarball of what is committed: the same bytes for the same commit, whoever makes it.
DIST = secbox-$(VERSION)
dist: ## build/secbox-VERSION.tar.gz of the last commit
	@mkdir -p $(BUILD)
	$(Q)git archive --prefix=$(DIST)/ HEAD | gzip -9n >$(BUILD)/$(DIST).tar.gz
	@sha256sum $(BUILD)/$(DIST).tar.gz

hooks: ## lint what is staged before each commit
	$(Q)printf '%s\n' '#!/bin/sh' '# written by make hooks' \
	  'hook=$$(git rev-parse --show-toplevel)/tests/lint/pre-commit.sh' '[ ! -x "$$hook" ] || exec "$$hook"' \
	  >"$$(git rev-parse --git-path hooks)/pre-commit"
	$(Q)chmod +x "$$(git rev-parse --git-path hooks)/pre-commit"

help: ## these lines
	@awk -F ':.*## ' '/^[a-z._-]+:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST:%.d=)

# only of the sources that are here: what was moved away is not asked for
-include $(wildcard $(SOURCES:%.c=$(BUILD)/obj/%.d) $(BUILD)/tests/*.d $(BUILD)/bin/*.d)
include installer/deps.mk installer/install.mk installer/packages.mk tests/tests.mk tests/demo.mk tests/bench/bench.mk

.PHONY: all unit clean dist hooks help compile_commands.json libs-missing
.SECONDARY:
