/* SPDX-License-Identifier: MIT */
/* One function to read a kind, one to write it, one to free it. */
#include "lib/data/json-fields.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

static void *place_of(const JsonField *f, const void *value)
{
    return (char *) value + f->at;
}

static size_t *count_of(const JsonField *f, const void *value)
{
    return (size_t *) (void *) ((char *) value + f->n_at);
}

static int read_string(const cJSON *item, char **ret)
{
    return cJSON_IsString(item) ? json_set(ret, item->valuestring) : -EINVAL;
}

static int read_strings(const cJSON *array, char ***ret)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, array)
        if (cJSON_IsString(item) && strv_add(ret, item->valuestring) < 0)
            return -ENOMEM;
    return cJSON_IsArray(array) ? 0 : -EINVAL;
}

static int read_bool(const cJSON *item, bool *ret)
{
    *ret = cJSON_IsTrue(item);
    return cJSON_IsBool(item) ? 0 : -EINVAL;
}

static int read_int(const cJSON *item, int *ret)
{
    *ret = cJSON_IsNumber(item) ? item->valueint : 0;
    return cJSON_IsNumber(item) ? 0 : -EINVAL;
}

static int read_count(const cJSON *object, const char *key, unsigned *ret)
{
    uint64_t n = 0;
    int r = json_u64(object, key, &n);

    if (r < 0 || n > INT32_MAX)
        return -EINVAL;
    *ret = (unsigned) n;
    return 0;
}

static int read_time(const cJSON *item, usec_t *ret)
{
    usec_t at;

    if (!cJSON_IsString(item) || timestamp_parse(item->valuestring, &at) < 0)
        return -EINVAL;
    *ret = at;
    return 0;
}

static int read_name(const cJSON *item, const char *const *names, int *ret)
{
    for (int i = 0; cJSON_IsString(item) && names[i]; i++)
        if (str_equal(names[i], item->valuestring)) {
            *ret = i;
            return 0;
        }
    return -EINVAL;
}

static int read_value(const cJSON *item, cJSON **ret)
{
    *ret = cJSON_Duplicate(item, 1);
    return *ret ? 0 : -ENOMEM;
}

static int worse(int a, int b)
{
    return a == -ENOMEM || b == 0 ? a : b;
}

static int read_list(const cJSON *array, const JsonField *f, void *ret)
{
    size_t *n = count_of(f, ret);
    const cJSON *item;
    char *items;
    int r = 0;

    if (!cJSON_IsArray(array))
        return -EINVAL;
    items = calloc((size_t) cJSON_GetArraySize(array) + 1, f->of->size);
    *(char **) place_of(f, ret) = items;
    if (!items)
        return -ENOMEM;
    cJSON_ArrayForEach(item, array)
        r = worse(cJSON_IsObject(item) ? json_read(item, f->of, items + (*n)++ * f->of->size) : -EINVAL, r);
    return r;
}

static int read_object(const cJSON *item, const JsonField *f, void **ret)
{
    if (!cJSON_IsObject(item))
        return -EINVAL;
    *ret = calloc(1, f->of->size);
    return !*ret || json_read(item, f->of, *ret) == -ENOMEM ? -ENOMEM : 0;
}

static bool is_named(const JsonType *type, const char *key)
{
    for (const JsonField *f = type->fields; f->kind; f++)
        if (f->key && str_equal(f->key, key))
            return true;
    return false;
}

static int read_rest(const cJSON *object, const JsonType *type, cJSON **ret)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, object) {
        if (is_named(type, item->string))
            continue;
        if (!*ret && !(*ret = cJSON_CreateObject()))
            return -ENOMEM;
        if (json_add_item(*ret, item->string, cJSON_Duplicate(item, 1)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int read_field(const cJSON *object, const JsonType *type, const JsonField *f, void *ret)
{
    const cJSON *item = f->key ? cJSON_GetObjectItemCaseSensitive(object, f->key) : NULL;
    void *place = place_of(f, ret);

    if (!item)
        return f->kind == JSON_REST ? read_rest(object, type, place) : 0;
    switch (f->kind) {
    case JSON_STRING:
        return read_string(item, place);
    case JSON_STRINGS:
        return read_strings(item, place);
    case JSON_BOOL:
        return read_bool(item, place);
    case JSON_INT:
        return read_int(item, place);
    case JSON_COUNT:
        return read_count(object, f->key, place);
    case JSON_U64:
        return json_u64(object, f->key, place);
    case JSON_TIME:
        return read_time(item, place);
    case JSON_NAME:
        return read_name(item, f->names, place);
    case JSON_LIST:
        return read_list(item, f, ret);
    case JSON_OBJECT:
        return read_object(item, f, place);
    case JSON_VALUE:
    case JSON_REST:
        break;
    }
    return read_value(item, place);
}

int json_read(const cJSON *object, const JsonType *type, void *ret)
{
    int r = 0;

    memset(ret, 0, type->size);
    for (const JsonField *f = type->fields; f->kind; f++)
        r = worse(read_field(object, type, f, ret), r);
    return r;
}

static int write_count(cJSON *o, const char *key, unsigned n)
{
    return n > 0 ? json_add_int(o, key, (int) n) : 0;
}

static int write_time(cJSON *o, const char *key, usec_t at)
{
    char text[TIMESTAMP_SIZE];

    return at > 0 ? json_add_string(o, key, timestamp_format(at, text)) : 0;
}

static int write_value(cJSON *o, const char *key, const cJSON *value)
{
    return value ? json_add_item(o, key, cJSON_Duplicate(value, 1)) : 0;
}

static int write_list(cJSON *o, const JsonField *f, const void *items, size_t n)
{
    return items ? json_add_item(o, f->key, json_write_list(f->of, items, n)) : 0;
}

static int write_object(cJSON *o, const JsonField *f, const void *item)
{
    return item ? json_add_item(o, f->key, json_write(f->of, item)) : 0;
}

static int write_strings(cJSON *o, const char *key, char *const *strings)
{
    cJSON *array;
    int r;

    if (!strings)
        return 0;
    array = cJSON_CreateArray();
    r = json_add_item(o, key, array);
    for (; r == 0 && *strings; strings++)
        r = json_append(array, cJSON_CreateString(*strings));
    return r;
}

static int write_rest(cJSON *o, const cJSON *rest)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, rest)
        if (r == 0)
            r = json_add_item(o, item->string, cJSON_Duplicate(item, 1));
    return r;
}

static int write_field(cJSON *o, const JsonField *f, const void *value)
{
    const void *place = place_of(f, value);

    switch (f->kind) {
    case JSON_STRING:
        return json_add_string(o, f->key, *(char *const *) place);
    case JSON_STRINGS:
        return write_strings(o, f->key, *(char **const *) place);
    case JSON_BOOL:
        return *(const bool *) place ? json_add_bool(o, f->key, true) : 0;
    case JSON_INT:
        return json_add_int(o, f->key, *(const int *) place);
    case JSON_COUNT:
        return write_count(o, f->key, *(const unsigned *) place);
    case JSON_U64:
        return json_add_u64(o, f->key, *(const uint64_t *) place);
    case JSON_TIME:
        return write_time(o, f->key, *(const usec_t *) place);
    case JSON_NAME:
        return json_add_string(o, f->key, f->names[*(const int *) place]);
    case JSON_LIST:
        return write_list(o, f, *(void *const *) place, *count_of(f, value));
    case JSON_OBJECT:
        return write_object(o, f, *(void *const *) place);
    case JSON_VALUE:
        return write_value(o, f->key, *(cJSON *const *) place);
    case JSON_REST:
        break;
    }
    return write_rest(o, *(cJSON *const *) place);
}

cJSON *json_write(const JsonType *type, const void *value)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    int r = o ? 0 : -ENOMEM;

    for (const JsonField *f = type->fields; r == 0 && f->kind; f++)
        r = write_field(o, f, value);
    return r < 0 ? NULL : TAKE_PTR(o);
}

cJSON *json_write_list(const JsonType *type, const void *items, size_t n)
{
    _cleanup_(cJSON_Deletep) cJSON *array = cJSON_CreateArray();
    int r = array ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = json_append(array, json_write(type, (const char *) items + i * type->size));
    return r < 0 ? NULL : TAKE_PTR(array);
}

int json_copy(const JsonType *type, const void *value, void *ret)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(type, value);

    return o ? json_read(o, type, ret) : -ENOMEM;
}

static void free_items(const JsonType *type, char *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_done(type, items + i * type->size);
    free(items);
}

void json_done(const JsonType *type, void *value)
{
    for (const JsonField *f = type->fields; f->kind; f++) {
        void *place = place_of(f, value);

        if (f->kind == JSON_STRING)
            free(*(char **) place);
        else if (f->kind == JSON_STRINGS)
            strv_free(*(char ***) place);
        else if (f->kind == JSON_VALUE || f->kind == JSON_REST)
            cJSON_Delete(*(cJSON **) place);
        else if (f->kind == JSON_LIST)
            free_items(f->of, *(void **) place, *count_of(f, value));
        else if (f->kind == JSON_OBJECT)
            free_items(f->of, *(void **) place, *(void **) place != NULL);
    }
    memset(value, 0, type->size);
}

void *json_list_add(const JsonType *type, void *list, size_t *n)
{
    char **items = list, *grown = reallocarray(*items, *n + 1, type->size);

    if (!grown)
        return NULL;
    *items = grown;
    return memset(grown + (*n)++ * type->size, 0, type->size);
}

void json_list_remove(const JsonType *type, void *items, size_t *n, size_t at)
{
    char *p = (char *) items + at * type->size;

    json_done(type, p);
    memmove(p, p + type->size, (--*n - at) * type->size);
}

int json_set(char **text, const char *with)
{
    char *copy = with ? strdup(with) : NULL;

    if (with && !copy)
        return -ENOMEM;
    free(*text);
    *text = copy;
    return 0;
}
