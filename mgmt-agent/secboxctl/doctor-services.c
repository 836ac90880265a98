/* SPDX-License-Identifier: MIT */
/* doctor: the services that mgmt-agent has deployed. */
#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define RESTARTS_OF_A_LOOP 10
#define EXIT_BY_SIGNAL 128
#define BY_HAND "stopped by hand"

/* The services that are not well, and those that somebody stopped. */
typedef struct Services {
    const char *project;    /* that is looked at, of those beside the box's own; NULL: that one */
    const cJSON *of_podman; /* what podman says of its containers */
    unsigned n;
    char **bad;            /* a sentence each */
    char **down;           /* containers */
    char **ill;            /* the same, of those that run and are unhealthy */
    char **cut_off;        /* the same, of those that are well inside, and nobody can reach them */
    char **by_hand;        /* a sentence each */
    bool looping, failing; /* failing: one is not well that nobody stopped */
} Services;

static void services_done(Services *s)
{
    strv_free(s->bad);
    strv_free(s->down);
    strv_free(s->ill);
    strv_free(s->cut_off);
    strv_free(s->by_hand);
}

/* "web", or "blog/web": a new string. */
static char *name_of(const Services *s, const cJSON *service)
{
    const char *name = json_string(service, "name");

    return str_format("%s%s%s", s->project ? s->project : "", s->project ? "/" : "", name ? name : "-");
}

/* "web: down since …, exit code 7, restarted 4 times: the last line of its log" */
static char *trouble_text(const Services *s, const cJSON *service, const cJSON *trouble)
{
    _cleanup_(freep) char *code = report_member(trouble, "exitCode"), *restarts = report_member(trouble, "restarts");
    const char *log = json_string(trouble, "log"), *last = log ? strrchr(log, '\n') : NULL,
               *error = json_string(trouble, "error");
    _cleanup_(freep) char *line = log ? text_printable(last && last[1] ? last + 1 : log) : NULL;
    const char *what = json_string(trouble, "what"), *since = json_string(trouble, "since");
    _cleanup_(freep) char *name = name_of(s, service);

    return !name ? NULL
                 : str_format("%s: %s since %s, exit code %s, restarted %s times%s%s", name, what ? what : "-",
                              since ? since : "-", code ? code : "-", restarts ? restarts : "0",
                              error || line ? ": " : "",
                              error  ? error
                              : line ? line
                                     : "");
}

/* The container of a service, as the agent tells; NULL when it has none. */
static const char *container_of(const Services *s, const cJSON *service)
{
    const cJSON *container;

    cJSON_ArrayForEach(container, s->of_podman)
        if (str_equal(json_string(container, "name"), json_string(service, "name")))
            return json_string(container, "container");
    return NULL;
}

/* What starts at once the containers that are down: mgmt-agent does so itself, after a while that grows. Those that run and do
 * not do well need another version; where there is none to go back to, one that is only unhealthy gets a fresh start. */
static void remedy_of_services(Doctor *d, const Services *s, Finding *f)
{
    bool way_back = json_string(d->status, "wayBack") != NULL;

    if (s->cut_off && !s->ill && !s->down && !s->looping) { /* another version would not get a better forwarder */
        _cleanup_(freep) char *again = podman_command(d, "restart", (const char *const *) s->cut_off);

        if (again)
            finding_remedy(f, "%s", again);
        return;
    }
    for (size_t i = 0; !s->ill && s->down && s->down[i]; i++)
        if (finding_of_taken_port(d, s->down[i], f))
            return;
    if ((s->looping || s->ill) && way_back) {
        finding_remedy(f, "secboxctl rollback");
        return;
    }
    char **containers = s->ill ? s->ill : s->down;
    _cleanup_(freep) char *command =
        containers && !s->looping ? podman_command(d, s->ill ? "restart" : "start", (const char *const *) containers)
                                  : NULL;
    if (command)
        finding_remedy(f, "%s", command);
}

/* "web since …: `podman start web` as the podman user starts it" */
static int add_stopped_by_hand(const Doctor *d, const cJSON *service, Services *s)
{
    const char *since = json_string(service, "since"), *container = container_of(s, service);
    _cleanup_(freep) char *name = name_of(s, service);
    _cleanup_(freep) char *start =
        container ? podman_command(d, "start", (const char *const[]) { container, NULL }) : NULL;

    return strv_addf(&s->by_hand, "%s since %s%s%s%s", name ? name : "-", since ? since : "-", start ? " (`" : "",
                     start ? start : "", start ? "` starts it again)" : "");
}

/* Somebody has stopped it so long ago that mgmt-agent has raised the alarm. */
static int add_forgotten(const cJSON *service, Services *s)
{
    const char *since = json_string(service, "since"), *container = container_of(s, service);
    _cleanup_(freep) char *name = name_of(s, service);
    int r = strv_addf(&s->bad, "%s: stopped by hand since %s", name ? name : "-", since ? since : "-");

    return r < 0 || !container ? r : strv_add(&s->down, container);
}

/* It was started often and ended by itself each time, so one more start does not help. A fast one is hardly ever seen running. */
static bool ends_again_and_again(const cJSON *trouble)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(trouble, "exitCode"),
                *restarts = cJSON_GetObjectItemCaseSensitive(trouble, "restarts");

    return str_equal(json_string(trouble, "what"), "restarting") ||
           (cJSON_IsNumber(restarts) && restarts->valueint >= RESTARTS_OF_A_LOOP && cJSON_IsNumber(code) &&
            code->valueint > 0 && code->valueint < EXIT_BY_SIGNAL);
}

static int add_service(const Doctor *d, const cJSON *service, Services *s)
{
    const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(service, "trouble");
    const char *state = json_string(service, "state"), *what = json_string(trouble, "what");
    int r = 0;

    s->n++;
    if (str_equal(what, BY_HAND) && !json_string(trouble, "until") && str_equal(state, BY_HAND))
        return add_forgotten(service, s);
    if (str_equal(state, BY_HAND))
        r = add_stopped_by_hand(d, service, s);
    /* one that runs again is watched until it has done so for a while */
    if (r < 0 || !cJSON_IsObject(trouble) || json_string(trouble, "until") ||
        (str_equal(state, "running") && !str_equal(what, "restarting")))
        return r;
    _cleanup_(freep) char *text = trouble_text(s, service, trouble);
    const char *container = container_of(s, service);
    s->failing = true;
    s->looping = s->looping || (!s->project && ends_again_and_again(trouble));
    r = text ? strv_add(&s->bad, text) : -ENOMEM;
    if (r >= 0 && container && !str_equal(what, "restarting"))
        /* the way back that is known is that of the box's own project: others get a fresh start */
        r = strv_add(str_equal(what, "down")                             ? &s->down
                     : s->project || json_bool(trouble, "cutOff", false) ? &s->cut_off
                                                                         : &s->ill,
                     container);
    return r;
}

/* `of`: the status, or one of its projects. */
static int add_all(const Doctor *d, const cJSON *of, const char *project, Services *s)
{
    const cJSON *service;
    int r = 0;

    s->project = project;
    s->of_podman = cJSON_GetObjectItemCaseSensitive(of, "services");
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(of, "watched"))
        if (r >= 0)
            r = add_service(d, service, s);
    return r;
}

void check_services(Doctor *d, Finding *f)
{
    const cJSON *watched = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "watched") : NULL,
                *other;
    _cleanup_(services_done) Services s = {};

    if (!cJSON_IsArray(watched)) {
        finding_set(f, VERDICT_UNKNOWN, "Make mgmt-agent answer first: only it knows.",
                    "mgmt-agent did not tell about services");
        return;
    }
    if (add_all(d, d->status, NULL, &s) < 0)
        return;
    cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(d->status, "projects"))
        if (add_all(d, other, json_string(other, "name"), &s) < 0)
            return;
    _cleanup_(freep) char *bad = s.bad ? strv_join(s.bad, "; ") : NULL,
                          *by_hand = s.by_hand ? strv_join(s.by_hand, ", ") : NULL;
    if (bad) {
        finding_set(f, VERDICT_FAIL,
                    s.failing
                        ? "mgmt-agent goes on trying; read the container's log (`podman logs`), then push a file "
                          "or an image that works."
                        : "mgmt-agent leaves it to people. Where its container is gone, apply the file again; where "
                          "nobody needs it any more, push a file without it.",
                    "%s", bad);
        remedy_of_services(d, &s, f);
    } else
        finding_pass(f, "%u deployed, none is down%s%s", s.n, by_hand ? "; stopped by hand: " : "",
                     by_hand ? by_hand : "");
}
