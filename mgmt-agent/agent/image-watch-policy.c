/* SPDX-License-Identifier: MIT */
/* Decides and does nothing. */

#include "mgmt-agent/agent/image-watch-policy.h"

#include <errno.h>
#include <string.h>

#include "env/env-rules.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/watch-labels.h"

#define RETRY_BASE_USEC (5 * USEC_PER_MINUTE)
#define RETRY_DOUBLINGS_MAX 12

void watch_config_done(WatchConfig *c)
{
    free(c->scope);
    *c = (WatchConfig) {};
}

/* The value if its rule accepts it; NULL when there is none. */
static int read_value(const EnvFile *e, const char *key, const char *file, const char **ret, Error *err)
{
    const char *value = e ? env_get(e, key) : NULL;
    const EnvRule *rule = env_rule_find(key);

    *ret = NULL;
    if (str_empty(value) || !rule)
        return 0;
    if (rule->check(value) < 0)
        return error_set_at(err, EINVAL, "env.bad-value", NULL, 0, key, "%s: %s must be %s", file, key, rule->expects);
    *ret = value;
    return 0;
}

static int read_interval(const EnvFile *agent, const EnvFile *secbox, usec_t *ret, Error *err)
{
    const char *value = NULL;
    uint64_t seconds;
    int r = read_value(agent, "WATCHTOWER_POLL_INTERVAL", "mgmt-agent.env", &value, err);

    if (r == 0 && !value)
        r = read_value(secbox, "WATCHTOWER_POLL_INTERVAL", "secbox.env", &value, err);
    if (r < 0)
        return r;
    *ret =
        value && str_to_u64(value, 1, UINT32_MAX, &seconds) == 0 ? seconds * USEC_PER_SEC : WATCH_INTERVAL_DEFAULT_USEC;
    return 0;
}

int watch_config_read(const EnvFile *agent, const EnvFile *secbox, WatchConfig *ret, Error *err)
{
    const char *window = NULL, *cool_down = NULL, *monitor = NULL, *enable = NULL, *scope = NULL;
    const struct {
        const char *key, **value;
    } keys[] = { { "UPDATE_WINDOW", &window },
                 { "UPDATE_COOL_DOWN", &cool_down },
                 { "UPDATE_MONITOR_ONLY", &monitor },
                 { "UPDATE_LABEL_ENABLE", &enable },
                 { "UPDATE_SCOPE", &scope } };
    WatchConfig c = {};
    int r = read_interval(agent, secbox, &c.interval, err);

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(keys); i++)
        r = read_value(agent, keys[i].key, "mgmt-agent.env", keys[i].value, err);
    if (r < 0)
        return r;
    c.monitor_only = str_equal(monitor, "1");
    c.label_enable = str_equal(enable, "1");
    if ((window && windows_parse(window, c.windows, &c.n_windows) < 0) ||
        (cool_down && duration_parse(cool_down, &c.cool_down) < 0))
        return error_set(err, EINVAL, "env.bad-value", "UPDATE_WINDOW or UPDATE_COOL_DOWN cannot be read");
    if (scope && !(c.scope = strdup(scope)))
        return error_set(err, ENOMEM, "system.error", "no memory");
    *ret = c;
    return 0;
}

void watch_target_done(WatchTarget *t)
{
    free(t->why);
    *t = (WatchTarget) {};
}

static const char *reason_not_to(const WatchConfig *c, const CurrentService *service, const WatchLabels *l)
{
    const char *image = service->image;

    if (str_empty(image))
        return "its image is not known";
    if (l->problem)
        return l->problem;
    if (l->disabled)
        return "its labels say so";
    if (c->label_enable && !l->enabled)
        return "UPDATE_LABEL_ENABLE is 1, and no label of it asks for updates";
    if (c->scope && !str_equal(c->scope, l->scope))
        return "it is of another scope than UPDATE_SCOPE";
    if (strchr(image, '@'))
        return "its image is named by digest, so only a push changes it";
    if (str_starts(image, "localhost/") && !l->local)
        return "its image was made on this box, and no label says that it is to be watched here "
               "(io.containers.autoupdate=local)";
    if (!l->local && str_equal(service->pull_policy, "never"))
        return "its pull_policy is never";
    return NULL;
}

int watch_target_of(const WatchConfig *c, const CurrentService *service, WatchTarget *ret)
{
    const cJSON *labels = service->labels;
    _cleanup_(watch_labels_done) WatchLabels l = {};
    WatchTarget t = {};
    const char *why;
    int r;

    /* what agents of an earlier time wrote has only the file's own labels */
    if (!labels)
        labels = cJSON_GetObjectItemCaseSensitive(service->config, "labels");
    r = watch_labels_read(labels, &l);
    if (r < 0)
        return r;
    why = reason_not_to(c, service, &l);
    if (why && !(t.why = strdup(why)))
        return -ENOMEM;
    t.source = why ? WATCH_NOT : l.local ? WATCH_LOCAL : WATCH_REGISTRY;
    t.monitor_only = l.monitor_only || c->monitor_only;
    *ret = t;
    return 0;
}

usec_t watch_next_check(const WatchConfig *c, usec_t last, usec_t started, uint64_t random, usec_t now)
{
    usec_t spread = c->interval / 10 < WATCH_SPREAD_MAX_USEC ? c->interval / 10 : WATCH_SPREAD_MAX_USEC;
    usec_t jitter = spread > 0 ? random % spread : 0;
    usec_t due = last > 0 && last <= now ? last + c->interval + jitter : 0;

    return due > started + jitter ? due : started + jitter;
}

usec_t watch_retry_delay(const WatchConfig *c, unsigned tries)
{
    usec_t delay = RETRY_BASE_USEC << (tries < RETRY_DOUBLINGS_MAX ? tries : RETRY_DOUBLINGS_MAX);

    return delay < c->interval ? delay : c->interval;
}

bool watch_is_put_off(const WatchConfig *c, const WatchEntry *e, usec_t now)
{
    usec_t most = e->quiet_until > 0 && WATCH_QUIET_MAX_USEC > c->interval ? WATCH_QUIET_MAX_USEC : c->interval;

    return e->retry_at > now && e->retry_at - now <= most;
}

bool watch_is_quiet(const WatchEntry *e, usec_t now)
{
    return e->quiet_until > now && e->quiet_until - now <= WATCH_QUIET_MAX_USEC;
}

WatchVerdict watch_decide(const WatchConfig *c, const WatchEntry *e, const FailedImages *failed, bool order, usec_t now,
                          usec_t *ret_at, const char **ret_why)
{
    *ret_why = NULL;
    *ret_at = USEC_INFINITY;
    if (e->status != WATCH_NEW)
        return WATCH_NOTHING;
    if (failed_find(failed, e->service, e->digest, e->new_image_id)) {
        *ret_why = "failed-before";
        return WATCH_NOTHING;
    }
    if (order && e->source == WATCH_REGISTRY && e->error && !e->by_hand) {
        *ret_why = "unanswered"; /* what was known before may not be meant any more */
        return WATCH_NOTHING;
    }
    if (order)
        return WATCH_TAKE;
    if (e->monitor_only) {
        *ret_why = "monitor-only";
        return WATCH_NOTHING;
    }
    /* that may be anybody's nightly script: it does not say that the service is to be replaced where only news are wanted */
    if (e->by_hand)
        return WATCH_TAKE;
    if (e->digest && str_equal(e->digest, e->turned_away)) {
        *ret_why = "ordered";
        return WATCH_NOTHING;
    }
    if (e->halted) {
        *ret_why = "halted";
        return WATCH_NOTHING;
    }
    if (watch_is_put_off(c, e, now)) {
        *ret_why = e->skipped ? e->skipped : "later";
        *ret_at = windows_next(c->windows, c->n_windows, e->retry_at);
        return WATCH_WAIT;
    }
    *ret_at = windows_next(c->windows, c->n_windows, now);
    if (*ret_at <= now)
        return WATCH_TAKE;
    *ret_why = "window";
    return WATCH_WAIT;
}
