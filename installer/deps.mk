# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing; needs no network when none is.
deps: ## install the Debian packages that are missing
	$(Q)installer/deps.sh build run test demo packages

.PHONY: deps
