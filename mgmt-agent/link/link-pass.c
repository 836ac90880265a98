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

/* What the tunnel itself obeys, or what is no business of mgmt-agent's. */
static const char *const own_types[] = { "challenge", "probe.result", "welcome", "goaway" };

/* Changes and their confirmations are kept for an agent that restarts; questions are asked again. */
static const char *const kept_types[] = { "compose.snapshot", "compose.confirm", "compose.result.ack", "image.update",
                                          "compose.rollback" };

static bool is_one_of(const char *const *types, size_t n, const char *type)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(types[i], type))
            return true;
    return false;
}

static LineKind kind_of(const char *type)
{
    return is_one_of(kept_types, ELEMENTSOF(kept_types), type) ? LINE_KEEP : LINE_ASK;
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
    if (is_one_of(own_types, ELEMENTSOF(own_types), type->name))
        return;
    if (strpbrk(text, "\r\n")) { /* legal white space in JSON, but the end of a line on the socket */
        line = json_print(message);
        if (!line) {
            log_error("no memory to pass a message on; it is lost");
            return;
        }
        text = line;
    }
    if (link_hold_for_files(l, message, kind_of(type->name), text))
        return;
    r = agent_client_send(l->agent, kind_of(type->name), text, strlen(text));
    if (r < 0)
        log_warning("a message of type \"%s\" is lost: mgmt-agent does not take any more (%s)", type->name,
                    strerror(-r));
}

/* What mgmt-agent knows and this program has the key for. While there is no tunnel it is not kept: mgmt-agent says it again when
 * one is up. */
static void vouch(Link *l, const cJSON *message)
{
    int r = device_tunnel_vouch(l->tunnel, json_string(message, "device"), json_string(message, "recovery"));

    if (r == -EOPNOTSUPP)
        log_debug("the gateway is too old to be told the keys of secbox and recovery-agent: they claim by bootstrap");
    else if (r < 0 && r != -ENOTCONN)
        log_warning("the gateway is not told the keys of secbox and recovery-agent: %s", strerror(-r));
}

static int pass_to_cloud(Link *l, const char *type, const char *line, size_t len)
{
    if (device_tunnel_is_up(l->tunnel))
        l->progress_held = 0;
    else if (str_equal(type, "compose.progress") && l->progress_held++ >= PROGRESS_HELD_MAX)
        return 0; /* the results must find room; mgmt-agent sends them again until they are acknowledged */
    return tunnel_send(device_tunnel_get(l->tunnel), line, len);
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
    if (str_equal(type->name, "link.config")) {
        link_take_text(l, json_string(message, "text"));
        return;
    }
    if (str_equal(type->name, "link.forget")) {
        link_forget(l);
        return;
    }
    if (str_equal(type->name, "link.cycle")) {
        if (l->tunnel) {
            log_info("mgmt-agent asks for a new connection");
            tunnel_cycle(device_tunnel_get(l->tunnel));
        }
        return;
    }
    if (str_equal(type->name, "keys.vouch")) {
        vouch(l, message);
        return;
    }
    if (!l->tunnel)
        return; /* no configuration, no cloud: mgmt-agent knows from link.status */
    r = pass_to_cloud(l, type->name, line, len);
    if (r < 0)
        complain(l, "mgmt-agent", type->name, strerror(-r));
}
