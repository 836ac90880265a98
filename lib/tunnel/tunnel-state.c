/* SPDX-License-Identifier: MIT */
/* The tunnel's transition table and its delays. */
#include "lib/base/strv.h"
#include "lib/tunnel/refusal.h"
#include "lib/tunnel/tunnel-state.h"
#include "lib/websocket/connection.h"

#define STAGE_TIMEOUT (10 * USEC_PER_SEC)
/* Few boxes have streams open when all are cut off, and on those somebody waits. */
#define STREAMS_SPREAD (1 * USEC_PER_SEC)
#define RETRY_AFTER_MAX_SECONDS 3600
/* A server that names one delay to many boxes does not want them all at its end: up to as much again is added. */
#define RETRY_AFTER_SPREAD_MAX (10 * USEC_PER_SEC)

TunnelState tunnel_next(TunnelState state, TunnelInput input)
{
    /* 0 (which is TUNNEL_IDLE) in a cell means: stay; going idle has cells of its own below. */
    static const unsigned char table[_TUNNEL_STATES][_TUNNEL_INPUTS] = {
        [TUNNEL_IDLE] = { [TUNNEL_RETRY] = TUNNEL_WAITING },
        [TUNNEL_WAITING] = { [TUNNEL_START] = TUNNEL_CONNECTING, [TUNNEL_RETRY] = TUNNEL_WAITING },
        [TUNNEL_CONNECTING] = { [TUNNEL_CONNECTED] = TUNNEL_UPGRADING, [TUNNEL_LOST] = TUNNEL_WAITING },
        [TUNNEL_UPGRADING] = { [TUNNEL_UPGRADED] = TUNNEL_GREETING, [TUNNEL_LOST] = TUNNEL_WAITING },
        [TUNNEL_GREETING] = { [TUNNEL_WELCOMED] = TUNNEL_UP,
                              [TUNNEL_LEAVE] = TUNNEL_LEAVING,
                              [TUNNEL_LOST] = TUNNEL_WAITING },
        [TUNNEL_UP] = { [TUNNEL_LEAVE] = TUNNEL_LEAVING, [TUNNEL_LOST] = TUNNEL_WAITING },
        [TUNNEL_LEAVING] = { [TUNNEL_LOST] = TUNNEL_WAITING },
    };
    if (input == TUNNEL_NO_TOKEN || input == TUNNEL_REFUSED)
        return TUNNEL_IDLE;
    return table[state][input] ? table[state][input] : state;
}

usec_t tunnel_deadline(TunnelState state)
{
    return state == TUNNEL_UPGRADING || state == TUNNEL_GREETING ? STAGE_TIMEOUT : 0;
}

static usec_t usual_delay(const TunnelEnd *end, Backoff *backoff, uint64_t random)
{
    if (end->goaway) /* counted too: a gateway that sends everybody away at once must not have them back at once, for ever */
        return backoff_next(backoff, random, end->retry_after_usec, end->spread_usec);
    usec_t spread = end->retry_after_usec < RETRY_AFTER_SPREAD_MAX ? end->retry_after_usec : RETRY_AFTER_SPREAD_MAX;
    return backoff_next(backoff, random, end->retry_after_usec, spread);
}

usec_t tunnel_retry_delay(const TunnelEnd *end, Backoff *backoff, uint64_t random)
{
    backoff_session_ended(backoff, end->lasted_usec);
    if (end->http_status == 401 || end->http_status == 403)
        return USEC_INFINITY;
    if (end->cycle)
        return 0;
    usec_t delay = usual_delay(end, backoff, random);
    if (end->stranger && delay > STRANGER_DELAY_MAX)
        return STRANGER_DELAY_MAX / 2 + random % (STRANGER_DELAY_MAX / 2 + 1);
    if (end->streams && delay > end->retry_after_usec + STREAMS_SPREAD)
        return end->retry_after_usec + random % (STREAMS_SPREAD + 1);
    return delay;
}

bool tunnel_gateway_left(uint16_t close_code, const char *reason)
{
    static const char *const own_link[] = { "ws.dead", "ws.close-timeout", "stream.timeout", "stream.unreachable" };
    if (close_code == WS_CLOSE_GOING_AWAY || close_code == WS_CLOSE_RESTART || close_code == WS_CLOSE_TRY_LATER)
        return true;
    if (close_code != WS_CLOSE_GONE)
        return false;
    for (size_t i = 0; i < ELEMENTSOF(own_link); i++)
        if (str_equal(reason, own_link[i]))
            return false;
    return true;
}

usec_t tunnel_parse_retry_after(const char *value)
{
    uint64_t seconds = 0;
    if (!value || str_to_u64(value, 0, UINT32_MAX, &seconds) < 0)
        return 0;
    return (seconds > RETRY_AFTER_MAX_SECONDS ? RETRY_AFTER_MAX_SECONDS : seconds) * USEC_PER_SEC;
}

bool tunnel_way_is_proxy(const TunnelWay *way)
{
    return way->has_proxy && !way->direct;
}

void tunnel_way_ended(TunnelWay *way, bool led_nowhere)
{
    /* A resolver that lies (a portal of the uplink's provider) is as bad as none; a proxy asks one of its own. */
    if (!tunnel_way_is_proxy(way))
        way->known_only = !way->known_only && led_nowhere;
    if (way->has_proxy && led_nowhere) /* what worked last is tried first */
        way->direct = !way->direct;
}
