/* SPDX-License-Identifier: MIT */
/* The phases before podman is asked anything: everything is resolved before anything is touched. */

#include "mgmt-agent/worker/phases/check-file.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "compose/engine-check.h"
#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "mgmt-agent/host/data-folder.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/worker/phases/made-files.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/service-env-file.h"

#define COMPOSE_NAME "compose.yml"

static int check_times(const cJSON *message, usec_t *ret_confirm, Error *err)
{
    const char *expires = json_string(message, "expiresAt");
    uint64_t seconds = CONFIRM_SECONDS_DEFAULT;
    usec_t at;
    int r = json_u64(message, "confirmDeadlineSeconds", &seconds);

    if ((r < 0 && r != -ENOENT) || seconds == 0 || seconds > CONFIRM_SECONDS_MAX)
        return error_set(err, EINVAL, "snapshot.bad-deadline", "confirmDeadlineSeconds must be from 1 to %d",
                         CONFIRM_SECONDS_MAX);
    *ret_confirm = seconds * USEC_PER_SEC;
    if (expires && timestamp_parse(expires, &at) < 0)
        return error_set(err, EINVAL, "snapshot.bad-time", "expiresAt is not a time: %.40s", expires);
    if (expires && realtime_usec() > at)
        return error_set(err, EKEYEXPIRED, "snapshot.expired", "this snapshot expired at %s; push it again", expires);
    return 0;
}

/* Who has ordered it was looked at before the worker: mgmt-agent/agent/order-admission.c. The member `signatures` is reserved. */
static int check_authority(const cJSON *message, Error *err)
{
    const cJSON *signatures = cJSON_GetObjectItemCaseSensitive(message, "signatures");

    if (signatures && !cJSON_IsArray(signatures))
        return error_set(err, EINVAL, "snapshot.bad-signatures", "signatures must be an array");
    return 0;
}

static int check_version(bool from_cloud, Report *report, Error *err)
{
    _cleanup_(error_done) Error reason = {};
    uint64_t version, floor;
    int r;

    if (!from_cloud)
        return store_check_version(report->version, err);
    r = str_to_u64(report->version, 1, UINT64_MAX, &version);
    if (r < 0)
        return error_set(err, EINVAL, "snapshot.bad-version", "'%.40s' is not a version number", report->version);
    r = store_load_floor(&floor, &reason);
    if (r < 0) { /* a bad block must not be the end of all pushes */
        floor = store_highest_snapshot();
        report_progress(report, "info", NULL, "%s; going on from version %llu, the highest that is kept",
                        error_message(&reason, r), (unsigned long long) floor);
    }
    r = store_check_step(version, floor, err);
    return r < 0 ? r : store_save_floor(version, err);
}

/* For this box, now, and not before. */
static int check_addressee(DeployOrder *order, const EnvFile *agent_env, Report *report, const cJSON *message,
                           Error *err)
{
    const char *device = json_string(message, "deviceId");
    int r;

    if (order->from_cloud && !str_equal(device, env_get(agent_env, "DEVICE_ID")))
        return error_set(err, EINVAL, "snapshot.wrong-device", "this snapshot is for box '%.64s', this is '%s'",
                         device ? device : "", env_get(agent_env, "DEVICE_ID"));
    r = check_times(message, &order->confirm_usec, err);
    return r < 0 ? r : check_version(order->from_cloud, report, err);
}

int deploy_verify(DeployOrder *order, Box *box, Report *report, const cJSON *message, Error *err)
{
    char hex[SHA256_HEX_SIZE];
    int r;

    report_phase(report, "verify");
    if (strlen(order->text) > YAML_SIZE_MAX)
        return error_set(err, EFBIG, "snapshot.too-large", "the compose file has more than %d bytes", YAML_SIZE_MAX);
    r = check_authority(message, err);
    if (r == 0)
        r = box_load_env(box, err);
    if (r < 0)
        return r;
    r = check_addressee(order, box->agent_env, report, message, err);
    if (r == 0)
        r = deploy_take_bundle(order, message, err);
    if (r == 0)
        r = bundle_snapshot_digest(order->text, order->bundle, hex);
    if (r < 0)
        return r;
    order->sha256 = strdup(hex);
    return order->sha256 ? 0 : -ENOMEM;
}

int deploy_verify_update(DeployOrder *order, Box *box, Report *report, const cJSON *message, Error *err)
{
    int r;

    report_phase(report, "verify");
    r = check_authority(message, err);
    if (r == 0)
        r = box_load_env(box, err);
    return r < 0 ? r : check_addressee(order, box->agent_env, report, message, err);
}

int deploy_parse(const char *text, ComposeFile **ret, Error *err)
{
    return compose_parse(text, strlen(text), COMPOSE_NAME, ret, err);
}

static int load_policy(ComposePolicy **ret, Error *err)
{
    _cleanup_(freep) char *path = project_policy_path();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error reason = {};
    size_t len = 0;
    int r = path ? file_read(path, JSON_SIZE_MAX, &text, &len, &reason) : -ENOMEM;

    if (r < 0 && r != -ENOENT)
        return error_set(err, r, "policy.unreadable", "%s", error_message(&reason, r));
    return policy_parse(text, len, path, ret, err);
}

int deploy_load_policy(ComposePolicy **ret, Error *err)
{
    _cleanup_(policy_freep) ComposePolicy *of_box = NULL, *policy = NULL;
    int r = load_policy(&policy, err);

    if (r == 0 && !project_is_own()) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(NULL);

        r = load_policy(&of_box, err);
        if (r == 0)
            r = policy_take_images(policy, of_box);
        if (r == 0)
            policy_mark_other(policy);
    }
    if (r == 0)
        *ret = TAKE_PTR(policy);
    return r;
}

/* Which of the files called policy.json a refusal means. */
static int name_policy(int r, Error *err)
{
    return r < 0 && !project_is_own()
               ? error_prefix(err, r, "project %s, whose policy.json is " ETC_DIR "/policy.d/%s.json",
                              project_selected(), project_selected())
               : r;
}

int deploy_policy(DeployTarget *t, bool ran_before, Error *err)
{
    int r = deploy_load_policy(&t->policy, err);

    if (r == 0 && ran_before)
        policy_keep_old_meaning(t->policy);
    return r < 0 ? r : name_policy(compose_policy_check(t->file, t->policy, err), err);
}

static int load_secbox_env(const char *path, EnvFile **env, Error *err)
{
    int r = *env ? 0 : env_load_kind(ENV_SECBOX, path, env, err);

    for (size_t i = 0; r == 0 && i < env_size(*env); i++) {
        const EnvRule *rule = env_rule_find(env_key_at(*env, i));

        if (rule ? rule->secret : redact_key_is_secret(env_key_at(*env, i)))
            redact_add_secret(env_value_at(*env, i));
    }
    return r;
}

/* Absent, or holding nothing: only then is the file ours to write. */
static int env_is_absent(const char *path, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error reason = {};
    size_t len = 0;
    int r = file_read(path, ENV_FILE_SIZE_MAX, &text, &len, &reason);

    if (r == -ENOENT)
        return 1;
    if (r < 0)
        return error_set(err, r, "env.unreadable", "%s", error_message(&reason, r));
    /* by its length: what begins with a zero byte is damaged, not empty */
    return strspn(text, " \t\r\n") == len;
}

int deploy_env_ensure(Box *b, Report *report, bool *ret_created, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
    _cleanup_(env_freep) EnvFile *derived = NULL;
    _cleanup_(secret_freep) char *text = NULL;
    int absent, r;

    absent = path ? env_is_absent(path, err) : -ENOMEM;
    if (absent < 0)
        return absent;
    *ret_created = absent;
    if (!absent)
        return 0;
    r = box_load_env(b, err);
    if (r == 0)
        r = env_derive_secbox(b->agent_env, &derived, err);
    if (r == 0 && !b->user.name)
        r = podman_user_find(env_get(b->agent_env, "PODMAN_USER"), &b->user, err);
    if (r < 0)
        return r;
    text = env_print(derived);
    if (!text)
        return -ENOMEM;
    r = file_write_atomic(path, text, strlen(text), 0600, b->user.uid, b->user.gid, err);
    if (r == 0)
        report_progress(report, "info", NULL, "secbox.env was absent; made it from mgmt-agent.env (%zu keys)",
                        env_size(derived));
    return r;
}

int deploy_env_plan(Box *box, Report *report, EnvFile **ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
    int absent, r;

    r = box_load_env(box, err);
    if (r < 0)
        return r;
    absent = path ? env_is_absent(path, err) : -ENOMEM;
    if (absent <= 0)
        return absent;
    report_progress(report, "info", NULL, "secbox.env is absent; a push makes it from mgmt-agent.env");
    return env_derive_secbox(box->agent_env, ret, err);
}

static int unwrap_key(const char *wrapped, const char *device, DeployTarget *t, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SEAL_KEY_PATH);
    _cleanup_(hpke_key_freep) HpkeKey *key = NULL;
    int r = path ? hpke_key_load_or_make(path, &key, err) : -ENOMEM;

    if (r == 0)
        r = seal_unwrap(wrapped, key, device ? device : "", t->seal_key);
    t->has_seal_key = r == 0;
    return r == -EBADMSG ? error_set(err, EBADMSG, "bundle.sealed",
                                     "the secrets of this push are not sealed for this box, or for the key that it had "
                                     "before; push again")
                         : r;
}

int deploy_open_bundle(const DeployOrder *order, Box *box, DeployTarget *t, Error *err)
{
    int r = order->bundle ? box_load_env(box, err) : 0;

    if (r < 0 || !order->bundle)
        return r;
    if (!box->user.name)
        r = podman_user_find(env_get(box->agent_env, "PODMAN_USER"), &box->user, err);
    if (r < 0)
        return r;
    t->files_gid = box->user.gid;
    if (order->bundle_key)
        r = unwrap_key(order->bundle_key, env_get(box->agent_env, "DEVICE_ID"), t, err);
    return r < 0 ? r : kept_bundle_open(order->bundle, &t->bundle, err);
}

static const char *lookup_env(const char *key, void *userdata)
{
    const DeployTarget *t = userdata;

    return env_get(t->env, key);
}

/* What came with the compose file stands for what is on the box. */
static int read_env_file(const char *path, char **ret, void *userdata, Error *err)
{
    const DeployTarget *t = userdata;
    int r;

    if (kept_bundle_find(t->bundle, path) != KEPT_FILE)
        return service_env_file_read(path, t->env, ret, err);
    r = deploy_check_unsealed(t, path, err);
    return r < 0 ? r : kept_bundle_read(t->bundle, path, ENV_FILE_SIZE_MAX, ret, err);
}

/* In a file that was accepted before, nothing moves. */
static bool is_nested(const char *service, const char *nested, const char *direct, void *userdata)
{
    const DeployTarget *t = userdata;

    return data_folder_is_nested(nested, direct,
                                 policy_is_lenient(t->policy) || policy_lists_bind(t->policy, service, nested));
}

static int find_file(const char *path, bool read_only, char **ret, void *userdata, Error *err)
{
    const DeployTarget *t = userdata;
    KeptKind kind = kept_bundle_find(t->bundle, path);

    int r = kind == KEPT_FILE ? deploy_check_unsealed(t, path, err) : 0;

    return r == 0 && (kind == KEPT_FILE || (kind == KEPT_FOLDER && read_only))
               ? kept_bundle_place(t->bundle, path, t->files_gid, ret, err)
               : r;
}

static int resolve(const DeployTarget *t, const char *project, ComposeProject **ret, Error *err)
{
    ComposeResolveOptions options = { .project = project,
                                      .ran_before = policy_is_lenient(t->policy),
                                      .lookup = lookup_env,
                                      .userdata = (void *) t,
                                      .read_env_file = read_env_file,
                                      .find_file = find_file,
                                      .has_file = deploy_has_file,
                                      .make_file = deploy_make_file,
                                      .files = (void *) t,
                                      .is_nested = is_nested };
    _cleanup_(freep) char *base = path_in_root(VOLUMES_DIR),
                          *prefix = project_is_own() ? NULL : str_format("%s+", project);

    options.base_dir = base;
    options.data_prefix = prefix;
    return base && (prefix || project_is_own()) ? compose_resolve(t->file, &options, ret, err) : -ENOMEM;
}

/* Keys that the compose file cannot do without and that secbox.env lacks, all named at once, with the place of the first. */
static int check_compose_keys(const DeployTarget *t, const char *project, Error *err)
{
    _cleanup_(strv_freep) char **missing = NULL;
    _cleanup_(freep) char *names = NULL;
    _cleanup_(error_done) Error place = {};
    ComposeProject *unused = NULL;
    const char *unfit = NULL;
    int r = compose_required_keys(t->file, lookup_env, (void *) t, &missing, err);

    if (r < 0 || strv_length(missing) == 0)
        return r;
    for (size_t i = 0; missing[i] && !unfit; i++)
        unfit = env_key_is_dangerous(missing[i]) ? missing[i] : NULL;
    names = strv_join(missing, ", ");
    if (resolve(t, project, &unused, &place) == 0)
        compose_project_free(unused);
    return error_set_at(err, ENOKEY, "env.missing-keys", place.file, place.line, place.key,
                        "secbox.env lacks keys that the compose file needs: %s; add them, or give them defaults%s%s%s",
                        names ? names : "", unfit ? " (secbox.env cannot hold " : "", unfit ? unfit : "",
                        unfit ? ": write that value into the compose file)" : "");
}

int deploy_env_sanity(DeployTarget *t, const char *project, Report *report, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
    unsigned present, total;
    int r;

    r = path ? load_secbox_env(path, &t->env, err) : -ENOMEM;
    if (r < 0)
        return r;
    env_count_required(t->env, ENV_SECBOX, &present, &total);
    r = env_validate(t->env, ENV_SECBOX, path, err);
    if (r == 0)
        r = check_compose_keys(t, project, err);
    if (r < 0) {
        if (str_equal(error_id(err), "env.missing-keys"))
            report->phase = "secbox-env-missing-keys";
        return r;
    }
    report_progress(report, "info", NULL, "secbox.env sanity ok (%u/%u required keys present)", present, total);
    return 0;
}

int deploy_render(DeployTarget *t, const char *project, const char *engine, Report *report, Error *err)
{
    int r = resolve(t, project, &t->project, err);

    if (r < 0)
        return r;
    /* what variables hid from the first look */
    r = name_policy(compose_policy_check_project(t->project, t->policy, COMPOSE_NAME, err), err);
    if (r < 0) {
        report->phase = "policy";
        return r;
    }
    /* what the engine could not be told is found now, not when the container is made */
    return engine_check_all(engine, t->project, err);
}

static int add_variables(cJSON *list, char *const *names, const char *from)
{
    int r = 0;

    for (; r == 0 && names && *names; names++) {
        cJSON *entry = cJSON_CreateObject();

        if (!entry || json_add_string(entry, "name", *names) < 0 || json_add_string(entry, "from", from) < 0) {
            cJSON_Delete(entry);
            return -ENOMEM;
        }
        r = json_append(list, entry);
    }
    return r;
}

int deploy_name_variables(const DeployTarget *t, cJSON *plan)
{
    _cleanup_(strv_freep) char **known = NULL, **unknown = NULL;
    cJSON *list;
    int r = compose_used_variables(t->file, lookup_env, (void *) t, &known, &unknown, NULL);

    if (r < 0 || (!known && !unknown))
        return r;
    list = cJSON_AddArrayToObject(plan, "variables");
    r = list ? add_variables(list, known, "secbox.env") : -ENOMEM;
    return r < 0 ? r : add_variables(list, unknown, "default");
}
