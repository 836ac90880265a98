/* SPDX-License-Identifier: MIT */
/* Host keys of boxes. A box has two sshds, its own and recovery-agent's, with a key each, and which of them answers is known
 * only when the way in is found. So ssh is given a link, and the link is set to the one file or the other before ssh has
 * heard the first byte. Each gateway has a folder of its own for both: its boxes are not another one's.
 *
 * The gateway says which keys they are, as the box has told it; only of boxes that do not tell them, or no more, a key is believed
 * on first sight.
 *
 * A person who follows ssh's advice puts a file in the link's place (`ssh-keygen -R`): then what is known of that box is
 * forgotten, and what the gateway says is not used either until it says something else. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/fleet/fleet.h"

#define HOST_KEY_ALIAS_PREFIX "secbox-"   /* and the box's id: the name in these files */
#define HOST_KEYS_STRICT_SUFFIX "@strict" /* a file of this name beside the link: no other keys are taken */

/* All after fleet_begin(); error ids fleet.known-hosts and usage. */

/* The link that `ssh` by way of ~/.ssh/config uses for this box, or for "%n": a new string. */
int known_hosts_link(const Fleet *fleet, const char *device, char **ret, Error *err) _must_check_;
/* A link for one ssh of our own, which others do not set meanwhile. */
int known_hosts_own_link(const Fleet *fleet, const char *device, char **ret, Error *err) _must_check_;
/* Whether it leads to keys, as it does once a way to the box was open. */
bool known_hosts_is_set(const char *link);
/* That ssh has ended. Where it has failed, its advice may name the link: it stays for a day. */
void known_hosts_own_ended(const char *link, bool failed);
/* What a person has edited counts before anything else is done about this box. The next two do it themselves. */
void known_hosts_settle(const Fleet *fleet, const char *device);
/* Whether ssh is to refuse every key that is not in the file; `known`: the gateway knows those of each of the box's sshds. Kept
 * for an `ssh` by way of ~/.ssh/config. */
int known_hosts_strict(const Fleet *fleet, const char *device, bool known, bool *ret, Error *err) _must_check_;
/* Sets `link` to the keys of the box's own sshd, or of recovery-agent's. NULL: the link that lines in ~/.ssh/config by an earlier
 * version name. `keys` is what the gateway says, an array of "TYPE BASE64", or NULL. */
int known_hosts_use(const Fleet *fleet, const char *link, const char *device, bool recovery, const cJSON *keys,
                    Error *err) _must_check_;
