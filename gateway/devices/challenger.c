/* SPDX-License-Identifier: MIT */
/* A stranger costs one connection and a hello's worth of memory, for ten seconds at most. When there are too many, the oldest
 * goes: a box answers at once, so it always gets its turn. */
#include "gateway/devices/challenger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/http/tunnel-handshake.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/key-challenge.h"
#include "lib/tunnel/message.h"

#define NONCE_BYTES 32
#define KEY_SIZE 24
#define BOOTSTRAP_SIZE_MAX 256

struct Challenger {
    sd_event *event;
    const Claims *claims;
    Map *challenges; /* by number → Challenge, owned */
    uint64_t next;
    challenge_proved_t on_proved;
    void *userdata;
};

typedef struct Challenge {
    Challenger *owner;
    WsConn *ws;
    uint64_t number;
    char *nonce;          /* NULL once it was used */
    char *hello, *device; /* while the claim is under way */
    KeyClaim *claim;
    sd_event_source *deadline;
} Challenge;

static void challenge_key(char buf[static KEY_SIZE], uint64_t number)
{
    snprintf(buf, KEY_SIZE, "n-%" PRIx64, number);
}

static void challenge_free(Challenge *c)
{
    char key[KEY_SIZE];
    if (!c)
        return;
    challenge_key(key, c->number);
    map_take(c->owner->challenges, key);
    key_claim_free(c->claim);
    sd_event_source_disable_unref(c->deadline);
    ws_conn_free(c->ws);
    free(c->nonce);
    free(c->hello);
    free(c->device);
    free(c);
}

static void refuse(Challenge *c, int r, const Error *err)
{
    const LogField fields[] = { { "ROLE", role_name(ROLE_RECOVERY) }, {} };
    log_failure(LOG_LEVEL_NOTICE, fields, err, r, "a recovery tunnel from %s is refused", ws_conn_peer(c->ws));
    c->nonce = (free(c->nonce), NULL);
    ws_conn_close(c->ws, WS_CLOSE_POLICY, error_id(err));
}

/* The key has been proved and is the device's: from here on the connection is the box's tunnel. */
static void admit(Challenge *c, const char *device, const char *hello, size_t len)
{
    Error err = {};
    int r = c->owner->on_proved(device, c->ws, hello, len, &err, c->owner->userdata);
    if (r >= 0) {
        c->ws = NULL;
        challenge_free(c);
    } else {
        refuse(c, r, &err);
    }
    error_done(&err);
}

static void on_claimed(KeyClaim *k _unused_, int r, bool is_new _unused_, const Error *err, void *userdata)
{
    Challenge *c = userdata;
    c->claim = NULL;
    if (r < 0)
        refuse(c, r, err);
    else
        admit(c, c->device, c->hello, strlen(c->hello));
}

/* Another key than this role has: the box's management key, or the bootstrap token, says whether it may. */
static int claim(Challenge *c, const cJSON *hello, const char *text, const Key *key, Error *err)
{
    const char *bootstrap = json_string(hello, "bootstrap");
    if (bootstrap && strlen(bootstrap) > BOOTSTRAP_SIZE_MAX)
        return error_set(err, EKEYREJECTED, "bootstrap.invalid", "the bootstrap token is no bootstrap token");
    c->hello = strdup(text);
    c->device = strdup(json_string(hello, "deviceId"));
    if (!c->hello || !c->device)
        return error_from_errno(err, -ENOMEM, "reading a claim");
    const KeyClaimRequest request = {
        .device = c->device,
        .role = ROLE_RECOVERY,
        .bootstrap = str_empty(bootstrap) ? NULL : bootstrap,
        .key = key,
        .peer = ws_conn_peer(c->ws),
    };
    return key_claim_start(c->owner->claims, &request, on_claimed, c, &c->claim, err);
}

static int read_key(const cJSON *hello, Key **ret, Error *err)
{
    _cleanup_(freep) char *jwk = json_print(cJSON_GetObjectItemCaseSensitive(hello, "key"));
    if (!jwk)
        return error_set(err, EKEYREJECTED, "challenge.no-key", "the hello names no key");
    return key_from_jwk(jwk, strlen(jwk), ret, err);
}

/* 1: this key may speak for this device; 0: a claim has to say. The cheap checks come first. */
static int check_key(Challenge *c, const cJSON *hello, const Key *key, Error *err)
{
    const char *device = json_string(hello, "deviceId"), *proof = json_string(hello, "proof");
    _cleanup_(freep) char *thumbprint = key_thumbprint(key);
    _cleanup_(freep) char *nonce = TAKE_PTR(c->nonce);
    if (!thumbprint)
        return error_from_errno(err, -ENOMEM, "checking a key");
    if (!device_id_is_valid(device))
        return error_set(err, EKEYREJECTED, "device.unknown", "the hello names no device");
    int r = device_registry_check(c->owner->claims->registry, device, ROLE_RECOVERY, thumbprint, err);
    bool may_claim = r == -EKEYREJECTED && (!str_empty(json_string(hello, "bootstrap")) ||
                                            device_registry_vouches(c->owner->claims->registry, device));
    if (r < 0 && !may_claim)
        return r;
    error_done(err);
    if (!proof || challenge_check(key, nonce, device, proof) < 0)
        return error_set(err, EKEYREJECTED, "challenge.proof",
                         "the proof of device %s is not by this key over the nonce of this connection", device);
    return r >= 0;
}

static int answer(Challenge *c, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *hello = NULL;
    _cleanup_(key_freep) Key *key = NULL;
    int r = tunnel_read_hello(text, len, SENDER_BOX, NULL, NULL, &hello, err);
    if (r >= 0)
        r = read_key(hello, &key, err);
    if (r >= 0)
        r = check_key(c, hello, key, err);
    if (r < 0)
        return r;
    if (r == 0)
        return claim(c, hello, text, key, err);
    admit(c, json_string(hello, "deviceId"), text, len);
    return 0;
}

static void on_text(WsConn *ws _unused_, const char *text, size_t len, void *userdata)
{
    Challenge *c = userdata;
    Error err = {};
    if (!c->nonce) /* one nonce, one hello */
        return;
    int r = answer(c, text, len, &err);
    if (r < 0)
        refuse(c, r, &err);
    error_done(&err);
}

static void on_closed(WsConn *ws _unused_, uint16_t code _unused_, const Error *err _unused_, void *userdata)
{
    challenge_free(userdata);
}

static const WsEvents ws_events = { .on_text = on_text, .on_closed = on_closed };

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    challenge_free(userdata);
    return 0;
}

static int send_challenge(Challenge *c)
{
    char now[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("challenge");
    if (!m || json_add_string(m, "nonce", c->nonce) < 0 ||
        json_add_string(m, "serverTime", timestamp_format(realtime_usec(), now)) < 0)
        return -ENOMEM;
    _cleanup_(freep) char *text = json_print(m);
    return text ? ws_conn_send_text(c->ws, text, strlen(text)) : -ENOMEM;
}

static int challenge_new(Challenger *ch, Challenge **ret)
{
    uint8_t bytes[NONCE_BYTES];
    char key[KEY_SIZE];
    void *oldest;
    size_t first = 0;
    if (map_size(ch->challenges) >= GATEWAY_CHALLENGES_MAX && map_next(ch->challenges, &first, NULL, &oldest))
        challenge_free(oldest);
    Challenge *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->owner = ch;
    c->number = ++ch->next;
    random_bytes(bytes, sizeof(bytes));
    c->nonce = base64url_encode(bytes, sizeof(bytes));
    challenge_key(key, c->number);
    if (!c->nonce || map_put(ch->challenges, key, c) < 0 ||
        timer_arm(ch->event, &c->deadline, TUNNEL_HELLO_DEADLINE, on_deadline, c) < 0) {
        challenge_free(c);
        return -ENOMEM;
    }
    *ret = c;
    return 0;
}

int challenger_accept(Challenger *ch, HttpExchange *x, Error *err)
{
    Challenge *c = NULL;
    int r = challenge_new(ch, &c);
    if (r < 0)
        return error_from_errno(err, r, "accepting a tunnel");
    r = tunnel_upgrade(x, &ws_events, c, &c->ws, err);
    if (r < 0)
        challenge_free(c);
    else if (send_challenge(c) < 0)
        challenge_free(c); /* the exchange is over: the box comes again */
    return r < 0 ? r : 0;
}

Challenger *challenger_new(sd_event *event, const Claims *claims, challenge_proved_t on_proved, void *userdata)
{
    Challenger *ch = calloc(1, sizeof(*ch));
    if (!ch)
        return NULL;
    *ch = (Challenger) { .event = event, .claims = claims, .on_proved = on_proved, .userdata = userdata };
    ch->challenges = map_new(NULL);
    return ch->challenges ? ch : challenger_free(ch);
}

Challenger *challenger_free(Challenger *ch)
{
    void *value;
    if (!ch)
        return NULL;
    for (size_t i = 0; ch->challenges && map_next(ch->challenges, &i, NULL, &value);)
        challenge_free(value);
    map_free(ch->challenges);
    free(ch);
    return NULL;
}
