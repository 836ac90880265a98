# SPDX-License-Identifier: MIT
# The demo: a whole cloud and a box on this machine, in namespaces of their own. KEEP=1 leaves it running.
DEMO = SECBOX_BIN=$(abspath $(BUILD))/bin /usr/bin/python3 -B tests/demo/demo.py

# the packages first: what follows finds its libraries through pkg-config
demo:
	$(Q)installer/deps.sh build demo
	$(Q)$(MAKE) -s --no-print-directory all
	$(Q)$(DEMO) $(if $(filter 1,$(KEEP)),keep,run)

demo-shell:
	$(Q)$(DEMO) shell

demo-stop:
	$(Q)$(DEMO) stop

.PHONY: demo demo-shell demo-stop
