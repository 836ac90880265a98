/* SPDX-License-Identifier: MIT */
/* doctor: what mgmt-agent tells of itself and of what it deployed. */
#include <errno.h>
#include <string.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/doctor.h"

/* longer than it waits for podman, which may hang */
#define ASK_TIMEOUT (30 * USEC_PER_SEC)

/* Nobody answers: what the service manager knows of it. */
static void finding_of_silent_agent(Finding *f, const char *why)
{
    _cleanup_(unit_facts_done) UnitFacts u = {};
    bool known = str_empty(paths_root()) && unit_facts("mgmt-agent", &u) == 0;

    if (known && !str_equal(u.active, "active")) {
        finding_of_unit(f, "mgmt-agent", &u);
        return;
    }
    finding_set(f, VERDICT_FAIL, "Then read `journalctl -u mgmt-agent`.", "%s", why);
    finding_remedy(f, "systemctl restart mgmt-agent");
}

/* It answers: whether it would after a reboot, too. */
static void finding_of_agent(Finding *f, const char *version)
{
    _cleanup_(unit_facts_done) UnitFacts u = {};

    if (str_empty(paths_root()) && unit_facts("mgmt-agent", &u) == 0 && str_equal(u.active, "active"))
        finding_of_unit(f, "mgmt-agent", &u);
    if (f->verdict != VERDICT_FAIL)
        finding_pass(f, "mgmt-agent %s answers", version ? version : "(version not told)");
}

void check_agent(Doctor *d, Finding *f)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("status.get");
    _cleanup_(error_done) Error err = {};

    int r = request ? secboxctl_connect(d->ctl, &agent, &err) : error_from_errno(&err, -ENOMEM, "make a request");
    if (r >= 0)
        r = agent_ask(agent, request, "status.report", ASK_TIMEOUT, &d->report, &err);
    if (r < 0) {
        finding_of_silent_agent(f, error_message(&err, r));
        return;
    }
    d->status = cJSON_GetObjectItemCaseSensitive(d->report, "status");
    const cJSON *program = cJSON_GetObjectItemCaseSensitive(d->status, "agent");
    const char *version = cJSON_IsObject(program) ? json_string(program, "version") : NULL;
    finding_of_agent(f, version);
}

void check_podman_user(Doctor *d, Finding *f)
{
    _cleanup_(error_done) Error err = {};
    const char *wanted = d->agent_env ? env_get(d->agent_env, "PODMAN_USER") : NULL;

    if (podman_user_find(wanted, &d->user, &err) < 0)
        finding_set(f, VERDICT_FAIL, "Until then nothing can be deployed.", "%s", error_message(&err, 0));
    else if (d->user.unnamed_root)
        finding_set(f, VERDICT_FAIL,
                    "Write PODMAN_USER=root into mgmt-agent.env to have it so, or deploy anew as another user: a "
                    "container that "
                    "breaks out of root's podman has the whole box.",
                    "the containers run as root, which nobody chose");
    else
        finding_pass(f, "the containers run as user %s", d->user.name);
}

/* Folders that containers made before the rules for them mount; what is wrong with each says what to do. */
void check_binds(Doctor *d, Finding *f)
{
    const cJSON *binds = cJSON_GetObjectItemCaseSensitive(d->status, "unsafeBinds"),
                *first = binds ? binds->child : NULL;
    int n = cJSON_GetArraySize(binds);

    if (!d->status)
        finding_set(f, VERDICT_UNKNOWN, "See the check `agent`.", "mgmt-agent does not answer");
    else if (n == 0)
        finding_pass(f, "no container can change what another one mounts");
    else
        finding_set(
            f, VERDICT_FAIL,
            "Do what it says; `secboxctl status --json` has all of them. The containers go on, but a new compose file "
            "with such a mount is refused.",
            "%d unsafe mount%s: %s of service %s: %s", n, n == 1 ? "" : "s",
            json_string(first, "source") ? json_string(first, "source") : "?",
            json_string(first, "service") ? json_string(first, "service") : "?",
            json_string(first, "problem") ? json_string(first, "problem") : "?");
}

/* "web: down since …, exit code 7, restarted 4 times: the last line of its log" */
static char *trouble_text(const cJSON *service, const cJSON *trouble)
{
    _cleanup_(freep) char *code = report_member(trouble, "exitCode"), *restarts = report_member(trouble, "restarts");
    const char *log = json_string(trouble, "log"), *last = log ? strrchr(log, '\n') : NULL,
               *error = json_string(trouble, "error");
    _cleanup_(freep) char *line = log ? text_printable(last && last[1] ? last + 1 : log) : NULL;
    const char *what = json_string(trouble, "what"), *since = json_string(trouble, "since"),
               *name = json_string(service, "name");

    return str_format("%s: %s since %s, exit code %s, restarted %s times%s%s", name ? name : "-", what ? what : "-",
                      since ? since : "-", code ? code : "-", restarts ? restarts : "0", error || line ? ": " : "",
                      error  ? error
                      : line ? line
                             : "");
}

/* The container of a service, as the agent tells; NULL when it has none. */
static const char *container_of(const Doctor *d, const char *service)
{
    const cJSON *s;

    cJSON_ArrayForEach(s, cJSON_GetObjectItemCaseSensitive(d->status, "services"))
        if (str_equal(json_string(s, "name"), service))
            return json_string(s, "container");
    return NULL;
}

/* What starts at once the containers that are down: mgmt-agent does so itself, after a while that grows. Those that run and do
 * not do well need another version. */
static void remedy_of_services(Doctor *d, char *const *down, bool ill, Finding *f)
{
    _cleanup_(freep) char *all = down ? strv_join(down, " ") : NULL;

    for (size_t i = 0; !ill && down && down[i]; i++)
        if (finding_of_taken_port(d, down[i], f))
            return;
    if (ill)
        finding_remedy(f, "secboxctl rollback");
    _cleanup_(freep) char *start = !ill && all ? podman_command(d, "start", all) : NULL;
    if (start)
        finding_remedy(f, "%s", start);
}

void check_services(Doctor *d, Finding *f)
{
    const cJSON *watched = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "watched") : NULL,
                *service;
    _cleanup_(strv_freep) char **bad = NULL, **down = NULL;
    unsigned n = 0, by_hand = 0;
    bool ill = false;

    if (!cJSON_IsArray(watched)) {
        finding_set(f, VERDICT_UNKNOWN, "Make mgmt-agent answer first: only it knows.",
                    "mgmt-agent did not tell about services");
        return;
    }
    cJSON_ArrayForEach(service, watched) {
        const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(service, "trouble");
        _cleanup_(freep) char *text = NULL;

        n++;
        by_hand += str_equal(json_string(service, "state"), "stopped by hand");
        /* it runs again, and is watched until it has done so for a while */
        bool again =
            str_equal(json_string(service, "state"), "running") && str_equal(json_string(trouble, "what"), "down");
        if (!cJSON_IsObject(trouble) || json_string(trouble, "until") || again)
            continue;
        text = trouble_text(service, trouble);
        if (!text || strv_add(&bad, text) < 0)
            return;
        const char *container = container_of(d, json_string(service, "name"));
        ill = ill || !str_equal(json_string(trouble, "what"), "down");
        if (str_equal(json_string(trouble, "what"), "down") && container && strv_add(&down, container) < 0)
            return;
    }
    _cleanup_(freep) char *all = bad ? strv_join(bad, "; ") : NULL;
    if (all) {
        finding_set(f, VERDICT_FAIL,
                    "mgmt-agent goes on trying; read the container's log (`podman logs`), then push a file or an image "
                    "that works.",
                    "%s", all);
        remedy_of_services(d, down, ill, f);
    } else
        finding_pass(f, "%u deployed, none is down%s", n, by_hand > 0 ? "; some were stopped by hand" : "");
}
