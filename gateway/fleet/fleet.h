/* SPDX-License-Identifier: MIT */
/* What secbox-fleet's verbs share: the options of the command line and the way to the gateway. */
#pragma once

#include <stdbool.h>

#include "compose/gather/project-files.h"
#include "lib/data/project-name.h"
#include "gateway/fleet/gateway-client.h"
#include "lib/cli/cli.h"
#include "lib/data/digest.h"
#include "lib/data/seal.h"

#define PROGRAM "secbox-fleet"
/* for what the gateway answers by itself */
#define CALL_TIMEOUT (30 * USEC_PER_SEC)

typedef struct Fleet {
    const char *gateway;                       /* --gateway */
    const char *token_file;                    /* --token-file */
    const char *ca;                            /* --ca */
    const char *label;                         /* --label */
    const char *limit;                         /* --limit */
    const char *confirm_deadline;              /* --confirm-deadline */
    const char *reason;                        /* --reason */
    const char *timeout;                       /* --timeout */
    const char *for_time;                      /* --for */
    const char *max;                           /* --max */
    const char *idle;                          /* --idle */
    const char *to;                            /* --to */
    const char *from;                          /* --from */
    const char *event;                         /* --event */
    const char *compose;                       /* --compose */
    const char *service;                       /* --service */
    const char *agent;                         /* --agent */
    const char *release;                       /* --release */
    const char *groups;                        /* --groups */
    const char *halt_at;                       /* --halt-at */
    const char *soak;                          /* --soak */
    const char *parallel;                      /* --parallel */
    const char *offline_after;                 /* --offline-after */
    const char *grant;                         /* --grant */
    const char *way;                           /* --way */
    const char *user;                          /* --user */
    const char *known_hosts;                   /* --known-hosts */
    const char *certificate;                   /* --certificate */
    const char *after;                         /* --after */
    const char *svg;                           /* --svg */
    const char *qr_png;                        /* --qr-png */
    const char *selector;                      /* --selector */
    const char *since;                         /* --since */
    const char *project;                       /* --project */
    char stated_project[PROJECT_NAME_MAX + 1]; /* what it is by the name that the file has, where that decides */
    const char *secret_file;                   /* --secret-file */
    const char *tail;                          /* --tail */
    const char *boxes;                         /* --boxes */
    const char *threshold;                     /* --threshold */
    const char *root;                          /* --root */
    const char *number;                        /* --number */
    char **devices;                            /* --device */
    const char *port;                          /* --port */
    const char *oidc_ca;                       /* --oidc-ca */
    char **keys;                               /* --key */
    char **files;                              /* --file */
    char **profiles;                           /* --profile */
    char **env_files;                          /* --env-file */
    bool follow;
    bool dry_run;
    bool qr, now, no_files, volumes;
    bool download, url;
    bool replace;
    bool forwarding;
    bool break_glass;
    bool wait;
    bool json, yes;
    bool plain_http;
    bool auto_approve;
    bool passphrase;
    bool without_token;   /* set by a verb that needs none, before fleet_begin() */
    bool has_other_token; /* set by fleet_begin() then: commands take another token than that of sign-in */
    bool signs_out;       /* set by a verb that means the token of sign-in, whatever else the environment names */
    Api api;              /* set by fleet_begin() */
    char *login;          /* the same: the account to log in as; owned */
    const Gathered *sent; /* by fleet_read_compose(): what errors of the gateway and of boxes are about */
} Fleet;

/* Every verb's first call: finds gateway, token and CA (gateway/fleet/config.c). Errors have the id "usage" or are fleet.*. */
int fleet_begin(Fleet *fleet, Error *err) _must_check_;

/* Where the token of sign-in is, once the gateway is known: none is shown to another one. A new string; NULL when there is no home
 * or no memory. */
char *fleet_token_path(const Fleet *fleet);

/* A file of the operator's own settings, whether it exists or not: a new string; NULL when there is no home or no memory. */
char *fleet_config_path(const char *name);

/* Whom something is for: one box, or all that have these labels now; neither: nobody knows. */
typedef struct FleetTarget {
    const char *device;
    const cJSON *labels;
} FleetTarget;

/* --project where it is not the box's own, else NULL. */
const char *fleet_project(const Fleet *fleet);
/* Without --project, that of project_of_file(); says which, where the file has a name. Errors as of api_call(). */
int fleet_choose_project(Fleet *fleet, const char *device, const Gathered *g, Error *err) _must_check_;
bool fleet_has_labels(const cJSON *device, const cJSON *wanted);

/* An archive that boxes fetch, under its digest. */
int fleet_upload(Fleet *fleet, const char *digest, const char *data, size_t len, Error *err) _must_check_;
/* The archive of a release: its version becomes the request's member `key`, and its digest is in `bundle`. What signs it signs
 * *ret_sha256. file.*, release.bad-manifest, release.too-large, fleet.no-files */
int fleet_send_release(Fleet *fleet, const char *file, const char *key, cJSON *request,
                       char ret_sha256[static SHA256_HEX_SIZE], Error *err) _must_check_;
/* Brings the files that the compose file names beside itself to the gateway, and names them in the request; nothing when there are
 * none, or with --no-files. Files of secrets are sealed for these boxes, and refused where nobody knows which they are.
 * ret_digest: that of the text with them, as orders are signed. Errors: gather.secret, bundle.*, fleet.no-files, those of
 * fleet_wrap_key() and api_send(). */
int fleet_send_files(Fleet *fleet, const Gathered *g, FleetTarget to, cJSON *request,
                     char ret_digest[static SHA256_HEX_SIZE], Error *err) _must_check_;

/* The content key of sealed files, wrapped for each of the boxes: an object, by their ids. A box's public key is what the gateway
 * tells, and has to be what it told first, since whoever has the gateway could tell one of his own. Of several boxes those that
 * have none are named and left out. fleet.no-seal-key, fleet.seal-key-changed. */
int fleet_wrap_key(Fleet *fleet, FleetTarget to, const uint8_t key[static SEAL_KEY_SIZE], cJSON **ret,
                   Error *err) _must_check_;

/* Begins, and does one request to `path` (NULL = out of memory). As api_call(). */
int fleet_ask(Fleet *fleet, const char *method, const char *path, const cJSON *body, usec_t timeout, ApiReply *reply,
              Error *err) _must_check_;

/* Seconds of an option like "90s", "15m", "1h"; *ret stays as it is when the option is not given. Error id "usage". */
int fleet_duration(const char *text, const char *option, unsigned max, int *ret, Error *err) _must_check_;

/* Labels of --label ("K=V,K=V", NULL = none), into an object. Error id "usage". */
int fleet_labels(const char *text, cJSON *labels, Error *err) _must_check_;

/* The boxes that have these labels, by what the gateway says now: what it would add to them later is not signed.
 * rollout.no-boxes */
int fleet_find_boxes(Fleet *fleet, const cJSON *labels, char ***ret, ApiReply *reply, Error *err) _must_check_;

/* Text of a number option, between min and max; `fallback` when it is not given. Error id "usage". */
int fleet_number(const char *text, const char *option, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *ret,
                 Error *err) _must_check_;

/* Prints the error and gives the exit code that fits: 3 when the gateway or the box could not be asked, 2 for usage,
 * else 1. `reply` may be NULL. */
int fleet_fail(const Fleet *fleet, const ApiReply *reply, const Error *err, int r);

/* Gathers a compose file (path: a file, a folder, or NULL; and the options), says which values of env files it uses, and checks it
 * with the box's own code. Policy findings are printed as warnings, and so are further faults. *ret
 * has to last as long as the verb. */
int fleet_read_compose(Fleet *fleet, const char *path, Gathered *ret, Error *err) _must_check_;
/* The same without a word or a check, and what errors shall call it (a new string, too). */
int fleet_gather(const Fleet *fleet, const char *path, Gathered *ret, char **ret_name, Error *err) _must_check_;

/* The bootstrap token in the answer `body`: alone on stdout, so that it can be piped to where it is needed; what happened to the
 * box goes to stderr. With --qr or --qr-png it is the claim document, and a QR code of it. Returns the exit code. */
int fleet_show_bootstrap(const Fleet *fleet, const char *id, const char *what, const cJSON *body);

/* The same of a token for many boxes. */
int fleet_show_enrolment(const Fleet *fleet, const cJSON *body);

/* "a=b,c=d" of the member "labels": a new string, NULL when out of memory. */
char *fleet_labels_text(const cJSON *entry);

/* "/v1/devices/ID" + suffix with the id percent-encoded: a new string or NULL. */
char *fleet_device_path(const char *device, const char *suffix);

int verb_devices_add(int argc, char **argv, void *userdata);
int verb_devices_list(int argc, char **argv, void *userdata);
int verb_devices_show(int argc, char **argv, void *userdata);
int verb_devices_bootstrap(int argc, char **argv, void *userdata);
int verb_devices_keys(int argc, char **argv, void *userdata);
int verb_devices_block(int argc, char **argv, void *userdata);
int verb_devices_unblock(int argc, char **argv, void *userdata);
int verb_devices_relabel(int argc, char **argv, void *userdata);
int verb_devices_remove(int argc, char **argv, void *userdata);
int verb_devices_pending(int argc, char **argv, void *userdata);
int verb_devices_approve(int argc, char **argv, void *userdata);
int verb_devices_deny(int argc, char **argv, void *userdata);
int verb_enrolment_create(int argc, char **argv, void *userdata);
int verb_enrolment_list(int argc, char **argv, void *userdata);
int verb_enrolment_revoke(int argc, char **argv, void *userdata);
int verb_trust_make(int argc, char **argv, void *userdata);
int verb_trust_sign(int argc, char **argv, void *userdata);
int verb_trust_show(int argc, char **argv, void *userdata);
int verb_trust_send(int argc, char **argv, void *userdata);
int verb_keygen(int argc, char **argv, void *userdata);
int verb_auditor_key(int argc, char **argv, void *userdata);
int verb_sign_release(int argc, char **argv, void *userdata);
int verb_push(int argc, char **argv, void *userdata);
int verb_push_cancel(int argc, char **argv, void *userdata);
int verb_template_list(int argc, char **argv, void *userdata);
int verb_template_show(int argc, char **argv, void *userdata);
int verb_template_set(int argc, char **argv, void *userdata);
int verb_template_remove(int argc, char **argv, void *userdata);
int verb_apps(int argc, char **argv, void *userdata);
int verb_project_stop(int argc, char **argv, void *userdata);
int verb_project_start(int argc, char **argv, void *userdata);
int verb_project_restart(int argc, char **argv, void *userdata);
int verb_project_remove(int argc, char **argv, void *userdata);
int verb_rollback(int argc, char **argv, void *userdata);
int verb_release_update(int argc, char **argv, void *userdata);
int verb_agent_update(int argc, char **argv, void *userdata);
int verb_plan(int argc, char **argv, void *userdata);
int verb_history(int argc, char **argv, void *userdata);
int verb_status(int argc, char **argv, void *userdata);
int verb_sign_in(int argc, char **argv, void *userdata);
int verb_sign_out(int argc, char **argv, void *userdata);
int verb_images(int argc, char **argv, void *userdata);
int verb_doctor(int argc, char **argv, void *userdata);
int verb_logs(int argc, char **argv, void *userdata);
int verb_camera(int argc, char **argv, void *userdata);
int verb_recordings(int argc, char **argv, void *userdata);
int verb_recordings_revoke(int argc, char **argv, void *userdata);

/* verb-session-recording.c */
int verb_session_recording(int argc, char **argv, void *userdata);
int verb_certificate_show(int argc, char **argv, void *userdata);
int verb_certificate_request(int argc, char **argv, void *userdata);
int verb_certificate_send(int argc, char **argv, void *userdata);
int verb_certificate_remove(int argc, char **argv, void *userdata);
int verb_health(int argc, char **argv, void *userdata);
int verb_approvals(int argc, char **argv, void *userdata);
int verb_approvals_approve(int argc, char **argv, void *userdata);
int verb_approvals_refuse(int argc, char **argv, void *userdata);
int verb_audit(int argc, char **argv, void *userdata);
int verb_config(int argc, char **argv, void *userdata);
int verb_check(int argc, char **argv, void *userdata);
int verb_grants_add(int argc, char **argv, void *userdata);
int verb_grants_list(int argc, char **argv, void *userdata);
int verb_grants_show(int argc, char **argv, void *userdata);
int verb_grants_revoke(int argc, char **argv, void *userdata);
int verb_sessions(int argc, char **argv, void *userdata);
int verb_support_ca(int argc, char **argv, void *userdata);
int verb_rollout_start(int argc, char **argv, void *userdata);
int verb_rollout_status(int argc, char **argv, void *userdata);
int verb_rollout_list(int argc, char **argv, void *userdata);
int verb_rollout_pause(int argc, char **argv, void *userdata);
int verb_rollout_resume(int argc, char **argv, void *userdata);
int verb_rollout_abort(int argc, char **argv, void *userdata);
int verb_ssh(int argc, char **argv, void *userdata);
int verb_ssh_proxy(int argc, char **argv, void *userdata);
int verb_ssh_cert(int argc, char **argv, void *userdata);
int verb_ssh_config(int argc, char **argv, void *userdata);
int verb_community_list(int argc, char **argv, void *userdata);
int verb_community_show(int argc, char **argv, void *userdata);
int verb_community_put(int argc, char **argv, void *userdata);
int verb_community_rows(int argc, char **argv, void *userdata);
int verb_community_delete(int argc, char **argv, void *userdata);
int verb_community_boxes(int argc, char **argv, void *userdata);
int verb_community_ban_status(int argc, char **argv, void *userdata);
int verb_community_face(int argc, char **argv, void *userdata);
int verb_community_photo(int argc, char **argv, void *userdata);
int verb_community_events(int argc, char **argv, void *userdata);
int verb_community_import(int argc, char **argv, void *userdata);
int verb_community_pass(int argc, char **argv, void *userdata);
int verb_community_webhook(int argc, char **argv, void *userdata);
