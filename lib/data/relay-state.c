/* SPDX-License-Identifier: MIT */
#include "lib/data/relay-state.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json-fields.h"

#define FILE_MAX ((size_t) 8 * 1024)
#define TEXT_MAX ((size_t) 1024)
#define METRICS_MAX ((size_t) 8 * 1024)

static const char *const condition_names[] = {
    [RELAY_INVALID] = "invalid",     [RELAY_IDLE] = "idle",       [RELAY_CONNECTING] = "connecting",
    [RELAY_CONNECTED] = "connected", [RELAY_REFUSED] = "refused", NULL,
};

static const JsonField fields[] = {
    { JSON_FIELD(RelayState, provider, "provider") },
    { JSON_NAME_FIELD(RelayState, condition, "state", condition_names) },
    { JSON_TIME_FIELD(RelayState, started, "startedAt") },
    { JSON_TIME_FIELD(RelayState, since, "since") },
    { JSON_FIELD(RelayState, beat, "beat") },
    { JSON_FIELD(RelayState, public_url, "publicUrl") },
    { JSON_FIELD(RelayState, error_id, "errorId") },
    { JSON_FIELD(RelayState, error_message, "errorMessage") },
    { JSON_FIELD(RelayState, open, "open") },
    { JSON_FIELD(RelayState, visitors, "visitors") },
    { JSON_FIELD(RelayState, bytes_in, "bytesIn") },
    { JSON_FIELD(RelayState, bytes_out, "bytesOut") },
    { JSON_FIELD(RelayState, reconnects, "reconnects") },
    { JSON_FIELD(RelayState, counts_bytes, "countsBytes") },
    {},
};
static const JsonType type = JSON_TYPE(RelayState, fields);

void relay_state_done(RelayState *s)
{
    json_done(&type, s);
}

const char *relay_condition_name(int condition)
{
    return condition_names[condition];
}

char *relay_state_print(const RelayState *s)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(&type, s);

    return o ? json_print(o) : NULL;
}

static int make_harmless(char **text)
{
    if (!*text)
        return 0;
    if (strlen(*text) > TEXT_MAX)
        (*text)[TEXT_MAX] = '\0';
    char *clean = text_printable(*text);
    if (!clean)
        return -ENOMEM;
    free(*text);
    *text = clean;
    return 0;
}

int relay_state_read(const char *path, RelayState *ret, Error *err)
{
    _cleanup_(relay_state_done) RelayState s = {};
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    int r = file_read(path, FILE_MAX, &text, &len, err);

    if (r < 0)
        return r;
    if (json_parse_object(text, len, &o, NULL) < 0 || json_read(o, &type, &s) < 0 || !s.provider)
        return error_set(err, EBADMSG, "relay.bad-state", "%s is not what relay-client writes", path);
    if (make_harmless(&s.provider) < 0 || make_harmless(&s.public_url) < 0 || make_harmless(&s.error_id) < 0 ||
        make_harmless(&s.error_message) < 0)
        return error_from_errno(err, -ENOMEM, "cannot read %s", path);
    *ret = s;
    s = (RelayState) {};
    return 0;
}

bool relay_state_is_stale(const RelayState *s, usec_t boottime)
{
    return s->beat > boottime || boottime - s->beat > RELAY_STATE_STALE;
}

static int add_error(const RelayState *s, cJSON *o)
{
    cJSON *error = s->error_message ? cJSON_AddObjectToObject(o, "error") : NULL;

    if (!s->error_message)
        return 0;
    return !error || json_add_string(error, "id", s->error_id) < 0 ||
                   json_add_string(error, "message", s->error_message) < 0
               ? -ENOMEM
               : 0;
}

static int add_counts(const RelayState *s, cJSON *o)
{
    int r = 0;

    if (s->counts_bytes) {
        r = json_add_int(o, "open", (int) s->open);
        if (r >= 0)
            r = json_add_u64(o, "visitors", s->visitors);
        if (r >= 0)
            r = json_add_u64(o, "bytesIn", s->bytes_in);
        if (r >= 0)
            r = json_add_u64(o, "bytesOut", s->bytes_out);
    }
    return r < 0 ? r : json_add_u64(o, "reconnects", s->reconnects);
}

cJSON *relay_state_describe(const RelayState *s, usec_t boottime)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    bool stale = relay_state_is_stale(s, boottime);
    char since[TIMESTAMP_SIZE];

    if (!o || json_add_string(o, "provider", s->provider) < 0 ||
        json_add_string(o, "state", stale ? "silent" : relay_condition_name(s->condition)) < 0 ||
        json_add_string(o, "since", timestamp_format(s->since, since)) < 0 ||
        json_add_string(o, "publicUrl", s->public_url) < 0 || add_counts(s, o) < 0 || add_error(s, o) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static int print_counter(Buf *b, const char *name, const char *unit, const char *help, uint64_t value)
{
    int r = buf_printf(b, "# TYPE %s counter\n", name);

    if (r >= 0 && unit)
        r = buf_printf(b, "# UNIT %s %s\n", name, unit);
    return r < 0 ? r : buf_printf(b, "# HELP %s %s\n%s_total %llu\n", name, help, name, (unsigned long long) value);
}

static int print_gauge(Buf *b, const char *name, const char *unit, const char *help, uint64_t value)
{
    int r = buf_printf(b, "# TYPE %s gauge\n", name);

    if (r >= 0 && unit)
        r = buf_printf(b, "# UNIT %s %s\n", name, unit);
    return r < 0 ? r : buf_printf(b, "# HELP %s %s\n%s %llu\n", name, help, name, (unsigned long long) value);
}

char *relay_state_metrics(const RelayState *s)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(METRICS_MAX);
    int r = print_gauge(&b, "relay_connected", NULL, "Whether the provider leads visitors here.",
                        s->condition == RELAY_CONNECTED);

    if (r >= 0)
        r = print_gauge(&b, "relay_state_since_seconds", "seconds", "Since when that is so.", s->since / USEC_PER_SEC);
    if (r >= 0)
        r = print_counter(&b, "relay_reconnects", NULL, "Times that the provider was lost.", s->reconnects);
    if (r >= 0 && s->counts_bytes) {
        r = print_gauge(&b, "relay_open_visitors", NULL, "Visitors now.", s->open);
        if (r >= 0)
            r = print_counter(&b, "relay_visitors", NULL, "Visitors.", s->visitors);
        if (r >= 0)
            r = print_counter(&b, "relay_received_bytes", "bytes", "Bytes from visitors.", s->bytes_in);
        if (r >= 0)
            r = print_counter(&b, "relay_sent_bytes", "bytes", "Bytes to visitors.", s->bytes_out);
    }
    if (r >= 0)
        r = buf_puts(&b, "# EOF\n");
    return r < 0 ? NULL : buf_take(&b);
}
