/* SPDX-License-Identifier: MIT */
/* env check, ensure, show: the box's two env files. */
#include <errno.h>
#include <stdio.h>

#include "env/env-rules.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/cli/table.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/env-files.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define ENSURE_TIMEOUT (30 * USEC_PER_SEC)

static const EnvFileKind kinds[] = { ENV_AGENT, ENV_SECBOX };

/* Adds {"file","ok","present","required","error"} to `files`. Returns json_* results. */
static int add_finding(cJSON *files, EnvFileKind kind, const char *path, const EnvFile *env, const Error *err, int r)
{
    cJSON *entry = cJSON_CreateObject();
    unsigned present = 0, total = 0;

    if (!entry)
        return -ENOMEM;
    if (env)
        env_count_required(env, kind, &present, &total);
    if (json_append(files, entry) < 0 || json_add_string(entry, "file", path) < 0 ||
        json_add_bool(entry, "ok", r >= 0) < 0)
        return -ENOMEM;
    if (env && (json_add_int(entry, "present", (int) present) < 0 || json_add_int(entry, "required", (int) total) < 0))
        return -ENOMEM;
    return r < 0 ? json_add_item(entry, "error", json_from_error(err, r)) : 0;
}

static void print_finding(EnvFileKind kind, const char *path, const EnvFile *env, const Error *err, int r)
{
    unsigned present = 0, total = 0;
    _cleanup_(freep) char *text = r < 0 ? text_error(err, r) : NULL;

    if (r < 0) {
        if (err->file)
            fprintf(stderr, "%s\n", text ? text : path);
        else
            fprintf(stderr, "%s: %s\n", path, text ? text : "");
        return;
    }
    env_count_required(env, kind, &present, &total);
    printf("%s: ok (%u/%u required keys present)\n", path, present, total);
}

int verb_env_check(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    _cleanup_(env_freep) EnvFile *agent_env = NULL, *secbox_env = NULL;
    EnvFile **envs[] = { &agent_env, &secbox_env };
    int exit_code = EXIT_OK;

    (void) argc;
    (void) argv;
    int denied = secboxctl_fail_unless_root(ctl);
    if (denied)
        return denied;
    cJSON *files = document ? cJSON_AddArrayToObject(document, "files") : NULL;
    if (!files)
        return secboxctl_fail(ctl, NULL, -ENOMEM);
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        _cleanup_(freep) char *path = env_files_path(kinds[i]);
        _cleanup_(error_done) Error err = {};
        int r = env_files_check(kinds[i], agent_env, envs[i], &err);

        if (r < 0)
            exit_code = EXIT_FAILED;
        if (!path || add_finding(files, kinds[i], path, *envs[i], &err, r) < 0)
            return secboxctl_fail(ctl, NULL, -ENOMEM);
        if (!ctl->json)
            print_finding(kinds[i], path, *envs[i], &err, r);
    }
    return ctl->json ? report_json(document, exit_code) : exit_code;
}

int verb_env_ensure(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("env.ensure"), *answer = NULL;
    _cleanup_(error_done) Error err = {};

    (void) argc;
    (void) argv;
    int r = request ? secboxctl_connect(ctl, &agent, &err) : error_from_errno(&err, -ENOMEM, "make a request");
    if (r >= 0)
        r = agent_ask(agent, request, "env.report", ENSURE_TIMEOUT, &answer, &err);
    if (r >= 0 && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(answer, "error")))
        r = json_to_error(cJSON_GetObjectItemCaseSensitive(answer, "error"), EREMOTEIO, &err);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);

    bool created = json_bool(answer, "created", false);
    if (!ctl->json)
        return report_text(str_format("%s\n", created ? "secbox.env was created from mgmt-agent.env"
                                                      : "secbox.env is there and was left as it is"),
                           EXIT_OK);
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    if (!document || json_add_bool(document, "created", created) < 0)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    return report_json(document, EXIT_OK);
}

/* A key is secret by its rule or, without one, by its name. */
static const char *shown_value(const EnvFile *env, size_t i)
{
    const EnvRule *rule = env_rule_find(env_key_at(env, i));
    const char *value = env_value_at(env, i);
    bool secret = rule ? rule->secret : redact_key_is_secret(env_key_at(env, i));

    return secret && *value ? REDACTED : value;
}

/* The values of unknown keys may hold secrets in their middle (a URL's password). */
static int show_file(const EnvFile *env, const char *path, cJSON *files, Table *table)
{
    cJSON *keys = cJSON_AddObjectToObject(files, path);

    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < env_size(env); i++) {
        _cleanup_(freep) char *value = redact_text(shown_value(env, i));
        if (!value || json_add_string(keys, env_key_at(env, i), value) < 0 ||
            table_row(table, path, env_key_at(env, i), value) < 0)
            return -ENOMEM;
    }
    return 0;
}

int verb_env_show(int argc, char **argv, void *userdata)
{
    static const char *const headers[] = { "FILE", "KEY", "VALUE", NULL };
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    _cleanup_(table_freep) Table *table = table_new(headers);
    int exit_code = EXIT_OK;

    (void) argc;
    (void) argv;
    int denied = secboxctl_fail_unless_root(ctl);
    if (denied)
        return denied;
    cJSON *files = document ? cJSON_AddObjectToObject(document, "files") : NULL;
    if (!files || !table)
        return secboxctl_fail(ctl, NULL, -ENOMEM);
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        _cleanup_(freep) char *path = env_files_path(kinds[i]);
        _cleanup_(env_freep) EnvFile *env = NULL;
        _cleanup_(error_done) Error err = {};
        int r = path ? env_load_kind(kinds[i], path, &env, &err) : -ENOMEM;

        if (r < 0)
            exit_code = report_failure(PROGRAM, false, &err, r, EXIT_FAILED);
        else if (show_file(env, path, files, table) < 0)
            return secboxctl_fail(ctl, NULL, -ENOMEM);
    }
    return ctl->json ? report_json(document, exit_code) : report_text(table_print(table, 0), exit_code);
}
