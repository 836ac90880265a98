/* SPDX-License-Identifier: MIT */
/* doctor: what mgmt-agent tells of itself. */
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
#define DPKG_QUERY "/usr/bin/dpkg-query"

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

/* Whether dpkg has this version of the package, wholly. */
static bool is_installed(const char *package, const char *version)
{
    const char *const argv[] = { DPKG_QUERY, "-W", "-f", "${db:Status-Status} ${Version}", package, NULL };
    _cleanup_(freep) char *said = NULL, *wanted = str_format("installed %s", version);

    return run_quietly(argv, &said) && str_equal(said, wanted);
}

/* A new version that did not prove itself, and an old one that did not come back: until somebody installs one of them. */
static bool finding_of_stuck_update(Finding *f, const cJSON *update)
{
    const char *package = json_string(update, "package"), *from = json_string(update, "from"),
               *why = json_string(update, "why");

    if (!str_equal(json_string(update, "state"), "stuck") || !package || !from || is_installed(package, from) ||
        is_installed(package, json_string(update, "to")))
        return false;
    finding_set(f, VERDICT_FAIL, "`journalctl -u 'secbox-package-*' -u 'recovery-agent-back*'` says why.",
                "the update of %s to %s has failed half-way: %s", package, json_string(update, "to"), why ? why : "-");
    if (text_is_shell_word(package) && text_is_shell_word(from))
        finding_remedy(f, "dpkg -i " AGENT_UPDATE_DIR "/%s-old.deb", package);
    return true;
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
    if (!str_empty(paths_root()) ||
        !finding_of_stuck_update(f, cJSON_GetObjectItemCaseSensitive(d->status, "agentUpdate")))
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
