/* SPDX-License-Identifier: MIT */
#include "lib/tunnel/refusal.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"

#define QUOTED_MAX 100

bool refusal_is_own(const cJSON *body, Error *err)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(body, "error");
    const char *id = json_string(error, "id");

    if (!cJSON_IsObject(error) || !id || !strchr(id, '.') || str_empty(json_string(error, "message")))
        return false;
    (void) json_to_error(error, EACCES, err);
    return true;
}

static const char *hint_of(int status)
{
    static const struct {
        int status;
        const char *hint;
    } hints[] = {
        { 400, "a proxy in front of the gateway that does not pass on WebSocket upgrades, or another server" },
        { 401, "a proxy that wants a password of its own" },
        { 403, "a proxy or firewall that lets this box not through" },
        { 404, "another server, or nothing is at this path: check the gateway's URL" },
        { 407, "a proxy that wants a password" },
        { 426, "a server that speaks another version of WebSocket" },
        { 502, "a proxy that does not reach the gateway" },
        { 503, "a proxy that does not reach the gateway, or that is being maintained" },
        { 504, "a proxy that does not reach the gateway" },
    };

    for (size_t i = 0; i < ELEMENTSOF(hints); i++)
        if (hints[i].status == status)
            return hints[i].hint;
    return status >= 300 && status < 400 ? "a captive portal or a proxy that leads elsewhere"
           : status < 300                ? "a captive portal, or another server: check the gateway's URL"
                                         : "a proxy, or another server: check the gateway's URL";
}

/* Short, in one line. */
static char *quoted(const char *before, const char *text, const char *behind)
{
    _cleanup_(freep) char *printable = text_printable(text);

    return !text || !printable ? strdup("") : str_format("%s%.*s%s", before, QUOTED_MAX, printable, behind);
}

int refusal_of_stranger(const char *host, int status, const char *server, const char *location, Error *err)
{
    _cleanup_(freep) char *who = quoted(", which calls itself ", server, ""), *where = quoted(" (to ", location, ")");

    return error_set(
        err, EACCES, "tunnel.stranger",
        "in the place of %s somebody else answers, with HTTP status %d%s%s: %s; it is asked again within a minute",
        host, status, where ? where : "", who ? who : "", hint_of(status));
}
