/* SPDX-License-Identifier: MIT */
/* The grammar of image names: a host is told from a path by its dot, colon or "localhost". */
#include "lib/data/image-ref.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

#define DIGEST_PREFIX "sha256:"
#define TAG_MAX 128

void image_ref_done(ImageRef *r)
{
    free(r->registry);
    free(r->path);
    free(r->tag);
    free(r->digest);
    *r = (ImageRef) {};
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_hex(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
    return true;
}

bool image_digest_is_valid(const char *text)
{
    return text && str_starts(text, DIGEST_PREFIX) && strlen(text) == IMAGE_DIGEST_SIZE - 1 &&
           is_hex(text + strlen(DIGEST_PREFIX), 64);
}

int image_digest_of(const char *body, size_t len, char ret[static IMAGE_DIGEST_SIZE])
{
    memcpy(ret, DIGEST_PREFIX, strlen(DIGEST_PREFIX));
    return sha256_hex(body, len, ret + strlen(DIGEST_PREFIX));
}

/* Letters and digits, joined by ".", "_", "__" or any number of "-". */
static bool component_is_valid(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t start = i;

        while (i < len && is_lower_or_digit(s[i]))
            i++;
        if (i == start)
            return false;
        if (i == len)
            return true;
        if (s[i] == '.')
            i++;
        else if (s[i] == '_')
            i += i + 1 < len && s[i + 1] == '_' ? 2 : 1;
        else if (s[i] == '-')
            while (i < len && s[i] == '-')
                i++;
        else
            return false;
    }
    return false;
}

static bool path_is_valid(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");

        if (!component_is_valid(path, len))
            return false;
        if (!path[len])
            return true;
        path += len + 1;
    }
}

static bool tag_is_valid(const char *tag)
{
    if (!isalnum((unsigned char) tag[0]) && tag[0] != '_')
        return false;
    for (const char *c = tag; *c; c++)
        if (!isalnum((unsigned char) *c) && !strchr("_.-", *c))
            return false;
    return strlen(tag) <= TAG_MAX;
}

static bool host_is_valid(const char *host)
{
    const char *end = host[0] == '[' ? strchr(host, ']') : NULL;
    size_t len = end ? (size_t) (end + 1 - host) : strcspn(host, ":");
    uint64_t port;

    if (host[len] && (host[len] != ':' || str_to_u64(host + len + 1, 1, 65535, &port) < 0))
        return false;
    if (end) {
        for (const char *c = host + 1; c < end; c++)
            if (!isxdigit((unsigned char) *c) && *c != ':')
                return false;
        return end > host + 1;
    }
    for (size_t i = 0; i < len; i++) {
        bool first = i == 0 || host[i - 1] == '.', last = i + 1 == len || host[i + 1] == '.';

        /* a dot may not begin or end a label, and so not stand beside another or at either end */
        if (!isalnum((unsigned char) host[i]) && (first || (last && host[i] == '-') || !strchr("-.", host[i])))
            return false;
    }
    return len > 0 && host[len - 1] != '.';
}

static bool is_docker_hub(const char *host)
{
    return str_equal(host, "docker.io") || str_equal(host, "index.docker.io");
}

/* The name without tag and digest, into registry and path. */
static int take_name(ImageRef *r, const char *name, const char *text, Error *err)
{
    const char *slash = strchr(name, '/');
    size_t len = slash ? (size_t) (slash - name) : 0;
    bool is_host = slash && (memchr(name, '.', len) || memchr(name, ':', len) || name[0] == '[' ||
                             (len == strlen("localhost") && strncmp(name, "localhost", len) == 0));

    if (!is_host && !path_is_valid(name))
        return error_set(err, EINVAL, "image.bad-reference", "\"%.200s\" is no name of an image", text);
    if (!is_host)
        return error_set(
            err, EINVAL, "image.short-name",
            "\"%.200s\" does not say which registry it is in, so it cannot be watched; give a full name, such as "
            "docker.io/library/%.100s",
            text, text);
    r->registry = strndup(name, len);
    if (r->registry && is_docker_hub(r->registry)) {
        free(r->registry);
        r->registry = strdup("docker.io");
        r->path = str_format("%s%s", strchr(slash + 1, '/') ? "" : "library/", slash + 1);
    } else {
        r->path = strdup(slash + 1);
    }
    if (!r->registry || !r->path)
        return error_set(err, ENOMEM, "image.bad-reference", "no memory");
    r->local = str_equal(r->registry, "localhost");
    if (!host_is_valid(r->registry) || !path_is_valid(r->path))
        return error_set(err, EINVAL, "image.bad-reference", "\"%.200s\" is no name of an image", text);
    return 0;
}

int image_ref_parse(const char *text, ImageRef *ret, Error *err)
{
    _cleanup_(image_ref_done) ImageRef r = {};
    _cleanup_(freep) char *name = strdup(text);
    char *at, *colon;
    int k;

    if (!name)
        return error_set(err, ENOMEM, "image.bad-reference", "no memory");
    if (strlen(text) > IMAGE_NAME_MAX)
        return error_set(err, EINVAL, "image.bad-reference", "the name of an image is longer than %d bytes",
                         IMAGE_NAME_MAX);
    at = strchr(name, '@');
    if (at) {
        *at = '\0';
        if (!image_digest_is_valid(at + 1))
            return error_set(err, EINVAL, "image.bad-reference",
                             "\"%.200s\": a digest is sha256: and 64 hexadecimal digits", text);
        r.digest = strdup(at + 1);
    }
    colon = strrchr(name, ':');
    if (colon && !strchr(colon, '/')) {
        *colon = '\0';
        if (!tag_is_valid(colon + 1))
            return error_set(err, EINVAL, "image.bad-reference", "\"%.200s\" has no valid tag", text);
    } else {
        colon = NULL;
    }
    r.tag = strdup(colon ? colon + 1 : "latest");
    if (!r.tag || (at && !r.digest))
        return error_set(err, ENOMEM, "image.bad-reference", "no memory");
    k = take_name(&r, name, text, err);
    if (k < 0)
        return k;
    *ret = r;
    r = (ImageRef) {};
    return 0;
}

char *image_ref_print(const ImageRef *r, const char *digest)
{
    return str_format("%s/%s%s%s", r->registry, r->path, digest ? "@" : ":", digest ? digest : r->tag);
}

size_t image_repository_length(const char *image)
{
    const char *slash = strrchr(image, '/'), *colon = strrchr(image, ':');

    return colon && (!slash || colon > slash) ? (size_t) (colon - image) : strlen(image);
}

bool image_name_is_short(const char *image)
{
    size_t first = strcspn(image, "/");

    if (!image[first])
        return true;
    return !memchr(image, '.', first) && !memchr(image, ':', first) &&
           !(first == strlen("localhost") && strncmp(image, "localhost", first) == 0);
}

char *image_docker_name(const char *image)
{
    return str_format("docker.io/%s%s", strchr(image, '/') ? "" : "library/", image);
}
