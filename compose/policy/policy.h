/* SPDX-License-Identifier: MIT */
/* What a pushed compose file may ask for: an allow-list; keys that amount to root on the host are accepted only where
 * the box's own policy file allows them for that service. */
#pragma once

#include "compose/model/project.h"
#include "compose/parse/parse.h"
#include "lib/base/error-list.h"

typedef struct ComposePolicy ComposePolicy;

/* The box's policy.json (text NULL = the built-in default, which allows nothing special):
 *   {"services": {"frigate": {"allow": ["devices", "cap_add:NET_ADMIN", "privileged"],
 *                             "bind": ["/mnt/recordings"], "bind_ro": ["/etc/localtime"]}},
 *    "bind": ["/var/lib/tucomunidad/volumes"], "images": ["localhost/", "registry.example.com/"]}
 * Service "*" means all. `bind_ro` may stand at the top too. An allow entry is a compose key, or KEY:VALUE
 * for one of its values; of the definitions of networks and volumes "network_driver" and "driver_opts"; "other_project". Host
 * path names itself and nothing below it; DIR with "/" and "*" behind it means all that is directly in DIR, except for
 * what amounts to the host itself: /etc, /run, /home/NAME, anything with a hidden component and the like are covered by
 * no entry above them, and "/" by none. Without "bind", what is directly in /var/lib/tucomunidad/volumes is open for
 * writing; that folder itself can never be mounted, and an entry that names it means what is in it. The folder where a
 * service shows its heartbeat (/run/tucomunidad/secbox of the service secbox, /run/tucomunidad/services/NAME of any
 * other) is always open to that service; /etc/localtime, /etc/timezone and secbox.env are always open for reading.
 * Errors: policy.syntax, policy.unknown-key, policy.bad-type, policy.bad-path, policy.bad-entry, policy.too-large. */
int policy_parse(const char *text, size_t len, const char *file, ComposePolicy **ret, Error *err) _must_check_;
ComposePolicy *policy_free(ComposePolicy *p);
DEFINE_CLEANUP(ComposePolicy, policy_free)

/* Before interpolation: refuses what is refused whatever the variables are. */
int compose_policy_check(const ComposeFile *f, const ComposePolicy *policy, Error *err) _must_check_;
/* The same, with all that is refused: in *ret what an entry in policy.json would allow, with those entries in *ret_allowing
 * (NULL when there are none), in *ret_never what no entry allows. 0 or -ENOMEM. */
int compose_policy_find_all(const ComposeFile *f, const ComposePolicy *policy, ErrorList *ret, ErrorList *ret_never,
                            cJSON **ret_allowing) _must_check_;
/* After interpolation: the whole list, on the normal form. Errors: policy.refused with file, line, key and
 * the entry to add to policy.json, policy.bind-outside, policy.image-not-allowed, policy.reserved-label. It
 * judges names, not the file system: mgmt-agent/worker/phases/binds.c looks at that. */
int compose_policy_check_project(const ComposeProject *p, const ComposePolicy *policy, const char *file,
                                 Error *err) _must_check_;

/* What is on the box under a name that the service uses: whoever made that, the entries are asked for the driver of a "network",
 * and for the driver and the options of a "volume" (options NULL: none). Error: policy.refused. */
int compose_policy_check_present(const ComposePolicy *policy, const ComposeService *s, const char *kind,
                                 const char *driver, const cJSON *options, Error *err) _must_check_;

/* From now on entries cover everything below them, as they once did, and every service may use /run/tucomunidad/secbox:
 * for what was accepted then and still runs. Never for a new file. */
void policy_keep_old_meaning(ComposePolicy *p);
bool policy_is_lenient(const ComposePolicy *p);
/* It is that of a project beside the box's own: no service of it has a folder for a heartbeat, whatever it is called. */
void policy_mark_other(ComposePolicy *p);
/* What the box's own policy says of images holds for all projects: for one whose policy says nothing of them. -ENOMEM */
int policy_take_images(ComposePolicy *p, const ComposePolicy *of_box) _must_check_;
/* Whether the service may use the network, the volume or the folder of that name, which is another project's: the entry
 * "other_project", or "other_project:NAME". */
bool policy_allows_other(const ComposePolicy *p, const char *service, const char *name);

/* Whether the service may mount this absolute host path. */
bool policy_allows_bind(const ComposePolicy *p, const char *service, const char *source, bool read_only);
/* The same question for what a link leads to. */
bool policy_allows_link(const ComposePolicy *p, const char *service, const char *link, const char *target,
                        bool read_only);
/* Whether an entry names it for that service, whatever the mode: so it is with what lies deeper in the folder of the volumes. */
bool policy_lists_bind(const ComposePolicy *p, const char *service, const char *source);
/* Directly in /var/lib/tucomunidad/volumes: such a folder is made when it is missing. */
bool policy_is_new_volume(const ComposePolicy *p, const char *source);
