# SPDX-License-Identifier: MIT
# The demo: a whole cloud and a box on this machine, in namespaces of their own. KEEP=1 leaves it running.
DEMO = SECBOX_BIN=$(abspath $(BUILD))/bin /usr/bin/python3 -B tests/demo/demo.py

# the packages first: what follows finds its libraries through pkg-config
demo: ## the main job shown and checked, in about half a minute; KEEP=1 leaves it running
	$(Q)installer/deps.sh build demo
	$(Q)$(MAKE) -s --no-print-directory all
	$(Q)$(DEMO) $(if $(filter 1,$(KEEP)),keep,run)

demo-shell: ## a shell in the demo that was left running
	$(Q)$(DEMO) shell

demo-stop: ## end it
	$(Q)$(DEMO) stop

.PHONY: demo demo-shell demo-stop
