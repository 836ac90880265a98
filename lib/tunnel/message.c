/* SPDX-License-Identifier: MIT */
/* The table of message types, and the check that every received message passes before a handler sees it. */
#include "lib/tunnel/message.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define SMALL (16 * 1024)
#define MEDIUM (64 * 1024)
#define LARGE (256 * 1024)
#define MESSAGE_ID_MAX 128

#define MEMBERS(...) ((const char *const[]) { __VA_ARGS__, NULL })

const MessageType message_types[] = {
    { .name = "hello",
      .senders = SENDER_LINK | SENDER_BOX | SENDER_OPERATOR,
      .size_max = SMALL,
      .strings = MEMBERS("deviceId", "role", "program", "version", "bootId"),
      .help = "who connects: the first message on a tunnel" },
    { .name = "challenge",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("nonce", "serverTime"),
      .help = "the first message where the upgrade had no token: hello must prove the key" },
    { .name = "welcome",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("deviceId", "serverTime", "connection"),
      .help = "the answer to hello; the tunnel is usable" },
    { .name = "goaway",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("reason"),
      .help = "this connection will be closed; come back later" },
    { .name = "auth.refresh",
      .senders = SENDER_LINK | SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("proof"),
      .help = "asks for a new device token with proof of possession" },
    { .name = "auth.token",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("token", "expiresAt"),
      .help = "a new device token" },
    { .name = "auth.error",
      .senders = SENDER_CLOUD,
      .size_max = MEDIUM,
      .objects = MEMBERS("error"),
      .help = "no new device token, and why" },
    { .name = "keys.vouch",
      .senders = SENDER_AGENT | SENDER_LINK,
      .size_max = SMALL,
      .strings = MEMBERS("deviceId"),
      .help = "which keys the programs of this box's other roles have" },
    { .name = "agent.status",
      .senders = SENDER_AGENT,
      .size_max = LARGE,
      .strings = MEMBERS("deviceId", "state"),
      .help = "what the agent runs, what waits, what came last" },
    { .name = "status.get",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "asks for the box's status" },
    { .name = "status.report",
      .senders = SENDER_AGENT,
      .size_max = LARGE,
      .strings = MEMBERS("id"),
      .objects = MEMBERS("status"),
      .help = "the box's status" },
    { .name = "health.report",
      .senders = SENDER_AGENT | SENDER_BOX,
      .size_max = MEDIUM,
      .strings = MEMBERS("at"),
      .objects = MEMBERS("values"),
      .numbers = MEMBERS("seq"),
      .help = "how the machine or the program is: what differs from the report that base names" },
    { .name = "health.ack",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .numbers = MEMBERS("seq"),
      .help = "the gateway has the values of that report" },
    { .name = "compose.snapshot",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = WS_MESSAGE_MAX,
      .strings = MEMBERS("id", "deviceId", "compose", "issuedAt"),
      .numbers = MEMBERS("version"),
      .help = "a compose file to apply" },
    { .name = "compose.plan",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = WS_MESSAGE_MAX,
      .strings = MEMBERS("id", "compose"),
      .help = "a compose file to check: what would change" },
    { .name = "compose.plan.result",
      .senders = SENDER_AGENT,
      .size_max = LARGE,
      .strings = MEMBERS("id", "phase"),
      .numbers = MEMBERS("status"),
      .help = "what a compose file would change, or why it is refused" },
    { .name = "compose.progress",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .strings = MEMBERS("id", "version", "phase", "state", "at"),
      .numbers = MEMBERS("seq"),
      .help = "a phase of a deployment started, ended or has something to say" },
    { .name = "compose.result",
      .senders = SENDER_AGENT,
      .size_max = LARGE,
      .strings = MEMBERS("id", "version", "phase", "outcome", "at"),
      .numbers = MEMBERS("status"),
      .help = "how a deployment ended" },
    { .name = "compose.result.ack",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "the result is stored and need not be sent again" },
    { .name = "compose.confirm",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("id", "nonce"),
      .numbers = MEMBERS("version"),
      .help = "the box is reachable after the change: keep it" },
    { .name = "project.order",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id", "project", "action"),
      .help = "stop, start, restart or remove all of a project beside the box's own" },
    { .name = "project.result",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .strings = MEMBERS("id", "project"),
      .help = "how such an order ended" },
    { .name = "image.update",
      .senders = SENDER_CLOUD,
      .size_max = LARGE,
      .strings = MEMBERS("id", "deviceId", "image", "digest", "issuedAt"),
      .numbers = MEMBERS("version"),
      .help = "a new image for the services that run this one" },
    { .name = "updates.get",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "asks which images are watched and what is known of them" },
    { .name = "updates.check",
      .senders = SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "look for new images now, and take them" },
    { .name = "updates.undo",
      .senders = SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id", "service"),
      .help = "give a service the image back that it ran before" },
    { .name = "updates.forget",
      .senders = SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id", "digest"),
      .help = "an image that failed may be tried again" },
    { .name = "updates.hold",
      .senders = SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "take the update lock, or release it" },
    { .name = "updates.halted",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .arrays = MEMBERS("digests"),
      .help = "images that rollouts have halted with: not to be taken by the box's own watcher" },
    { .name = "updates.report",
      .senders = SENDER_AGENT,
      .size_max = WS_MESSAGE_MAX,
      .strings = MEMBERS("id"),
      .objects = MEMBERS("updates"),
      .help = "what is watched, what is new, what failed and why" },
    { .name = "compose.rollback",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = LARGE,
      .strings = MEMBERS("id"),
      .help = "go back to the deployment before the current one, or to the one named" },
    { .name = "agent.update",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = LARGE,
      .strings = MEMBERS("id", "to"),
      .help = "another version of the packages that look after the box" },
    { .name = "release.update",
      .senders = SENDER_CLOUD,
      .size_max = LARGE,
      .strings = MEMBERS("id", "to", "sha256"),
      .objects = MEMBERS("bundle"),
      .help = "another release of the data plane, for a box without containers" },
    { .name = "ssh.revocations",
      .senders = SENDER_CLOUD,
      .size_max = MEDIUM,
      .numbers = MEMBERS("version"),
      .arrays = MEMBERS("keyIds"),
      .help = "certificates of support staff that the box's sshds must not take any more" },
    { .name = "trust.root",
      .senders = SENDER_CLOUD,
      .size_max = LARGE,
      .strings = MEMBERS("id", "deviceId"),
      .objects = MEMBERS("order"),
      .help = "a root document: whose orders the box takes from now on" },
    { .name = "trust.root.result",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .strings = MEMBERS("id"),
      .numbers = MEMBERS("status"),
      .help = "whether the root document is in force, and why not" },
    { .name = "history.get",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "asks for the latest results" },
    { .name = "history.report",
      .senders = SENDER_AGENT,
      .size_max = WS_MESSAGE_MAX,
      .strings = MEMBERS("id"),
      .arrays = MEMBERS("entries"),
      .help = "the latest results, newest first" },
    { .name = "doctor.ask",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "asks what secboxctl doctor says on the box" },
    { .name = "doctor.report",
      .senders = SENDER_AGENT,
      .size_max = LARGE,
      .strings = MEMBERS("id", "at"),
      .objects = MEMBERS("report"),
      .numbers = MEMBERS("exitCode"),
      .help = "what it says, and how it ended" },
    { .name = "logs.read",
      .senders = SENDER_LOCAL | SENDER_LINK,
      .size_max = SMALL,
      .strings = MEMBERS("id", "service"),
      .help = "asks for what a service has written to its log" },
    { .name = "logs.lines",
      .senders = SENDER_AGENT,
      .size_max = LARGE,
      .strings = MEMBERS("id"),
      .arrays = MEMBERS("lines"),
      .help = "lines of it, in their order, secrets hidden" },
    { .name = "logs.end",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .strings = MEMBERS("id"),
      .help = "no more comes, and why when it is no good end" },
    { .name = "env.ensure",
      .senders = SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "create secbox.env if it is missing, and check it" },
    { .name = "env.report",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .strings = MEMBERS("id"),
      .booleans = MEMBERS("created"),
      .help = "whether secbox.env was created, and what is wrong with it" },
    { .name = "link.hello",
      .senders = SENDER_LINK,
      .size_max = SMALL,
      .strings = MEMBERS("program", "version"),
      .help = "the first line of mgmt-link on the local socket" },
    { .name = "link.status",
      .senders = SENDER_LINK,
      .size_max = MEDIUM,
      .booleans = MEMBERS("connected"),
      .help = "whether the management tunnel is up" },
    { .name = "link.config",
      .senders = SENDER_AGENT,
      .size_max = WS_MESSAGE_MAX,
      .strings = MEMBERS("text"),
      .help = "mgmt-agent.env as it is now, for mgmt-link, which cannot read it" },
    { .name = "link.cycle",
      .senders = SENDER_AGENT,
      .size_max = SMALL,
      .help = "open a new connection: a change waits for its confirmation" },
    { .name = "link.forget",
      .senders = SENDER_AGENT,
      .size_max = SMALL,
      .help = "the box belongs to no cloud any more: close the tunnel, keep nothing of it but the key" },
    { .name = "pair.get",
      .senders = SENDER_LOCAL | SENDER_PAIRING,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "asks whether the box is paired" },
    { .name = "pair.claim",
      .senders = SENDER_LOCAL | SENDER_PAIRING,
      .size_max = SMALL,
      .strings = MEMBERS("id", "claim"),
      .help = "pair the box by the text of a QR code" },
    { .name = "pair.end",
      .senders = SENDER_LOCAL | SENDER_PAIRING,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "end the pairing, or a claim that comes to nothing" },
    { .name = "pair.report",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .strings = MEMBERS("id"),
      .objects = MEMBERS("pairing"),
      .help = "how the pairing stands" },
    { .name = "probe.request",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "asks the gateway whether the box's other tunnels answer" },
    { .name = "probe",
      .senders = SENDER_CLOUD | SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "asks the program behind a tunnel for a sign of life from its loop" },
    { .name = "probe.answer",
      .senders = SENDER_LINK | SENDER_BOX | SENDER_AGENT,
      .size_max = SMALL,
      .strings = MEMBERS("id"),
      .help = "that sign of life" },
    { .name = "probe.result",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("id", "device", "mgmt"),
      .help = "which tunnels answered" },
    { .name = "recovery.status",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("state", "since", "verdict", "step"),
      .objects = MEMBERS("budget"),
      .booleans = MEMBERS("open"),
      .arrays = MEMBERS("reasons"),
      .help = "whether the main way is wedged, and whether recovery-agent lets people in" },
    { .name = "recovery.reconnect",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .help = "asks the gateway to give up the box's device tunnel, so that it comes anew" },
    { .name = "container.restart",
      .senders = SENDER_RECOVERY | SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id", "service"),
      .help = "restart the container of a service and prove that it runs" },
    { .name = "container.recreate",
      .senders = SENDER_RECOVERY | SENDER_LOCAL,
      .size_max = SMALL,
      .strings = MEMBERS("id", "service"),
      .help = "make the container of a service anew from the current deployment" },
    { .name = "container.result",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .strings = MEMBERS("id"),
      .booleans = MEMBERS("ok"),
      .help = "whether the container runs again" },
    { .name = "recovery.open",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("id", "reason"),
      .numbers = MEMBERS("seconds"),
      .help = "let support staff in for a while" },
    { .name = "bridge.progress",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("session", "state"),
      .help = "which way into a box is tried, and what came of it" },
    { .name = "sync.have",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .numbers = MEMBERS("schema", "version"),
      .help = "which state of the community's data the box has" },
    { .name = "sync.none",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("reason"),
      .help = "the box serves no community" },
    { .name = "snapshot.begin",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("snapshot", "community", "epoch"),
      .numbers = MEMBERS("version"),
      .arrays = MEMBERS("tables"),
      .help = "whole tables of the community's data follow" },
    { .name = "snapshot.rows",
      .senders = SENDER_CLOUD,
      .size_max = WS_MESSAGE_MAX,
      .strings = MEMBERS("snapshot", "table"),
      .numbers = MEMBERS("index"),
      .arrays = MEMBERS("rows"),
      .help = "rows of one table of a snapshot" },
    { .name = "snapshot.got",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("snapshot"),
      .numbers = MEMBERS("index"),
      .help = "these rows of the snapshot are put aside" },
    { .name = "snapshot.end",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("snapshot"),
      .numbers = MEMBERS("chunks"),
      .help = "the snapshot is complete" },
    { .name = "delta.changes",
      .senders = SENDER_CLOUD,
      .size_max = WS_MESSAGE_MAX,
      .strings = MEMBERS("community", "epoch"),
      .numbers = MEMBERS("from", "to"),
      .arrays = MEMBERS("changes"),
      .help = "what changed in the community's data from one version to another" },
    { .name = "sync.applied",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("epoch"),
      .numbers = MEMBERS("version"),
      .help = "the box's database holds this version" },
    { .name = "sync.resnapshot",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("reason"),
      .help = "asks for whole tables again" },
    { .name = "sync.check",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("epoch"),
      .numbers = MEMBERS("version"),
      .arrays = MEMBERS("tables"),
      .help = "counts and checksums that the box's tables must have" },
    { .name = "events.push",
      .senders = SENDER_BOX,
      .size_max = LARGE,
      .arrays = MEMBERS("events"),
      .help = "what happened at the gate, from the box's queue" },
    { .name = "events.ack",
      .senders = SENDER_CLOUD,
      .size_max = MEDIUM,
      .arrays = MEMBERS("accepted", "rejected"),
      .help = "which events are stored, and which are refused for good" },
    { .name = "photo.offer",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("sha256", "community"),
      .numbers = MEMBERS("bytes"),
      .help = "a photo that an event names, and that the gateway may want" },
    { .name = "photo.part",
      .senders = SENDER_BOX,
      .size_max = MEDIUM,
      .strings = MEMBERS("sha256", "data"),
      .numbers = MEMBERS("offset"),
      .help = "bytes of it" },
    { .name = "photo.state",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .strings = MEMBERS("sha256", "state"),
      .help = "whether the photo is wanted, how much of it is there, or that it is stored" },
    { .name = "face.want",
      .senders = SENDER_BOX,
      .size_max = SMALL,
      .strings = MEMBERS("community", "sha256"),
      .numbers = MEMBERS("offset"),
      .help = "asks for a part of the picture of an enrolled face" },
    { .name = "face.part",
      .senders = SENDER_CLOUD,
      .size_max = MEDIUM,
      .strings = MEMBERS("sha256", "data"),
      .numbers = MEMBERS("offset", "size"),
      .help = "the part" },
    { .name = "media.revoke",
      .senders = SENDER_CLOUD,
      .size_max = SMALL,
      .arrays = MEMBERS("tokens"),
      .help = "tokens for recordings that are good no more: what they have begun ends" },
    { .name = "lan.certificate.ask",
      .senders = SENDER_CLOUD,
      .size_max = MEDIUM,
      .strings = MEMBERS("id", "action"),
      .help = "about the cloud's certificate for the guards' pages: show, request, set, remove" },
    { .name = "lan.certificate.report",
      .senders = SENDER_BOX,
      .size_max = MEDIUM,
      .strings = MEMBERS("id"),
      .help = "which one is there, and a request for one" },
    { .name = "data.ask",
      .senders = SENDER_LOCAL,
      .size_max = MEDIUM,
      .strings = MEMBERS("id", "verb"),
      .help = "a verb of secboxctl for secbox, about its replica or its queue" },
    { .name = "data.answer",
      .senders = SENDER_BOX,
      .size_max = LARGE,
      .strings = MEMBERS("id"),
      .help = "what secbox answers to that" },
    { .name = "error",
      .senders = SENDER_AGENT,
      .size_max = MEDIUM,
      .objects = MEMBERS("error"),
      .help = "the request itself was refused" },
    {},
};

const MessageType *message_type_find(const char *name)
{
    for (const MessageType *t = message_types; t->name; t++)
        if (str_equal(t->name, name))
            return t;
    return NULL;
}

static bool is_string(const cJSON *object, const char *key)
{
    return json_string(object, key) != NULL;
}

static bool is_object(const cJSON *object, const char *key)
{
    return cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_array(const cJSON *object, const char *key)
{
    return cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_boolean(const cJSON *object, const char *key)
{
    return cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_number(const cJSON *object, const char *key)
{
    uint64_t ignored;

    return json_u64(object, key, &ignored) == 0;
}

static int check_kind(const cJSON *object, const MessageType *type, const char *const *keys,
                      bool (*fits)(const cJSON *, const char *), const char *kind, Error *err)
{
    for (; keys && *keys; keys++)
        if (!fits(object, *keys))
            return error_set_at(err, EBADMSG, "message.member", NULL, 0, *keys,
                                "message %s: the member \"%s\" must be there and be %s", type->name, *keys, kind);
    return 0;
}

/* Ids are echoed, logged and used as keys: an id that is there is short and printable ASCII. */
static int check_id(const cJSON *object, const MessageType *type, Error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "id");
    const char *id = json_string(object, "id");
    size_t n = 0;

    if (!item)
        return 0;
    while (id && id[n] > ' ' && id[n] <= '~')
        n++;
    if (n == 0 || n > MESSAGE_ID_MAX || id[n] != '\0')
        return error_set_at(err, EBADMSG, "message.member", NULL, 0, "id",
                            "message %s: the member \"id\" must be 1 to %d printable characters without spaces",
                            type->name, MESSAGE_ID_MAX);
    return 0;
}

static int check_members(const cJSON *object, const MessageType *type, Error *err)
{
    const struct {
        const char *const *keys;
        bool (*fits)(const cJSON *, const char *);
        const char *kind;
    } kinds[] = {
        { type->strings, is_string, "a string" },
        { type->objects, is_object, "an object" },
        { type->numbers, is_number, "a whole number or a string of decimal digits" },
        { type->booleans, is_boolean, "true or false" },
        { type->arrays, is_array, "an array" },
    };

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        int r = check_kind(object, type, kinds[i].keys, kinds[i].fits, kinds[i].kind, err);

        if (r < 0)
            return r;
    }
    return check_id(object, type, err);
}

int message_parse(const char *text, size_t len, MessageSender sender, cJSON **ret, const MessageType **ret_type,
                  Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *object = NULL;
    const MessageType *type;
    const char *name;
    int r;

    if (len > WS_MESSAGE_MAX)
        return error_set(err, EMSGSIZE, "message.too-large", "a message of %zu bytes; at most %d are accepted", len,
                         WS_MESSAGE_MAX);
    r = json_parse_object(text, len, &object, err);
    if (r < 0)
        return r;
    name = json_string(object, "type");
    if (!name)
        return error_set(err, EBADMSG, "message.no-type", "a message without a \"type\" string");
    type = message_type_find(name);
    if (!type)
        return error_set(err, ENOMSG, "message.unknown-type", "the message has a type that is not known here");
    if (!(type->senders & (unsigned) sender))
        return error_set(err, EPERM, "message.sender", "this peer may not send messages of type %s", type->name);
    if (len > type->size_max)
        return error_set(err, EMSGSIZE, "message.too-large", "a message %s of %zu bytes; at most %zu are accepted",
                         type->name, len, type->size_max);
    r = check_members(object, type, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(object);
    if (ret_type)
        *ret_type = type;
    return 0;
}

cJSON *message_new(const char *type)
{
    _cleanup_(cJSON_Deletep) cJSON *object = cJSON_CreateObject();

    if (!object || json_add_string(object, "type", type) < 0)
        return NULL;
    return TAKE_PTR(object);
}
