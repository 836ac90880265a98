/* SPDX-License-Identifier: MIT */
/* relay status, relay use: how viewers from outside reach the recordings, and by whom. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "env/dotenv.h"
#include "env/env-edit.h"
#include "env/env-rules.h"
#include "env/env-tunnel.h"
#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/data/relay-state.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/env-files.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define RESTART_TIMEOUT (2 * USEC_PER_MINUTE)
#define PROOF_DEFAULT (60 * USEC_PER_SEC)
#define LOOK_INTERVAL_USEC (200 * 1000)
#define TEXT_MAX ((size_t) 8 * 1024)

static int read_state(RelayState *ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(RELAY_STATE_PATH);
    int r = path ? relay_state_read(path, ret, err) : -ENOMEM;

    if (r != -ENOENT)
        return r;
    error_done(err);
    return error_set(err, EHOSTUNREACH, "relay.not-running", "no relay-client runs here: is its service deployed?");
}

static char *print_status(const cJSON *o)
{
    static const char *const lines[][2] = {
        { "provider", "provider" }, { "public URL", "publicUrl" }, { "open", "open" },
        { "visitors", "visitors" }, { "bytes from", "bytesIn" },   { "bytes to", "bytesOut" },
        { "lost", "reconnects" },
    };
    _cleanup_(buf_done) Buf b = BUF_INIT(TEXT_MAX);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(o, "error");
    _cleanup_(freep) char *since = report_when(json_string(o, "since")), *why = error ? report_error(error) : NULL;
    int r = buf_printf(&b, "%-12s %s, since %s\n", "state", json_string(o, "state"), since ? since : "-");

    if (r >= 0 && why)
        r = buf_printf(&b, "%-12s %s\n", "because", why);
    for (size_t i = 0; i < ELEMENTSOF(lines) && r >= 0; i++) {
        _cleanup_(freep) char *value = report_member(o, lines[i][1]);
        if (value)
            r = buf_printf(&b, "%-12s %s\n", lines[i][0], value);
    }
    return r < 0 ? NULL : buf_take(&b);
}

static int show(const Secboxctl *ctl, const RelayState *s)
{
    _cleanup_(cJSON_Deletep) cJSON *o = relay_state_describe(s, boottime_usec());

    if (!o)
        return secboxctl_fail(ctl, NULL, -ENOMEM);
    return ctl->json ? report_json(o, EXIT_OK) : report_text(print_status(o), EXIT_OK);
}

int verb_relay_status(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(relay_state_done) RelayState s = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    (void) argv;
    int r = read_state(&s, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : show(ctl, &s);
}

/* secbox.env as it was, as it is to be, and whose it is. */
typedef struct Edit {
    char *path, *before, *after; /* secrets */
    struct stat st;
} Edit;

static void edit_done(Edit *e)
{
    free(e->path);
    secret_free(e->before);
    secret_free(e->after);
}

/* Nothing is written that relay-client could not take. */
static int edit_make(const char *provider, Edit *ret, Error *err)
{
    const EnvChange changes[] = { { "TUNNEL_PROVIDER", provider }, {} };
    _cleanup_(edit_done) Edit e = { .path = env_files_path(ENV_SECBOX) };
    _cleanup_(env_freep) EnvFile *env = NULL;
    TunnelProvider known;
    size_t len = 0;
    int r = e.path ? env_file_read(e.path, &e.before, &len, err) : -ENOMEM;

    if (r >= 0 && lstat(e.path, &e.st) < 0)
        r = -errno;
    if (r >= 0) {
        e.after = env_edit(e.before, changes);
        r = e.after ? dotenv_parse(e.after, strlen(e.after), e.path, &env, err) : -ENOMEM;
    }
    if (r >= 0)
        r = env_validate(env, ENV_RELAY, e.path, err);
    if (r >= 0)
        r = env_check_tunnel(env, e.path, &known, err);
    if (r < 0)
        return error_from_errno(err, r, "cannot change %s", e.path ? e.path : "secbox.env");
    *ret = e;
    e = (Edit) {};
    return 0;
}

static int edit_write(const Edit *e, const char *text, Error *err)
{
    return file_write_atomic(e->path, text, strlen(text), e->st.st_mode & 0777, e->st.st_uid, e->st.st_gid, err);
}

static int restart(const Secboxctl *ctl, Error *err)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("container.restart"), *answer = NULL;
    int r = request && json_add_string(request, "service", RELAY_SERVICE) >= 0
                ? secboxctl_connect(ctl, &agent, err)
                : error_from_errno(err, -ENOMEM, "make a request");

    if (r >= 0)
        r = agent_ask(agent, request, "container.result", RESTART_TIMEOUT, &answer, err);
    if (r >= 0 && !json_bool(answer, "ok", false))
        r = json_to_error(cJSON_GetObjectItemCaseSensitive(answer, "error"), EREMOTEIO, err);
    return r;
}

/* 1: it works, with this provider, and was started since; 0: not yet; negative: it will not. */
static int judge(const char *provider, usec_t since, RelayState *s, Error *err)
{
    _cleanup_(error_done) Error none = {};

    relay_state_done(s);
    if (read_state(s, &none) < 0 || s->started < since || relay_state_is_stale(s, boottime_usec()))
        return 0;
    if (s->condition == RELAY_INVALID || s->condition == RELAY_REFUSED)
        return error_set(err, EREMOTEIO, "relay.not-working", "%s: %s", relay_condition_name(s->condition),
                         s->error_message ? s->error_message : "no reason given");
    return str_equal(s->provider, provider) && s->condition != RELAY_CONNECTING;
}

static int await_proof(const char *provider, usec_t since, usec_t time, RelayState *ret, Error *err)
{
    usec_t deadline = boottime_usec() + time;
    int r;

    while ((r = judge(provider, since, ret, err)) == 0) {
        if (boottime_usec() >= deadline)
            return error_set(err, ETIMEDOUT, "relay.not-working", "%s was not connected in time: %s", provider,
                             ret->error_message ? ret->error_message : "no reason given");
        (void) usleep(LOOK_INTERVAL_USEC);
    }
    return r < 0 ? r : 0;
}

/* What another has written meanwhile stays. */
static void go_back(const Secboxctl *ctl, const Edit *e)
{
    _cleanup_(secret_freep) char *now = NULL;
    _cleanup_(error_done) Error err = {};
    int r = env_file_read(e->path, &now, NULL, &err);

    if (r >= 0 && !str_equal(now, e->after)) {
        fprintf(stderr, PROGRAM ": %s was changed meanwhile, and is left as it is\n", e->path);
        return;
    }
    if (r >= 0)
        r = edit_write(e, e->before, &err);
    if (r >= 0)
        r = restart(ctl, &err);
    if (r < 0)
        (void) report_failure(PROGRAM, false, &err, r, EXIT_FAILED);
    else
        fprintf(stderr, PROGRAM ": %s is as it was, and relay-client was started with it again\n", e->path);
}

static int use(const Secboxctl *ctl, const char *provider, RelayState *ret, Error *err)
{
    _cleanup_(edit_done) Edit e = {};
    usec_t since = realtime_usec() / USEC_PER_MSEC * USEC_PER_MSEC, time = PROOF_DEFAULT;
    int r = ctl->timeout ? secboxctl_timeout(ctl, &time, err) : 0;

    if (r >= 0)
        r = secboxctl_need_root(ctl, err);
    if (r >= 0)
        r = edit_make(provider, &e, err);
    if (r >= 0)
        r = edit_write(&e, e.after, err);
    if (r < 0)
        return r;
    r = restart(ctl, err);
    if (r >= 0)
        r = await_proof(provider, since, time, ret, err);
    if (r < 0)
        go_back(ctl, &e);
    return r;
}

int verb_relay_use(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(relay_state_done) RelayState s = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = use(ctl, argv[0], &s, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : show(ctl, &s);
}
