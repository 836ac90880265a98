/* SPDX-License-Identifier: MIT */
#include "lib/data/release-manifest.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/digest.h"
#include "lib/data/json-fields.h"

static const JsonField file_fields[] = {
    { JSON_FIELD(ReleaseFile, path, "path") },
    { JSON_FIELD(ReleaseFile, sha256, "sha256") },
    {},
};
static const JsonType file_type = JSON_TYPE(ReleaseFile, file_fields);

static const JsonField fields[] = {
    { JSON_FIELD(ReleaseManifest, version, "version") },
    { JSON_FIELD(ReleaseManifest, arch, "arch") },
    { JSON_LIST_FIELD(ReleaseManifest, files, "files", &file_type) },
    {},
};
static const JsonType type = JSON_TYPE(ReleaseManifest, fields);

const char *release_arch(void)
{
    static const struct {
        const char *machine, *arch;
    } known[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" } };
    struct utsname here;

    for (size_t i = 0; uname(&here) == 0 && i < ELEMENTSOF(known); i++)
        if (str_equal(here.machine, known[i].machine))
            return known[i].arch;
    return "unknown";
}

bool release_version_is_valid(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (len == 0 || len > RELEASE_VERSION_MAX || !isalnum((unsigned char) text[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isascii(text[i]) || (!isalnum((unsigned char) text[i]) && !strchr(".+~-", text[i])))
            return false;
    return true;
}

static bool is_digest(const char *hex)
{
    return hex && strlen(hex) == SHA256_HEX_SIZE - 1 && strspn(hex, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

static int check_files(const ReleaseManifest *m, Error *err)
{
    _cleanup_(map_freep) Map *seen = map_new(NULL);

    if (!seen)
        return error_from_errno(err, -ENOMEM, "cannot check a release");
    for (size_t i = 0; i < m->n_files; i++) {
        ReleaseFile *f = &m->files[i];

        if (!f->path || !bundle_path_is_valid(f->path) || str_equal(f->path, RELEASE_MANIFEST_NAME) ||
            !is_digest(f->sha256))
            return error_set(err, EBADMSG, "release.bad-manifest",
                             "file %zu of the release's " RELEASE_MANIFEST_NAME " lacks a good path or a SHA-256",
                             i + 1);
        if (map_get(seen, f->path))
            return error_set(err, EBADMSG, "release.bad-manifest",
                             "the release's " RELEASE_MANIFEST_NAME " names %.200s twice", f->path);
        if (map_put(seen, f->path, f) < 0)
            return error_from_errno(err, -ENOMEM, "cannot check a release");
    }
    if (!map_get(seen, "bin/secbox") || !map_get(seen, "bin/relay-client"))
        return error_set(err, EBADMSG, "release.bad-manifest",
                         "the release has to have bin/secbox and bin/relay-client in it: `make release` makes one");
    return 0;
}

static int check(const ReleaseManifest *m, Error *err)
{
    if (!release_version_is_valid(m->version) || str_empty(m->arch))
        return error_set(err, EBADMSG, "release.bad-manifest",
                         "the release's " RELEASE_MANIFEST_NAME
                         " does not say which version it is, or for what machine");
    if (m->n_files > RELEASE_FILES_MAX)
        return error_set(err, EBADMSG, "release.bad-manifest", "the release has more than %d files", RELEASE_FILES_MAX);
    return check_files(m, err);
}

int release_manifest_parse(const char *text, size_t len, ReleaseManifest *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error why = {};
    int r = json_parse_object(text, len, &o, &why);

    *ret = (ReleaseManifest) {};
    if (r < 0 && r != -ENOMEM)
        return error_set(err, EBADMSG, "release.bad-manifest",
                         "the release's " RELEASE_MANIFEST_NAME " cannot be read: %s", error_message(&why, r));
    if (r >= 0)
        r = json_read(o, &type, ret);
    if (r == -EINVAL)
        r = error_set(err, EBADMSG, "release.bad-manifest",
                      "a member of the release's " RELEASE_MANIFEST_NAME " is of the wrong kind");
    if (r >= 0)
        r = check(ret, err);
    if (r < 0)
        release_manifest_done(ret);
    return r < 0 ? error_from_errno(err, r, "cannot read a release") : 0;
}

void release_manifest_done(ReleaseManifest *m)
{
    json_done(&type, m);
}
