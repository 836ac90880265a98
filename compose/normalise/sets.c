/* SPDX-License-Identifier: MIT */
/* Lists whose entries have a form of their own and whose order means nothing. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "compose/normalise/normalise.h"
#include "lib/base/strv.h"

/* Replaces every text of the list by what `change` makes of it, then sorts. */
static int normalise_set(const Place *at, ComposeService *s, int (*change)(const Place *, const char *, char **))
{
    cJSON *array = put_array(s->config, at->key);

    if (!array)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        _cleanup_(freep) char *changed = NULL;
        Place item = place_child(at, i);
        const char *text = NULL;
        int r = take_text(&item, &text);

        if (r >= 0)
            r = change(&item, text, &changed);
        if (r >= 0)
            r = append_text(array, changed);
        if (r < 0)
            return r;
    }
    set_normalise(array);
    return 0;
}

static int change_capability(const Place *at, const char *text, char **ret)
{
    char *name;

    if (strncasecmp(text, "CAP_", 4) == 0)
        text += 4;
    if (!*text || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != strlen(text))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no capability, like NET_ADMIN", text);
    name = strdup(text);
    if (!name)
        return -ENOMEM;
    for (char *p = name; *p; p++)
        *p = (char) toupper((unsigned char) *p);
    *ret = name;
    return 0;
}

int normalise_capabilities(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return normalise_set(at, s, change_capability);
}

/* An address, in brackets or not, or the word for the box itself; without the brackets in *ret. */
static int take_host_address(const Place *at, const char *text, char **ret)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    size_t len = strlen(text);
    bool brackets = len > 2 && *text == '[' && text[len - 1] == ']';
    _cleanup_(freep) char *address = strndup(text + brackets, len - (brackets ? 2 : 0));

    if (!address)
        return -ENOMEM;
    if (!str_equal(address, "host-gateway") && inet_pton(AF_INET, address, bytes) != 1 &&
        inet_pton(AF_INET6, address, bytes) != 1)
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no IP address; write it like 10.0.0.1 or fd00::1",
                          text);
    *ret = TAKE_PTR(address);
    return 0;
}

/* Mapping, or list of NAME:ADDRESS or NAME=ADDRESS. */
int normalise_extra_hosts(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);

    (void) n;
    if (!array)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        _cleanup_(freep) char *line = NULL, *address = NULL;
        Place item = place_child(at, i);
        const char *text = NULL;
        size_t name;
        int r = take_text(&item, &text);

        if (r < 0)
            return r;
        name = item.key ? 0 : strcspn(text, ":=");
        if (item.key ? !*text : name == 0 || !text[name] || !text[name + 1])
            return place_fail(&item, EINVAL, "compose.bad-value", "\"%s\" is not NAME:ADDRESS", text);
        r = take_host_address(&item, item.key ? text : text + name + 1, &address);
        if (r < 0)
            return r;
        line = item.key ? str_format("%s:%s", item.key, address) : str_format("%.*s:%s", (int) name, text, address);
        if (!line || append_text(array, line) < 0)
            return -ENOMEM;
    }
    set_normalise(array);
    return 0;
}

int normalise_dns(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);
    const cJSON *item;
    int r = array ? take_texts(at, array) : -ENOMEM;

    (void) n;
    cJSON_ArrayForEach(item, array) {
        unsigned char bytes[sizeof(struct in6_addr)];

        if (r >= 0 && inet_pton(AF_INET, item->valuestring, bytes) != 1 &&
            inet_pton(AF_INET6, item->valuestring, bytes) != 1)
            return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no IP address of a name server",
                              item->valuestring);
    }
    return r;
}

/* Which of the host's or of its own namespaces a container has. */
int normalise_namespace(const Place *at, const Normaliser *n, ComposeService *s)
{
    static const struct {
        const char *key, *words[5];
    } known[] = {
        { "cgroup", { "host", "private" } }, { "ipc", { "host", "private", "shareable", "none" } },
        { "pid", { "host", "private" } },    { "userns_mode", { "host", "keep-id" } },
        { "uts", { "host", "private" } },
    };
    const char *text = NULL;
    int r = take_text(at, &text);

    if (r < 0 || !*text)
        return r;
    r = str_equal(at->key, "pid") || str_equal(at->key, "ipc") ? take_shared(at, n, s, text) : 0;
    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        for (size_t k = 0; str_equal(known[i].key, at->key) && known[i].words[k]; k++)
            if (str_equal(known[i].words[k], text))
                return put_text(s->config, at->key, text);
    return place_fail(at, EINVAL, "compose.unsupported-key", "`%s: %s` is not accepted; write `%s: host`, or remove it",
                      at->key, text, at->key);
}
