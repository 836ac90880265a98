/* SPDX-License-Identifier: MIT */
/* Names of images, manifests, and when an image counts as the newest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/image-manifest.h"
#include "lib/data/image-ref.h"

#define HEX(c) c c c c c c c c c c c c c c c c
#define INDEX "sha256:" HEX("1111")
#define PLATFORM "sha256:" HEX("2222")
#define CONFIG "sha256:" HEX("3333")
#define OTHER "sha256:" HEX("4444")
#define ID HEX("3333")

/* names */

static void test_names(void **state)
{
    static const struct {
        const char *text, *registry, *path, *tag, *digest;
        bool local;
    } cases[] = {
        { "registry.example/web", "registry.example", "web", "latest", NULL, false },
        { "registry.example/team/web:1.2_x-Y", "registry.example", "team/web", "1.2_x-Y", NULL, false },
        { "registry.example:5000/team/web:1", "registry.example:5000", "team/web", "1", NULL, false },
        { "127.0.0.1:5000/web", "127.0.0.1:5000", "web", "latest", NULL, false },
        { "[::1]:5000/web", "[::1]:5000", "web", "latest", NULL, false },
        { "localhost:5000/web", "localhost:5000", "web", "latest", NULL, false },
        { "localhost/web:2", "localhost", "web", "2", NULL, true },
        { "docker.io/nginx", "docker.io", "library/nginx", "latest", NULL, false },
        { "docker.io/library/nginx:1", "docker.io", "library/nginx", "1", NULL, false },
        { "index.docker.io/acme/nginx", "docker.io", "acme/nginx", "latest", NULL, false },
        { "registry.example/web@" INDEX, "registry.example", "web", "latest", INDEX, false },
        { "registry.example/web:1@" INDEX, "registry.example", "web", "1", INDEX, false },
        { "registry.example/a__b/c--d/e.f_g", "registry.example", "a__b/c--d/e.f_g", "latest", NULL, false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(image_ref_done) ImageRef r = {};

        assert_int_equal(image_ref_parse(cases[i].text, &r, NULL), 0);
        assert_string_equal(r.registry, cases[i].registry);
        assert_string_equal(r.path, cases[i].path);
        assert_string_equal(r.tag, cases[i].tag);
        assert_int_equal(r.local, cases[i].local);
        assert_true(str_equal(r.digest, cases[i].digest));

        /* what is printed means the same */
        _cleanup_(freep) char *text = image_ref_print(&r, r.digest);
        _cleanup_(image_ref_done) ImageRef again = {};
        assert_int_equal(image_ref_parse(text, &again, NULL), 0);
        assert_string_equal(again.path, r.path);
        assert_true(r.digest || str_equal(again.tag, r.tag));
    }
}

static void test_names_that_are_none(void **state)
{
    static const struct {
        const char *text, *id;
    } cases[] = {
        { "web", "image.short-name" },
        { "web:1", "image.short-name" },
        { "team/web", "image.short-name" },
        { "web@" INDEX, "image.short-name" },
        { "", "image.bad-reference" },
        { ":1", "image.bad-reference" },
        { "/web", "image.bad-reference" },
        { "registry.example/", "image.bad-reference" },
        { "registry.example/Web", "image.bad-reference" },
        { "registry.example/web:", "image.bad-reference" },
        { "registry.example/web:-1", "image.bad-reference" },
        { "registry.example/web:1/2", "image.bad-reference" },
        { "registry.example/web@sha256:12", "image.bad-reference" },
        { "registry.example/web@md5:" HEX("1111"), "image.bad-reference" },
        { "registry.example/web@sha256:" HEX("AAAA"), "image.bad-reference" },
        { "registry.example:0/web", "image.bad-reference" },
        { "registry.example:99999/web", "image.bad-reference" },
        { "registry.example:/web", "image.bad-reference" },
        { "-registry.example/web", "image.bad-reference" },
        { "registry-.example/web", "image.bad-reference" },
        { "registry..example/web", "image.bad-reference" },
        { ".registry.example/web", "image.bad-reference" },
        { "registry.example./web", "image.bad-reference" },
        { "user@registry.example/web", "image.bad-reference" },
        { "[::1/web", "image.bad-reference" },
        { "[]:5000/web", "image.bad-reference" },
        { "registry.example/a..b", "image.bad-reference" },
        { "registry.example/a___b", "image.bad-reference" },
        { "registry.example/a//b", "image.bad-reference" },
        { "registry.example/../b", "image.bad-reference" },
        { "registry.example/-a", "image.bad-reference" },
        { "registry.example/a-", "image.bad-reference" },
        { "docker://registry.example/web", "image.bad-reference" },
        { "oci-archive:/tmp/x.tar", "image.bad-reference" },
        { "registry.example/we b", "image.bad-reference" },
        { "registry.example/web:1\n", "image.bad-reference" },
        { "${IMAGE}", "image.bad-reference" },
    };
    _cleanup_(freep) char *tag = malloc(200), *huge = malloc(IMAGE_NAME_MAX + 2);

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        ImageRef r = {};

        assert_int_equal(image_ref_parse(cases[i].text, &r, &err), -EINVAL);
        assert_string_equal(error_id(&err), cases[i].id);
        assert_null(r.registry);
    }
    ImageRef r = {};
    memset(tag, 'a', 200);
    memcpy(tag, "r.example/w:", 12);
    tag[12 + 129] = '\0';
    assert_int_equal(image_ref_parse(tag, &r, NULL), -EINVAL);
    tag[12 + 128] = '\0';
    assert_int_equal(image_ref_parse(tag, &r, NULL), 0);
    image_ref_done(&r);
    memset(huge, 'a', IMAGE_NAME_MAX + 1);
    huge[1] = '.';
    huge[3] = '/';
    huge[IMAGE_NAME_MAX + 1] = '\0';
    assert_int_equal(image_ref_parse(huge, &r, NULL), -EINVAL);
}

/* manifests */

static const Platform amd64 = { "linux", "amd64", { "" } };

static int parse(const char *body, const char *type, const Platform *platform, Manifest *ret, Error *err)
{
    return manifest_parse(body, strlen(body), type, platform, ret, err);
}

#define ENTRY(digest, arch, variant)                                                                                   \
    "{\"digest\":\"" digest "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"" variant "}}"
#define INDEX_OF(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_IMAGE "application/vnd.oci.image.manifest.v1+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

static void test_index(void **state)
{
    static const char body[] =
        INDEX_OF(ENTRY(OTHER, "arm", ",\"variant\":\"v6\"") "," ENTRY(PLATFORM, "amd64", "") "," ENTRY(
            CONFIG, "arm",
            ",\"variant\":\"v7\"") "," ENTRY(INDEX, "arm64",
                                             ",\"variant\":\"v8\"") ",{\"digest\":\"" OTHER
                                                                    "\",\"platform\":{\"os\":\"unknown\","
                                                                    "\"architecture\":\"unknown\"}},{}");
    static const struct {
        const char *machine, *digest;
    } cases[] = {
        { "x86_64", PLATFORM }, { "armv7l", CONFIG }, { "armv6l", OTHER },
        { "aarch64", INDEX },   { "s390x", NULL },    { "vax", NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Platform p = platform_of_machine(cases[i].machine);
        _cleanup_(manifest_done) Manifest m = {};

        assert_int_equal(parse(body, DOCKER_LIST "; charset=utf-8", &p, &m, NULL), 0);
        assert_int_equal(m.kind, MANIFEST_INDEX);
        assert_true(str_equal(m.platform_digest, cases[i].digest));
        assert_null(m.config_digest);
    }
    /* arm64 without a variant will do, too */
    Platform arm64 = platform_of_machine("aarch64");
    _cleanup_(manifest_done) Manifest m = {};
    assert_int_equal(parse(INDEX_OF(ENTRY(OTHER, "arm64", "")), OCI_INDEX, &arm64, &m, NULL), 0);
    assert_string_equal(m.platform_digest, OTHER);
    /* nor a platform at all, in OCI's form, where nothing fits better; docker's list always names one */
    static const struct {
        const char *entries, *type, *digest;
    } unlabelled[] = {
        { "{\"digest\":\"" OTHER "\"}", OCI_INDEX, OTHER },
        { "{\"digest\":\"" OTHER "\",\"platform\":null}", OCI_INDEX, OTHER },
        { "{\"digest\":\"" OTHER "\"}," ENTRY(PLATFORM, "arm64", ""), OCI_INDEX, PLATFORM },
        { "{\"digest\":\"" OTHER "\"}", DOCKER_LIST, NULL },
    };
    for (size_t i = 0; i < ELEMENTSOF(unlabelled); i++) {
        _cleanup_(freep) char *text = str_format(INDEX_OF("%s"), unlabelled[i].entries);
        _cleanup_(manifest_done) Manifest found = {};

        assert_int_equal(parse(text, unlabelled[i].type, &arm64, &found, NULL), 0);
        assert_true(str_equal(found.platform_digest, unlabelled[i].digest));
    }
}

static void test_image_manifest(void **state)
{
    static const struct {
        const char *body, *type, *id; /* id NULL: CONFIG is found */
    } cases[] = {
        { "{\"config\":{\"digest\":\"" CONFIG "\"}}", OCI_IMAGE, NULL },
        { "{\"mediaType\":\"" OCI_IMAGE "\",\"config\":{\"digest\":\"" CONFIG "\"}}", NULL, NULL },
        { "{\"mediaType\":\"" OCI_IMAGE "\",\"config\":{\"digest\":\"" CONFIG "\"}}", "application/json", NULL },
        { "{\"mediaType\":\"" OCI_INDEX "\",\"config\":{\"digest\":\"" CONFIG "\"}}", OCI_IMAGE, "manifest.bad" },
        { "{\"config\":{\"digest\":\"" CONFIG "\"}}", NULL, "manifest.unsupported" },
        { "{\"config\":{\"digest\":\"sha256:short\"}}", OCI_IMAGE, "manifest.bad" },
        { "{\"config\":\"" CONFIG "\"}", OCI_IMAGE, "manifest.bad" },
        { "{}", OCI_IMAGE, "manifest.bad" },
        { "{}", OCI_INDEX, "manifest.bad" },
        { "{\"manifests\":{}}", OCI_INDEX, "manifest.bad" },
        { INDEX_OF(ENTRY("sha256:../x", "amd64", "")), OCI_INDEX, "manifest.bad" },
        { "[]", OCI_IMAGE, "manifest.bad" },
        { "", OCI_IMAGE, "manifest.bad" },
        { "{\"config\":{},\"config\":{\"digest\":\"" CONFIG "\"}}", OCI_IMAGE, "manifest.bad" },
        { "{\"schemaVersion\":1}", "application/vnd.docker.distribution.manifest.v1+prettyjws",
          "manifest.unsupported" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(manifest_done) Manifest m = {};
        _cleanup_(error_done) Error err = {};
        int r = parse(cases[i].body, cases[i].type, &amd64, &m, &err);

        assert_int_equal(r, cases[i].id ? -EBADMSG : 0);
        if (cases[i].id)
            assert_string_equal(error_id(&err), cases[i].id);
        else
            assert_string_equal(m.config_digest, CONFIG);
    }
    char digest[IMAGE_DIGEST_SIZE];
    assert_int_equal(image_digest_of("", 0, digest), 0);
    assert_string_equal(digest, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(image_digest_is_valid(digest));
}

/* current or new */

typedef struct Verdict {
    const char *why;
    const char *id, *digest, *repo_digests[3];
    ManifestKind kind;
    const char *remote, *platform, *config;
    ImageVerdict is;
} Verdict;

static const Verdict verdicts[] = {
    { "the index's digest is recorded",
      ID,
      PLATFORM,
      { "r/a@" INDEX },
      MANIFEST_INDEX,
      INDEX,
      NULL,
      NULL,
      IMAGE_CURRENT },
    { "it is one of several",
      ID,
      NULL,
      { "r/a@" OTHER, "r/b@" INDEX },
      MANIFEST_INDEX,
      INDEX,
      NULL,
      NULL,
      IMAGE_CURRENT },
    { "under another name", ID, NULL, { "other.example/x@" INDEX }, MANIFEST_INDEX, INDEX, NULL, NULL, IMAGE_CURRENT },
    { "the image's own digest is that of a plain image",
      ID,
      PLATFORM,
      { NULL },
      MANIFEST_IMAGE,
      PLATFORM,
      PLATFORM,
      NULL,
      IMAGE_CURRENT },
    { "only the platform's digest is recorded: index unread",
      ID,
      NULL,
      { "r/a@" PLATFORM },
      MANIFEST_INDEX,
      INDEX,
      NULL,
      NULL,
      IMAGE_ASK_INDEX },
    { "only the platform's digest is recorded: index read",
      ID,
      NULL,
      { "r/a@" PLATFORM },
      MANIFEST_INDEX,
      INDEX,
      PLATFORM,
      NULL,
      IMAGE_CURRENT },
    { "the platform's digest is the image's own",
      ID,
      PLATFORM,
      { "r/a@" OTHER },
      MANIFEST_INDEX,
      INDEX,
      PLATFORM,
      NULL,
      IMAGE_CURRENT },
    { "another index with the same platform",
      ID,
      NULL,
      { "r/a@" OTHER, "r/a@" PLATFORM },
      MANIFEST_INDEX,
      INDEX,
      PLATFORM,
      NULL,
      IMAGE_CURRENT },
    { "another platform's manifest: unread",
      ID,
      NULL,
      { "r/a@" OTHER },
      MANIFEST_INDEX,
      INDEX,
      PLATFORM,
      NULL,
      IMAGE_ASK_MANIFEST },
    { "another plain image: unread",
      ID,
      NULL,
      { "r/a@" OTHER },
      MANIFEST_IMAGE,
      PLATFORM,
      PLATFORM,
      NULL,
      IMAGE_ASK_MANIFEST },
    { "repacked, the same configuration",
      ID,
      NULL,
      { "r/a@" OTHER },
      MANIFEST_IMAGE,
      PLATFORM,
      PLATFORM,
      CONFIG,
      IMAGE_CURRENT },
    { "loaded by hand: nothing is recorded", ID, NULL, { NULL }, MANIFEST_INDEX, INDEX, NULL, NULL, IMAGE_ASK_INDEX },
    { "loaded by hand: index read", ID, NULL, { NULL }, MANIFEST_INDEX, INDEX, PLATFORM, NULL, IMAGE_ASK_MANIFEST },
    { "loaded by hand: the same configuration",
      ID,
      NULL,
      { NULL },
      MANIFEST_INDEX,
      INDEX,
      PLATFORM,
      CONFIG,
      IMAGE_CURRENT },
    { "loaded by hand: another configuration", ID, NULL, { NULL }, MANIFEST_INDEX, INDEX, PLATFORM, OTHER, IMAGE_NEW },
    { "really new", ID, OTHER, { "r/a@" OTHER }, MANIFEST_INDEX, INDEX, PLATFORM, PLATFORM, IMAGE_NEW },
    { "without an id nothing is the same",
      NULL,
      NULL,
      { NULL },
      MANIFEST_IMAGE,
      PLATFORM,
      PLATFORM,
      CONFIG,
      IMAGE_NEW },
    { "a digest inside a name is none", ID, NULL, { "r/" INDEX }, MANIFEST_INDEX, INDEX, NULL, NULL, IMAGE_ASK_INDEX },
    { "nor is a longer one", ID, NULL, { "r/a@" INDEX "1" }, MANIFEST_INDEX, INDEX, NULL, NULL, IMAGE_ASK_INDEX },
};

static char *copy(const char *s)
{
    return s ? strdup(s) : NULL;
}

static void test_verdicts(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(verdicts); i++) {
        const Verdict *v = &verdicts[i];
        _cleanup_(local_image_done) LocalImage local = { .id = copy(v->id), .digest = copy(v->digest) };
        _cleanup_(remote_image_done) RemoteImage remote = { .kind = v->kind,
                                                            .digest = copy(v->remote),
                                                            .platform_digest = copy(v->platform),
                                                            .config_digest = copy(v->config) };
        ImageVerdict is;

        for (const char *const *d = v->repo_digests; *d; d++)
            assert_int_equal(strv_add(&local.repo_digests, *d), 0);
        is = image_compare(&local, &remote);
        if (is != v->is)
            fail_msg("%s: %d instead of %d", v->why, is, v->is);
    }
}

/* Whatever is known, in whichever order: a walk that follows image_compare() ends after at most two more questions. */
static void test_every_walk_ends(void **state)
{
    static const char *const recorded[] = { NULL, INDEX, PLATFORM, OTHER };
    static const char *const configs[] = { CONFIG, OTHER };

    (void) state;
    for (size_t own = 0; own < ELEMENTSOF(recorded); own++)
        for (size_t repo = 0; repo < ELEMENTSOF(recorded); repo++)
            for (size_t kind = MANIFEST_IMAGE; kind <= MANIFEST_INDEX; kind++)
                for (size_t config = 0; config < ELEMENTSOF(configs); config++) {
                    _cleanup_(local_image_done) LocalImage local = { .id = copy(ID), .digest = copy(recorded[own]) };
                    const char *top = kind == MANIFEST_INDEX ? INDEX : PLATFORM;
                    _cleanup_(remote_image_done)
                        RemoteImage remote = { .kind = (ManifestKind) kind, .digest = copy(top) };
                    ImageVerdict v;
                    bool known = str_equal(recorded[own], top) || str_equal(recorded[repo], top) ||
                                 str_equal(recorded[own], PLATFORM) || str_equal(recorded[repo], PLATFORM) ||
                                 config == 0;
                    int questions = 0;

                    if (recorded[repo]) {
                        _cleanup_(freep) char *d = str_format("r/a@%s", recorded[repo]);
                        assert_int_equal(strv_add(&local.repo_digests, d), 0);
                    }
                    if (kind == MANIFEST_IMAGE)
                        remote.platform_digest = copy(PLATFORM);
                    while ((v = image_compare(&local, &remote)) != IMAGE_CURRENT && v != IMAGE_NEW) {
                        assert_true(++questions <= 2);
                        if (v == IMAGE_ASK_INDEX)
                            remote.platform_digest = copy(PLATFORM);
                        else
                            remote.config_digest = copy(configs[config]);
                    }
                    assert_int_equal(v, known ? IMAGE_CURRENT : IMAGE_NEW);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_index),    cmocka_unit_test(test_image_manifest),
        cmocka_unit_test(test_verdicts), cmocka_unit_test(test_every_walk_ends),
    };

    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
