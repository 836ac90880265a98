/* SPDX-License-Identifier: MIT */
#include "gateway/gateway-files.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/devices/config-faults.h"
#include "gateway/gateway-env.h"
#include "lib/base/log.h"
#include "lib/data/config-fault.h"
#include "lib/event/config-watch.h"

struct GatewayFiles {
    GatewayFilesOptions options;
    ConfigWatch *certificate, *env;
    bool refused, env_changed;
};

/* What boxes are connected by stays; the next ones see the new certificate. */
void gateway_files_renew(GatewayFiles *f)
{
    const GatewayFilesOptions *o = &f->options;
    _cleanup_(error_done) Error err = {};
    if (!o->cert_file) {
        log_notice("there is no --cert, so there is nothing to read again");
        return;
    }
    int r = http_server_renew(o->server, o->cert_file, o->key_file, &err);
    f->refused = r < 0;
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "the certificate stays as it was");
        config_faults_raise(o->store, "secbox-gateway", &err, r);
    } else {
        log_notice("%s was read again", o->cert_file);
    }
}

static void on_certificate_changed(void *userdata)
{
    GatewayFiles *f = userdata;
    gateway_files_renew(f);
    f->options.on_changed(f->options.userdata);
}

/* The service manager made our environment of it, which never changes. */
static void on_env_changed(void *userdata)
{
    GatewayFiles *f = userdata;
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, EAGAIN, CONFIG_WAITS,
                      GATEWAY_ENV_FILE " has changed; `systemctl restart secbox-gateway` takes it, and the boxes come "
                                       "back by themselves");
    log_warning("%s", err.message);
    if (!f->env_changed)
        config_faults_raise(f->options.store, "secbox-gateway", &err, r);
    f->env_changed = true;
    f->options.on_changed(f->options.userdata);
}

const char *gateway_files_status(const GatewayFiles *f)
{
    return f->refused       ? "serving, with the old certificate: the new one is refused"
           : f->env_changed ? "serving; " GATEWAY_ENV_FILE " has changed: a restart takes it"
                            : "serving";
}

static int watch(sd_event *event, const char *const *paths, void (*on_change)(void *userdata), GatewayFiles *f,
                 ConfigWatch **ret, Error *err)
{
    int r = config_watch_new(event, on_change, f, ret, err);
    return r < 0 ? r : config_watch_set(*ret, paths);
}

int gateway_files_new(sd_event *event, const GatewayFilesOptions *options, GatewayFiles **ret, Error *err)
{
    const char *env[] = { GATEWAY_ENV_FILE, NULL }, *certificate[] = { options->cert_file, options->key_file, NULL };
    GatewayFiles *f = calloc(1, sizeof(*f));
    if (!f)
        return error_from_errno(err, -ENOMEM, "starting");
    f->options = *options;
    int r = watch(event, env, on_env_changed, f, &f->env, err);
    if (r >= 0 && options->cert_file)
        r = watch(event, certificate, on_certificate_changed, f, &f->certificate, err);
    if (r < 0)
        gateway_files_free(f);
    else
        *ret = f;
    return r;
}

GatewayFiles *gateway_files_free(GatewayFiles *f)
{
    if (f) {
        config_watch_free(f->certificate);
        config_watch_free(f->env);
        free(f);
    }
    return NULL;
}
