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
RECOVERY_UNITS = $(filter $(addprefix installer/units/,recovery-% secbox-recovery% secbox-principals% secbox-paths%),$(UNITS))
SECBOX_UNITS = $(patsubst %,installer/units/%.service,secbox relay-client secbox-prepare secbox-release)
AGENT_UNITS = $(filter-out $(GATEWAY_UNITS) $(RECOVERY_UNITS) $(SECBOX_UNITS),$(UNITS))

AGENT_FILES = $(call PROGRAM_FILES,/usr/sbin,$(filter mgmt-agent mgmt-worker mgmt-link secbox-pairing mount.secbox,$(PROGRAMS))) \
  $(call PROGRAM_FILES,/usr/bin,secboxctl) $(call UNIT_FILES,$(AGENT_UNITS)) \
  644:installer/units/sysusers.conf:/usr/lib/sysusers.d/secbox.conf \
  755:installer/package-update.sh:/usr/lib/secbox/package-update \
  644:installer/units/tmpfiles.conf:/usr/lib/tmpfiles.d/secbox.conf \
  644:installer/storage.conf:/usr/share/secbox/storage.conf \
  644:installer/avahi-daemon.conf:/usr/share/secbox/avahi-daemon.conf \
  644:installer/units/avahi-daemon.service.d/secbox.conf:/usr/lib/systemd/system/avahi-daemon.service.d/secbox.conf \
  $(foreach f,$(wildcard env/examples/*.env compose/examples/*),644:$(f):/usr/share/secbox/examples/$(notdir $(f))) \
  $(call MAN_FILES,mgmt-agent.8 mgmt-link.8 $(notdir $(wildcard docs/man/secbox-pairing.8)) secboxctl.1) \
  $(call COMPLETION_FILES,secboxctl)

# where the machine's own sshd finds that it is to ask us, too
SSHD_DROP_IN = /etc/ssh/sshd_config.d/secbox.conf
RECOVERY_FILES = $(call PROGRAM_FILES,/usr/sbin,recovery-agent) $(call PROGRAM_FILES,/usr/lib/secbox,session-recorder) \
  $(call UNIT_FILES,$(RECOVERY_UNITS)) \
  644:installer/units/ssh.service.d/secbox.conf:/usr/lib/systemd/system/ssh.service.d/secbox.conf \
  755:installer/recovery/recovery-sshd.sh:/usr/lib/secbox/recovery-sshd \
  755:installer/package-update.sh:/usr/lib/secbox/recovery-package-update \
  755:installer/recovery/recovery-reboot.sh:/usr/lib/secbox/recovery-reboot \
  755:installer/recovery/authorized-keys.sh:/usr/lib/secbox/authorized-keys \
  644:installer/recovery/sshd_config:/usr/lib/secbox/recovery-sshd_config \
  644:installer/recovery/sshd-support-ca.conf:$(SSHD_DROP_IN) \
  644:installer/recovery/recovery.env.example:/usr/share/secbox/examples/recovery.env \
  644:installer/units/sysusers-recovery.conf:/usr/lib/sysusers.d/secbox-recovery.conf \
  644:installer/units/tmpfiles-recovery.conf:/usr/lib/tmpfiles.d/secbox-recovery.conf \
  $(call MAN_FILES,recovery-agent.8)

BOX_FILES = $(AGENT_FILES) $(RECOVERY_FILES)

GATEWAY_FILES = $(call PROGRAM_FILES,/usr/sbin,secbox-gateway) $(call UNIT_FILES,$(GATEWAY_UNITS)) \
  $(foreach f,$(wildcard installer/proxy/*),644:$(f):/usr/share/doc/secbox-gateway/$(notdir $(f))) \
  644:installer/units/sysusers-gateway.conf:/usr/lib/sysusers.d/secbox-gateway.conf \
  $(call MAN_FILES,secbox-gateway.8)

FLEET_FILES = $(call PROGRAM_FILES,/usr/bin,secbox-fleet) $(call MAN_FILES,secbox-fleet.1) \
  $(call COMPLETION_FILES,secbox-fleet)

# the data plane where there are no containers
SECBOX_FILES = $(call PROGRAM_FILES,/usr/bin,secbox relay-client) $(call UNIT_FILES,$(SECBOX_UNITS)) \
  644:installer/units/sysusers-secbox.conf:/usr/lib/sysusers.d/secbox-data.conf \
  644:installer/units/tmpfiles-secbox.conf:/usr/lib/tmpfiles.d/secbox-data.conf \
  $(call MAN_FILES,secbox.8 relay-client.8)

ALL_FILES = $(BOX_FILES) $(GATEWAY_FILES) $(FLEET_FILES) $(SECBOX_FILES)

# Programs are installed without what only debuggers read; a package keeps that apart, and has NOSTRIP=1 or nostrip among
# DEB_BUILD_OPTIONS.
STRIP = strip
INSTALL_PROGRAM = install$(if $(filter 1,$(NOSTRIP))$(filter nostrip,$(DEB_BUILD_OPTIONS)),, -s --strip-program='$(STRIP)')

define install_files
	$(Q)for file in $(1); do \
	  mode=$${file%%:*}; from=$${file#*:}; to=$${from#*:}; from=$${from%%:*}; \
	  case $$from in $(BUILD)/bin/*) set -- $(INSTALL_PROGRAM) ;; *) set -- install ;; esac; \
	  "$$@" -D -m "$$mode" "$$from" "$(DESTDIR)$$to" || exit 1; \
	done
endef
$(BUILD)/completion/%.bash $(BUILD)/completion/%.zsh $(BUILD)/completion/%.fish: $(BUILD)/bin/% | $(BUILD)/completion
	$(Q)for shell in bash zsh fish; do \
	  $(RUN_BUILT) $< completion $$shell >$(BUILD)/completion/$*.new-$$$$ && \
	    mv -f $(BUILD)/completion/$*.new-$$$$ $(BUILD)/completion/$*.$$shell || exit 1; \
	done
$(BUILD)/completion:
	$(Q)mkdir -p $@

# They belong to whoever builds, also when root is the first to install; and several that install at once find them made.
all: $(BUILD)/completion/secboxctl.bash $(BUILD)/completion/secbox-fleet.bash
install-box install-agent: $(BUILD)/completion/secboxctl.bash
install-fleet: $(BUILD)/completion/secbox-fleet.bash

install-box: all ## what a box runs, onto this machine or below DESTDIR
	$(call install_files,$(BOX_FILES))
install-agent: all ## of that, what looks after the box
	$(call install_files,$(AGENT_FILES))
install-recovery: all ## of that, the way into a box that is in trouble
	$(call install_files,$(RECOVERY_FILES))
install-gateway: all ## what the gateway's machine runs
	$(call install_files,$(GATEWAY_FILES))
install-fleet: all ## secbox-fleet, for operators
	$(call install_files,$(FLEET_FILES))

install-secbox: all ## the data plane as a plain program
	$(call install_files,$(SECBOX_FILES))

# All of it belongs into a staging folder at most: the box's part changes the sshd of the machine that it is put on.
ifeq ($(DESTDIR),)
install:
	@echo "make: say what this machine is: make install-box, make install-gateway or make install-fleet" >&2; exit 2
else
install: install-box install-gateway install-fleet install-secbox
endif

# A release of the data plane for boxes without containers, as `secboxctl release apply` takes it, into the folder RELEASES.
RELEASES = $(BUILD)
release: all ## build/secbox-VERSION-ARCH.tar.gz: the data plane for boxes without containers
	$(Q)STRIP='$(STRIP)' RELEASE_ARCH='$(ARCH)' DEB_VERSION='$(DEB_VERSION)' installer/release.sh $(RELEASES) $(VERSION) \
	  $(BUILD)/bin/secbox $(BUILD)/bin/relay-client

# Into the podman of whoever calls: the user whose containers they are.
PODMAN = podman
# put into the image of relay-client, for the provider cloudflare; without one the others work
CLOUDFLARED =
# PACKED: the folder in which images/ is made. ARCHES: of the last commit, from the packages of it, for these processors, also where
# one is not this machine's; by default those programs that are in BUILD, for this machine's alone, in seconds and without root.
ARCHES =
images: $(if $(ARCHES),,all) ## the images that compose/examples/secbox.yml names; ARCHES="amd64 arm64" for both processors
	$(Q)rm -rf $(PACKED)/images
	$(Q)PODMAN='$(PODMAN)' CLOUDFLARED='$(CLOUDFLARED)' DEB_VERSION='$(DEB_VERSION)' installer/images/$(if $(ARCHES),arches.sh \
	  $(PACKED) $(VERSION) $(ARCHES),build.sh $(BUILD)/bin $(PACKED)/images $(VERSION))

# ARCHIVES: OCI archives of the same images for other processors, as make images leaves them where they were made.
REGISTRY =
TAG =
ARCHIVES =
publish: ## push the images of make images to REGISTRY as TAG, each as one index with those in ARCHIVES; prints their digests
	$(Q)PODMAN='$(PODMAN)' installer/images/publish.sh $(PACKED)/images '$(REGISTRY)' '$(TAG)' $(ARCHIVES)

# Stops what it takes away. What the machine was told and what it knows stays: /etc/tucomunidad, /etc/secbox-gateway.env and
# /var/lib; so do the containers.
uninstall: ## stop all of that and take its files away
	$(Q)DESTDIR='$(DESTDIR)' installer/uninstall.sh $(foreach file,$(ALL_FILES),$(lastword $(subst :, ,$(file))))

# One file, of which half does nothing. Who publishes it puts the key of the packages in place of @KEY@.
GET_SECBOX = $(sort $(wildcard installer/get-secbox/*.sh))
$(BUILD)/get-secbox.sh: $(GET_SECBOX) | $(BUILD)/completion
	$(Q)awk 'FNR == NR || FNR > 2' $(GET_SECBOX) >$@.new-$$$$ && chmod 755 $@.new-$$$$ && mv -f $@.new-$$$$ $@

.PHONY: install install-box install-agent install-recovery install-gateway install-fleet install-secbox images publish uninstall
.PHONY: release
