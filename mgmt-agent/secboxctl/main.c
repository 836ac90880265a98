/* SPDX-License-Identifier: MIT */
/* secboxctl: the operators' verbs on the box itself, for when the cloud is gone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/encode.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/tunnel/message.h"
#include "lib/cli/completion.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define TIMEOUT_DEFAULT_SECONDS 900
#define TIMEOUT_MAX_SECONDS 86400
#define FILE_OPTIONS "file profile env-file"

static const CliVerb verbs[] = {
    { "status", "", 0, 0, "what runs, the tunnel, the last push", verb_status, "project" },
    { "plan", "[FILE]", 0, 1, "what applying a compose file would change, service by service", verb_plan,
      "project timeout no-files " FILE_OPTIONS },
    { "apply", "[FILE]", 0, 1, "push a compose file from here, as the cloud would", verb_apply,
      "project timeout no-files " FILE_OPTIONS },
    { "rollback", "[VERSION]", 0, 1, "go back to the push before the current one, or to this one", verb_rollback,
      "project timeout" },
    { "history", "", 0, 0, "the last pushes and how they ended", verb_history, "project limit" },
    { "apps", "", 0, 0, "the projects of this box, their versions and services", verb_apps, NULL },
    { "stop", "PROJECT", 1, 1, "stop all services of a project, until it is started or pushed again", verb_project_stop,
      "timeout" },
    { "start", "PROJECT", 1, 1, "start them again", verb_project_start, "timeout" },
    { "restart", "PROJECT", 1, 1, "stop and start them", verb_project_restart, "timeout" },
    { "remove", "PROJECT", 1, 1, "remove a project's containers and networks; its volumes stay without --volumes",
      verb_project_remove, "volumes timeout" },
    { "updates", "", 0, 0, "which images are watched, what is new, what failed and why", verb_updates, "project" },
    { "update", "[SERVICE...]", 0, 64, "look for new images now, and take them", verb_update,
      "project force forget lock undo unlock timeout" },
    { "agent update", "VERSION", 1, 1, "bring the packages of mgmt-agent and recovery-agent to this version",
      verb_agent_update, "deadline timeout" },
    { "render", "[FILE]", 0, 1, "print a compose file without variables; needs no agent", verb_render,
      "project no-files " FILE_OPTIONS },
    { "env check", "", 0, 0, "check mgmt-agent.env and secbox.env", verb_env_check, NULL },
    { "env ensure", "", 0, 0, "create secbox.env from mgmt-agent.env if it is not there", verb_env_ensure, NULL },
    { "env show", "", 0, 0, "keys and values of both files, secrets hidden", verb_env_show, NULL },
    { "logs", "SERVICE", 1, 1, "what a service has written, and with -f what it writes", verb_logs,
      "project follow since tail" },
    { "sessions", "", 0, 0, "who is logged in over the bridge; needs no agent", verb_sessions, NULL },
    { "replica status", "", 0, 0, "the community's data on this box: database, sync, age", verb_replica_status, NULL },
    { "replica verify", "", 0, 0, "count and sum its tables, and compare with the gateway", verb_replica_verify, NULL },
    { "replica resync", "[TABLE...]", 0, 5, "ask the gateway for all of it again, or for some tables",
      verb_replica_resync, NULL },
    { "replica unconfirmed", "", 0, 0, "bans that the cloud no longer has: they stay until a person agrees",
      verb_replica_unconfirmed, NULL },
    { "replica release", "BAN", 1, 1, "agree that such a ban has ended", verb_replica_release, NULL },
    { "queue status", "", 0, 0, "events that wait for the cloud", verb_queue_status, NULL },
    { "queue dead", "", 0, 0, "events that the cloud has refused, and why", verb_queue_dead, NULL },
    { "queue retry", "[EVENT]", 0, 1, "send one of them again, or all", verb_queue_retry, NULL },
    { "relay status", "", 0, 0, "how viewers from outside reach the recordings; needs no agent", verb_relay_status,
      NULL },
    { "relay use", "PROVIDER", 1, 1, "have cloudflare, rathole or none lead them, or leave it as it was if that fails",
      verb_relay_use, "timeout" },
    { "pair", "[FILE|-]", 0, 1, "pair this box with a cloud, by the text of a QR code", verb_pair, "show timeout" },
    { "unpair", "", 0, 0, "end that; containers and data stay", verb_unpair, "yes" },
    { "trust list", "", 0, 0, "whose signed orders this box takes; needs no agent", verb_trust_list, NULL },
    { "trust add", "FILE [NAME]", 1, 2, "take orders signed by this public key, and from then on only signed ones",
      verb_trust_add, NULL },
    { "trust remove", "NAME", 1, 1, "take that signer's orders no more", verb_trust_remove, NULL },
    { "trust threshold", "N", 1, 1, "how many of them must sign an order (1)", verb_trust_threshold, NULL },
    { "trust root", "[take FILE|forget]", 0, 2,
      "the root document that says whose orders count; take one, or end it here", verb_trust_root, "yes" },
    { "release apply", "FILE|URL", 1, 1,
      "without containers: bring the data plane to this release, or leave it as it was", verb_release_apply,
      "deadline timeout" },
    { "release status", "", 0, 0, "which release runs, and how the last change ended", verb_release_status, NULL },
    { "release rollback", "", 0, 0, "go back to the release before", verb_release_rollback, "deadline timeout" },
    { "release finish", "", 0, 0, "carry out what was brought, or take back what was interrupted", verb_release_finish,
      NULL },
    { "release order", "", 0, 0, "bring the release that the cloud has ordered: for mgmt-agent", verb_release_order,
      NULL },
    { "release prepare", "", 0, 0, "what has to be so before secbox starts", verb_release_prepare, NULL },
    { "doctor", "", 0, 0, "check what a working box needs, and say what to do", verb_doctor, NULL },
    CLI_COMPLETION_VERB,
    {},
};

Secboxctl *secboxctl_begin(void *userdata)
{
    Secboxctl *ctl = userdata;

    if (ctl->root)
        paths_set_root(ctl->root);
    return ctl;
}

int secboxctl_need_root(const Secboxctl *ctl, Error *err)
{
    if (geteuid() == 0 || ctl->socket || !str_empty(paths_root()))
        return 0;
    return error_set(err, EHOSTUNREACH, "agent.not-allowed",
                     "only root may look after this box: run it as root, or with sudo in front");
}

int secboxctl_fail_unless_root(const Secboxctl *ctl)
{
    _cleanup_(error_done) Error err = {};
    int r = secboxctl_need_root(ctl, &err);

    return r < 0 ? secboxctl_fail(ctl, &err, r) : EXIT_OK;
}

int secboxctl_connect(const Secboxctl *ctl, AgentSocket **ret, Error *err)
{
    _cleanup_(freep) char *path = ctl->socket ? strdup(ctl->socket) : path_in_root(AGENT_SOCKET_PATH);

    if (!path)
        return error_from_errno(err, -ENOMEM, "connect to mgmt-agent");
    int r = secboxctl_need_root(ctl, err);
    return r < 0 ? r : agent_open(path, ret, err);
}

cJSON *secboxctl_request(const char *type)
{
    unsigned char random[8];
    _cleanup_(cJSON_Deletep) cJSON *request = message_new(type);

    random_bytes(random, sizeof(random));
    _cleanup_(freep) char *hex = hex_encode(random, sizeof(random));
    _cleanup_(freep) char *id = hex ? str_format("local-%s", hex) : NULL;
    if (!request || !id || json_add_string(request, "id", id) < 0)
        return NULL;
    return TAKE_PTR(request);
}

int secboxctl_gather(const Secboxctl *ctl, const char *path, char *const *env_files, Gathered *ret, char **ret_name,
                     Error *err)
{
    const ProjectFiles files = { .path = path, .files = ctl->files, .profiles = ctl->profiles, .env_files = env_files };
    _cleanup_(freep) char *values = NULL;
    int r = project_gather(&files, ret, err);

    if (r < 0) {
        report_other_errors(&ret->faults);
        return r;
    }
    values = project_describe_values(ret);
    if (!str_empty(values) && !ctl->json)
        fprintf(stderr, "%s", values);
    *ret_name = project_name(&files, ret);
    return *ret_name ? 0 : error_from_errno(err, -ENOMEM, "read a compose file");
}

int secboxctl_add_project(const Secboxctl *ctl, cJSON *request)
{
    return request ? json_add_string(request, "project", ctl->project) : -ENOMEM;
}

int secboxctl_timeout(const Secboxctl *ctl, usec_t *ret, Error *err)
{
    uint64_t seconds = TIMEOUT_DEFAULT_SECONDS;

    if (ctl->timeout && str_to_u64(ctl->timeout, 1, TIMEOUT_MAX_SECONDS, &seconds) < 0)
        return error_set(err, EINVAL, "usage", "--timeout takes seconds from 1 to %d, not \"%s\"", TIMEOUT_MAX_SECONDS,
                         ctl->timeout);
    *ret = seconds * USEC_PER_SEC;
    return 0;
}

int secboxctl_fail(const Secboxctl *ctl, const Error *err, int r)
{
    int exit_code = EXIT_FAILED;

    if (str_equal(error_id(err), "usage"))
        exit_code = EXIT_USAGE;
    else if (r == -EHOSTUNREACH)
        exit_code = EXIT_UNREACHABLE;
    return report_failure(PROGRAM, ctl->json, err, r, exit_code);
}

int main(int argc, char **argv)
{
    Secboxctl ctl = {};
    const CliOption options[] = {
        { "root", "DIR", "a box whose files are below DIR (also SECBOX_ROOT)", .text = &ctl.root },
        { "socket", "PATH", "mgmt-agent's socket, if it is elsewhere", .text = &ctl.socket },
        { "file", "FILE", "or -f: a compose file, over those before it; a folder's own ones without it",
          .list = &ctl.files, .letter = 'f' },
        { "profile", "NAME", "with the services of this profile; * is all", .list = &ctl.profiles },
        { "env-file", "ENV",
          "plan, apply: defaults for variables that secbox.env does not know (.env beside the file); render: instead "
          "of "
          "secbox.env",
          .list = &ctl.env_files },
        { "no-files", NULL, "plan, apply, render: the compose file alone; what it names beside itself is on the box",
          .flag = &ctl.no_files },
        { "project", "NAME", "the project that is meant (secbox, the box's own)", .text = &ctl.project },
        { "volumes", NULL, "with its named volumes, and what is in them", .flag = &ctl.volumes },
        { "limit", "N", "show N entries (20)", .text = &ctl.limit },
        { "force", NULL, "whatever the lock, a hook or the image's age say", .flag = &ctl.force },
        { "forget", "DIGEST", "let an image that failed be tried again; or all", .text = &ctl.forget },
        { "lock", "REASON", "hold updates back until --unlock or a reboot", .text = &ctl.lock },
        { "unlock", NULL, "let them go on", .flag = &ctl.unlock },
        { "undo", NULL, "give the service the image back that it ran before", .flag = &ctl.undo },
        { "show", NULL, "how to pair it with a phone: the page's address, PIN and QR code", .flag = &ctl.show },
        { "yes", NULL, "do not ask", .flag = &ctl.yes },
        { "follow", NULL, "or -f: go on with what comes", .flag = &ctl.follow, .letter = 'f' },
        { "since", "TIME", "from then on: 15m, 2h, 2026-01-02T03:04:05Z", .text = &ctl.since },
        { "tail", "N", "the last N lines (200; all there may be, 10000, with --since)", .text = &ctl.tail },
        { "deadline", "SECONDS", "what has not proved itself by then goes back (300)", .text = &ctl.deadline },
        { "timeout", "SECONDS", "wait so long (900)", .text = &ctl.timeout },
        { "json", NULL, "one JSON document on stdout; apply, rollback, update, logs: one per line", .flag = &ctl.json },
        {},
    };
    const Cli cli = {
        .program = PROGRAM,
        .summary = "Looks after this box, over mgmt-agent's socket or without it.",
        .options = options,
        .verbs = verbs,
        .common = "root socket json",
        .epilog = "Exit status: 0 it worked, 1 it did not, 2 wrong usage, 3 mgmt-agent or secbox could not be asked.",
    };

    int exit_code = cli_run(&cli, argc, argv, &ctl);
    strv_free(ctl.files);
    strv_free(ctl.profiles);
    strv_free(ctl.env_files);
    return exit_code;
}
