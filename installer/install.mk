# SPDX-License-Identifier: MIT
# What each kind of machine gets, and nothing of the others: MODE:FROM:TO. A machine names what it is.
PROGRAM_FILES = $(foreach p,$(2),755:$(BUILD)/bin/$(p):$(1)/$(p))
UNIT_FILES = $(foreach u,$(1),644:$(u):/usr/lib/systemd/system/$(notdir $(u)))
MAN_FILES = $(foreach m,$(1),644:docs/man/$(m):/usr/share/man/man$(subst .,,$(suffix $(m)))/$(m))

COMPLETION_FILES = 644:$(BUILD)/completion/$(1).bash:/usr/share/bash-completion/completions/$(1) \
  644:$(BUILD)/completion/$(1).zsh:/usr/share/zsh/vendor-completions/_$(1) \
  644:$(BUILD)/completion/$(1).fish:/usr/share/fish/vendor_completions.d/$(1).fish

UNITS = $(wildcard $(addprefix installer/units/*.,service path socket slice mount timer target))
GATEWAY_UNITS = $(filter installer/units/secbox-gateway%,$(UNITS))
BOX_UNITS = $(filter-out $(GATEWAY_UNITS),$(UNITS))

BOX_FILES = $(call PROGRAM_FILES,/usr/sbin,mgmt-agent mgmt-worker mgmt-link recovery-agent) \
  $(call PROGRAM_FILES,/usr/bin,secboxctl) $(call UNIT_FILES,$(BOX_UNITS)) \
  644:installer/units/ssh.service.d/secbox.conf:/usr/lib/systemd/system/ssh.service.d/secbox.conf \
  755:installer/recovery/recovery-sshd.sh:/usr/lib/secbox/recovery-sshd \
  755:installer/recovery/recovery-reboot.sh:/usr/lib/secbox/recovery-reboot \
  755:installer/recovery/authorized-keys.sh:/usr/lib/secbox/authorized-keys \
  644:installer/recovery/sshd_config:/usr/lib/secbox/recovery-sshd_config \
  644:installer/recovery/sshd-support-ca.conf:/etc/ssh/sshd_config.d/secbox.conf \
  644:installer/recovery/recovery.env.example:/usr/share/doc/secbox/recovery.env.example \
  644:installer/units/sysusers.conf:/usr/lib/sysusers.d/secbox.conf \
  644:installer/units/tmpfiles.conf:/usr/lib/tmpfiles.d/secbox.conf \
  $(call MAN_FILES,mgmt-agent.8 mgmt-link.8 recovery-agent.8 secboxctl.1) $(call COMPLETION_FILES,secboxctl)

GATEWAY_FILES = $(call PROGRAM_FILES,/usr/sbin,secbox-gateway) $(call UNIT_FILES,$(GATEWAY_UNITS)) \
  $(foreach f,$(wildcard installer/proxy/*),644:$(f):/usr/share/doc/secbox-gateway/$(notdir $(f))) \
  644:installer/units/sysusers-gateway.conf:/usr/lib/sysusers.d/secbox-gateway.conf \
  $(call MAN_FILES,secbox-gateway.8)

FLEET_FILES = $(call PROGRAM_FILES,/usr/bin,secbox-fleet) $(call MAN_FILES,secbox-fleet.1) \
  $(call COMPLETION_FILES,secbox-fleet)

ALL_FILES = $(BOX_FILES) $(GATEWAY_FILES) $(FLEET_FILES)

define install_files
	$(Q)for file in $(1); do \
	  mode=$${file%%:*}; from=$${file#*:}; to=$${from#*:}; from=$${from%%:*}; \
	  install -D -m "$$mode" "$$from" "$(DESTDIR)$$to" || exit 1; \
	done
endef
$(BUILD)/completion/%.bash $(BUILD)/completion/%.zsh $(BUILD)/completion/%.fish: $(BUILD)/bin/% | $(BUILD)/completion
	$(Q)for shell in bash zsh fish; do \
	  $< completion $$shell >$(BUILD)/completion/$*.new && mv -f $(BUILD)/completion/$*.new $(BUILD)/completion/$*.$$shell || \
	    exit 1; \
	done
$(BUILD)/completion:
	$(Q)mkdir -p $@

# The folder belongs to whoever builds, also when root is the first to install.
all: | $(BUILD)/completion
install-box: $(BUILD)/completion/secboxctl.bash
install-fleet: $(BUILD)/completion/secbox-fleet.bash

install-box: all ## what a box runs, onto this machine or below DESTDIR
	$(call install_files,$(BOX_FILES))
install-gateway: all ## what the gateway's machine runs
	$(call install_files,$(GATEWAY_FILES))
install-fleet: all ## secbox-fleet, for operators
	$(call install_files,$(FLEET_FILES))

# All of it belongs into a staging folder at most: the box's part changes the sshd of the machine that it is put on.
ifeq ($(DESTDIR),)
install:
	@echo "make: say what this machine is: make install-box, make install-gateway or make install-fleet" >&2; exit 2
else
install: install-box install-gateway install-fleet
endif

# Into the podman of whoever calls: the user whose containers they are.
PODMAN = podman
images: all ## the images that compose/examples/secbox.yml names
	$(Q)PODMAN='$(PODMAN)' installer/images/build.sh $(BUILD)/bin

# Stops what it takes away. What the machine was told and what it knows stays: /etc/tucomunidad, /etc/secbox-gateway.env and
# /var/lib; so do the containers.
uninstall: ## stop all of that and take its files away
	$(Q)DESTDIR='$(DESTDIR)' installer/uninstall.sh $(foreach file,$(ALL_FILES),$(lastword $(subst :, ,$(file))))

.PHONY: install install-box install-gateway install-fleet images uninstall
