/* SPDX-License-Identifier: MIT */
/* Which message goes where: the table of message types decides who may say what, this file only follows it. */
#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/link/link-impl.h"

/* Leaves room in the tunnel's queue for what matters more, while the tunnel is down. */
#define PROGRESS_HELD_MAX (TUNNEL_QUEUE_MESSAGES_MAX / 2)

/* Once for each type and reason: a peer must not be able to fill the journal. */
static void complain(Link *l, const char *from, const char *type, const char *reason)
{
    _cleanup_(freep) char *key = str_format("%s %s %s", from, type, reason);

    if (!key || map_get(l->complained, key) || map_size(l->complained) >= 256 || map_put(l->complained, key, l) < 0)
        return;
    log_warning("a message of type \"%s\" from %s is dropped: %s (said once)", type, from, reason);
}

static void take_token(Link *l, const cJSON *message)
{
    Error err = {};
    int r = identity_accept_token(l->identity, json_string(message, "token"), &err);

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the token from the gateway is not taken, the present one stays");
    error_done(&err);
}

static void take_auth_error(Link *l, const cJSON *message)
{
    Error err = {};
    int r = json_to_error(cJSON_GetObjectItemCaseSensitive(message, "error"), EACCES, &err);

    log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the gateway gave no new token; asking over HTTP");
    error_done(&err);
    identity_refused(l->identity);
}

/* From this loop and not from mgmt-agent's: what is asked is whether this tunnel serves. */
static void answer_probe(Link *l, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = message_new("probe.answer");

    if (!answer || json_add_string(answer, "id", json_string(message, "id")) < 0 ||
        tunnel_send_json(l->tunnel, answer) < 0)
        log_debug("a probe of the gateway is not answered: no room");
}

static void ignore(Link *l, const cJSON *message)
{
    (void) l;
    (void) message;
}

/* What the cloud says to us and not to mgmt-agent. */
static const struct {
    const char *type;
    void (*take)(Link *l, const cJSON *message);
} own_messages[] = {
    {"auth.token", take_token},
    {"auth.error", take_auth_error},
    {"challenge", ignore}, /* an answer to a token-less upgrade only */
    {"probe", answer_probe},
    {"probe.result", ignore},
    {"welcome", ignore},
    {"goaway", ignore}, /* the tunnel obeys it */
};

/* Changes and their confirmations are kept for an agent that restarts; questions are asked again. */
static const char *const kept_types[] = {"compose.snapshot", "compose.confirm", "compose.result.ack", "image.update"};

static LineKind kind_of(const char *type)
{
    for (size_t i = 0; i < ELEMENTSOF(kept_types); i++)
        if (str_equal(kept_types[i], type))
            return LINE_KEEP;
    return LINE_ASK;
}

void link_from_cloud(Link *l, const cJSON *message, const char *text)
{
    const char *name = json_string(message, "type");
    const MessageType *type = message_type_find(name ? name : "");
    _cleanup_(freep) char *line = NULL;
    int r;

    if (!type)
        return; /* older boxes live long: what is not known is not for us */
    if (!(type->senders & SENDER_CLOUD)) {
        complain(l, "the cloud", type->name, "the cloud may not say this");
        return;
    }
    for (size_t i = 0; i < ELEMENTSOF(own_messages); i++)
        if (str_equal(own_messages[i].type, type->name)) {
            own_messages[i].take(l, message);
            return;
        }
    if (strpbrk(text, "\r\n")) { /* legal white space in JSON, but the end of a line on the socket */
        line = json_print(message);
        if (!line) {
            log_error("no memory to pass a message on; it is lost");
            return;
        }
        text = line;
    }
    r = agent_client_send(l->agent, kind_of(type->name), text, strlen(text));
    if (r < 0)
        log_warning("a message of type \"%s\" is lost: mgmt-agent does not take any more (%s)", type->name, strerror(-r));
}

static int pass_to_cloud(Link *l, const char *type, const char *line, size_t len)
{
    if (tunnel_is_up(l->tunnel))
        l->progress_held = 0;
    else if (str_equal(type, "compose.progress") && l->progress_held++ >= PROGRESS_HELD_MAX)
        return 0; /* the results must find room; mgmt-agent sends them again until they are acknowledged */
    return tunnel_send(l->tunnel, line, len);
}

void link_from_agent(Link *l, const char *line, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;
    const MessageType *type = NULL;
    Error err = {};
    int r = message_parse(line, len, SENDER_AGENT, &message, &type, &err);

    if (r < 0) {
        complain(l, "mgmt-agent", type ? type->name : "?", error_message(&err, r));
        error_done(&err);
        return;
    }
    if (str_equal(type->name, "link.cycle")) {
        if (l->tunnel) {
            log_info("mgmt-agent asks for a new connection");
            tunnel_cycle(l->tunnel);
        }
        return;
    }
    if (!l->tunnel)
        return; /* no configuration, no cloud: mgmt-agent knows from link.status */
    r = pass_to_cloud(l, type->name, line, len);
    if (r < 0)
        complain(l, "mgmt-agent", type->name, strerror(-r));
}
