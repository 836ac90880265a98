/* SPDX-License-Identifier: MIT */
/* Any text as the name of an image, and as a manifest: what is accepted holds to what its header promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/image-manifest.h"
#include "lib/data/image-ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_name(const char *text)
{
    _cleanup_(image_ref_done) ImageRef r = {};
    _cleanup_(error_done) Error err = {};

    if (image_ref_parse(text, &r, &err) < 0) {
        if (!err.id || r.registry || r.path || r.tag || r.digest)
            abort();
        return;
    }
    _cleanup_(freep) char *printed = image_ref_print(&r, NULL);
    _cleanup_(image_ref_done) ImageRef again = {};
    if (!printed || image_ref_parse(printed, &again, NULL) < 0 || !str_equal(again.registry, r.registry) ||
        !str_equal(again.path, r.path) || !str_equal(again.tag, r.tag) ||
        (r.digest && !image_digest_is_valid(r.digest)))
        abort();
    /* these go into a URL as they are */
    if (strpbrk(r.path, "?#%\\ :@") || strpbrk(r.tag, "/?#%\\ :@") || strpbrk(r.registry, "/?#%\\ @"))
        abort();
}

static void read_manifest(const char *body, size_t len, const char *media_type)
{
    static const Platform platform = { "linux", "amd64", { "" } };
    _cleanup_(manifest_done) Manifest m = {};
    _cleanup_(error_done) Error err = {};

    if (manifest_parse(body, len, media_type, &platform, &m, &err) < 0) {
        if (!err.id || m.platform_digest || m.config_digest)
            abort();
    } else if ((m.kind == MANIFEST_IMAGE && !image_digest_is_valid(m.config_digest)) || m.kind == MANIFEST_UNKNOWN ||
               (m.platform_digest && !image_digest_is_valid(m.platform_digest))) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);

    if (!text)
        return 0;
    read_name(text);
    read_manifest((const char *) data, size, NULL);
    read_manifest((const char *) data, size, "application/vnd.oci.image.index.v1+json");
    read_manifest((const char *) data, size, "application/vnd.oci.image.manifest.v1+json");
    return 0;
}
