/* SPDX-License-Identifier: MIT */
#include "recovery-agent/config-choice.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/event/daemon.h"

#define RECOVERY_ENV_PATH ETC_DIR "/recovery.env"
#define LEAVE_INTERVAL (5 * USEC_PER_SEC)
#define CA_SIZE_MAX (1024 * 1024)

static void on_config_saved(bool written, void *userdata)
{
    Recovery *r = userdata;
    r->config_kept = written;
}

static int read_authorities(const Config *c, char **ret)
{
    return file_read_followed(c->ca_file, CA_SIZE_MAX, ret, NULL, NULL);
}

/* The gateway has been reached with this configuration: it is the one to come back to. Tried again until it is kept. */
void config_keep(Recovery *r)
{
    _cleanup_(secret_freep) char *text = settings_print(settings, &r->config);
    _cleanup_(freep) char *ca = NULL, *copy = path_join(r->state.folder, "ca.pem");
    bool needs_ca = r->config.ca_file && !str_equal(r->config.ca_file, copy);
    if ((needs_ca && (read_authorities(&r->config, &ca) < 0 || recovery_save_file(r, "ca.pem", ca, NULL) < 0)) ||
        recovery_save_file(r, "config.env", text, on_config_saved) < 0)
        log_warning("the configuration that works could not be kept yet");
}

/* For doctor, for mgmt-agent, and for the cloud, each of which may be the only one that we reach. err NULL: all is well. */
void config_tell(Recovery *r, const Error *err, int k)
{
    _cleanup_(freep) char *path = path_in_root(RECOVERY_FAULT_PATH);
    free(r->config_fault);
    r->config_fault = err ? strdup(error_message(err, k)) : NULL;
    if (path && config_fault_tell(path, "recovery-agent", err, k) < 0)
        log_debug("%s could not be written", path);
}

static char *config_path(const char *name, const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    _cleanup_(freep) char *credential = str_empty(folder) ? NULL : path_join(folder, name);
    return credential && access(credential, F_OK) == 0 ? TAKE_PTR(credential) : path_in_root(path);
}

static int read_config_file(Config *c, const char *name, const char *inside, Error *err)
{
    _cleanup_(freep) char *path = config_path(name, inside);
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int k = path ? file_read(path, ENV_FILE_SIZE_MAX, &text, &len, err) : -ENOMEM;
    if (k == -ENOENT) {
        error_done(err);
        return 0;
    }
    return k < 0 ? k : settings_parse(settings, c, text, len, path, err);
}

/* What is watched is known before it is read. */
int config_watch_files(Recovery *r, const char *ca_file)
{
    _cleanup_(freep) char *agent = path_in_root(AGENT_ENV_PATH), *own = path_in_root(RECOVERY_ENV_PATH);
    const char *paths[] = { agent, own, ca_file, NULL };
    return agent && own ? config_watch_set(r->watch, paths) : -ENOMEM;
}

static int read_config(Recovery *r, Config *ret, Error *err)
{
    _cleanup_(config_done) Config c = {};
    int k = settings_init(settings, &c);
    if (k >= 0)
        k = read_config_file(&c, "mgmt-agent.env", AGENT_ENV_PATH, err);
    if (k >= 0)
        k = read_config_file(&c, "recovery.env", RECOVERY_ENV_PATH, err);
    if (k >= 0)
        k = config_check(&c, err);
    if (k >= 0)
        k = config_watch_files(r, c.ca_file);
    if (k >= 0)
        k = config_check_ca_file(c.ca_file, "recovery-agent", err);
    if (k < 0)
        return k;
    *ret = c;
    c = (Config) {};
    return 0;
}

/* Other authorities under the same name are another configuration, too. */
static bool leads_to_the_same(const Config *a, const Config *b)
{
    _cleanup_(freep) char *ca = NULL, *other = NULL;
    if (!str_equal(a->gateway_url, b->gateway_url) || !str_equal(a->device_id, b->device_id) ||
        !a->ca_file != !b->ca_file)
        return false;
    return !a->ca_file || (read_authorities(a, &ca) >= 0 && read_authorities(b, &other) >= 0 && str_equal(ca, other));
}

/* The one on the box, and beside it the one that worked last; that alone when the former is damaged. */
int config_load(Recovery *r, Error *err)
{
    _cleanup_(error_done) Error ignored = {};
    _cleanup_(config_done) Config kept = {};
    int k = read_config(r, &r->config, err);
    bool has_kept = state_load_config(&r->state, &kept, &ignored) >= 0;
    config_tell(r, k < 0 ? err : NULL, k);
    if (k < 0 && !has_kept)
        return k;
    if (k < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, err, k,
                    "the configuration is damaged: going on with the one that worked last");
        error_done(err);
        r->config = kept;
        r->on_kept = true;
        kept = (Config) {};
    } else if (has_kept && !leads_to_the_same(&kept, &r->config)) {
        r->other = kept;
        kept = (Config) {};
    }
    redact_add_secret(r->config.bootstrap);
    return 0;
}

/* The service manager holds the files for us and hands them out anew at a start. Nobody is thrown out for it. */
static int on_leave(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    if (r->bridge && bridge_sessions(r->bridge) > 0)
        return timer_arm(r->event, &r->leave, LEAVE_INTERVAL, on_leave, r);
    log_notice("the configuration has changed: ending, to be started again with it");
    return sd_event_exit(r->event, 0);
}

void config_on_change(void *userdata)
{
    Recovery *r = userdata;
    if (r->bridge && bridge_sessions(r->bridge) > 0)
        log_notice("the configuration has changed: it is taken when the last session here has ended");
    if (timer_arm(r->event, &r->leave, 0, on_leave, r) < 0)
        log_error("no timer: restart recovery-agent, its configuration has changed");
}

/* The one on the box was tried first. */
static void blame_config(Recovery *r, const Config *box)
{
    _cleanup_(error_done) Error err = {};
    int k = error_set(&err, EHOSTUNREACH, "config.unreachable",
                      "with the configuration of this box no gateway is reached at %s (%s); trying the one that worked "
                      "last: correct mgmt-agent.env or recovery.env",
                      box->gateway_url, r->last_fault ? r->last_fault : "no connection");
    config_tell(r, &err, k);
}

bool config_try_other(Recovery *r)
{
    const Config now = r->config;
    if (!r->other.device_id)
        return false;
    r->config = r->other;
    r->other = now;
    r->on_kept = !r->on_kept;
    if (r->on_kept)
        blame_config(r, &now);
    log_warning("the gateway is not reached: trying the configuration %s",
                str_equal(r->config.ca_file, now.ca_file) ? "that differs" : "with other authorities");
    return true;
}
