/* SPDX-License-Identifier: MIT */
/* Manifests come from the network: every digest is checked for its form before it is used in a URL or compared. */
#include "lib/data/image-manifest.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/strv.h"
#include "lib/data/image-ref.h"
#include "lib/data/json.h"

static const struct {
    const char *media_type;
    ManifestKind kind;
} kinds[] = {
    { "application/vnd.oci.image.index.v1+json", MANIFEST_INDEX },
    { "application/vnd.docker.distribution.manifest.list.v2+json", MANIFEST_INDEX },
    { "application/vnd.oci.image.manifest.v1+json", MANIFEST_IMAGE },
    { "application/vnd.docker.distribution.manifest.v2+json", MANIFEST_IMAGE },
};

/* uname's word → the registry's, with the variants that c/image accepts in its order. */
static const struct {
    const char *machine;
    Platform platform;
} machines[] = {
    { "x86_64", { "linux", "amd64", { "" } } },
    { "aarch64", { "linux", "arm64", { "v8", "" } } },
    { "armv8l", { "linux", "arm", { "v8", "v7", "v6", "v5" } } },
    { "armv7l", { "linux", "arm", { "v7", "v6", "v5", "" } } },
    { "armv6l", { "linux", "arm", { "v6", "v5", "" } } },
    { "i686", { "linux", "386", { "" } } },
    { "riscv64", { "linux", "riscv64", { "" } } },
    { "ppc64le", { "linux", "ppc64le", { "" } } },
    { "s390x", { "linux", "s390x", { "" } } },
};

ManifestKind manifest_kind_of(const char *media_type)
{
    size_t len = media_type ? strcspn(media_type, "; \t") : 0;

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (strlen(kinds[i].media_type) == len && strncasecmp(kinds[i].media_type, media_type, len) == 0)
            return kinds[i].kind;
    return MANIFEST_UNKNOWN;
}

Platform platform_of_machine(const char *machine)
{
    for (size_t i = 0; i < ELEMENTSOF(machines); i++)
        if (str_equal(machines[i].machine, machine))
            return machines[i].platform;
    return (Platform) { "linux", machine, { "" } };
}

void manifest_done(Manifest *m)
{
    free(m->platform_digest);
    free(m->config_digest);
    *m = (Manifest) {};
}

void local_image_done(LocalImage *l)
{
    free(l->id);
    free(l->digest);
    strv_free(l->repo_digests);
    *l = (LocalImage) {};
}

void remote_image_done(RemoteImage *r)
{
    free(r->digest);
    free(r->platform_digest);
    free(r->config_digest);
    *r = (RemoteImage) {};
}

static const cJSON *find_entry(const cJSON *manifests, const Platform *platform, const char *variant)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, manifests) {
        const cJSON *p = cJSON_GetObjectItemCaseSensitive(entry, "platform");
        const char *has = json_string(p, "variant");

        if (str_equal(json_string(p, "os"), platform->os) &&
            str_equal(json_string(p, "architecture"), platform->architecture) && str_equal(has ? has : "", variant))
            return entry;
    }
    return NULL;
}

static int take_digest(const cJSON *descriptor, const char *what, char **ret, Error *err)
{
    const char *digest = json_string(descriptor, "digest");

    if (!image_digest_is_valid(digest))
        return error_set(err, EBADMSG, "manifest.bad", "the manifest has no valid digest for %s", what);
    *ret = strdup(digest);
    return *ret ? 0 : error_set(err, ENOMEM, "manifest.bad", "no memory");
}

/* The first that says nothing of its platform, which podman then takes. */
static const cJSON *find_unlabelled(const cJSON *manifests)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, manifests) {
        const cJSON *platform = cJSON_GetObjectItemCaseSensitive(entry, "platform");

        if (!platform || cJSON_IsNull(platform))
            return entry;
    }
    return NULL;
}

/* is_list: docker's kind of index, whose entries all have a platform. */
static int read_index(const cJSON *o, const Platform *platform, bool is_list, Manifest *m, Error *err)
{
    const cJSON *manifests = cJSON_GetObjectItemCaseSensitive(o, "manifests"), *entry = NULL;

    if (!cJSON_IsArray(manifests))
        return error_set(err, EBADMSG, "manifest.bad", "the index has no list of manifests");
    for (const char *const *v = platform->variants; *v && !entry; v++)
        entry = find_entry(manifests, platform, *v);
    if (!entry && !is_list)
        entry = find_unlabelled(manifests);
    return entry ? take_digest(entry, "this platform", &m->platform_digest, err) : 0;
}

static bool is_docker_list(const char *media_type, const char *own)
{
    return strstr(manifest_kind_of(media_type) == MANIFEST_UNKNOWN ? own : media_type, "docker") != NULL;
}

int manifest_parse(const char *body, size_t len, const char *media_type, const Platform *platform, Manifest *ret,
                   Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(manifest_done) Manifest m = {};
    _cleanup_(error_done) Error why = {};
    const char *own;
    int r = json_parse_object(body, len, &o, &why);

    if (r < 0)
        return error_set(err, EBADMSG, "manifest.bad", "the manifest is no usable JSON: %s", error_message(&why, r));
    own = json_string(o, "mediaType");
    m.kind = manifest_kind_of(media_type);
    if (m.kind == MANIFEST_UNKNOWN)
        m.kind = manifest_kind_of(own);
    /* one body under two types is how a list is passed off as an image (CVE-2021-41190) */
    if (own && m.kind != MANIFEST_UNKNOWN && manifest_kind_of(own) != m.kind)
        return error_set(err, EBADMSG, "manifest.bad",
                         "the manifest calls itself something else than its Content-Type does");
    if (m.kind == MANIFEST_INDEX)
        r = read_index(o, platform, is_docker_list(media_type, own), &m, err);
    else if (m.kind == MANIFEST_IMAGE)
        r = take_digest(cJSON_GetObjectItemCaseSensitive(o, "config"), "the configuration", &m.config_digest, err);
    else
        r = error_set(err, EBADMSG, "manifest.unsupported", "the manifest is of a kind that is not known here (%.100s)",
                      media_type ? media_type
                      : own      ? own
                                 : "it does not say which");
    if (r < 0)
        return r;
    *ret = m;
    m = (Manifest) {};
    return 0;
}

static bool is_recorded(const LocalImage *local, const char *digest)
{
    if (!digest)
        return false;
    if (str_equal(local->digest, digest))
        return true;
    for (char *const *d = local->repo_digests; d && *d; d++) {
        const char *at = strrchr(*d, '@');

        if (at && str_equal(at + 1, digest))
            return true;
    }
    return false;
}

ImageVerdict image_compare(const LocalImage *local, const RemoteImage *remote)
{
    if (is_recorded(local, remote->digest) || is_recorded(local, remote->platform_digest))
        return IMAGE_CURRENT;
    if (remote->config_digest) {
        const char *hex = strchr(remote->config_digest, ':');

        return local->id && hex && str_equal(local->id, hex + 1) ? IMAGE_CURRENT : IMAGE_NEW;
    }
    return remote->kind == MANIFEST_INDEX && !remote->platform_digest ? IMAGE_ASK_INDEX : IMAGE_ASK_MANIFEST;
}
