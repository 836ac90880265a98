/* SPDX-License-Identifier: MIT */
/* Where podman may find images besides its own store: containers-storage.conf(5). */
#pragma once

#include "mgmt-agent/host/podman-user.h"

/* Whether any file that podman may read names additional stores of images, or cannot be read; podman_user_prepare() comes first.
 * False: each image is in podman's own store. */
bool podman_has_other_stores(const PodmanUser *u);
/* The same of the text of one such file. */
bool storage_conf_names_other_stores(const char *text);
