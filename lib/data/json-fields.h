/* SPDX-License-Identifier: MIT */
/* A struct as a JSON object, by a table of its members. Those that the table does not name are kept, where the struct has a place
 * for them: a file that another version wrote survives being read and written. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

typedef enum JsonKind {
    JSON_STRING = 1, /* char *; NULL is left out */
    JSON_STRINGS,    /* char **; what is no string is dropped */
    JSON_BOOL,       /* bool; false is left out */
    JSON_INT,        /* int */
    JSON_COUNT,      /* unsigned; 0 is left out */
    JSON_U64,        /* uint64_t, as a string */
    JSON_TIME,       /* usec_t of the wall clock, as a timestamp; 0 is left out */
    JSON_NAME,       /* an enum, by the names of its values */
    JSON_VALUE,      /* cJSON *, as it is; NULL is left out */
    JSON_LIST,       /* a pointer to structs, and their number; NULL is left out, an empty list is not */
    JSON_OBJECT,     /* a pointer to one struct; NULL is left out, and what is wrong in it counts as absent */
    JSON_REST,       /* cJSON *: the members that no other field names; NULL when there are none */
} JsonKind;

typedef struct JsonType JsonType;

typedef struct JsonField {
    const char *key;
    JsonKind kind;
    size_t at;
    size_t n_at;              /* JSON_LIST: of the size_t that counts */
    const JsonType *of;       /* JSON_LIST, JSON_OBJECT */
    const char *const *names; /* JSON_NAME: by value, up to NULL */
} JsonField;

struct JsonType {
    size_t size;
    const JsonField *fields; /* up to {} */
};

#define JSON_TYPE(Type, fields)                                                                                        \
    {                                                                                                                  \
        sizeof(Type), (fields)                                                                                         \
    }

#define _JSON_KIND_OF(member)                                                                                          \
    _Generic((member),                                                                                                 \
        char *: JSON_STRING,                                                                                           \
        char **: JSON_STRINGS,                                                                                         \
        bool: JSON_BOOL,                                                                                               \
        int: JSON_INT,                                                                                                 \
        unsigned: JSON_COUNT,                                                                                          \
        uint64_t: JSON_U64,                                                                                            \
        cJSON *: JSON_VALUE)

/* A row of a table: { JSON_FIELD(Thing, name, "name") }; of a list, whose number is in n_MEMBER. */
#define _JSON_ROW(Type, member, name, what) .key = (name), .kind = (what), .at = offsetof(Type, member)
#define JSON_FIELD(Type, member, name) _JSON_ROW(Type, member, name, _JSON_KIND_OF(((Type *) 0)->member))
#define JSON_TIME_FIELD(Type, member, name) _JSON_ROW(Type, member, name, JSON_TIME)
#define JSON_NAME_FIELD(Type, member, name, table) _JSON_ROW(Type, member, name, JSON_NAME), .names = (table)
#define JSON_LIST_FIELD(Type, member, name, type)                                                                      \
    _JSON_ROW(Type, member, name, JSON_LIST), .n_at = offsetof(Type, n_##member), .of = (type)
#define JSON_OBJECT_FIELD(Type, member, name, type) _JSON_ROW(Type, member, name, JSON_OBJECT), .of = (type)
#define JSON_REST_FIELD(Type, member) _JSON_ROW(Type, member, NULL, JSON_REST)

/* Fills the whole struct; an absent member is 0. -EINVAL: a member is not of its field's kind; that one is 0, and all others are
 * read. -ENOMEM: what was read so far. The struct is json_done()'s in any case. */
int json_read(const cJSON *object, const JsonType *type, void *ret) _must_check_;
/* NULL when out of memory. */
cJSON *json_write(const JsonType *type, const void *value);
/* The members of one list. */
cJSON *json_write_list(const JsonType *type, const void *items, size_t n);
int json_copy(const JsonType *type, const void *value, void *ret) _must_check_;
/* Frees what the struct owns, and makes it 0. */
void json_done(const JsonType *type, void *value);

/* One more item at the end of a list, all 0; NULL when out of memory. `list` is the address of its pointer. */
void *json_list_add(const JsonType *type, void *list, size_t *n);
void json_list_remove(const JsonType *type, void *items, size_t *n, size_t at);
/* Replaces a string that the struct owns; `with` may be NULL. */
int json_set(char **text, const char *with) _must_check_;
