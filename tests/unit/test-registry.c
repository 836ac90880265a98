/* SPDX-License-Identifier: MIT */
/* What podman's files say about registries, and what registries say about authentication. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/toml.h"
#include "lib/registry/auth-challenge.h"
#include "lib/registry/registries-conf.h"

/* TOML */

static char *told;

static int tell(const char *table, const char *key, TomlType type, const char *value, unsigned line, void *userdata)
{
    char *more = str_format("%s%u:%s.%s=%d:%s;", told ? told : "", line, table, key, (int) type, value);

    (void) userdata;
    free(told);
    told = more;
    return str_equal(key, "stop") ? 7 : 0;
}

static int read_toml(const char *text, Error *err)
{
    free(TAKE_PTR(told));
    return toml_read(text, strlen(text), "x.conf", tell, NULL, err);
}

static void test_toml(void **state)
{
    static const char text[] =
        "# comment\r\nunqualified-search-registries = [\"a.example\", # first\n  'b.example',\n]\n"
        "[[registry]]\nlocation = \"a\\\"b\\\\c\"\ninsecure=true # why\n[[ registry . mirror ]]\n"
        "location = 'C:\\x'\nn = -12\n\n[aliases]\n\"alma linux\" = \"\"\nempty=[]\nend = 1.5";

    (void) state;
    assert_int_equal(read_toml(text, NULL), 0);
    assert_string_equal(told,
                        "2:.unqualified-search-registries=1:a.example;3:.unqualified-search-registries=1:b.example;"
                        "5:registry.=0:;6:registry.location=1:a\"b\\c;7:registry.insecure=2:true;"
                        "8:registry.mirror.=0:;9:registry.mirror.location=1:C:\\x;10:registry.mirror.n=3:-12;"
                        "12:aliases.=0:;13:aliases.alma linux=1:;15:aliases.end=3:1.5;");
    assert_int_equal(read_toml("", NULL), 0);
    assert_int_equal(read_toml("a=1\nstop=2\nb=3", NULL), 7);
    assert_null(strstr(told, "b="));
    free(TAKE_PTR(told));
}

static void test_toml_that_is_none(void **state)
{
    static const struct {
        const char *text, *id;
        unsigned line;
    } cases[] = {
        { "a", "toml.syntax", 1 },
        { "a =", "toml.syntax", 1 },
        { "\n\na = b", "toml.syntax", 3 },
        { "a = \"x", "toml.syntax", 1 },
        { "a = \"x\ny\"", "toml.syntax", 1 },
        { "a = 1 2", "toml.syntax", 1 },
        { "a = [1", "toml.syntax", 1 },
        { "a = [1 2]", "toml.syntax", 1 },
        { "[a", "toml.syntax", 1 },
        { "[[a]", "toml.syntax", 1 },
        { "[]", "toml.syntax", 1 },
        { "= 1", "toml.syntax", 1 },
        { "a = \"\xff\"", "toml.syntax", 1 },
        { "a = True", "toml.syntax", 1 },
        { "\x01", "toml.syntax", 1 },
        { "a.b = 1", "toml.unsupported", 1 },
        { "a = {}", "toml.unsupported", 1 },
        { "\na = '''x'''", "toml.unsupported", 2 },
        { "a = \"\\u0041\"", "toml.unsupported", 1 },
        { "a = [[[[[1]]]]]", "toml.unsupported", 1 },
        { "a = 1979-05-27T07:32:00Z", "toml.syntax", 1 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};

        assert_true(read_toml(cases[i].text, &err) < 0);
        assert_string_equal(error_id(&err), cases[i].id);
        assert_int_equal(err.line, cases[i].line);
        assert_string_equal(err.file, "x.conf");
    }
    free(TAKE_PTR(told));
}

/* podman's files */

typedef struct Files {
    char folder[64];
    char *etc, *home, *auth;
    RegistryPlaces places;
} Files;

static int files_new(void **state)
{
    Files *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/test-registry-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->etc = str_format("%s/etc", f->folder);
    f->home = str_format("%s/home", f->folder);
    f->auth = str_format("%s/run/auth.json", f->folder);
    f->places =
        (RegistryPlaces) { .etc = f->etc, .config_home = f->home, .docker_config = f->home, .runtime_auth = f->auth };
    *state = f;
    return 0;
}

static int files_free(void **state)
{
    Files *f = *state;

    assert_int_equal(dir_remove(f->folder, NULL), 0);
    free(f->etc);
    free(f->home);
    free(f->auth);
    free(f);
    redact_forget_all();
    return 0;
}

static void put(const Files *f, const char *name, const char *text)
{
    _cleanup_(freep) char *path = str_format("%s/%s", f->folder, name);
    _cleanup_(freep) char *folder = strndup(path, (size_t) (strrchr(path, '/') - path));

    assert_int_equal(dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static RegistryConf *load(const Files *f)
{
    _cleanup_(error_done) Error err = {};
    RegistryConf *c = NULL;

    if (registry_conf_load(&f->places, &c, &err) < 0)
        fail_msg("%s", error_message(&err, -1));
    return c;
}

/* "HOST PATH insecure", or the error's id */
static char *find(const RegistryConf *c, const char *image)
{
    _cleanup_(image_ref_done) ImageRef ref = {};
    _cleanup_(registry_place_done) RegistryPlace p = {};
    _cleanup_(error_done) Error err = {};

    assert_int_equal(image_ref_parse(image, &ref, NULL), 0);
    if (registry_conf_find(c, &ref, &p, &err) < 0)
        return strdup(error_id(&err));
    return str_format("%s %s%s", p.host, p.path, p.insecure ? " insecure" : "");
}

static void test_registries(void **state)
{
    static const struct {
        const char *image, *is;
    } cases[] = {
        { "docker.io/nginx", "registry-1.docker.io library/nginx" },
        { "plain.example:5000/web", "plain.example:5000 web insecure" },
        { "plain.example:5001/web", "plain.example:5001 web" },
        { "plain.example/web", "plain.example web" },
        { "team.example/a/web", "inner.example:80 b/c/web" },
        { "team.example/ab/web", "team.example ab/web" },
        { "team.example/blocked/web", "registry.blocked" },
        { "team.example/blockedx/web", "team.example blockedx/web" },
        { "x.wild.example/web", "x.wild.example web insecure" },
        { "x.y.wild.example:1/web", "x.y.wild.example:1 web insecure" },
        { "wild.example/web", "wild.example web" },
        { "notwild.example/web", "notwild.example web" },
        { "over.example/web", "over.example web" },
        { "own.example/web", "own.example web insecure" },
        { "first.example/web", "registry.config" },
    };
    Files *f = *state;

    put(f, "etc/registries.conf",
        "unqualified-search-registries = ['docker.io']\n[[registry]]\nlocation='plain.example:5000'\n"
        "insecure=true\n[[registry]]\nprefix='team.example/a'\nlocation='inner.example:80/b/c'\n[[registry.mirror]]\n"
        "location='mirror.example'\ninsecure=true\n[[registry]]\nprefix='team.example/"
        "blocked'\nblocked=true\n[[registry]]\n"
        "prefix='*.wild.example'\ninsecure=true\n[[registry]]\nlocation='over.example'\ninsecure=true\n[[registry]]\n"
        "prefix='first.example/web'\nlocation='nowhere'\n");
    put(f, "etc/registries.conf.d/10-over.conf", "[[registry]]\nlocation='over.example'\n");
    put(f, "etc/registries.conf.d/ignored.txt", "nonsense");
    put(f, "home/containers/registries.conf.d/own.conf", "[[registry]]\nlocation='own.example'\ninsecure=true\n");
    _cleanup_(registry_conf_freep) RegistryConf *c = load(f);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *is = find(c, cases[i].image);

        assert_string_equal(is, cases[i].is);
    }
    assert_true(registry_conf_is_insecure(c, "PLAIN.example:5000"));
    assert_false(registry_conf_is_insecure(c, "plain.example"));
    assert_false(registry_conf_is_insecure(c, "mirror.example"));
    assert_false(registry_conf_is_insecure(c, ""));
}

/* "HOST PATH insecure", one behind the other as podman goes through them. */
static char *find_all(const RegistryConf *c, const char *image)
{
    _cleanup_(image_ref_done) ImageRef ref = {};
    _cleanup_(registry_places_done) RegistryPlaceList places = {};
    _cleanup_(error_done) Error err = {};
    char *text = strdup("");

    assert_int_equal(image_ref_parse(image, &ref, NULL), 0);
    if (registry_conf_find_all(c, &ref, &places, &err) < 0) {
        free(text);
        return strdup(error_id(&err));
    }
    for (size_t i = 0; i < places.n; i++) {
        const RegistryPlace *p = &places.list[i];
        char *longer =
            str_format("%s%s%s %s%s", text, i > 0 ? ", " : "", p->host, p->path, p->insecure ? " insecure" : "");

        free(text);
        text = longer;
    }
    return text;
}

static void test_mirrors(void **state)
{
    static const struct {
        const char *image, *are;
    } cases[] = {
        { "docker.io/nginx", "near.example library/nginx, far.example:5000 hub/library/nginx insecure, "
                             "registry-1.docker.io library/nginx" },
        { "other.example/web", "other.example web" },
        { "digests.example/web", "digests.example web" },
        { "x.wild.example/a/b", "near.example wild/a/b, x.wild.example a/b" },
        { "shut.example/web", "registry.blocked" },
        { "bad.example/web", "bad.example web" },
        { "many.example/web", "m1.example web, m2.example web, m3.example web, m4.example web, m5.example web, "
                              "m6.example web, m7.example web, m8.example web, many.example web" },
    };
    Files *f = *state;

    put(f, "etc/registries.conf",
#define MIRROR(name) "[[registry.mirror]]\nlocation='" name ".example'\n"
        "[[registry]]\nlocation='many.example'\n" MIRROR("m1") MIRROR("m2") MIRROR("m3") MIRROR("m4") MIRROR("m5")
            MIRROR("m6") MIRROR("m7") MIRROR("m8") MIRROR("m9")
#undef MIRROR
                "[[registry]]\nlocation='docker.io'\n[[registry.mirror]]\nlocation='near.example'\n"
                "[[registry.mirror]]\nlocation='digests.example'\npull-from-mirror='digest-only'\n"
                "[[registry.mirror]]\nlocation='far.example:5000/hub'\ninsecure=true\npull-from-mirror='tag-only'\n"
                "[[registry]]\nlocation='digests.example'\nmirror-by-digest-only=true\n"
                "[[registry.mirror]]\nlocation='near.example'\n"
                "[[registry]]\nprefix='*.wild.example'\n[[registry.mirror]]\nlocation='near.example/wild'\n"
                "[[registry]]\nlocation='shut.example'\nblocked=true\n[[registry.mirror]]\nlocation='near.example'\n"
                "[[registry]]\nlocation='bad.example'\n[[registry.mirror]]\n");
    _cleanup_(registry_conf_freep) RegistryConf *c = load(f);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *are = find_all(c, cases[i].image);

        assert_string_equal(are, cases[i].are);
    }
}

static void test_which_registries_conf(void **state)
{
    Files *f = *state;
    _cleanup_(freep) char *named = str_format("%s/named.conf", f->folder);

    put(f, "etc/registries.conf", "[[registry]]\nlocation='etc.example'\ninsecure=true\n");
    put(f, "etc/registries.conf.d/x.conf", "[[registry]]\nlocation='etc-d.example'\ninsecure=true\n");
    put(f, "named.conf", "[[registry]]\nlocation='named.example'\ninsecure=true\n");
    put(f, "home/containers/registries.conf", "[[registry]]\nlocation='home.example'\ninsecure=true\n");

    _cleanup_(registry_conf_freep) RegistryConf *own = load(f);
    assert_true(registry_conf_is_insecure(own, "home.example"));
    assert_false(registry_conf_is_insecure(own, "etc.example"));
    assert_false(registry_conf_is_insecure(own, "etc-d.example"));

    f->places.registries_conf = named;
    _cleanup_(registry_conf_freep) RegistryConf *by_name = load(f);
    assert_true(registry_conf_is_insecure(by_name, "named.example"));
    assert_true(registry_conf_is_insecure(by_name, "etc-d.example"));
    assert_false(registry_conf_is_insecure(by_name, "home.example"));

    _cleanup_(error_done) Error err = {};
    RegistryConf *none = NULL;
    put(f, "named.conf", "\n[[registry]]\nlocation={}\n");
    assert_true(registry_conf_load(&f->places, &none, &err) < 0);
    assert_string_equal(error_id(&err), "registry.config");
    assert_int_equal(err.line, 3);
    assert_string_equal(err.file, named);
    assert_null(none);

    /* nothing is there at all */
    RegistryPlaces nowhere = {};
    _cleanup_(registry_conf_freep) RegistryConf *empty = NULL;
    assert_int_equal(registry_conf_load(&nowhere, &empty, NULL), 0);
    _cleanup_(freep) char *is = find(empty, "a.example/b");
    assert_string_equal(is, "a.example b");
}

static void test_authorities(void **state)
{
    Files *f = *state;
    _cleanup_(freep) char *pem = NULL, *none = NULL, *home = NULL;

    put(f, "etc/certs.d/a.example:5000/one.crt", "ONE");
    put(f, "etc/certs.d/a.example:5000/two.crt", "TWO");
    put(f, "etc/certs.d/a.example:5000/client.cert", "CLIENT");
    put(f, "etc/certs.d/b.example/x.crt", "ETC");
    put(f, "home/containers/certs.d/b.example/x.crt", "HOME");
    _cleanup_(registry_conf_freep) RegistryConf *c = load(f);
    assert_int_equal(registry_conf_authorities(c, "a.example:5000", &pem, NULL), 0);
    assert_string_equal(pem, "ONE\nTWO\n");
    assert_int_equal(registry_conf_authorities(c, "a.example", &none, NULL), 0);
    assert_null(none);
    assert_int_equal(registry_conf_authorities(c, "../home/containers/certs.d/b.example", &none, NULL), 0);
    assert_null(none);
    assert_int_equal(registry_conf_authorities(c, "b.example", &home, NULL), 0);
    assert_string_equal(home, "HOME\n");
}

/* "base64 FILE", "helper NAME", "token T", or "none" */
static char *credentials(const Files *f, const RegistryConf *c, const char *registry, const char *path)
{
    RegistryCredentials has = {};

    if (!registry_conf_credentials(c, registry, path, &has))
        return strdup("none");
    if (has.helper)
        return str_format("helper %s", has.helper);
    if (has.identity_token)
        return str_format("token %s", has.identity_token);
    return str_format("%s %s", has.basic, has.file + strlen(f->folder) + 1);
}

#define B64_A "YWxpY2U6YWxpY2UtcGFzcw==" /* alice:alice-pass */
#define B64_B "Ym9iOmJvYi1wYXNzd29yZA==" /* bob:bob-password */

static void test_credentials(void **state)
{
    static const struct {
        const char *registry, *path, *is;
    } cases[] = {
        { "r.example", "web", B64_A " run/auth.json" },
        { "r.example", "team/web", B64_B " run/auth.json" },
        { "r.example", "team/web/x", B64_B " run/auth.json" },
        { "r.example", "teams/web", B64_A " run/auth.json" },
        { "r.example:5000", "web", "none" },
        { "second.example", "web", B64_B " home/containers/auth.json" },
        { "helped.example", "web", "helper pass" },
        { "docker.io", "library/nginx", B64_A " home/config.json" },
        { "old.example", "x", B64_B " home/config.json" },
        { "acr.example", "x", "token refresh-me" },
        { "empty.example", "x", "none" },
    };
    Files *f = *state;

    put(f, "run/auth.json",
        "{\"auths\":{\"r.example/team\":{\"auth\":\"" B64_B "\"},\"r.example\":{\"auth\":\"" B64_A "\"},"
        "\"helped.example\":{\"auth\":\"" B64_A
        "\"},\"empty.example\":{}},\"credHelpers\":{\"helped.example\":\"pass\"}}");
    put(f, "home/containers/auth.json",
        "{\"auths\":{\"r.example\":{\"auth\":\"" B64_B "\"},"
        "\"second.example\":{\"auth\":\"" B64_B "\"}}}");
    put(f, "home/config.json",
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" B64_A "\"},\"http://old.example/v2/\":"
        "{\"auth\":\"" B64_B "\"},\"acr.example\":{\"auth\":\"" B64_A "\",\"identitytoken\":\"refresh-me\"}}}");
    _cleanup_(registry_conf_freep) RegistryConf *c = load(f);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *is = credentials(f, c, cases[i].registry, cases[i].path);

        assert_string_equal(is, cases[i].is);
    }
    /* none of it can be shown any more */
    _cleanup_(freep) char *shown = redact_text("a alice-pass b " B64_B " c refresh-me d");
    assert_string_equal(shown, "a (hidden) b (hidden) c (hidden) d");

    put(f, "only.json", "{\"auths\":{\"r.example\":{\"auth\":\"" B64_B "\"}},\"credsStore\":\"keychain\"}");
    _cleanup_(freep) char *only = str_format("%s/only.json", f->folder);
    f->places.auth_file = only;
    _cleanup_(registry_conf_freep) RegistryConf *one = load(f);
    _cleanup_(freep) char *is = credentials(f, one, "r.example", "web"),
                          *other = credentials(f, one, "second.example", "web");
    assert_string_equal(is, B64_B " only.json");
    assert_string_equal(other, "helper keychain");
}

static void test_bad_auth_files(void **state)
{
    static const char *const bad[] = {
        "{",
        "[]",
    };
    Files *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(error_done) Error err = {};
        RegistryConf *c = NULL;

        put(f, "run/auth.json", bad[i]);
        assert_true(registry_conf_load(&f->places, &c, &err) < 0);
        assert_null(c);
        assert_string_equal(error_id(&err), "registry.config");
        assert_non_null(strstr(err.message, f->auth));
    }
    put(f, "run/auth.json", ""); /* as podman leaves it behind */
    _cleanup_(registry_conf_freep) RegistryConf *c = load(f);
    assert_non_null(c);
}

/* What is no base64, has no colon, or a NUL in its middle, is no credentials for its own registry; the others keep theirs. */
static void test_bad_auth_entries(void **state)
{
    static const char *const bad[] = { "not base64", "bm9jb2xvbg==", "YTpiADpj" };
    Files *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(freep) char *text =
            str_format("{\"auths\":{\"r.example\":{\"auth\":\"%s\"},\"wrapped.example\":{\"auth\":\"YTpi\\r\\nYw==\"},"
                       "\"padded.example\":{\"auth\":\"YTpiYwAA\"}}}",
                       bad[i]);
        RegistryCredentials is = {};

        put(f, "run/auth.json", text);
        _cleanup_(registry_conf_freep) RegistryConf *c = load(f);
        assert_true(registry_conf_credentials(c, "r.example", "web", &is));
        assert_true(is.unusable && !is.basic);
        assert_string_equal(is.file, f->auth);
        for (size_t k = 0; k < 2; k++) {
            assert_true(registry_conf_credentials(c, k ? "padded.example" : "wrapped.example", "web", &is));
            assert_false(is.unusable);
            assert_string_equal(is.basic, "YTpiYw=="); /* a:bc */
        }
    }
}

/* challenges */

static void test_challenges(void **state)
{
    static const struct {
        const char *header;
        ChallengeKind kind;
        const char *realm, *service, *scope;
    } cases[] = {
        { "Bearer realm=\"https://a.example/t\",service=\"s\",scope=\"repository:a:pull\"", CHALLENGE_BEARER,
          "https://a.example/t", "s", "repository:a:pull" },
        { "bearer REALM = \"r\" , Service=s", CHALLENGE_BEARER, "r", "s", NULL },
        { "Basic realm=\"a \\\"b\\\" \\\\c\"", CHALLENGE_BASIC, "a \"b\" \\c", NULL, NULL },
        { "Basic", CHALLENGE_BASIC, NULL, NULL, NULL },
        { "Negotiate", CHALLENGE_NONE, NULL, NULL, NULL },
        { "Negotiate YIIabc==, Basic realm=\"x\"", CHALLENGE_BASIC, "x", NULL, NULL },
        { "Basic realm=\"x\", Bearer realm=\"y\"", CHALLENGE_BEARER, "y", NULL, NULL },
        { "Bearer realm=\"y\", Basic realm=\"x\"", CHALLENGE_BEARER, "y", NULL, NULL },
        { "Digest realm=\"d\", nonce=\"n,Basic realm=q\", , Basic realm=\"x\",", CHALLENGE_BASIC, "x", NULL, NULL },
        { "Bearer realm=\"y\",error=\"invalid_token\",error_description=\"a, b\"", CHALLENGE_BEARER, "y", NULL, NULL },
        { "", CHALLENGE_NONE, NULL, NULL, NULL },
        { "Basic realm=\"\"", CHALLENGE_BASIC, "", NULL, NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(challenge_done) Challenge c = {};

        if (challenge_parse(cases[i].header, &c, NULL) < 0)
            fail_msg("refused: %s", cases[i].header);
        assert_int_equal(c.kind, cases[i].kind);
        assert_true(str_equal(c.realm, cases[i].realm));
        assert_true(str_equal(c.service, cases[i].service));
        assert_true(str_equal(c.scope, cases[i].scope));
    }
}

static void test_challenges_that_are_none(void **state)
{
    static const char *const bad[] = {
        "Bearer realm=\"unfinished",
        "Bearer realm=\"a\\",
        "Bearer realm=\"a\" service=\"b\"",
        "Bearer realm=a,realm=b",
        "Bearer realm==a",
        "Bearer realm=\"a\"x",
        "\"Bearer\"",
        "Bearer (x)",
        "Bearer realm=\"a\x01\"",
        "Bearer realm=,service=s",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(challenge_done) Challenge c = {};
        _cleanup_(error_done) Error err = {};

        if (challenge_parse(bad[i], &c, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(error_id(&err), "challenge.bad");
        assert_null(c.realm);
    }
}

static void test_tokens(void **state)
{
    static const struct {
        const char *body, *token;
    } cases[] = {
        { "{\"token\":\"a.b-c_d\"}", "a.b-c_d" },
        { "{\"access_token\":\"x\",\"expires_in\":60}", "x" },
        { "{\"token\":\"t\",\"access_token\":\"x\"}", "t" },
        { "{\"token\":\"\",\"access_token\":\"x==\"}", "x==" },
        { "{}", NULL },
        { "{\"token\":\"a b\"}", NULL },
        { "{\"token\":\"a\\r\\nHost: x\"}", NULL },
        { "{\"token\":1}", NULL },
        { "token", NULL },
        { "", NULL },
    };
    _cleanup_(freep) char *plain = token_url("https://a.example/t", "s x", "repository:a/b:pull,push");
    _cleanup_(freep) char *query = token_url("https://a.example/t?q=1", NULL, "&=#");
    _cleanup_(freep) char *body = token_refresh_body("s", "repository:a:pull", "r&1");

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *token = NULL;
        _cleanup_(error_done) Error err = {};
        int r = token_parse(cases[i].body, strlen(cases[i].body), &token, &err);

        assert_int_equal(r, cases[i].token ? 0 : -EBADMSG);
        assert_true(str_equal(token, cases[i].token));
        assert_true(cases[i].token || str_equal(error_id(&err), "token.bad"));
    }
    assert_string_equal(plain, "https://a.example/t?service=s%20x&scope=repository:a/b:pull,push");
    assert_string_equal(query, "https://a.example/t?q=1&scope=%26%3D%23");
    assert_string_equal(
        body, "grant_type=refresh_token&client_id=secbox&service=s&scope=repository:a:pull&refresh_token=r%261");
}

static void full_name_is(const Files *f, const char *image, const char *wanted)
{
    _cleanup_(registry_conf_freep) RegistryConf *c = load(f);
    _cleanup_(freep) char *full = NULL;

    assert_int_equal(registry_conf_full_name(c, image, &full), 0);
    if (!str_equal(full, wanted))
        fail_msg("%s: %s", image, full ? full : "podman would choose");
}

static void test_short_names(void **state)
{
    Files *f = *state;

    full_name_is(f, "postgres:16", "docker.io/library/postgres:16");
    full_name_is(f, "acme/web", "docker.io/acme/web");
    full_name_is(f, "web@sha256:00", "docker.io/library/web@sha256:00");
    put(f, "etc/registries.conf.d/a.conf", "[aliases]\n\"web\" = \"quay.example/acme/web\"\n'old' = 'x.example/y'\n");
    full_name_is(f, "web:2", "quay.example/acme/web:2");
    full_name_is(f, "web@sha256:00", "quay.example/acme/web@sha256:00");
    full_name_is(f, "webs:2", "docker.io/library/webs:2");
    put(f, "etc/registries.conf.d/b.conf", "unqualified-search-registries = ['r.example']\n[aliases]\nold = ''\n");
    full_name_is(f, "db:1", "r.example/db:1");
    full_name_is(f, "old", "r.example/old");
    put(f, "etc/registries.conf.d/c.conf", "unqualified-search-registries = ['docker.io']\n");
    full_name_is(f, "db:1", "docker.io/library/db:1");
    put(f, "etc/registries.conf.d/d.conf", "unqualified-search-registries = ['docker.io', 'r.example']\n");
    full_name_is(f, "db:1", NULL);
    assert_true(image_name_is_short("a/b") && image_name_is_short("a:1") && image_name_is_short("localhosts/a"));
    assert_false(image_name_is_short("localhost/a") || image_name_is_short("a.b/c") || image_name_is_short("a:5000/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toml),
        cmocka_unit_test(test_toml_that_is_none),
        cmocka_unit_test_setup_teardown(test_registries, files_new, files_free),
        cmocka_unit_test_setup_teardown(test_mirrors, files_new, files_free),
        cmocka_unit_test_setup_teardown(test_which_registries_conf, files_new, files_free),
        cmocka_unit_test_setup_teardown(test_authorities, files_new, files_free),
        cmocka_unit_test_setup_teardown(test_credentials, files_new, files_free),
        cmocka_unit_test_setup_teardown(test_bad_auth_entries, files_new, files_free),
        cmocka_unit_test_setup_teardown(test_bad_auth_files, files_new, files_free),
        cmocka_unit_test_setup_teardown(test_short_names, files_new, files_free),
        cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_challenges_that_are_none),
        cmocka_unit_test(test_tokens),
    };

    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
