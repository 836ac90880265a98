# SecBox. `make` builds, `make check` tests, `make demo` shows the main job. V=1 shows commands.
BUILD ?= build
V ?= 0
Q = $(if $(filter 1,$(V)),,@)
CC = gcc
PKGS = libsystemd libcjson yaml-0.1 libcurl libssl libcrypto libpq
VERSION = 0.1.0

WARN = -Wall -Wextra -Wformat=2 -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wshadow -Wvla \
  -Wtrampolines -Wbidi-chars=any -Wstrict-prototypes -Wmissing-prototypes -Werror
HARDEN = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
  -fcf-protection=full -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -fno-strict-overflow \
  -fno-strict-aliasing -fPIE
OPT = -O2 -g
SAN =
CFLAGS += -std=gnu17 -D_GNU_SOURCE $(OPT) $(WARN) $(if $(SAN),$(SAN) -fPIE,$(HARDEN)) -I. -MMD -MP \
  -DSECBOX_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS += -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed $(SAN)
LIBS = $(shell pkg-config --libs $(PKGS) 2>/dev/null)

LIB_SRC = $(wildcard lib/*/*.c env/*.c compose/*.c compose/*/*.c)
LIB_OBJ = $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
LIB = $(BUILD)/libsecbox.a

# SAN_LOGS=FOLDER: what is linked writes what its sanitizers find to files there
SAN_LOGS =
LIBS += $(if $(SAN_LOGS),-DSANITIZER_LOGS='"$(SAN_LOGS)"' tests/lab/sanitizer-options.c)

# program: every .c of its folder(s) that no other program owns
mgmt-agent_SRC = $(wildcard mgmt-agent/agent/*.c mgmt-agent/state/*.c)
mgmt-link_SRC = $(wildcard mgmt-agent/link/*.c)
mgmt-worker_SRC = $(wildcard mgmt-agent/worker/*.c mgmt-agent/worker/*/*.c mgmt-agent/state/*.c mgmt-agent/host/*.c)
secboxctl_SRC = $(wildcard mgmt-agent/secboxctl/*.c mgmt-agent/host/*.c)
secbox-gateway_SRC = $(filter-out gateway/fleet/%,$(wildcard gateway/*.c gateway/*/*.c))
secbox-fleet_SRC = $(wildcard gateway/fleet/*.c)
secbox_SRC = $(wildcard secbox/*.c secbox/*/*.c)
recovery-agent_SRC = $(wildcard recovery-agent/*.c)
PROGRAMS = $(foreach p,mgmt-agent mgmt-worker mgmt-link secboxctl secbox-gateway secbox-fleet secbox recovery-agent,$(if $($(p)_SRC),$(p)))
BINS = $(PROGRAMS:%=$(BUILD)/bin/%)

# the agent without its mains, for its unit tests
AGENT_SRC = $(filter-out %/main.c,$(sort $(mgmt-agent_SRC) $(mgmt-worker_SRC)))
AGENT_LIB = $(BUILD)/libagent.a

# the same of the gateway
GATEWAY_LIB = $(BUILD)/libgateway.a

# the same of recovery-agent
RECOVERY_LIB = $(BUILD)/librecovery.a

UNIT_SRC = $(wildcard tests/unit/test-*.c)
UNIT_BINS = $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)

all: $(BINS)

$(LIB): $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@; ar rcs $@ $^

$(AGENT_LIB): $(AGENT_SRC:%.c=$(BUILD)/obj/%.o)
	@echo "  AR    $@"
	$(Q)rm -f $@; ar rcs $@ $^

$(GATEWAY_LIB): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(secbox-gateway_SRC)))
	@echo "  AR    $@"
	$(Q)rm -f $@; ar rcs $@ $^

$(RECOVERY_LIB): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(recovery-agent_SRC)))
	@echo "  AR    $@"
	$(Q)rm -f $@; ar rcs $@ $^

$(BUILD)/obj/%.o: %.c
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

define program_rule
$(BUILD)/bin/$(1): $$($(1)_SRC:%.c=$(BUILD)/obj/%.o) $(LIB)
	@echo "  LD    $$@"
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

$(BUILD)/tests/%: tests/unit/%.c $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS) -lcmocka

$(BUILD)/tests/test-agent-%: tests/unit/test-agent-%.c $(AGENT_LIB) $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(AGENT_LIB) $(LIB) $(LDFLAGS) $(LIBS) -lcmocka

$(BUILD)/tests/test-gateway-%: tests/unit/test-gateway-%.c $(GATEWAY_LIB) $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(GATEWAY_LIB) $(LIB) $(LDFLAGS) $(LIBS) -lcmocka

$(BUILD)/tests/test-recovery-%: tests/unit/test-recovery-%.c $(RECOVERY_LIB) $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(RECOVERY_LIB) $(LIB) $(LDFLAGS) $(LIBS) -lcmocka

# peers for the interoperation tests
$(BUILD)/tests/%: tests/integration/%.c $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS)

# load for benchmarks and the tests of storms
$(BUILD)/tests/%: tests/bench/%.c $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS)

unit: $(UNIT_BINS)
	$(Q)for t in $(UNIT_BINS); do $$t || exit 1; done

# what a package would hold; the units and users are those of installer/units
install: all
	install -d $(DESTDIR)/usr/sbin $(DESTDIR)/usr/bin $(DESTDIR)/usr/lib/systemd/system $(DESTDIR)/usr/lib/sysusers.d \
	  $(DESTDIR)/usr/lib/tmpfiles.d $(DESTDIR)/usr/share/man/man1 $(DESTDIR)/usr/share/man/man8
	install $(addprefix $(BUILD)/bin/,mgmt-agent mgmt-worker mgmt-link recovery-agent secbox-gateway) $(DESTDIR)/usr/sbin
	install $(addprefix $(BUILD)/bin/,secboxctl secbox-fleet) $(DESTDIR)/usr/bin
	install -m 644 $(wildcard $(addprefix installer/units/*.,service path slice mount)) $(DESTDIR)/usr/lib/systemd/system
	install -d $(DESTDIR)/usr/lib/systemd/system/ssh.service.d $(DESTDIR)/usr/lib/secbox $(DESTDIR)/etc/ssh/sshd_config.d \
	  $(DESTDIR)/usr/share/doc/secbox
	install -m 644 installer/units/ssh.service.d/secbox.conf $(DESTDIR)/usr/lib/systemd/system/ssh.service.d
	install installer/recovery/recovery-sshd.sh $(DESTDIR)/usr/lib/secbox/recovery-sshd
	install -m 644 installer/recovery/sshd_config $(DESTDIR)/usr/lib/secbox/recovery-sshd_config
	install -m 644 installer/recovery/sshd-support-ca.conf $(DESTDIR)/etc/ssh/sshd_config.d/secbox.conf
	install -m 644 installer/recovery/recovery.env.example $(DESTDIR)/usr/share/doc/secbox
	install -m 644 installer/units/sysusers.conf $(DESTDIR)/usr/lib/sysusers.d/secbox.conf
	install -m 644 installer/units/sysusers-gateway.conf $(DESTDIR)/usr/lib/sysusers.d/secbox-gateway.conf
	install -m 644 installer/units/tmpfiles.conf $(DESTDIR)/usr/lib/tmpfiles.d/secbox.conf
	install -m 644 docs/man/*.1 $(DESTDIR)/usr/share/man/man1
	install -m 644 docs/man/*.8 $(DESTDIR)/usr/share/man/man8

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
include installer/deps.mk tests/tests.mk tests/demo.mk tests/bench/bench.mk

.PHONY: all unit install clean
.SECONDARY:
