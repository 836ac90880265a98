/* SPDX-License-Identifier: MIT */
/* Builds a tree from libyaml's events and stops at the first event that strict YAML does not allow, so that
 * libyaml never gets to do the work that a hostile file asks for. */
#include "lib/data/yaml.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"

/* keys are names; libyaml and others refuse simple keys from 1024 characters on */
#define KEY_LENGTH_MAX 200

typedef struct Builder {
    const char *file;
    YamlNode *root;
    YamlNode *open[YAML_DEPTH_MAX]; /* borrowed: from the root down to the collection being filled */
    size_t depth;
    char *key; /* read, its value not yet */
    unsigned key_line;
    size_t n_events;
    size_t n_documents;
} Builder;

static void builder_done(Builder *b)
{
    yaml_node_free(b->root);
    free(b->key);
}

YamlNode *yaml_node_free(YamlNode *node)
{
    if (!node)
        return NULL;
    for (size_t i = 0; i < node->n_items; i++)
        yaml_node_free(node->items[i]);
    free(node->items);
    free(node->key);
    free(node->value);
    free(node);
    return NULL;
}

static unsigned event_line(const yaml_event_t *event)
{
    return (unsigned) event->start_mark.line + 1;
}

static int fail(const Builder *b, Error *err, const yaml_event_t *event, const char *id, const char *message)
{
    return error_set_at(err, EINVAL, id, b->file, event_line(event), NULL, "%s", message);
}

/* --- before libyaml --- */

/* What libyaml would take for a line break or not at all, and then count lines otherwise than an editor. */
static bool is_foreign_character(const char *s, size_t left)
{
    unsigned char c = (unsigned char) *s;

    if (c == '\r')
        return left < 2 || s[1] != '\n';
    if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
        return true;
    if (c == 0xc2 && left > 1)
        return (unsigned char) s[1] < 0xa0;
    return left > 2 && (memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0 ||
                        memcmp(s, "\xef\xbb\xbf", 3) == 0);
}

/* One pass over the bytes. A directive is refused here because libyaml compares every %TAG with all before
 * it. */
static int check_text(const char *text, size_t len, const char *file, Error *err)
{
    unsigned line = 1;

    if (len > YAML_SIZE_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-large", file, 0, NULL, "%zu bytes, and at most %d are accepted",
                            len, YAML_SIZE_MAX);
    if (!utf8_is_valid(text, len))
        return error_set_at(err, EINVAL, "yaml.not-utf8", file, 0, NULL,
                            "the text is not UTF-8; save the file as UTF-8");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && (i == 0 || text[i - 1] == '\n'))
            return error_set_at(err, EINVAL, "yaml.syntax", file, line, NULL,
                                "a line starts with %%; directives are not accepted, remove the line");
        if (is_foreign_character(text + i, len - i))
            return error_set_at(err, EINVAL, "yaml.syntax", file, line, NULL,
                                "control character 0x%02x; remove it (a byte order mark and lone carriage returns "
                                "are not accepted either)",
                                (unsigned) (unsigned char) text[i]);
        if (text[i] == '\n')
            line++;
    }
    return 0;
}

/* --- the tree --- */

static int node_add_item(YamlNode *parent, YamlNode *child)
{
    size_t n = parent->n_items;

    /* full exactly at 0 and the powers of two */
    if ((n & (n - 1)) == 0) {
        YamlNode **items = reallocarray(parent->items, n ? n * 2 : 1, sizeof(*items));
        if (!items)
            return -ENOMEM;
        parent->items = items;
    }
    parent->items[parent->n_items++] = child;
    return 0;
}

static YamlNode *builder_top(const Builder *b)
{
    return b->depth ? b->open[b->depth - 1] : NULL;
}

/* Puts a new node where the builder stands. Takes ownership, also on failure. */
static int builder_attach(Builder *b, YamlNode *node)
{
    YamlNode *top = builder_top(b);

    if (!top) {
        b->root = node;
        return 0;
    }
    if (top->type == YAML_MAPPING) {
        node->key = TAKE_PTR(b->key);
        node->key_line = b->key_line;
    }
    if (node_add_item(top, node) < 0) {
        yaml_node_free(node);
        return -ENOMEM;
    }
    return 0;
}

static int builder_check_properties(const Builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
                                    const yaml_char_t *tag, Error *err)
{
    if (anchor)
        return fail(b, err, event, "yaml.anchor", "anchors (&name) are not accepted; write the value out");
    if (tag)
        return fail(b, err, event, "yaml.tag", "tags (!name) are not accepted; remove the tag");
    return 0;
}

static int builder_take_key(Builder *b, const yaml_event_t *event, Error *err)
{
    const char *value = (const char *) event->data.scalar.value;
    size_t len = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (plain && strcmp(value, "<<") == 0)
        return fail(b, err, event, "yaml.merge-key", "merge keys (<<) are not accepted; write the members out");
    if (len == 0 || len > KEY_LENGTH_MAX)
        return error_set_at(err, EINVAL, "yaml.syntax", b->file, event_line(event), NULL,
                            "a key has %zu bytes; 1 to %d are accepted", len, KEY_LENGTH_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char) value[i] < 0x20)
            return fail(b, err, event, "yaml.syntax", "a key holds a control character");
    b->key = strdup(value);
    b->key_line = event_line(event);
    return b->key ? 0 : -ENOMEM;
}

static int builder_scalar(Builder *b, const yaml_event_t *event, Error *err)
{
    const char *value = (const char *) event->data.scalar.value;
    YamlNode *top = builder_top(b);
    YamlNode *node;

    /* event->data.scalar.tag is NULL for untagged values, quoted or not */
    int r = builder_check_properties(b, event, event->data.scalar.anchor, event->data.scalar.tag, err);
    if (r < 0)
        return r;
    if (strlen(value) != event->data.scalar.length)
        return fail(b, err, event, "yaml.syntax", "a value holds a NUL character");
    if (top && top->type == YAML_MAPPING && !b->key)
        return builder_take_key(b, event, err);
    node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    node->type = YAML_SCALAR;
    node->line = event_line(event);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->value = strdup(value);
    if (!node->value) {
        yaml_node_free(node);
        return -ENOMEM;
    }
    return builder_attach(b, node);
}

static int builder_open(Builder *b, const yaml_event_t *event, YamlType type, Error *err)
{
    YamlNode *top = builder_top(b);
    YamlNode *node;
    int r;

    if (top && top->type == YAML_MAPPING && !b->key)
        return fail(b, err, event, "yaml.syntax", "a key must be text, not a list or a mapping");
    if (b->depth == YAML_DEPTH_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-deep", b->file, event_line(event), NULL,
                            "nested deeper than %d levels", YAML_DEPTH_MAX);
    node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    node->type = type;
    node->line = event_line(event);
    r = builder_attach(b, node);
    if (r >= 0)
        b->open[b->depth++] = node;
    return r;
}

static int compare_members(const void *a, const void *b)
{
    const YamlNode *x = *(YamlNode *const *) a, *y = *(YamlNode *const *) b;
    int c = strcmp(x->key, y->key);

    return c ? c : (x->key_line > y->key_line) - (x->key_line < y->key_line);
}

static int check_duplicates(const Builder *b, const YamlNode *mapping, Error *err)
{
    _cleanup_(freep) YamlNode **sorted = NULL;

    if (mapping->n_items < 2)
        return 0;
    sorted = calloc(mapping->n_items, sizeof(YamlNode *));
    if (!sorted)
        return -ENOMEM;
    memcpy(sorted, mapping->items, mapping->n_items * sizeof(YamlNode *));
    qsort(sorted, mapping->n_items, sizeof(YamlNode *), compare_members);
    for (size_t i = 1; i < mapping->n_items; i++)
        if (str_equal(sorted[i - 1]->key, sorted[i]->key))
            return error_set_at(err, EINVAL, "yaml.duplicate-key", b->file, sorted[i]->key_line, sorted[i]->key,
                                "the key %s is there twice, first on line %u; remove one", sorted[i]->key,
                                sorted[i - 1]->key_line);
    return 0;
}

static int builder_close(Builder *b, Error *err)
{
    YamlNode *node = b->open[--b->depth];

    return node->type == YAML_MAPPING ? check_duplicates(b, node, err) : 0;
}

static int builder_event(Builder *b, const yaml_event_t *event, Error *err)
{
    int r;

    if (++b->n_events > YAML_EVENTS_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-many-nodes", b->file, event_line(event), NULL,
                            "more than %d values, keys and brackets", YAML_EVENTS_MAX);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->n_documents++ == 0)
            return 0;
        return fail(b, err, event, "yaml.multiple-documents", "a second document starts here; only one is accepted");
    case YAML_ALIAS_EVENT:
        return fail(b, err, event, "yaml.alias", "aliases (*name) are not accepted; write the value out");
    case YAML_SCALAR_EVENT:
        return builder_scalar(b, event, err);
    case YAML_SEQUENCE_START_EVENT:
        r = builder_check_properties(b, event, event->data.sequence_start.anchor, event->data.sequence_start.tag, err);
        return r < 0 ? r : builder_open(b, event, YAML_SEQUENCE, err);
    case YAML_MAPPING_START_EVENT:
        r = builder_check_properties(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag, err);
        return r < 0 ? r : builder_open(b, event, YAML_MAPPING, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return builder_close(b, err);
    default:
        return 0;
    }
}

static int parser_failure(const yaml_parser_t *parser, const char *file, Error *err)
{
    unsigned line = (unsigned) parser->problem_mark.line + 1;
    const char *problem = parser->problem ? parser->problem : "not readable";

    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    return error_set_at(err, EINVAL, "yaml.syntax", file, line, NULL,
                        "not valid YAML: %s%s%s (check indentation, quotes and tabs here and on the line before)",
                        parser->context ? parser->context : "", parser->context ? ", " : "", problem);
}

static int parse_events(yaml_parser_t *parser, Builder *b, Error *err)
{
    for (;;) {
        yaml_event_t event;
        bool end;
        int r;

        if (!yaml_parser_parse(parser, &event))
            return parser_failure(parser, b->file, err);
        end = event.type == YAML_STREAM_END_EVENT;
        r = builder_event(b, &event, err);
        yaml_event_delete(&event);
        if (r < 0 || end)
            return r;
    }
}

int yaml_parse(const char *text, size_t len, const char *file, YamlNode **ret, Error *err)
{
    _cleanup_(builder_done) Builder b = { .file = file };
    yaml_parser_t parser;
    int r;

    r = check_text(text, len, file, err);
    if (r < 0)
        return r;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *) text, len);
    r = parse_events(&parser, &b, err);
    yaml_parser_delete(&parser);
    if (r < 0)
        return error_from_errno(err, r, "cannot read %s", file ? file : "YAML");
    if (!b.root || yaml_is_null(b.root))
        return error_set_at(err, EINVAL, "yaml.empty", file, 1, NULL, "there is nothing in it");
    *ret = TAKE_PTR(b.root);
    return 0;
}

YamlNode *yaml_node_copy(const YamlNode *node)
{
    _cleanup_(yaml_node_freep) YamlNode *copy = calloc(1, sizeof(*copy));

    if (!copy)
        return NULL;
    copy->type = node->type;
    copy->line = node->line;
    copy->key_line = node->key_line;
    copy->plain = node->plain;
    if (node->key && !(copy->key = strdup(node->key)))
        return NULL;
    if (node->value && !(copy->value = strdup(node->value)))
        return NULL;
    for (size_t i = 0; i < node->n_items; i++) {
        YamlNode *item = yaml_node_copy(node->items[i]);
        if (!item)
            return NULL;
        if (node_add_item(copy, item) < 0) {
            yaml_node_free(item);
            return NULL;
        }
    }
    return TAKE_PTR(copy);
}

const YamlNode *yaml_get(const YamlNode *node, const char *key)
{
    if (!node || node->type != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < node->n_items; i++)
        if (str_equal(node->items[i]->key, key))
            return node->items[i];
    return NULL;
}

static bool is_one_of(const char *s, const char *const words[static 5])
{
    for (size_t i = 0; words[i]; i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

bool yaml_is_null(const YamlNode *node)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };

    return node && node->type == YAML_SCALAR && node->plain && is_one_of(node->value, nulls);
}

bool yaml_is_bool(const YamlNode *node, bool *ret)
{
    static const char *const yes[] = { "true", "True", "TRUE", NULL, NULL };
    static const char *const no[] = { "false", "False", "FALSE", NULL, NULL };
    bool value;

    if (!node || node->type != YAML_SCALAR || !node->plain)
        return false;
    value = is_one_of(node->value, yes);
    if (!value && !is_one_of(node->value, no))
        return false;
    *ret = value;
    return true;
}
