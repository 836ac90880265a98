/* SPDX-License-Identifier: MIT */
/* doctor: the env files, and what they name. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/data/config-fault.h"
#include "mgmt-agent/secboxctl/doctor.h"
#include "mgmt-agent/secboxctl/env-files.h"

/* Takes what secbox.env lacks from mgmt-agent.env, where all of it stands there, and not empty in the former. */
static void remedy_of_missing_keys(const Doctor *d, const EnvFile *env, const char *path, Finding *f)
{
    _cleanup_(freep) char *source = env_files_path(ENV_AGENT);
    _cleanup_(strv_freep) char **keys = NULL;

    for (const EnvRule *rule = env_rules; rule->key; rule++) {
        const char *value = env_get(env, rule->key);

        if (!(rule->required & ENV_SECBOX) || !str_empty(value))
            continue;
        if (value || !d->agent_env || str_empty(env_get(d->agent_env, rule->key)) || strv_add(&keys, rule->key) < 0)
            return;
    }
    _cleanup_(freep) char *all = keys ? strv_join(keys, "|") : NULL;
    if (all && source) /* the last line may have no end */
        finding_remedy(f, "sed -i '$a\\' %s && grep -E '^(%s)=' %s >>%s", path, all, source, path);
}

/* Without such a line the file would be no better. */
static bool is_of_required_key(EnvFileKind kind, const Error *err)
{
    for (const EnvRule *rule = env_rules; rule->key; rule++)
        if (str_equal(rule->key, err->key))
            return rule->required & kind;
    return false;
}

/* What mends an env file, where one command does. */
static void remedy_of_env(const Doctor *d, EnvFileKind kind, const EnvFile *env, const char *path, const Error *err,
                          Finding *f)
{
    _cleanup_(freep) char *kept = kind == ENV_AGENT ? kept_env_command(path) : NULL;
    const char *owner = kind == ENV_AGENT || !d->user.name ? "root" : d->user.name, *id = error_id(err);

    if (str_equal(id, "env.bad-mode"))
        finding_remedy(f, "chmod 0600 %s", path);
    else if (str_equal(id, "env.bad-owner"))
        finding_remedy(f, "chown %s: %s", owner, path);
    else if (err->line > 0 && str_equal(err->file, path) && !is_of_required_key(kind, err))
        finding_remedy(f, "sed -i '%us/^/#/' %s", err->line, path);
    else if (kept && str_equal(id, "env.missing"))
        finding_remedy(f, "%s && systemctl restart mgmt-agent mgmt-link", kept);
    else if (kind == ENV_SECBOX && str_equal(id, "env.missing"))
        finding_remedy(f, "secboxctl env ensure");
    else if (kind == ENV_SECBOX && str_equal(id, "env.missing-keys"))
        remedy_of_missing_keys(d, env, path, f);
}

static const char *advice_of_env(EnvFileKind kind, bool has_remedy)
{
    if (kind == ENV_SECBOX)
        return has_remedy ? NULL : "Correct it by hand; it is an env file as docker compose reads it.";
    return has_remedy
               ? "Or set the box up anew: `secbox-fleet devices bootstrap`, on the operator's machine, gives it a "
                 "new BOOTSTRAP."
               : "Correct it by hand, or set the box up anew: `secbox-fleet devices bootstrap`, on the operator's "
                 "machine, gives it a new BOOTSTRAP.";
}

static void check_env(Doctor *d, EnvFileKind kind, EnvFile **ret_env, Finding *f)
{
    _cleanup_(freep) char *path = env_files_path(kind);
    _cleanup_(error_done) Error err = {};
    unsigned present = 0, total = 0;
    int r = env_files_check(kind, d->agent_env, ret_env, &err);

    if (r < 0) {
        _cleanup_(freep) char *text = text_error(&err, r);
        finding_set(f, VERDICT_FAIL, NULL, "%s", text ? text : "out of memory");
        if (path) {
            finding_since_file(f, path);
            remedy_of_env(d, kind, *ret_env, path, &err, f);
        }
        const char *advice = advice_of_env(kind, f->remedy);
        f->advice = advice ? strdup(advice) : NULL;
        return;
    }
    env_count_required(*ret_env, kind, &present, &total);
    finding_pass(f, "%u/%u required keys present, owner and mode are right", present, total);
}

void check_agent_env(Doctor *d, Finding *f)
{
    check_env(d, ENV_AGENT, &d->agent_env, f);
}

void check_secbox_env(Doctor *d, Finding *f)
{
    _cleanup_(env_freep) EnvFile *env = NULL;
    _cleanup_(freep) char *path = env_files_path(ENV_SECBOX);
    const cJSON *current = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "current") : NULL;

    if (!cJSON_IsObject(current) && path && access(path, F_OK) < 0 && errno == ENOENT) {
        finding_pass(f, "not there yet: the first push makes it from mgmt-agent.env");
        return;
    }
    check_env(d, ENV_SECBOX, &env, f);
}

/* Whether the file that CLOUD_CA_FILE names is away, or not for everybody: programs may go on with what they have read of it, until
 * they no longer can. Then the finding says so. */
static bool ca_file_is_bad(const Doctor *d, Finding *f)
{
    const char *file = d->agent_env ? env_get(d->agent_env, "CLOUD_CA_FILE") : NULL;
    struct stat st;

    if (str_empty(file) || !str_empty(paths_root()))
        return false;
    if (stat(file, &st) < 0) {
        finding_set(f, VERDICT_FAIL, "It is the certificate of the cloud's authority: put it there.",
                    "CLOUD_CA_FILE cannot be read: %s: %s", file, strerror(errno));
        (void) finding_of_kept_ca(file, f);
        return true;
    }
    if ((st.st_mode & 0004) != 0)
        return false;
    finding_set(f, VERDICT_FAIL, "It holds no secret.", "CLOUD_CA_FILE can be read by few: %s has mode %04o", file,
                (unsigned) (st.st_mode & 07777));
    finding_since_file(f, file);
    if (text_is_shell_word(file))
        finding_remedy(f, "chmod 0644 %s", file);
    return true;
}

/* What mends what a program could not take, where its sentence tells. */
static void remedy_of_configuration(const Doctor *d, const char *why, Finding *f)
{
    finding_since_file(f, AGENT_ENV_PATH);
    if (strstr(why, "the certificate of ") && strstr(why, " is refused"))
        (void) finding_of_refused_certificate(d, why, f);
}

/* What each program told of its own: only its user knows what that may read. */
void check_configuration(Doctor *d, Finding *f)
{
    _cleanup_(cJSON_Deletep) cJSON *faults = config_faults_read();
    _cleanup_(strv_freep) char **texts = NULL;
    const cJSON *fault;
    bool bad = false;

    if (ca_file_is_bad(d, f))
        return;
    cJSON_ArrayForEach(fault, faults) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(fault, "error");
        const char *since = json_string(fault, "since");

        bad = bad || !str_equal(json_string(error, "id"), CONFIG_WAITS);
        if (strv_addf(&texts, "%s since %s: %s", json_string(fault, "program"), since ? since : "?",
                      json_string(error, "message")) < 0)
            return;
    }
    _cleanup_(freep) char *all = texts ? strv_join(texts, "; ") : NULL;
    if (bad) {
        finding_set(f, VERDICT_FAIL, "Correct it; each program takes it within a minute, without a restart.", "%s",
                    all);
        remedy_of_configuration(d, all, f);
    } else
        finding_pass(f, "%s", all ? all : "every program has taken its files");
}
