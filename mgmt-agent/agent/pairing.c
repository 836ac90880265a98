/* SPDX-License-Identifier: MIT */
/* UNCLAIMED → CLAIMING → CLAIMED. What is to become of mgmt-agent.env is durable before pairing.json says so, and pairing.json
 * before the file is touched: a power cut leaves either the state before, or one that is carried out at the next start. */
#include "mgmt-agent/agent/pairing.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "mgmt-agent/agent/box-config.h"
#include "mgmt-agent/agent/pairing-impl.h"
#include "mgmt-agent/agent/pairing-pin.h"

/* A clock before this has not been set: what it says of an expiry means nothing. 2024. */
#define CLOCK_PLAUSIBLE (UINT64_C(1704067200) * USEC_PER_SEC)

/* What mgmt-link says when the cloud has refused, and will do so again. */
static const char *const terminal[] = {
    "bootstrap.invalid",     "bootstrap.expired",       "device.bootstrap-reused", "claim.malformed",
    "identity.other-device", "identity.bad-config",     "device.blocked",          "enrolment.invalid",
    "enrolment.expired",     "enrolment.revoked",       "enrolment.used-up",       "enrolment.denied",
    "enrolment.name-taken",  "enrolment.let-in-before", "enrolment.other-key",     "http.other-key",
};

static int save(Pairing *p, Error *err)
{
    return pairing_file_save(&p->file, err);
}

/* systemd starts the page where this file is. */
static void mark(Pairing *p)
{
    _cleanup_(freep) char *path = path_in_root(PAIRING_MARKER);
    bool open = pairing_is_open(p);

    if (!path || open == p->marked)
        return;
    int r = open ? file_write_atomic(path, "", 0, 0644, (uid_t) -1, (gid_t) -1, NULL) : file_remove(path, NULL);
    if (r >= 0)
        p->marked = open;
    else
        log_warning("%s could not be changed: the pairing page does not come or go by itself", path);
}

static int renew_pin(Pairing *p)
{
    char pin[PIN_SIZE];

    pin_make(pin);
    p->file.failures = 0;
    p->locked_until = 0;
    return json_set(&p->file.pin, pin);
}

/* Carries out what pairing.json says. */
static int finish(Pairing *p, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    int r = pairing_next_load(&p->file, &text, err);

    if (r >= 0 && text)
        r = pairing_env_install(text, err);
    if (r >= 0 && p->file.next) {
        _cleanup_(freep) char *next = TAKE_PTR(p->file.next);

        r = save(p, err);
        if (r < 0) /* not over: it is finished another time, and nothing goes back */
            p->file.next = TAKE_PTR(next);
    }
    if (r >= 0)
        (void) !pairing_next_remove(NULL); /* what pairing.json does not name is nothing, and goes another time */
    return r;
}

static void forget_course(Pairing *p)
{
    p->connected = false;
    cJSON_Delete(TAKE_PTR(p->trouble));
    cJSON_Delete(TAKE_PTR(p->progress));
    cJSON_Delete(TAKE_PTR(p->result));
}

/* The state in p->file becomes true, and mgmt-agent.env `text`. */
static int commit(Pairing *p, const char *text, Error *err)
{
    int r = pairing_next_save(&p->file, text, err);

    if (r >= 0)
        r = save(p, err);
    if (r < 0) {
        free(TAKE_PTR(p->file.next));
        return r;
    }
    forget_course(p);
    r = finish(p, err); /* from here on it will be: now, or later */
    box_config_look(p->agent->config);
    box_config_hand_over(p->agent->config);
    mark(p);
    return r;
}

/* After a change that could not be written down, what was before. */
static int settle(Pairing *p, PairingFile *before, int r)
{
    if (r < 0 && !p->file.next) {
        pairing_file_done(&p->file);
        p->file = *before;
        *before = (PairingFile) {};
    }
    pairing_file_done(before);
    return r;
}

static int copy_file(const PairingFile *from, PairingFile *ret)
{
    *ret = *from;
    ret->error = NULL;
    ret->rest = cJSON_Duplicate(from->rest, true);
    ret->device_id = ret->cloud = ret->gateway = ret->community = ret->boot_digest = ret->pin = ret->next = NULL;
    return from->pin && json_set(&ret->pin, from->pin) < 0 ? -ENOMEM : 0;
}

int pairing_unclaim(Pairing *p, cJSON *error, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL, *made = NULL;
    PairingFile before = p->file;
    int r = pairing_env_read(&text, err);

    if (r >= 0)
        r = pairing_env_make(text, NULL, &made, err);
    if (r >= 0)
        r = copy_file(&before, &p->file);
    p->file.error = error;
    if (r < 0) {
        cJSON_Delete(error);
        p->file = before;
        return r;
    }
    p->file.state = PAIRING_UNCLAIMED;
    p->file.since = realtime_usec();
    p->file.forget = true;
    if (renew_pin(p) < 0)
        r = error_from_errno(err, -ENOMEM, "cannot make a PIN");
    else
        r = commit(p, made, err);
    return settle(p, &before, r);
}

static void send_forget(const Pairing *p)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("link.forget");

    if (m && p->agent->control && p->file.state == PAIRING_UNCLAIMED && p->file.forget)
        control_send(control_link(p->agent->control), m);
}

static void fail_claim(Pairing *p, const cJSON *error)
{
    _cleanup_(error_done) Error err = {}, why = {};
    int k = json_to_error(error, EACCES, &why);

    log_failure(LOG_LEVEL_ERROR, NULL, &why, k, "The cloud refuses the claim: the box is unclaimed again");
    int r = pairing_unclaim(p, cJSON_Duplicate(error, true), &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "That could not be written down; it is tried again");
    send_forget(p);
}

static int take_claim(Pairing *p, const ClaimDocument *claim, const char *digest, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL, *made = NULL;
    PairingFile before = p->file;
    int r = pairing_env_read(&text, err);

    if (r >= 0)
        r = pairing_env_make(text, claim, &made, err);
    if (r < 0)
        return r;
    if (copy_file(&before, &p->file) < 0 || json_set(&p->file.device_id, claim->device_id) < 0 ||
        json_set(&p->file.cloud, claim->cloud_url) < 0 || json_set(&p->file.gateway, claim->gateway_url) < 0 ||
        json_set(&p->file.community, claim->community) < 0 || json_set(&p->file.boot_digest, digest) < 0)
        return settle(p, &before, error_from_errno(err, -ENOMEM, "cannot keep a claim"));
    p->file.state = PAIRING_CLAIMING;
    p->file.since = realtime_usec();
    p->file.forget = false;
    r = settle(p, &before, commit(p, made, err));
    if (r >= 0)
        log_notice("The box is being paired as %s with %s", claim->device_id, claim->cloud_url);
    return r;
}

/* A claim while there is one already: the same again is no news, another is refused. 1: go on. */
static int judge_claim(const Pairing *p, const ClaimDocument *claim, const char *digest, Error *err)
{
    const PairingFile *f = &p->file;

    if (f->state == PAIRING_UNCLAIMED)
        return 1;
    if ((!claim->device_id || str_equal(f->device_id, claim->device_id)) && str_equal(f->boot_digest, digest) &&
        str_equal(f->cloud, claim->cloud_url) && str_equal(f->gateway, claim->gateway_url))
        return 0;
    if (f->state == PAIRING_CLAIMING)
        return error_set(err, EBUSY, "pair.claiming",
                         "the box is being paired as %s: wait, or end that with secboxctl unpair or on the page",
                         f->device_id);
    return error_set(err, EEXIST, "pair.claimed",
                     "the box is paired already%s%s: only secboxctl unpair, on its console, ends that",
                     f->device_id ? ", as " : "", f->device_id ? f->device_id : "");
}

/* What the document holds of a token. */
static const char *token_of(const ClaimDocument *claim)
{
    return claim->enrolment ? claim->enrolment : claim->bootstrap;
}

static int read_claim(const char *text, ClaimDocument *ret, Error *err)
{
    usec_t now = realtime_usec();
    _cleanup_(secret_freep) char *agent_env = NULL;
    _cleanup_(env_freep) EnvFile *env = NULL;
    int r = pairing_env_read(&agent_env, err);

    if (r >= 0)
        r = env_parse(agent_env, strlen(agent_env), AGENT_ENV_PATH, &env, err);
    if (r < 0)
        return r;
    return claim_document_parse(text, strlen(text), now < CLOCK_PLAUSIBLE ? 0 : now / USEC_PER_SEC,
                                env_get(env, "CLAIM_HOST_SUFFIX"), ret, err);
}

int pairing_claim(Pairing *p, const char *text, Error *err)
{
    _cleanup_(claim_document_done) ClaimDocument claim = {};
    char digest[SHA256_HEX_SIZE];
    int r = read_claim(text, &claim, err);

    if (r < 0)
        return r;
    redact_add_secret(token_of(&claim));
    if (sha256_hex(token_of(&claim), strlen(token_of(&claim)), digest) < 0)
        return error_from_errno(err, -ENOMEM, "cannot read a claim");
    r = judge_claim(p, &claim, digest, err);
    if (r > 0 && claim.enrolment && pairing_enrol(&claim, err) < 0)
        return -ENOMEM;
    return r > 0 ? take_claim(p, &claim, digest, err) : r;
}

/* The console needs none; whoever comes with one, or by the page, needs the right one. */
static int check_pin(Pairing *p, const ControlClient *c, const cJSON *message, Error *err)
{
    const char *typed = json_string(message, "pin");
    usec_t now = boottime_usec(), wait;

    if (!typed && control_client_is_local(c))
        return 0;
    wait = p->locked_until > now ? (p->locked_until - now) / USEC_PER_SEC + 1 : 0;
    if (wait > 0)
        return error_set(
            err, EAGAIN, "pair.locked",
            "too many wrong PINs: wait %llu s, or look at the PIN with secboxctl pair --show, which ends it",
            (unsigned long long) wait);
    if (!p->file.pin)
        return error_set(err, EEXIST, "pair.claimed", "the box is paired already: only its console can change that");
    if (typed && pin_is_right(p->file.pin, typed)) {
        p->file.failures = 0;
        return 0;
    }
    p->file.failures++;
    p->locked_until = pin_delay(p->file.failures) > 0 ? now + pin_delay(p->file.failures) : 0;
    log_warning("A wrong PIN on the pairing page, %u in a row", p->file.failures);
    int r = save(p, err); /* a restart must not give five more tries */
    return r < 0 ? r
                 : error_set(err, EACCES, "pair.wrong-pin",
                             "this is not the box's PIN: its console shows it, with secboxctl pair --show");
}

static void answer(Pairing *p, ControlClient *c, const cJSON *message, const Error *err, int r)
{
    const char *id = json_string(message, "id");
    _cleanup_(cJSON_Deletep) cJSON *report = NULL;

    if (r < 0) {
        control_send_error(c, id, err, r);
        return;
    }
    report = pairing_make_report(p, id, false);
    if (report)
        control_send(c, report);
}

void pairing_handle_get(Agent *a, ControlClient *c, const cJSON *message)
{
    bool show = control_client_is_local(c) && json_bool(message, "show", false);
    _cleanup_(cJSON_Deletep) cJSON *report = NULL;

    pairing_look(a->pairing);
    if (show && a->pairing->file.failures > 0) {
        a->pairing->file.failures = 0;
        a->pairing->locked_until = 0;
        (void) !save(a->pairing, NULL);
    }
    report = pairing_make_report(a->pairing, json_string(message, "id"), show);
    if (report)
        control_send(c, report);
}

void pairing_handle_claim(Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    int r;

    pairing_look(a->pairing);
    r = check_pin(a->pairing, c, message, &err);
    if (r >= 0)
        r = pairing_claim(a->pairing, json_string(message, "claim"), &err);
    answer(a->pairing, c, message, &err, r);
}

void pairing_handle_end(Agent *a, ControlClient *c, const cJSON *message)
{
    Pairing *p = a->pairing;
    _cleanup_(error_done) Error err = {};
    int r = check_pin(p, c, message, &err);

    if (r >= 0 && p->file.state == PAIRING_CLAIMED && (!control_client_is_local(c) || json_string(message, "pin")))
        r = error_set(&err, EPERM, "pair.claimed",
                      "the box is paired: only secboxctl unpair, on its console, ends that");
    if (r >= 0 && p->file.state != PAIRING_UNCLAIMED) {
        r = pairing_unclaim(p, NULL, &err);
        if (r >= 0)
            log_notice("The box is unpaired");
    }
    send_forget(p);
    answer(p, c, message, &err, r);
}

void pairing_note_hello(Pairing *p)
{
    if (p)
        send_forget(p);
}

/* What only the claim needed goes, as the token by which many boxes come. Not from a file that was written by hand, be it after the
 * claim: its box may not be in yet. */
static void settle_env(Pairing *p)
{
    _cleanup_(secret_freep) char *text = NULL, *made = NULL;
    _cleanup_(error_done) Error err = {};

    if (p->file.state != PAIRING_CLAIMED || !p->file.boot_digest)
        return;
    int r = pairing_env_read(&text, &err);
    if (r >= 0)
        r = pairing_env_settle(text, p->file.boot_digest, &made, &err);
    if (r >= 0 && made)
        r = pairing_env_install(made, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r,
                    "What only the claim needed is still in mgmt-agent.env; it goes at the next start");
    if (r < 0 || !made)
        return;
    box_config_look(p->agent->config);
    box_config_hand_over(p->agent->config);
}

/* `since` 0: not known */
static void become_claimed(Pairing *p, usec_t since)
{
    _cleanup_(error_done) Error err = {};

    p->file.state = PAIRING_CLAIMED;
    p->file.since = since;
    p->file.forget = false;
    p->file.failures = 0;
    secret_free(TAKE_PTR(p->file.pin));
    cJSON_Delete(TAKE_PTR(p->file.error));
    int r = save(p, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "That the box is paired could not be written down");
    else
        settle_env(p);
    mark(p);
}

static bool is_terminal(const cJSON *error)
{
    for (size_t i = 0; i < ELEMENTSOF(terminal); i++)
        if (str_equal(json_string(error, "id"), terminal[i]))
            return true;
    return false;
}

void pairing_note_link(Pairing *p, const cJSON *status)
{
    bool connected = json_bool(status, "connected", false);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(status, "error");

    if (!p)
        return;
    cJSON_Delete(p->trouble);
    p->trouble = !connected && error && p->file.state == PAIRING_CLAIMING ? cJSON_Duplicate(error, true) : NULL;
    p->connected = connected;
    if (p->file.state != PAIRING_CLAIMING || !str_equal(json_string(status, "gateway"), p->file.gateway))
        return;
    if (connected) {
        log_notice("The box is paired as %s with %s", p->file.device_id, p->file.cloud);
        become_claimed(p, realtime_usec());
    } else if (is_terminal(error)) {
        fail_claim(p, error);
    }
}

void pairing_note_progress(Pairing *p, const cJSON *message)
{
    if (!p || !pairing_is_open(p))
        return;
    cJSON_Delete(p->progress);
    p->progress = cJSON_Duplicate(message, true);
}

void pairing_note_result(Pairing *p, const cJSON *result)
{
    if (!p || !pairing_is_open(p))
        return;
    cJSON_Delete(p->result);
    p->result = cJSON_Duplicate(result, true);
}

void pairing_look(Pairing *p)
{
    if (!p)
        return;
    if (p->file.next)
        (void) !finish(p, NULL);
    /* somebody has written the file by hand, as it was done before there were claims */
    if (p->file.state == PAIRING_UNCLAIMED && !p->file.next && pairing_env_is_configured()) {
        log_notice("mgmt-agent.env was written by hand: the box counts as paired");
        become_claimed(p, 0);
    }
    mark(p);
}

/* Of a box that is older than pairing.json, its mgmt-agent.env says it. */
static int begin(Pairing *p, Error *err)
{
    if (p->file.state != PAIRING_UNKNOWN)
        return 0;
    if (pairing_env_is_configured()) {
        p->file.state = PAIRING_CLAIMED;
    } else {
        p->file.state = PAIRING_UNCLAIMED;
        p->file.since = realtime_usec();
        if (renew_pin(p) < 0)
            return error_from_errno(err, -ENOMEM, "cannot make a PIN");
    }
    return save(p, err);
}

int pairing_new(Agent *a, Pairing **ret, Error *err)
{
    Pairing *p = calloc(1, sizeof(*p));
    _cleanup_(error_done) Error why = {};

    if (!p)
        return error_from_errno(err, -ENOMEM, "cannot start");
    p->agent = a;
    int r = pairing_file_load(&p->file, &why);
    if (r >= 0)
        r = begin(p, &why);
    if (r >= 0)
        r = finish(p, &why);
    if (r < 0) {
        /* the containers and the tunnel matter more */
        log_failure(LOG_LEVEL_ERROR, NULL, &why, r,
                    "How this box is paired is not known; it cannot be paired until it is");
        if (p->file.state == PAIRING_UNKNOWN)
            p->file.state = PAIRING_CLAIMED;
    }
    settle_env(p); /* of a run that was killed before it had */
    p->locked_until =
        p->file.failures > 0 && pin_delay(p->file.failures) > 0 ? boottime_usec() + pin_delay(p->file.failures) : 0;
    _cleanup_(freep) char *marker = path_in_root(PAIRING_MARKER);
    p->marked = marker && access(marker, F_OK) == 0; /* of an agent that has ended */
    *ret = p;
    return 0;
}

Pairing *pairing_free(Pairing *p)
{
    if (!p)
        return NULL;
    forget_course(p);
    pairing_file_done(&p->file);
    free(p);
    return NULL;
}
