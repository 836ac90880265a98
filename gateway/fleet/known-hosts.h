/* SPDX-License-Identifier: MIT */
/* Host keys of boxes. A box has two sshds, its own and recovery-agent's, with a key each, and which of them answers is known
 * only when the way in is found. So ssh is given a link, and the link is set to the one file or the other before ssh has
 * heard the first byte. Each gateway has a folder of its own for both: its boxes are not another one's.
 *
 * A person who follows ssh's advice puts a file in the link's place (`ssh-keygen -R`): then what is known of that box is
 * forgotten. */
#pragma once

#include "gateway/fleet/fleet.h"

/* All after fleet_begin(); error ids fleet.known-hosts and usage. */

/* The link that `ssh` by way of ~/.ssh/config uses for this box, or for "%n": a new string. */
int known_hosts_link(const Fleet *fleet, const char *device, char **ret, Error *err) _must_check_;
/* A link for one ssh of our own, which others do not set meanwhile. */
int known_hosts_own_link(const Fleet *fleet, const char *device, char **ret, Error *err) _must_check_;
/* That ssh has ended. Where it has failed, its advice may name the link: it stays for a day. */
void known_hosts_own_ended(const char *link, bool failed);
/* Sets `link` to the keys of the box's own sshd, or of recovery-agent's. NULL: the link that lines in ~/.ssh/config by an earlier
 * version name. */
int known_hosts_use(const Fleet *fleet, const char *link, const char *device, bool recovery, Error *err) _must_check_;
