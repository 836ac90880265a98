/* SPDX-License-Identifier: MIT */
/* A strict RFC 8259 scanner with an explicit stack decides what is JSON; cJSON only builds the tree afterwards. */
#include "lib/data/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"

/* cJSON copies a number into 64 bytes before converting it and would cut a longer one. */
#define NUMBER_LENGTH_MAX 60
/* Error ids that arrive from a peer live as long as the process, so their number is bounded. */
#define FOREIGN_IDS_MAX 512
#define FOREIGN_ID_LENGTH_MAX 80
/* The largest integer up to which every integer is a double. */
#define EXACT_INTEGER_MAX 9007199254740992.0

typedef struct Scan {
    const char *text;
    size_t len, pos;
    size_t values;
    unsigned depth;
    char closers[JSON_DEPTH_MAX]; /* what each open level must end with */
} Scan;

static int scan_fail_as(const Scan *s, Error *err, const char *id, const char *what)
{
    unsigned line = 1;

    for (size_t i = 0; i < s->pos && i < s->len; i++)
        line += s->text[i] == '\n';
    return error_set_at(err, EBADMSG, id, NULL, line, NULL, "JSON line %u: %s", line, what);
}

static int scan_fail(const Scan *s, Error *err, const char *what)
{
    return scan_fail_as(s, err, "json.syntax", what);
}

static int peek(const Scan *s)
{
    return s->pos < s->len ? (unsigned char) s->text[s->pos] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static void scan_space(Scan *s)
{
    for (int c = peek(s); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(s))
        s->pos++;
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits behind \u, or -1. */
static int scan_hex4(Scan *s)
{
    int value = 0;

    for (unsigned i = 0; i < 4; i++, s->pos++) {
        int digit = hex_value(peek(s));

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Behind "\u". A lone surrogate is no character, and a NUL would cut the C string that cJSON makes. */
static int scan_unicode_escape(Scan *s, Error *err)
{
    int unit = scan_hex4(s);

    if (unit < 0)
        return scan_fail(s, err, "\\u must be followed by four hexadecimal digits");
    if (unit == 0)
        return scan_fail(s, err, "\\u0000 is not accepted in a string");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return scan_fail(s, err, "a low surrogate without the high one before it");
    if (unit < 0xD800 || unit > 0xDBFF)
        return 0;
    if (s->len - s->pos < 2 || s->text[s->pos] != '\\' || s->text[s->pos + 1] != 'u')
        return scan_fail(s, err, "a high surrogate without the low one behind it");
    s->pos += 2;
    unit = scan_hex4(s);
    if (unit < 0xDC00 || unit > 0xDFFF)
        return scan_fail(s, err, "a high surrogate without the low one behind it");
    return 0;
}

/* At the opening quote. */
static int scan_string(Scan *s, Error *err)
{
    int r;

    for (s->pos++;;) {
        int c = peek(s);

        if (c < 0)
            return scan_fail(s, err, "the text ends inside a string");
        if (c < 0x20)
            return scan_fail(s, err, "a raw control character inside a string; write it as \\n, \\t or \\u00XX");
        s->pos++;
        if (c == '"')
            return 0;
        if (c != '\\')
            continue;
        c = peek(s);
        if (c <= 0 || !strchr("\"\\/bfnrtu", c))
            return scan_fail(s, err, "an unknown escape behind a backslash");
        s->pos++;
        if (c == 'u') {
            r = scan_unicode_escape(s, err);
            if (r < 0)
                return r;
        }
    }
}

static size_t scan_digits(Scan *s)
{
    size_t start = s->pos;

    while (is_digit(peek(s)))
        s->pos++;
    return s->pos - start;
}

static int scan_number(Scan *s, Error *err)
{
    size_t start = s->pos;

    if (peek(s) == '-')
        s->pos++;
    if (peek(s) == '0')
        s->pos++;
    else if (scan_digits(s) == 0)
        return scan_fail(s, err, "a value was expected");
    if (is_digit(peek(s)))
        return scan_fail(s, err, "a number with a leading zero");
    if (peek(s) == '.') {
        s->pos++;
        if (scan_digits(s) == 0)
            return scan_fail(s, err, "a number that ends in its decimal point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->pos++;
        if (peek(s) == '+' || peek(s) == '-')
            s->pos++;
        if (scan_digits(s) == 0)
            return scan_fail(s, err, "a number without digits in its exponent");
    }
    if (s->pos - start > NUMBER_LENGTH_MAX)
        return scan_fail(s, err, "a number of more than 60 characters");
    return 0;
}

static int scan_scalar(Scan *s, Error *err)
{
    static const char *const words[] = { "true", "false", "null" };

    if (peek(s) == '"')
        return scan_string(s, err);
    for (size_t i = 0; i < ELEMENTSOF(words); i++) {
        size_t n = strlen(words[i]);

        if (s->len - s->pos >= n && memcmp(s->text + s->pos, words[i], n) == 0) {
            s->pos += n;
            return 0;
        }
    }
    return scan_number(s, err);
}

/* A member's key and colon, up to its value. */
static int scan_key(Scan *s, Error *err)
{
    int r;

    if (peek(s) != '"')
        return scan_fail(s, err, "a member of an object must start with a key in double quotes");
    r = scan_string(s, err);
    if (r < 0)
        return r;
    scan_space(s);
    if (peek(s) != ':')
        return scan_fail(s, err, "a colon was expected behind a key");
    s->pos++;
    scan_space(s);
    return 0;
}

/* At a bracket: 1 when the level is open and a value follows, 0 when it was empty. */
static int scan_open(Scan *s, Error *err)
{
    char closer = s->text[s->pos] == '{' ? '}' : ']';

    if (s->depth == JSON_DEPTH_MAX)
        return scan_fail_as(s, err, "json.too-deep", "nested deeper than 32 levels");
    s->pos++;
    scan_space(s);
    if (peek(s) == closer) {
        s->pos++;
        return 0;
    }
    s->closers[s->depth++] = closer;
    if (closer == '}') {
        int r = scan_key(s, err);

        if (r < 0)
            return r;
    }
    return 1;
}

/* Behind a value: 1 when another one follows, 0 at the end of the document. */
static int scan_after_value(Scan *s, Error *err)
{
    for (;;) {
        char closer;

        scan_space(s);
        if (s->depth == 0)
            return s->pos == s->len ? 0 : scan_fail(s, err, "something follows the end of the value");
        closer = s->closers[s->depth - 1];
        if (peek(s) == ',') {
            s->pos++;
            scan_space(s);
            if (closer == '}') {
                int r = scan_key(s, err);

                if (r < 0)
                    return r;
            }
            return 1;
        }
        if (peek(s) != closer)
            return scan_fail(s, err, closer == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
        s->pos++;
        s->depth--;
    }
}

static int scan_document(Scan *s, Error *err)
{
    int r = 1;

    scan_space(s);
    if (s->pos == s->len)
        return scan_fail(s, err, "there is no value");
    while (r > 0) {
        if (++s->values > JSON_VALUES_MAX)
            return scan_fail_as(s, err, "json.too-large", "more values than are accepted in one text");
        if (peek(s) == '{' || peek(s) == '[') {
            r = scan_open(s, err);
            if (r != 0)
                continue;
        } else {
            r = scan_scalar(s, err);
            if (r < 0)
                break;
        }
        r = scan_after_value(s, err);
    }
    return r;
}

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

    cJSON_ArrayForEach(item, object) n++;
    members = calloc(n + 1, sizeof(*members));
    if (!members)
        return NULL;
    n = 0;
    cJSON_ArrayForEach(item, object) members[n++] = item;
    if (n > 1)
        qsort(members, n, sizeof(*members), compare_keys);
    *ret_n = n;
    return members;
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
            return error_set_at(err, EBADMSG, "json.duplicate-key", NULL, 0, members[i]->string,
                                "the JSON key \"%.64s\" stands twice in one object; remove one", members[i]->string);
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
    Scan scan = { .text = text, .len = len };
    int r;

    if (len > JSON_SIZE_MAX)
        return error_set(err, EMSGSIZE, "json.too-large", "JSON of %zu bytes; at most %d are accepted", len,
                         JSON_SIZE_MAX);
    if (!utf8_is_valid(text, len))
        return error_set(err, EBADMSG, "json.not-utf8", "the JSON text is not valid UTF-8");
    r = scan_document(&scan, err);
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
    if (!cJSON_IsString(item) || !is_digit(item->valuestring[0]))
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
