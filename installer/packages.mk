# SPDX-License-Identifier: MIT
# Debian packages, the repository that serves them, and a bundle of it for boxes without internet.

# PREBUILT=1 packs the programs as they lie in BUILD; else all is built from scratch in a copy of the tree, where
# the same commit gives the same bytes. DEB_VERSION: another version. ARCH: another architecture, see docs/packages.md.
# PACKED: the folder in which deb/ and repo/ are made.
PREBUILT =
PACKED = $(BUILD)
ARCH =
DEB_VERSION =
deb: $(if $(PREBUILT),all) ## the Debian packages, into build/deb; ARCH=arm64 for another architecture
	$(Q)mkdir -p $(PACKED)
	$(Q)$(if $(PREBUILT),SECBOX_TREE='$(CURDIR)' SECBOX_WORDS='$(MAKEOVERRIDES)') DEB_VERSION='$(DEB_VERSION)' DEB_ARCH='$(ARCH)' \
	  installer/deb.sh $(PACKED) $(VERSION)

# In a Debian of its own, which debootstrap makes the first time. Of the last commit.
cross: ## the Debian packages for the processor ARCH (arm64) from this machine, into build/deb, and its unit tests, by qemu
	$(Q)installer/cross.sh '$(or $(ARCH),arm64)' $(PACKED)

# A signed apt repository of what is in build/deb. REPO_KEY: the key, by its id in gpg's keyring; without one a key for tests is
# made. CHANNEL: what the suite is called. CLOUD: the address that the installer is told; without one the gateway fills it in.
REPO_KEY =
CHANNEL = stable
CLOUD =
repo: $(BUILD)/get-secbox.sh ## build/repo: a signed apt repository of the packages in build/deb, its key, the installer, the images
	$(Q)REPO_KEY='$(REPO_KEY)' CHANNEL='$(CHANNEL)' CLOUD='$(CLOUD)' INSTALLER='$(BUILD)/get-secbox.sh' \
	  installer/repo.sh $(PACKED) $(VERSION)

# With what a bare Debian lacks, of the release and processor of this machine, as its apt fetches it into the folder CLOSURE.
# CLOSURE=no leaves that out.
CLOSURE = $(PACKED)/debian
bundle: repo ## build/secbox-bundle-VERSION.tar: all of build/repo, and what a bare Debian lacks, for boxes without internet
ifneq ($(CLOSURE),no)
	$(Q)installer/debian-closure.sh $(CLOSURE)
	$(Q)DEBIAN='$(abspath $(CLOSURE))' REPO_KEY='$(REPO_KEY)' CHANNEL='$(CHANNEL)' CLOUD='$(CLOUD)' \
	  INSTALLER='$(BUILD)/get-secbox.sh' installer/repo.sh $(PACKED) $(VERSION)
	$(Q)installer/bundle.sh $(PACKED) $(VERSION) bundle
else
	$(Q)installer/bundle.sh $(PACKED) $(VERSION) repo
endif

.PHONY: deb cross repo bundle
