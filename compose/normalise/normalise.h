/* SPDX-License-Identifier: MIT */
/* Turns the many spellings that a compose file may use into the one form of compose/model/normal-form.h. Values have
 * been interpolated before. A function that fails sets at->err (or just returns -ENOMEM). */
#pragma once

#include <stdint.h>

#include "compose/model/project.h"
#include "compose/model/resolve-options.h"
#include "compose/parse/parse-impl.h"
#include "compose/model/service-key.h"
#include "lib/data/json.h"

typedef struct DataFolders DataFolders;

struct Normaliser {
    const ComposeResolveOptions *options;
    const ComposeFile *file;
    const YamlNode *root; /* interpolated copy of the file's tree */
    char **off;           /* services that are to run 0 times */
    DataFolders *data_folders;
};

/* --- one value (values.c) --- */

/* Text on one line; compose.bad-type when it is not text, compose.bad-value for control characters or more
 * than 4 KiB. */
int take_text(const Place *at, const char **ret) _must_check_;
/* Any text, also of many lines. */
int take_any_text(const Place *at, const char **ret) _must_check_;
int take_bool(const Place *at, bool *ret) _must_check_;
int take_integer(const Place *at, int64_t min, int64_t max, int64_t *ret) _must_check_;
/* Bytes: a decimal number with b, k, kb, m, mb, g, gb, t or tb (powers of 1024) behind it or nothing. */
int take_size(const Place *at, uint64_t *ret) _must_check_;
/* Go's form, as the specification wants: 1m30s, 500ms, 1.5h. At most a day. compose.bad-duration. */
int take_duration(const Place *at, uint64_t *ret_usec) _must_check_;
/* "90s", "1500ms" or "7us", whichever is exact; new string. */
char *duration_format(uint64_t usec);

/* object[key] = text; the member must not be there yet. */
int put_text(cJSON *object, const char *key, const char *value) _must_check_;
int put_number(cJSON *object, const char *key, uint64_t value) _must_check_; /* as text */
/* New empty array or object under a key; NULL when out of memory. */
cJSON *put_array(cJSON *object, const char *key);
cJSON *put_object(cJSON *object, const char *key);
int append_text(cJSON *array, const char *value) _must_check_;
/* By key (object) or by text (array of strings). */
void members_sort(cJSON *container);
/* Sorted, without duplicates. */
void set_normalise(cJSON *array);

/* --- lists and maps (lists.c) --- */

/* Text or list of texts into an array. */
int take_texts(const Place *at, cJSON *array) _must_check_;
/* Mapping, or list of KEY=VALUE, into an object with text values; a key without a value gets "". */
int take_map(const Place *at, cJSON *object) _must_check_;
/* Words as a POSIX shell splits them, without expansions. */
int take_words(const Place *at, cJSON *array) _must_check_;

/* --- members of a service: at->node is the value, at->key the key --- */

int normalise_bool(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_container_name(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_image(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_logging(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_map(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_pull_policy(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_restart(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_stop_grace(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_text(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_texts(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_words(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_capabilities(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_gpus(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_devices(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_dns(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_namespace(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_oom_score(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_pids(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_expose(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_extra_hosts(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_size(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_cpu_shares(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_cpu_time(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_cpus(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_scale(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_deploy(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_ulimits(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_platform(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_ports(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_volumes(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_configs(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_secrets(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_environment(const Place *service, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_healthcheck(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_depends_on(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
int normalise_networks(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;
/* The service's own `mac_address`, after its networks have been read. */
int normalise_mac_address(const Place *at, ComposeService *s) _must_check_;
/* After depends_on has been read. */
/* What it shares with other services goes when their containers do. */
int normalise_owners(ComposeService *s) _must_check_;
/* "service:NAME" and "container:NAME" under a key of compose_shared_keys: 1 when it was one and is in s->config, 0 when not. */
int take_shared(const Place *at, const Normaliser *n, ComposeService *s, const char *mode) _must_check_;
int normalise_network_mode(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;

/* A relative path joined to base_dir and cleaned; "../" out of it is compose.bad-value. New string in *ret.
 */
int take_host_path(const Place *at, const Normaliser *n, const char *path, char **ret) _must_check_;
/* What such a path is relative to base_dir, "" for base_dir itself: a part of it. */
int path_below_base(const Place *at, const Normaliser *n, const char *path, const char **ret) _must_check_;

/* The options' find_file() for a path that take_host_path() has made of a relative one. */
int find_travelled(const Place *at, const Normaliser *n, const char *source, bool read_only, char **ret) _must_check_;
/* A file of the host at a place in the container, for reading. */
int put_file_mount(const Place *at, ComposeService *s, const char *source, const char *target) _must_check_;

/* A whole service; s is zeroed and has its name. Also on failure the caller frees what is in s. */
int normalise_service(const Place *at, const Normaliser *n, ComposeService *s) _must_check_;

/* The top-level sections, into p->networks and p->volumes, used or not. */
int normalise_definitions(const Place *top, const Normaliser *n, ComposeProject *p) _must_check_;
