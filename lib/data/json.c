/* SPDX-License-Identifier: MIT */
/* The scanner of json-scan.c decides what is JSON; cJSON only builds the tree afterwards. */
#include "lib/data/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json-scan.h"

/* Error ids that arrive from a peer live as long as the process, so their number is bounded. */
#define FOREIGN_IDS_MAX 512
#define FOREIGN_ID_LENGTH_MAX 80
#define SHOWN_KEY_MAX 64
/* The largest integer up to which every integer is a double. */
#define EXACT_INTEGER_MAX 9007199254740992.0

static int compare_keys(const void *a, const void *b)
{
    return strcmp((*(cJSON *const *) a)->string, (*(cJSON *const *) b)->string);
}

/* The members of an object, sorted by key; n is their number. NULL when out of memory. */
static cJSON **sorted_members(const cJSON *object, size_t *ret_n)
{
    size_t n = 0;
    cJSON **members;
    cJSON *item;

    cJSON_ArrayForEach(item, object)
        n++;
    members = calloc(n + 1, sizeof(*members));
    if (!members)
        return NULL;
    n = 0;
    cJSON_ArrayForEach(item, object)
        members[n++] = item;
    if (n > 1)
        qsort(members, n, sizeof(*members), compare_keys);
    *ret_n = n;
    return members;
}

/* A key that may stand in an error, on a terminal and in a log. */
static const char *shown(const char *key)
{
    size_t n = 0;

    while (key[n] >= ' ' && key[n] <= '~')
        n++;
    return key[n] == '\0' && n <= SHOWN_KEY_MAX ? key : "(not shown)";
}

static int check_duplicates(const cJSON *object, Error *err)
{
    _cleanup_(freep) cJSON **members = NULL;
    size_t n = 0;

    if (!object->child || !object->child->next)
        return 0;
    members = sorted_members(object, &n);
    if (!members)
        return -ENOMEM;
    for (size_t i = 1; i < n; i++)
        if (strcmp(members[i - 1]->string, members[i]->string) == 0)
            return error_set_at(err, EBADMSG, "json.duplicate-key", NULL, 0, shown(members[i]->string),
                                "the JSON key \"%s\" stands twice in one object; remove one",
                                shown(members[i]->string));
    return 0;
}

/* Recursion is bounded by JSON_DEPTH_MAX, which the scanner has checked. */
static int check_tree(const cJSON *value, Error *err)
{
    const cJSON *item;
    int r;

    if (cJSON_IsNumber(value) && !isfinite(value->valuedouble))
        return error_set(err, EBADMSG, "json.syntax", "JSON: a number is too large");
    if (cJSON_IsObject(value)) {
        r = check_duplicates(value, err);
        if (r < 0)
            return r;
    }
    if (!cJSON_IsObject(value) && !cJSON_IsArray(value))
        return 0;
    cJSON_ArrayForEach(item, value) {
        r = check_tree(item, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int json_parse(const char *text, size_t len, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *value = NULL;
    int r;

    if (len > JSON_SIZE_MAX)
        return error_set(err, EMSGSIZE, "json.too-large", "JSON of %zu bytes; at most %d are accepted", len,
                         JSON_SIZE_MAX);
    if (!utf8_is_valid(text, len))
        return error_set(err, EBADMSG, "json.not-utf8", "the JSON text is not valid UTF-8");
    r = json_scan(text, len, err);
    if (r < 0)
        return r;
    value = cJSON_ParseWithLengthOpts(text, len, NULL, false);
    if (!value)
        return error_from_errno(err, -ENOMEM, "cannot build the JSON tree");
    r = check_tree(value, err);
    if (r < 0)
        return error_from_errno(err, r, "cannot check the JSON tree");
    *ret = TAKE_PTR(value);
    return 0;
}

int json_parse_object(const char *text, size_t len, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *value = NULL;
    int r;

    r = json_parse(text, len, &value, err);
    if (r < 0)
        return r;
    if (!cJSON_IsObject(value))
        return error_set(err, EBADMSG, "json.not-object", "the JSON value must be an object: {…}");
    *ret = TAKE_PTR(value);
    return 0;
}

char *json_print(const cJSON *value)
{
    return value ? cJSON_PrintUnformatted(value) : NULL;
}

char *json_print_pretty(const cJSON *value)
{
    return value ? cJSON_Print(value) : NULL;
}

/* cJSON keeps members in a list whose first element points back at the last. */
static int sort_tree(cJSON *value)
{
    cJSON *item;

    if (cJSON_IsObject(value) && value->child) {
        size_t n = 0;
        _cleanup_(freep) cJSON **members = sorted_members(value, &n);

        if (!members)
            return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
            members[i]->next = i + 1 < n ? members[i + 1] : NULL;
            members[i]->prev = members[i > 0 ? i - 1 : n - 1];
        }
        value->child = members[0];
    }
    cJSON_ArrayForEach(item, value) {
        int r = sort_tree(item);

        if (r < 0)
            return r;
    }
    return 0;
}

char *json_print_canonical(const cJSON *value)
{
    _cleanup_(cJSON_Deletep) cJSON *copy = value ? cJSON_Duplicate(value, true) : NULL;

    if (!copy || sort_tree(copy) < 0)
        return NULL;
    return cJSON_PrintUnformatted(copy);
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const char *json_string(const cJSON *object, const char *key)
{
    const cJSON *item = member(object, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

bool json_bool(const cJSON *object, const char *key, bool fallback)
{
    const cJSON *item = member(object, key);

    return cJSON_IsBool(item) ? cJSON_IsTrue(item) != 0 : fallback;
}

int json_u64(const cJSON *object, const char *key, uint64_t *ret)
{
    const cJSON *item = member(object, key);

    if (!item)
        return -ENOENT;
    if (cJSON_IsNumber(item)) {
        double d = item->valuedouble;

        if (!(d >= 0 && d <= EXACT_INTEGER_MAX) || trunc(d) < d)
            return -EINVAL;
        *ret = (uint64_t) d;
        return 0;
    }
    if (!cJSON_IsString(item))
        return -EINVAL;
    return str_to_u64(item->valuestring, 0, UINT64_MAX, ret) < 0 ? -EINVAL : 0;
}

int json_add_item(cJSON *object, const char *key, cJSON *item)
{
    if (object && item && cJSON_AddItemToObject(object, key, item))
        return 0;
    cJSON_Delete(item);
    return -ENOMEM;
}

int json_append(cJSON *array, cJSON *item)
{
    if (array && item && cJSON_AddItemToArray(array, item))
        return 0;
    cJSON_Delete(item);
    return -ENOMEM;
}

int json_add_string(cJSON *object, const char *key, const char *value)
{
    return value ? json_add_item(object, key, cJSON_CreateString(value)) : 0;
}

int json_add_u64(cJSON *object, const char *key, uint64_t value)
{
    _cleanup_(freep) char *text = str_format("%llu", (unsigned long long) value);

    return text ? json_add_item(object, key, cJSON_CreateString(text)) : -ENOMEM;
}

int json_add_int(cJSON *object, const char *key, int value)
{
    return json_add_item(object, key, cJSON_CreateNumber(value));
}

int json_add_bool(cJSON *object, const char *key, bool value)
{
    return json_add_item(object, key, cJSON_CreateBool(value));
}

cJSON *json_from_error(const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *object = cJSON_CreateObject();

    if (!object || json_add_string(object, "id", error_id(err)) < 0 ||
        json_add_string(object, "message", error_message(err, r)) < 0)
        return NULL;
    if (!err)
        return TAKE_PTR(object);
    if (json_add_string(object, "file", err->file) < 0 || json_add_string(object, "key", err->key) < 0)
        return NULL;
    if (err->line > 0 && err->line <= INT32_MAX && json_add_int(object, "line", (int) err->line) < 0)
        return NULL;
    return TAKE_PTR(object);
}

static bool foreign_id_is_valid(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789.-_");

    return n > 0 && n <= FOREIGN_ID_LENGTH_MAX && id[n] == '\0';
}

/* Error.id is never freed, so an id that a peer sent is kept once and for ever. */
static const char *foreign_id_keep(const char *id)
{
    static char *kept[FOREIGN_IDS_MAX];
    static size_t n_kept;

    if (!id || !foreign_id_is_valid(id))
        return "error.unknown";
    for (size_t i = 0; i < n_kept; i++)
        if (str_equal(kept[i], id))
            return kept[i];
    if (n_kept == FOREIGN_IDS_MAX)
        return "error.unknown";
    kept[n_kept] = strdup(id);
    return kept[n_kept] ? kept[n_kept++] : "error.unknown";
}

int json_to_error(const cJSON *object, int code, Error *err)
{
    const char *message = json_string(object, "message");
    uint64_t line = 0;

    if (json_u64(object, "line", &line) < 0 || line > UINT32_MAX)
        line = 0;
    return error_set_at(err, code, foreign_id_keep(json_string(object, "id")), json_string(object, "file"),
                        (unsigned) line, json_string(object, "key"), "%s",
                        str_empty(message) ? "no reason was given" : message);
}

char *json_pairs(const cJSON *object, const char *separator)
{
    _cleanup_(strv_freep) char **words = NULL;
    const cJSON *member;

    if (cJSON_IsObject(object))
        cJSON_ArrayForEach(member, object)
            if (strv_addf(&words, "%s=%s", member->string, cJSON_IsString(member) ? member->valuestring : "-") < 0)
                return NULL;
    return words ? strv_join(words, separator) : strdup("");
}
