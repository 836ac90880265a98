/* SPDX-License-Identifier: MIT */
/* One compose file over another, by the merge rules of the Compose specification. */
#pragma once

#include "lib/data/yaml.h"

/* `over` is put over `base`: mappings are merged, lists are appended, other values are replaced; and what the specification says
 * of some keys: `command`, `entrypoint` and `healthcheck.test` are replaced, `ports`, `volumes`, `configs`, `secrets` and
 * `devices` have one entry for a target, lists of KEY=value and mappings are one thing. `at` is the path of both: "" of whole
 * files, "services.NAME" of services. What has a tag in `over` replaces what is there, and keeps the tag, since it may be
 * put over yet another file. `over` stays as it is. -ENOMEM. */
int compose_merge(YamlNode *base, const YamlNode *over, const char *at) _must_check_;
