/* SPDX-License-Identifier: MIT */
/* The env files of a box that is paired: keys that the claim does not name stay, as do people's comments. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "env/env-edit.h"
#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "mgmt-agent/agent/pairing-impl.h"

static const char *const claim_keys[] = { "CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP", "MGMT_GATEWAY_URL" };

int pairing_env_read(char **ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH);
    _cleanup_(error_done) Error why = {};
    int r = path ? env_file_read(path, ret, NULL, &why) : -ENOMEM;

    if (r == -ENOENT && (*ret = strdup("")))
        return 0;
    if (r < 0)
        return error_set(err, -r, "pair.env-unreadable", "mgmt-agent.env cannot be read (%s): mend or remove it first",
                         error_message(&why, r));
    return 0;
}

bool pairing_env_is_configured(void)
{
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (pairing_env_read(&text, NULL) < 0 || env_parse(text, strlen(text), AGENT_ENV_PATH, &env, NULL) < 0)
        return true;
    for (size_t i = 0; i < ELEMENTSOF(claim_keys); i++)
        if (!str_empty(env_get(env, claim_keys[i])))
            return true;
    return false;
}

int pairing_env_make(const char *text, const ClaimDocument *claim, char **ret, Error *err)
{
    const EnvChange changes[] = {
        { "CLOUD_BASE_URL", claim ? claim->cloud_url : NULL },
        { "DEVICE_ID", claim ? claim->device_id : NULL },
        { "BOOTSTRAP", claim ? claim->bootstrap : NULL },
        { "MGMT_GATEWAY_URL", claim ? claim->gateway_url : NULL },
        { "ENROLMENT", claim ? claim->enrolment : NULL },
        { "CLOUD_FINGERPRINT", claim ? claim->fingerprint : NULL },
        {},
    };
    _cleanup_(secret_freep) char *made = env_edit(text, changes);
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (!made)
        return error_from_errno(err, -ENOMEM, "cannot make mgmt-agent.env");
    int r = claim ? env_parse(made, strlen(made), AGENT_ENV_PATH, &env, err) : 0;
    if (r >= 0 && claim)
        r = env_validate(env, ENV_AGENT, AGENT_ENV_PATH, err);
    if (r < 0)
        return error_prefix(err, r, "with this claim mgmt-agent.env would not be usable");
    *ret = TAKE_PTR(made);
    return 0;
}

/* Whether the file still has the token of the claim. */
static bool is_of_claim(const EnvFile *env, const char *boot_digest)
{
    const char *enrolment = env_get(env, "ENROLMENT"), *bootstrap = env_get(env, "BOOTSTRAP");
    const char *token = !str_empty(enrolment) ? enrolment : bootstrap ? bootstrap : "";
    char digest[SHA256_HEX_SIZE];

    return sha256_hex(token, strlen(token), digest) >= 0 && str_equal(digest, boot_digest);
}

int pairing_env_settle(const char *text, const char *boot_digest, char **ret, Error *err)
{
    static const EnvChange changes[] = { { "ENROLMENT", NULL }, { "CLOUD_FINGERPRINT", NULL }, {} };
    _cleanup_(secret_freep) char *made = NULL;
    _cleanup_(env_freep) EnvFile *env = NULL;
    int r = env_parse(text, strlen(text), AGENT_ENV_PATH, &env, err);

    *ret = NULL;
    if (r < 0 || !is_of_claim(env, boot_digest))
        return r;
    made = env_edit(text, changes);
    if (!made)
        return error_from_errno(err, -ENOMEM, "cannot make mgmt-agent.env");
    *ret = str_equal(made, text) ? NULL : TAKE_PTR(made);
    return 0;
}

static int edit_secbox_env(const char *path, const EnvFile *agent_env, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL, *made = NULL;
    _cleanup_(env_freep) EnvFile *derived = NULL;
    EnvChange changes[8] = {};
    struct stat st;
    int r = env_derive_secbox(agent_env, &derived, err);

    if (r >= 0)
        r = file_read(path, ENV_FILE_SIZE_MAX, &text, NULL, err);
    if (r >= 0 && stat(path, &st) < 0)
        r = error_from_errno(err, -errno, "cannot look at %s", path);
    if (r < 0)
        return r;
    for (size_t i = 0; i < env_size(derived) && i < ELEMENTSOF(changes) - 1; i++)
        changes[i] = (EnvChange) { env_key_at(derived, i), env_value_at(derived, i) };
    made = env_edit(text, changes);
    if (!made)
        return error_from_errno(err, -ENOMEM, "cannot make secbox.env");
    if (str_equal(made, text))
        return 0;
    return file_write_atomic(path, made, strlen(made), st.st_mode & 07777, st.st_uid, st.st_gid, err);
}

/* The containers take it with the next push. Where there is none, that push makes it. */
static void follow_in_secbox_env(const char *text)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
    _cleanup_(env_freep) EnvFile *env = NULL;
    _cleanup_(error_done) Error err = {};

    if (!path || access(path, F_OK) < 0 || env_parse(text, strlen(text), AGENT_ENV_PATH, &env, NULL) < 0 ||
        env_validate(env, ENV_AGENT, AGENT_ENV_PATH, NULL) < 0)
        return;
    int r = edit_secbox_env(path, env, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r,
                    "secbox.env still names the box and cloud of before: remove it, the next push makes it anew");
}

int pairing_env_install(const char *text, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH), *dir = path_in_root(ETC_DIR);
    int r = path && dir ? dir_make(dir, 0755, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;

    if (r >= 0)
        r = file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        follow_in_secbox_env(text);
    return r;
}
