/* SPDX-License-Identifier: MIT */
/* secbox-fleet: the operators' command line against a gateway. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/faults.h"
#include "compose/gather/travel.h"
#include "compose/precheck.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/completion.h"
#include "lib/cli/report.h"
#include "lib/data/order-signers.h"

#define SSH_ARGUMENTS_MAX 1024
#define LABELS_MAX 32
#define FILES_MAX 1024

#define COMMON_OPTIONS "gateway token-file ca plain-http json"
#define GRANT_OPTIONS "reason for max idle forwarding break-glass key"
#define FILE_OPTIONS "file profile env-file"
#define ROLLOUT_OPTIONS                                                                                                \
    "label wait confirm-deadline reason to compose agent release service groups halt-at soak parallel "                \
    "offline-after timeout no-files key for project " FILE_OPTIONS

static const CliVerb verbs[] = {
    { "sign-in", "", 0, 0, "get a token by signing in with your OpenID provider, in a browser", verb_sign_in,
      "port oidc-ca timeout" },
    { "sign-out", "", 0, 0, "end that sign-in", verb_sign_out, NULL },
    { "devices add", "ID", 1, 1, "register a box; prints its bootstrap token, once", verb_devices_add,
      "label qr qr-png" },
    { "devices list", "", 0, 0, "all boxes", verb_devices_list, NULL },
    { "devices show", "ID", 1, 1, "one box, as the gateway knows it", verb_devices_show, NULL },
    { "devices bootstrap", "ID", 1, 1, "a new bootstrap token, for a box that is set up anew", verb_devices_bootstrap,
      "qr qr-png" },
    { "devices keys", "ID [revoke ROLE]", 1, 3, "the keys that a box has claimed; or end one of them",
      verb_devices_keys, NULL },
    { "devices block", "ID", 1, 1, "keep a box out, and end its tunnels and sessions", verb_devices_block, NULL },
    { "devices unblock", "ID", 1, 1, "let it in again", verb_devices_unblock, NULL },
    { "devices relabel", "ID K=V…", 2, 1 + LABELS_MAX, "set labels; K= takes one away", verb_devices_relabel, NULL },
    { "devices remove", "ID", 1, 1, "forget a box for good, and end its tunnels and sessions", verb_devices_remove,
      "yes" },
    { "devices pending", "", 0, 0, "boxes that wait to be let in, and what they say of themselves",
      verb_devices_pending, NULL },
    { "devices approve", "ID", 1, 1, "let a box in that waits", verb_devices_approve, NULL },
    { "devices deny", "ID", 1, 1, "refuse it", verb_devices_deny, NULL },
    { "enrolment create", "", 0, 0, "a token by which many boxes ask to be let in; prints it, once",
      verb_enrolment_create, "boxes for label reason auto-approve qr qr-png" },
    { "enrolment list", "", 0, 0, "all such tokens, and how many boxes have come by each", verb_enrolment_list, NULL },
    { "enrolment revoke", "ENROLMENT", 1, 1, "nobody comes by it any more, and who waits by it is refused",
      verb_enrolment_revoke, NULL },
    { "check", "[FILE…]", 0, FILES_MAX, "all that any box would say against compose files; asks nobody", verb_check,
      FILE_OPTIONS },
    { "config", "[FILE]", 0, 1, "print the one compose file that files come to; asks nobody", verb_config,
      FILE_OPTIONS },
    { "keygen", "FILE", 1, 1, "a key that signs orders for boxes, and FILE.pub, which they trust; asks nobody",
      verb_keygen, "passphrase" },
    { "auditor-key", "FILE", 1, 1,
      "a key that opens recordings of sessions, and FILE.pub, which the gateway has them sealed for; asks nobody",
      verb_auditor_key, "passphrase" },
    { "sign-release", "FILE [DEVICE…]", 1, 1 + FILES_MAX,
      "sign a release of the data plane for boxes without containers, into FILE.order; asks nobody", verb_sign_release,
      "key reason for" },
    { "trust make", "FILE KEY.pub…", 2, 1 + ORDER_SIGNERS_MAX,
      "a root document, unsigned: these keys sign orders for boxes from then on; asks the gateway only with --label",
      verb_trust_make, "threshold root number for reason label device" },
    { "trust sign", "FILE", 1, 1, "sign it, with keys that boxes trust and with those that it names; asks nobody",
      verb_trust_sign, "key" },
    { "trust show", "[FILE]", 0, 1,
      "what it says, and who has signed it; without FILE which were sent, and what boxes said", verb_trust_show, NULL },
    { "trust send", "FILE [DEVICE…]", 1, 1 + FILES_MAX,
      "bring it to boxes, or to all that have a --label; who is away gets it later", verb_trust_send, "label" },
    { "push", "DEVICE [FILE]", 1, 2, "push a compose file to a box", verb_push,
      "project wait confirm-deadline reason timeout now no-files key for " FILE_OPTIONS },
    { "push-cancel", "DEVICE", 1, 1, "cancel the push that waits for a box that is away; with --project that one alone",
      verb_push_cancel, "project" },
    { "template set", "NAME [FILE]", 1, 2, "what new boxes with these labels get when they first appear",
      verb_template_set, "selector no-files key for " FILE_OPTIONS },
    { "template list", "", 0, 0, "all templates", verb_template_list, NULL },
    { "template show", "NAME", 1, 1, "its compose file", verb_template_show, NULL },
    { "template remove", "NAME", 1, 1, "new boxes get it no more", verb_template_remove, NULL },
    { "plan", "DEVICE [FILE]", 1, 2, "what the push would change, service by service", verb_plan,
      "project no-files " FILE_OPTIONS },
    { "rollback", "DEVICE [VERSION]", 1, 2, "back to what a box ran before, or to this version", verb_rollback,
      "project wait confirm-deadline reason timeout key for" },
    { "agent update", "DEVICE VERSION", 2, 2, "bring a box's mgmt-agent and recovery-agent to this version",
      verb_agent_update, "wait confirm-deadline reason timeout key for" },
    { "release update", "DEVICE FILE", 2, 2, "bring a box without containers to this release of the data plane",
      verb_release_update, "wait confirm-deadline reason timeout key for" },
    { "history", "DEVICE", 1, 1, "a box's pushes and how they ended", verb_history, "project limit" },
    { "status", "DEVICE", 1, 1, "ask a box, live, how it is", verb_status, "project" },
    { "apps", "DEVICE", 1, 1, "the projects of a box, their versions and services; asks it", verb_apps, NULL },
    { "stop", "DEVICE PROJECT", 2, 2, "stop all services of a project, until it is started or pushed again",
      verb_project_stop, NULL },
    { "start", "DEVICE PROJECT", 2, 2, "start them again", verb_project_start, NULL },
    { "restart", "DEVICE PROJECT", 2, 2, "stop and start them", verb_project_restart, NULL },
    { "remove", "DEVICE PROJECT", 2, 2,
      "remove a project's containers and networks; its volumes stay without --volumes", verb_project_remove,
      "volumes" },
    { "images", "[NAME]", 0, 1,
      "which image each box runs for each service, or those whose name holds NAME; asks all boxes", verb_images,
      "label" },
    { "doctor", "DEVICE", 1, 1, "what is wrong with a box, seen from the gateway and on it, and what mends it",
      verb_doctor, NULL },
    { "health", "DEVICE", 1, 1, "how a box said last that it is, and how it was", verb_health, "since" },
    { "camera", "DEVICE [CAMERA]", 1, 2, "a box's cameras, or a picture of one on standard output", verb_camera,
      "url" },
    { "recordings", "DEVICE CAMERA", 2, 2, "who may see what a camera has recorded, or a recording on standard output",
      verb_recordings, "from to event download" },
    { "recordings-revoke", "DEVICE [ID]", 1, 2, "who was given a token sees a box's recordings no more",
      verb_recordings_revoke, NULL },
    { "certificate show", "DEVICE", 1, 1, "the cloud's certificate for a box's guards' pages", verb_certificate_show,
      NULL },
    { "certificate request", "DEVICE NAME…", 2, 1 + LAN_CERTIFICATE_NAMES_MAX,
      "a request for one, which an authority signs; the box keeps the key", verb_certificate_request, NULL },
    { "certificate send", "DEVICE FILE", 2, 2, "have the box show this certificate", verb_certificate_send, NULL },
    { "certificate remove", "DEVICE", 1, 1, "back to the box's own alone", verb_certificate_remove, NULL },
    { "logs", "DEVICE SERVICE", 2, 2, "what a service on a box has written, and with -f what it writes", verb_logs,
      "project follow since tail" },
    { "grants add", "DEVICE", 1, 1, "ask for the right to log in to a box, for a --reason", verb_grants_add,
      GRANT_OPTIONS " user" },
    { "grants list", "", 0, 0, "who may log in where, and who might", verb_grants_list, NULL },
    { "grants show", "GRANT", 1, 1, "one grant", verb_grants_show, NULL },
    { "grants revoke", "GRANT", 1, 1, "end a grant and its sessions at once", verb_grants_revoke, NULL },
    { "sessions", "[DEVICE]", 0, 1, "who is and was logged in to boxes", verb_sessions, "limit" },
    { "session-recording", "FILE", 1, 1,
      "open a recording of a session with the auditor's --key: an asciicast on standard output; asks nobody",
      verb_session_recording, "key" },
    { "ssh", "DEVICE [-- ARG…]", 1, SSH_ARGUMENTS_MAX, "log in to a box, or run a command there", verb_ssh,
      GRANT_OPTIONS " grant way user" },
    { "ssh-proxy", "DEVICE", 1, 1, "for ssh's ProxyCommand: a box's sshd on stdin and stdout", verb_ssh_proxy,
      "grant way known-hosts certificate" },
    { "ssh-cert", "DEVICE", 1, 1, "for ssh's Match exec: a key and a certificate for a box", verb_ssh_cert,
      GRANT_OPTIONS " grant user" },
    { "ssh-config", "[DEVICE…]", 0, SSH_ARGUMENTS_MAX, "lines for ~/.ssh/config, for ssh, scp, sftp and rsync",
      verb_ssh_config, "user" },
    { "support-ca", "", 0, 0, "the key that boxes trust for support staff", verb_support_ca, NULL },
    { "rollout start", "[IMAGE]", 0, 1, "bring an image, a --compose file, --agent or --release to boxes in groups",
      verb_rollout_start, ROLLOUT_OPTIONS },
    { "rollout status", "[ID]", 0, 1, "how far a rollout is (the newest)", verb_rollout_status, "wait timeout" },
    { "rollout list", "", 0, 0, "rollouts, newest first", verb_rollout_list, "limit" },
    { "rollout pause", "ID", 1, 1, "send to no more boxes for now", verb_rollout_pause, NULL },
    { "rollout resume", "ID", 1, 1, "go on, after a pause or a halt", verb_rollout_resume, "wait timeout" },
    { "rollout abort", "ID", 1, 1, "end it for good", verb_rollout_abort, NULL },
    { "community list", "", 0, 0, "all communities", verb_community_list, NULL },
    { "community show", "C [TABLE ID]", 1, 3, "a community, or one row of its tables", verb_community_show, NULL },
    { "community put", "C [TABLE ID] FILE", 2, 4, "add or change it, or a row, from a JSON file", verb_community_put,
      NULL },
    { "community delete", "C [TABLE ID]", 1, 3, "delete it, or a row", verb_community_delete, "yes" },
    { "community rows", "C TABLE", 2, 2, "its units, users, guests or bans", verb_community_rows, NULL },
    { "community import", "C TABLE FILE", 3, 3, "rows from a CSV or NDJSON file, all or none", verb_community_import,
      "dry-run replace yes" },
    { "community pass", "C GUEST", 2, 2, "a pass that a guest shows at the gate, once", verb_community_pass, "svg" },
    { "community boxes", "C", 1, 1, "which boxes serve it, and how old their data are", verb_community_boxes, NULL },
    { "community ban-status", "C BAN", 2, 2, "which boxes know a ban, since when", verb_community_ban_status, NULL },
    { "community events", "C", 1, 1, "what its boxes have reported", verb_community_events, "after limit" },
    { "community photo", "C SHA256 FILE", 3, 3, "a photo that an event names, into a file", verb_community_photo,
      NULL },
    { "community face", "ACTION C TABLE ID [FILE]", 4, 5, "the face of a user or a ban: set, get, remove",
      verb_community_face, NULL },
    { "community webhook", "ACTION C [URL|NUMBER]", 2, 3, "send its events on: set, show, test, remove, dead, retry",
      verb_community_webhook, "secret-file after limit yes" },
    { "approvals list", "", 0, 0, "what waits for a second person, and what became of it", verb_approvals, NULL },
    { "approvals approve", "APPROVAL", 1, 1, "let another person do that, once", verb_approvals_approve, NULL },
    { "approvals refuse", "APPROVAL", 1, 1, "do not let them", verb_approvals_refuse, NULL },
    { "audit", "", 0, 0, "who did what through the gateway", verb_audit, "limit" },
    CLI_COMPLETION_VERB,
    {},
};

int fleet_number(const char *text, const char *option, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *ret,
                 Error *err)
{
    uint64_t value = fallback;

    if (text && str_to_u64(text, min, max, &value) < 0)
        return error_set(err, EINVAL, "usage", "--%s takes a number from %llu to %llu, not \"%s\"", option,
                         (unsigned long long) min, (unsigned long long) max, text);
    *ret = value;
    return 0;
}

int fleet_duration(const char *text, const char *option, unsigned max, int *ret, Error *err)
{
    usec_t time = 0;

    if (!text)
        return 0;
    if (duration_parse(text, &time) < 0 || time > max * USEC_PER_SEC)
        return error_set(err, EINVAL, "usage", "--%s takes a time like 90s, 15m or 1h, at most %uh, not \"%s\"", option,
                         max / 3600, text);
    *ret = (int) (time / USEC_PER_SEC);
    return 0;
}

int fleet_ask(Fleet *fleet, const char *method, const char *path, const cJSON *body, usec_t timeout, ApiReply *reply,
              Error *err)
{
    if (!path)
        return error_from_errno(err, -ENOMEM, "make a request");
    int r = fleet_begin(fleet, err);
    return r < 0 ? r : api_call(&fleet->api, method, path, body, timeout, reply, err);
}

int fleet_fail(const Fleet *fleet, const ApiReply *reply, const Error *err, int r)
{
    _cleanup_(error_done) Error placed = {};
    int exit_code = EXIT_FAILED;

    if (fleet->sent && err && err->id && error_copy(&placed, err) == 0) {
        gathered_locate_answer(fleet->sent, &placed);
        err = &placed;
    }
    if (str_equal(error_id(err), "usage"))
        exit_code = EXIT_USAGE;
    else if (api_is_unreachable(reply, r))
        exit_code = EXIT_UNREACHABLE;
    return report_failure(PROGRAM, fleet->json, err, r, exit_code);
}

/* The first fault is the answer; whoever mends it wants to know that there are others. */
static void tell_of_others(const Gathered *g, const ComposeFiles *files, const char *name, Error *first)
{
    _cleanup_(compose_faults_done) ComposeFaults faults = {};
    char *message = NULL;

    if (compose_find_faults(g->text, g->len, name, files, &faults) >= 0 && faults.refused.n > 1)
        message =
            str_format("%s; and %s%zu more: secbox-fleet check %s", error_message(first, -EINVAL),
                       faults.more ? "at least " : "", faults.refused.n - 1 + faults.more, g->is_same ? name : "-f …");
    if (!message)
        return;
    free(first->message);
    first->message = message;
}

int fleet_gather(const Fleet *fleet, const char *path, Gathered *ret, char **ret_name, Error *err)
{
    const ProjectFiles files = {
        .path = path, .files = fleet->files, .profiles = fleet->profiles, .env_files = fleet->env_files
    };
    int r = project_gather(&files, ret, err);

    if (r >= 0)
        *ret_name = project_name(&files, ret);
    return r < 0 ? r : *ret_name ? 0 : error_from_errno(err, -ENOMEM, "read a compose file");
}

int fleet_read_compose(Fleet *fleet, const char *path, Gathered *ret, Error *err)
{
    _cleanup_(error_done) Error policy = {};
    _cleanup_(freep) char *name = NULL, *values = NULL;

    int r = fleet_gather(fleet, path, ret, &name, err);
    if (r < 0) {
        report_other_errors(&ret->faults);
        return r;
    }
    values = project_describe_values(ret);
    if (!str_empty(values) && !fleet->json)
        fprintf(stderr, "%s", values);
    const ComposeFiles files = project_files(ret), *come = fleet->no_files ? NULL : &files;
    r = compose_precheck(ret->text, ret->len, name, come, &policy, err);
    if (r < 0) {
        tell_of_others(ret, come, name, err);
        gathered_locate(ret, err);
        return r;
    }
    if (policy.id) {
        gathered_locate(ret, &policy);
        _cleanup_(freep) char *finding = text_error(&policy, 0);
        fprintf(stderr, "%s\nwarning: the box will refuse this unless its policy.json allows it\n",
                finding ? finding : name);
    }
    fleet->sent = ret;
    return 0;
}

char *fleet_device_path(const char *device, const char *suffix)
{
    _cleanup_(freep) char *encoded = api_encode(device);
    return encoded ? str_format("/v1/devices/%s%s", encoded, suffix) : NULL;
}

static void fleet_done(Fleet *f)
{
    api_done(&f->api);
    free(f->login);
    strv_free(f->keys);
    strv_free(f->devices);
    strv_free(f->files);
    strv_free(f->profiles);
    strv_free(f->env_files);
}

int main(int argc, char **argv)
{
    _cleanup_(fleet_done) Fleet fleet = {};
    const CliOption options[] = {
        { "gateway", "URL", "the gateway (also SECBOX_GATEWAY)", .text = &fleet.gateway },
        { "token-file", "FILE", "file with your token (also SECBOX_TOKEN, SECBOX_TOKEN_FILE)",
          .text = &fleet.token_file },
        { "ca", "FILE", "PEM file of the authority of the gateway's certificate (also SECBOX_CA)", .text = &fleet.ca },
        { "plain-http", NULL, "send the token over http to another machine", .flag = &fleet.plain_http },
        { "label", "K=V[,K=V]",
          "devices add, enrolment create: labels; rollout start, trust make and send, images: only boxes with them",
          .text = &fleet.label },
        { "wait", NULL, "show it live and wait for its end", .flag = &fleet.wait },
        { "confirm-deadline", "SECONDS", "a box rolls back when the cloud has not confirmed by then",
          .text = &fleet.confirm_deadline },
        { "no-files", NULL,
          "push, plan, rollout start, template set: the compose file alone; what it names beside itself is on the box",
          .flag = &fleet.no_files },
        { "reason", "TEXT", "why, for the audit log", .text = &fleet.reason },
        { "for", "TIME",
          "how long the grant holds (1h), an enrolment token (24h), a signed order (24h, a rollout 30 days), a root "
          "document (3 years)",
          .text = &fleet.for_time },
        { "key", "FILE",
          "sign it: a file of keygen, or an ssh key; .pub: one in ssh-agent or on hardware; session-recording: of "
          "auditor-key",
          .list = &fleet.keys },
        { "threshold", "N", "how many of the keys must sign an order (1)", .text = &fleet.threshold },
        { "root", "FILE", "the root document before it", .text = &fleet.root },
        { "number", "N", "the document's version (one above that of --root; 1)", .text = &fleet.number },
        { "device", "ID", "only for this box, and others that are named like this", .list = &fleet.devices },
        { "passphrase", NULL, "ask for a pass phrase for the key", .flag = &fleet.passphrase },
        { "port", "N", "sign-in: the port of this machine that the browser comes back to (any)", .text = &fleet.port },
        { "oidc-ca", "FILE", "sign-in: PEM file of the authority of the provider's certificate",
          .text = &fleet.oidc_ca },
        { "boxes", "N", "how many boxes may come by the token (1)", .text = &fleet.boxes },
        { "auto-approve", NULL, "let them in at once, and ask nobody", .flag = &fleet.auto_approve },
        { "max", "TIME", "how long one session may last (1h)", .text = &fleet.max },
        { "idle", "TIME", "ends a session in which nobody does anything (15m)", .text = &fleet.idle },
        { "forwarding", NULL, "with forwarding of ports", .flag = &fleet.forwarding },
        { "break-glass", NULL, "opens the recovery way, even of a healthy box", .flag = &fleet.break_glass },
        { "to", "DIGEST", "the image's new digest, sha256:…; of a recording, the TIME of its end", .text = &fleet.to },
        { "from", "TIME", "when the recording begins, 2026-01-02T03:04:05Z", .text = &fleet.from },
        { "event", "ID", "of what Frigate has followed, instead of from and to", .text = &fleet.event },
        { "url", NULL, "an address with which a browser shows the camera", .flag = &fleet.url },
        { "download", NULL, "the recording itself, as MP4, through the tunnel", .flag = &fleet.download },
        { "file", "FILE", "or -f: a compose file, over those before it; a folder's own ones without it",
          .list = &fleet.files, .letter = 'f' },
        { "profile", "NAME", "with the services of this profile; * is all", .list = &fleet.profiles },
        { "env-file", "ENV", "defaults for variables that a box does not know (.env beside the file)",
          .list = &fleet.env_files },
        { "compose", "FILE", "a compose file instead of an image", .text = &fleet.compose },
        { "agent", "VERSION", "the packages of mgmt-agent and recovery-agent instead of an image",
          .text = &fleet.agent },
        { "release", "FILE", "a release of the data plane, for boxes without containers, instead of an image",
          .text = &fleet.release },
        { "service", "NAME", "only this service of those that run the image", .text = &fleet.service },
        { "groups", "GROUPS", "who comes first (canary=1,5%,25%,100%)", .text = &fleet.groups },
        { "halt-at", "SHARE", "halts before more boxes than this fail (2%)", .text = &fleet.halt_at },
        { "soak", "TIME", "how long a group is watched before the next (10m)", .text = &fleet.soak },
        { "parallel", "N", "at most so many boxes at once (50)", .text = &fleet.parallel },
        { "offline-after", "TIME", "how long it waits for boxes that are away (2m)", .text = &fleet.offline_after },
        { "grant", "ID", "use this grant (yours with the least rights)", .text = &fleet.grant },
        { "way", "WAY", "auto, device, mgmt or recovery (auto)", .text = &fleet.way },
        { "known-hosts", "LINK", "the link to set to the file of host keys", .text = &fleet.known_hosts },
        { "certificate", "SERIAL", "the one that only this session logs in with", .text = &fleet.certificate },
        { "user", "NAME", "the account to log in as on the box (root)", .text = &fleet.user },
        { "timeout", "SECONDS", "with --wait: wait so long (push: 900, rollout: to the end)", .text = &fleet.timeout },
        { "dry-run", NULL, "say what would change, and change nothing", .flag = &fleet.dry_run },
        { "replace", NULL, "delete the rows that the file does not have", .flag = &fleet.replace },
        { "now", NULL, "fail when the box is away, instead of waiting for it", .flag = &fleet.now },
        { "selector", "K=V[,K=V]", "labels that a box must have; '': every box", .text = &fleet.selector },
        { "qr", NULL, "print what the box is paired with, and its QR code", .flag = &fleet.qr },
        { "qr-png", "FILE", "the same, and the QR code as a picture in this file", .text = &fleet.qr_png },
        { "svg", "FILE", "draw the pass as a QR code into this file", .text = &fleet.svg },
        { "after", "NUMBER", "only what came behind this event", .text = &fleet.after },
        { "secret-file", "FILE", "file with the webhook's secret, whsec_… (one is made)", .text = &fleet.secret_file },
        { "since", "TIME", "what was noted since so long ago (15m, 2h); of logs also 2026-01-02T03:04:05Z",
          .text = &fleet.since },
        { "project", "NAME", "the project that is meant (secbox, or what a file says)", .text = &fleet.project },
        { "volumes", NULL, "with its named volumes, and what is in them", .flag = &fleet.volumes },
        { "follow", NULL, "or -f: go on with what comes", .flag = &fleet.follow, .letter = 'f' },
        { "tail", "N", "the last N lines (200; all there may be, 10000, with --since)", .text = &fleet.tail },
        { "limit", "N", "show N entries (20)", .text = &fleet.limit },
        { "yes", NULL, "do not ask first", .flag = &fleet.yes },
        { "json", NULL, "one JSON document on stdout; logs, and with --wait: one per line", .flag = &fleet.json },
        {},
    };
    const Cli cli = {
        .program = PROGRAM,
        .summary = "Operates boxes through a SecBox gateway.",
        .options = options,
        .verbs = verbs,
        .common = COMMON_OPTIONS,
        .epilog = "Settings not given are read from ~/.config/secbox/fleet.env (SECBOX_GATEWAY=… and so on).\n"
                  "Exit status: 0 it worked, 1 it did not, 2 wrong usage, 3 the gateway or the box is out of reach.",
    };

    return cli_run(&cli, argc, argv, &fleet);
}
