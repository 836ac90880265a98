/* SPDX-License-Identifier: MIT */
#include "gateway/communities/row-check.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/base/time-window.h"
#include "lib/data/json.h"

#define TEXT_MAX 200
#define NOTES_MAX 4000
#define USES_MAX 1000000

typedef enum ValueKind {
    VALUE_TEXT,
    VALUE_NOTES,
    VALUE_UUID,
    VALUE_TIME,
    VALUE_DAYS,
    VALUE_HOURS,
    VALUE_USES,
} ValueKind;

typedef struct Member {
    RowKind row;
    const char *name;
    ValueKind value;
    bool needed;
} Member;

static const Member members[] = {
    { ROW_COMMUNITIES, "name", VALUE_TEXT, true }, { ROW_COMMUNITIES, "timeZone", VALUE_TEXT, false },
    { ROW_UNITS, "name", VALUE_TEXT, true },       { ROW_UNITS, "street", VALUE_TEXT, false },
    { ROW_UNITS, "number", VALUE_TEXT, false },    { ROW_UNITS, "notes", VALUE_NOTES, false },
    { ROW_USERS, "name", VALUE_TEXT, true },       { ROW_USERS, "role", VALUE_TEXT, true },
    { ROW_USERS, "unit", VALUE_UUID, false },      { ROW_USERS, "phone", VALUE_TEXT, false },
    { ROW_GUESTS, "unit", VALUE_UUID, true },      { ROW_GUESTS, "name", VALUE_TEXT, false },
    { ROW_GUESTS, "plate", VALUE_TEXT, false },    { ROW_GUESTS, "from", VALUE_TIME, true },
    { ROW_GUESTS, "until", VALUE_TIME, true },     { ROW_GUESTS, "days", VALUE_DAYS, false },
    { ROW_GUESTS, "hours", VALUE_HOURS, false },   { ROW_GUESTS, "uses", VALUE_USES, false },
    { ROW_GUESTS, "code", VALUE_TEXT, false },     { ROW_GUESTS, "host", VALUE_UUID, false },
    { ROW_GUESTS, "notes", VALUE_NOTES, false },   { ROW_BANS, "name", VALUE_TEXT, false },
    { ROW_BANS, "plate", VALUE_TEXT, false },      { ROW_BANS, "document", VALUE_TEXT, false },
    { ROW_BANS, "reason", VALUE_NOTES, true },     { ROW_BANS, "unit", VALUE_UUID, false },
    { ROW_BANS, "until", VALUE_TIME, false },
};

static const char *const kind_names[] = {
    [ROW_COMMUNITIES] = "communities", [ROW_UNITS] = "units", [ROW_USERS] = "users",
    [ROW_GUESTS] = "guests",           [ROW_BANS] = "bans",
};

const char *row_kind_name(RowKind kind)
{
    return kind_names[kind];
}

int row_kind_parse(const char *name, RowKind *ret)
{
    for (RowKind k = 0; k < _ROW_KIND_COUNT; k++) {
        if (!str_equal(name, kind_names[k]))
            continue;
        *ret = k;
        return 0;
    }
    return -EINVAL;
}

static const Member *find_member(RowKind kind, const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(members); i++)
        if (members[i].row == kind && str_equal(members[i].name, name))
            return &members[i];
    return NULL;
}

bool row_has_text_member(RowKind kind, const char *name)
{
    const Member *m = find_member(kind, name);
    return m && (m->value == VALUE_TEXT || m->value == VALUE_UUID);
}

static int bad(const char *id, const char *member, Error *err, const char *what)
{
    return error_set_at(err, EBADMSG, id, NULL, 0, member, "the member \"%s\" must be %s", member, what);
}

static bool is_text(const cJSON *item, size_t max)
{
    const char *text = cJSON_GetStringValue(item);
    return text && *text && strlen(text) <= max && text_is_plain(text);
}

/* Notes may have several lines. */
static bool is_notes(const cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);
    if (!text || !*text || strlen(text) > NOTES_MAX)
        return false;
    _cleanup_(freep) char *line = strdup(text);
    for (char *p = line; p && *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    return line && text_is_plain(line);
}

/* RFC 3339, with seconds and a zone. */
bool row_time_is_valid(const char *s)
{
    usec_t ignored;
    return rfc3339_parse(s, &ignored) >= 0;
}

static bool is_days(const cJSON *item)
{
    const cJSON *day;
    unsigned seen = 0;
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) == 0)
        return false;
    cJSON_ArrayForEach(day, item) {
        const char *name = cJSON_GetStringValue(day);
        int i = name && strlen(name) == WEEKDAY_LEN ? weekday_parse(name) : -EINVAL;
        if (i < 0 || seen & 1U << i)
            return false;
        seen |= 1U << i;
    }
    return true;
}

static bool is_hours(const cJSON *item)
{
    const char *s = cJSON_GetStringValue(item);
    TimeWindow ignored;
    return s && strlen(s) == HOURS_LEN && hours_parse(s, &ignored) >= 0;
}

static bool is_uses(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= USES_MAX &&
           item->valuedouble == item->valueint;
}

static int check_uuid(cJSON *item, const char *name, Error *err)
{
    char id[UUID_SIZE];
    if (uuid_parse(cJSON_GetStringValue(item), id) < 0)
        return bad("row.bad-id", name, err, "the id of a row, a UUID");
    memcpy(item->valuestring, id, sizeof(id));
    return 0;
}

static int check_member(const Member *m, cJSON *item, Error *err)
{
    switch (m->value) {
    case VALUE_TEXT:
        return is_text(item, TEXT_MAX)
                   ? 0
                   : bad("row.bad-text", m->name, err, "one line of text with 1 to 200 bytes and nothing invisible");
    case VALUE_NOTES:
        return is_notes(item) ? 0 : bad("row.bad-text", m->name, err, "text with 1 to 4000 bytes");
    case VALUE_UUID:
        return check_uuid(item, m->name, err);
    case VALUE_TIME:
        return row_time_is_valid(cJSON_GetStringValue(item))
                   ? 0
                   : bad("row.bad-time", m->name, err, "a time like 2026-01-02T03:04:05Z");
    case VALUE_DAYS:
        return is_days(item) ? 0
                             : bad("row.bad-days", m->name, err,
                                   "a list of mon, tue, wed, thu, fri, sat and sun, each at most once");
    case VALUE_HOURS:
        return is_hours(item) ? 0 : bad("row.bad-hours", m->name, err, "hours like 08:00-18:00");
    case VALUE_USES:
        return is_uses(item) ? 0 : bad("row.bad-number", m->name, err, "a whole number from 1 to 1000000");
    }
    return -EINVAL;
}

/* Members that are null are as good as absent, and what comes from the API's own answers is taken back. */
static void drop_unsaid(RowKind kind, cJSON *row)
{
    static const char *const answered[] = { "id", "version", "hasPin" };
    for (cJSON *i = row->child, *next; i; i = next) {
        next = i->next;
        if (cJSON_IsNull(i))
            cJSON_Delete(cJSON_DetachItemViaPointer(row, i));
    }
    for (size_t i = 0; i < ELEMENTSOF(answered); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(row, answered[i]);
    if (kind == ROW_USERS || kind == ROW_BANS) /* the same; a picture is given by a request of its own */
        cJSON_DeleteItemFromObjectCaseSensitive(row, "face");
    if (kind == ROW_COMMUNITIES) /* the database puts the one of the community back */
        cJSON_DeleteItemFromObjectCaseSensitive(row, "passKey");
}

static int check_identity(const char *id, const cJSON *row, char ret_id[static UUID_SIZE], Error *err)
{
    char own[UUID_SIZE];
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, "id");
    if (!item && id) {
        memcpy(ret_id, id, UUID_SIZE);
        return 0;
    }
    if (uuid_parse(cJSON_GetStringValue(item), own) < 0)
        return bad("row.bad-id", "id", err, "a UUID like 6f1c2a52-0d7e-4b5e-9a43-0c8e2f3b7d10");
    if (id && !str_equal(own, id))
        return error_set_at(err, EBADMSG, "row.other-id", NULL, 0, "id", "the row says id %s, the path %s", own, id);
    memcpy(ret_id, own, sizeof(own));
    return 0;
}

static int check_community(RowKind kind, const char *community, cJSON *row, Error *err)
{
    char own[UUID_SIZE];
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, "community");
    if (item && (uuid_parse(cJSON_GetStringValue(item), own) < 0 || !str_equal(own, community)))
        return error_set_at(err, EBADMSG, "row.other-community", NULL, 0, "community",
                            "the member \"community\" must be left out, or be %s", community);
    cJSON_DeleteItemFromObjectCaseSensitive(row, "community");
    if (kind == ROW_COMMUNITIES)
        return 0;
    return json_add_string(row, "community", community);
}

static bool has(const cJSON *row, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(row, name) != NULL;
}

static int check_whole(RowKind kind, const cJSON *row, Error *err)
{
    for (size_t i = 0; i < ELEMENTSOF(members); i++)
        if (members[i].row == kind && members[i].needed && !has(row, members[i].name))
            return error_set_at(err, EBADMSG, "row.missing", NULL, 0, members[i].name, "the member \"%s\" is missing",
                                members[i].name);
    if (has(row, "pinHash"))
        return error_set_at(err, EBADMSG, "row.pin-hash", NULL, 0, "pinHash",
                            "a PIN is set by \"pin\", its hash is made here");
    if (kind == ROW_BANS && !has(row, "name") && !has(row, "plate") && !has(row, "document"))
        return error_set_at(err, EBADMSG, "row.missing", NULL, 0, "plate",
                            "a ban needs a \"name\", a \"plate\" or a \"document\"");
    return 0;
}

static int check_size(const cJSON *row, Error *err)
{
    _cleanup_(freep) char *text = json_print(row);
    if (!text)
        return -ENOMEM;
    if (strlen(text) > ROW_SIZE_MAX)
        return error_set(err, EMSGSIZE, "row.too-large", "a row has at most %d bytes", ROW_SIZE_MAX);
    return 0;
}

int row_check(RowKind kind, const char *community, const char *id, cJSON *row, char ret_id[static UUID_SIZE],
              Error *err)
{
    cJSON *item;
    int r = check_identity(id, row, ret_id, err);
    if (r < 0)
        return r;
    drop_unsaid(kind, row);
    r = check_community(kind, community, row, err);
    if (r < 0)
        return error_from_errno(err, r, "checking a row");
    cJSON_ArrayForEach(item, row) {
        const Member *m = find_member(kind, item->string);
        r = m ? check_member(m, item, err) : 0;
        if (r < 0)
            return r;
    }
    r = check_whole(kind, row, err);
    return r < 0 ? r : check_size(row, err);
}

/* "mon tue" or "mon,tue" */
static cJSON *days_from_text(const char *text)
{
    _cleanup_(cJSON_Deletep) cJSON *days = cJSON_CreateArray();
    while (days && *text) {
        size_t len = strcspn(text, " ,;");
        _cleanup_(freep) char *day = strndup(text, len);
        if (!day || (len > 0 && json_append(days, cJSON_CreateString(day)) < 0))
            return NULL;
        text += len + (text[len] != '\0');
    }
    return TAKE_PTR(days);
}

cJSON *row_value_from_text(RowKind kind, const char *name, const char *text)
{
    const Member *m = find_member(kind, name);
    uint64_t number;
    if (m && m->value == VALUE_DAYS)
        return days_from_text(text);
    if (m && m->value == VALUE_USES && str_to_u64(text, 0, USES_MAX, &number) >= 0)
        return cJSON_CreateNumber((double) number);
    return cJSON_CreateString(text);
}
