/* SPDX-License-Identifier: MIT */
/* Lists and maps of text in their several spellings, and command lines split into words. */
#include <errno.h>
#include <string.h>

#include "compose/normalise/normalise.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

int take_texts(const Place *at, cJSON *array)
{
    const char *value = NULL;
    int r;

    if (at->node->type == YAML_SCALAR) {
        r = take_text(at, &value);
        return r < 0 ? r : append_text(array, value);
    }
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);

        r = take_text(&item, &value);
        if (r >= 0)
            r = append_text(array, value);
        if (r < 0)
            return r;
    }
    return 0;
}

static int put_unique(const Place *at, cJSON *object, const char *key, const char *value)
{
    if (!*key)
        return place_fail(at, EINVAL, "compose.bad-value", "a name is missing before the =");
    if (cJSON_GetObjectItemCaseSensitive(object, key))
        return place_fail(at, EINVAL, "compose.bad-value", "%s is there twice; remove one", key);
    return put_text(object, key, value);
}

static int take_pair(const Place *at, cJSON *object)
{
    _cleanup_(freep) char *key = NULL;
    const char *value = NULL, *equals;
    int r = take_any_text(at, &value);

    if (r < 0)
        return r;
    equals = strchrnul(value, '=');
    key = strndup(value, (size_t) (equals - value));
    if (!key)
        return -ENOMEM;
    return put_unique(at, object, key, *equals ? equals + 1 : "");
}

int take_map(const Place *at, cJSON *object)
{
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        const char *value = "";
        int r = 0;

        if (!item.key) {
            r = take_pair(&item, object);
        } else {
            if (!yaml_is_null(item.node))
                r = take_any_text(&item, &value);
            if (r >= 0)
                r = put_unique(&item, object, item.key, value);
        }
        if (r < 0)
            return r;
    }
    members_sort(object);
    return 0;
}

/* One character (or escaped pair) outside or inside of quotes; `quote` is 0, ' or ". */
static int scan_word_part(const char **p, char *quote, Buf *word)
{
    char c = *(*p)++;

    if (c == '\\' && *quote != '\'') {
        if (!**p)
            return -EINVAL;
        if (*quote == '"' && !strchr("\\\"$`\n", **p))
            return buf_append(word, "\\", 1);
        c = *(*p)++;
        return c == '\n' ? 0 : buf_append(word, &c, 1);
    }
    if (*quote ? c == *quote : c == '\'' || c == '"') {
        *quote = *quote ? '\0' : c;
        return 0;
    }
    return buf_append(word, &c, 1);
}

static int scan_word(const char **p, Buf *word)
{
    char quote = '\0';

    while (**p && (quote || !strchr(" \t\n", **p))) {
        int r = scan_word_part(p, &quote, word);
        if (r < 0)
            return r;
    }
    return quote ? -EINVAL : 0;
}

static int split_words(const char *text, cJSON *array)
{
    for (const char *p = text + strspn(text, " \t\n"); *p; p += strspn(p, " \t\n")) {
        _cleanup_(buf_done) Buf word = BUF_INIT(INTERPOLATE_RESULT_MAX);
        int r = scan_word(&p, &word);

        if (r >= 0)
            r = append_text(array, word.len ? word.data : "");
        if (r < 0)
            return r;
    }
    return 0;
}

int take_words(const Place *at, cJSON *array)
{
    const char *value = NULL;
    int r;

    if (at->node->type == YAML_SCALAR) {
        r = take_any_text(at, &value);
        if (r >= 0)
            r = split_words(value, array);
        if (r == -EINVAL)
            return place_fail(at, EINVAL, "compose.bad-value", "a quote or backslash is left open; write it as a list");
        return r;
    }
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);

        r = take_any_text(&item, &value);
        if (r >= 0)
            r = append_text(array, value);
        if (r < 0)
            return r;
    }
    return 0;
}
