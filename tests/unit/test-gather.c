/* SPDX-License-Identifier: MIT */
/* Several files as one: a table of what the Compose specification says about merging, extending and including, of values as
 * defaults, and of what cannot be gathered. */
#include "compose/gather/defaults.h"
#include "compose/gather/gather-impl.h"
#include "tests/unit/gather-files.h"

/* A file with one service, `a`, that has these lines. */
static char *service(const char *lines)
{
    char *text = strdup("services:\n  a:\n");

    while (text && *lines) {
        size_t n = strcspn(lines, "\n");
        char *longer = str_format("%s    %.*s\n", text, (int) n, lines);

        free(text);
        text = longer;
        lines += n + (lines[n] == '\n');
    }
    assert_non_null(text);
    return text;
}

typedef struct MergeCase {
    const char *what, *base, *over, *result;
} MergeCase;

/* Of service `a` in both files; the result is that of the one service. */
static void expect_merged(const MergeCase *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *base = service(cases[i].base), *over = service(cases[i].over);
        _cleanup_(freep) char *result = service(cases[i].result), *expected = written(result);
        _cleanup_(gathered_done) Gathered out = {};
        _cleanup_(error_done) Error err = {};
        const File files[] = { { "a.yml", base }, { "b.yml", over }, {} };

        if (gather(files, NAMES("a.yml", "b.yml"), NULL, &out, &err) < 0)
            fail_msg("%s: %s", cases[i].what, error_message(&err, -1));
        if (!str_equal(out.text, expected))
            fail_msg("%s:\n%s\ninstead of\n%s", cases[i].what, out.text, expected);
    }
}

static void test_merge_rules(void **state)
{
    static const MergeCase cases[] = {
        { "a value is replaced", "image: x\n", "image: y\n", "image: y\n" },
        { "what only one has stays", "image: x\n", "init: true\n", "image: x\ninit: true\n" },
        { "an empty mapping changes nothing", "deploy:\n  replicas: 2\n", "deploy:\n", "deploy:\n  replicas: \"2\"\n" },
        { "mappings are merged", "deploy: {resources: {limits: {cpus: '1', memory: 1g}}}\n",
          "deploy: {resources: {limits: {memory: 2g}}}\n",
          "deploy:\n  resources:\n    limits:\n      cpus: \"1\"\n      memory: 2g\n" },
        { "lists are appended", "cap_add: [A, B]\n", "cap_add: [C]\n", "cap_add:\n  - A\n  - B\n  - C\n" },
        { "and hold nothing twice", "cap_add: [A, B]\n", "cap_add: [B]\n", "cap_add:\n  - A\n  - B\n" },
        { "command is replaced", "command: [a, b]\n", "command: [c]\n", "command:\n  - c\n" },
        { "a text replaces a list", "command: [a, b]\n", "command: c d\n", "command: c d\n" },
        { "entrypoint is replaced", "entrypoint: a\n", "entrypoint: [c]\n", "entrypoint:\n  - c\n" },
        { "a health check's test is replaced, its times are merged", "healthcheck: {test: [CMD, a], interval: 5s}\n",
          "healthcheck: {test: [CMD, b], retries: 3}\n",
          "healthcheck:\n  test:\n    - CMD\n    - b\n  interval: 5s\n  retries: \"3\"\n" },
        { "environment: lists", "environment: [A=1, B=2]\n", "environment: [B=3, C]\n",
          "environment:\n  A: \"1\"\n  B: \"3\"\n  C: null\n" },
        { "environment: mapping over list", "environment: [A=1]\n", "environment: {A: 2, B: x}\n",
          "environment:\n  A: \"2\"\n  B: x\n" },
        { "environment: list over mapping", "environment: {A: 1}\n", "environment: ['A=b=c']\n",
          "environment:\n  A: b=c\n" },
        { "texts stay as they are", "environment: {A: True, B: 022, C: 1.10, D: ~, E: ''}\n", "privileged: True\n",
          "environment: {A: 'True', B: '022', C: '1.10', D: null, E: ''}\nprivileged: true\n" },
        { "labels", "labels: [a.b=1]\n", "labels: {a.b: 2}\n", "labels:\n  a.b: \"2\"\n" },
        { "ports: the same one", "ports: ['80:80', '81:81']\n", "ports: ['80:80']\n",
          "ports:\n  - \"80:80\"\n  - \"81:81\"\n" },
        { "ports: another host port is another one", "ports: ['80:80']\n", "ports: ['8080:80']\n",
          "ports:\n  - \"80:80\"\n  - \"8080:80\"\n" },
        { "ports: another address, another protocol", "ports: ['80:80']\n", "ports: ['127.0.0.1:80:80', '80:80/udp']\n",
          "ports:\n  - \"80:80\"\n  - 127.0.0.1:80:80\n  - 80:80/udp\n" },
        { "ports: long over short", "ports: ['80:80/tcp']\n", "ports: [{target: 80, published: '80', mode: host}]\n",
          "ports:\n  - target: \"80\"\n    published: \"80\"\n    mode: host\n" },
        { "ports: a variable's colon is no separator", "ports: ['${P:-80}:80']\n", "ports: ['${P:-80}:80']\n",
          "ports:\n  - \"${P:-80}:80\"\n" },
        { "volumes: one for a target", "volumes: ['a:/x', 'b:/y']\n", "volumes: ['c:/x:ro']\n",
          "volumes:\n  - c:/x:ro\n  - b:/y\n" },
        { "volumes: long over short", "volumes: ['a:/x/']\n", "volumes: [{type: tmpfs, target: /x}]\n",
          "volumes:\n  - type: tmpfs\n    target: /x\n" },
        { "devices: one for a target", "devices: ['/dev/a:/dev/x']\n", "devices: ['/dev/b:/dev/x']\n",
          "devices:\n  - /dev/b:/dev/x\n" },
        { "configs: one for a target", "configs: [a, {source: b, target: /b}]\n",
          "configs: [{source: c, target: /b}]\n", "configs:\n  - a\n  - source: c\n    target: /b\n" },
        { "secrets: one for a name", "secrets: [a]\n", "secrets: [{source: a, mode: 256}]\n",
          "secrets:\n  - source: a\n    mode: \"256\"\n" },
        { "env_file: a text is a list of one", "env_file: a.env\n", "env_file: [b.env]\n",
          "env_file:\n  - a.env\n  - b.env\n" },
        { "dns: a text is a list of one", "dns: 1.1.1.1\n", "dns: 8.8.8.8\n", "dns:\n  - 1.1.1.1\n  - 8.8.8.8\n" },
        { "extra_hosts: one for a name", "extra_hosts: ['a:1.1.1.1', 'b:2.2.2.2']\n", "extra_hosts: ['a=3.3.3.3']\n",
          "extra_hosts:\n  - a=3.3.3.3\n  - b:2.2.2.2\n" },
        { "extra_hosts: a mapping over a list", "extra_hosts: ['a:1.1.1.1', 'b:2.2.2.2']\n",
          "extra_hosts: {a: 3.3.3.3}\n", "extra_hosts:\n  - a=3.3.3.3\n  - b:2.2.2.2\n" },
        { "extra_hosts: a mapping that takes one off a list", "extra_hosts: ['a:1.1.1.1', 'b:2.2.2.2', 'a=4.4.4.4']\n",
          "extra_hosts: {a: !reset null, c: 3.3.3.3}\n", "extra_hosts:\n  - b:2.2.2.2\n  - c=3.3.3.3\n" },
        { "extra_hosts: a mapping that overrides one of a list",
          "extra_hosts: ['a:1.1.1.1', 'a=4.4.4.4', 'b:2.2.2.2']\n", "extra_hosts: {a: !override 3.3.3.3}\n",
          "extra_hosts:\n  - b:2.2.2.2\n  - a=3.3.3.3\n" },
        { "extra_hosts: a list over a mapping", "extra_hosts: {a: [1.1.1.1, 2.2.2.2]}\n",
          "extra_hosts: ['b:3.3.3.3']\n", "extra_hosts:\n  - a=1.1.1.1\n  - a=2.2.2.2\n  - b:3.3.3.3\n" },
        { "tmpfs: one for a target", "tmpfs: ['/run:size=64m']\n", "tmpfs: ['/tmp:size=64m', '/run/:size=128m']\n",
          "tmpfs:\n  - /run/:size=128m\n  - /tmp:size=64m\n" },
        { "an empty environment changes nothing", "environment: {A: x}\nlabels: [a=b]\nlogging: {driver: none}\n",
          "environment:\nlabels:\nlogging:\n", "environment:\n  A: x\nlabels:\n  - a=b\nlogging:\n  driver: none\n" },
        { "an empty key takes what comes over it", "logging:\nnetworks:\ndepends_on:\nenvironment:\n",
          "logging: {driver: none}\nnetworks: {n: }\ndepends_on: [x]\nenvironment: {A: x}\n",
          "logging:\n  driver: none\nnetworks:\n  n: null\ndepends_on:\n  - x\nenvironment:\n  A: x\n" },
        { "a command that is null is the image's", "command: [a]\n", "command:\n", "command: null\n" },
        { "depends_on: two lists", "depends_on: [x]\n", "depends_on: [y, x]\n", "depends_on:\n  - x\n  - y\n" },
        { "depends_on: a mapping over a list", "depends_on: [x, y]\n",
          "depends_on: {x: {condition: service_healthy}}\n",
          "depends_on:\n  x:\n    condition: service_healthy\n  y:\n    condition: service_started\n" },
        { "networks: a mapping over a list", "networks: [x, y]\n", "networks: {x: {aliases: [z]}}\n",
          "networks:\n  x:\n    aliases:\n      - z\n  y: null\n" },
        { "logging: options of one driver are merged",
          "logging: {driver: json-file, options: {max-size: 1m, tag: t}}\n", "logging: {options: {max-size: 2m}}\n",
          "logging:\n  driver: json-file\n  options:\n    max-size: 2m\n    tag: t\n" },
        { "logging: another driver has its own", "logging: {driver: json-file, options: {max-size: 1m}}\n",
          "logging: {driver: journald}\n", "logging:\n  driver: journald\n" },
        { "ulimits", "ulimits: {nofile: 1, nproc: 2}\n", "ulimits: {nofile: {soft: 3, hard: 4}}\n",
          "ulimits:\n  nofile:\n    soft: \"3\"\n    hard: \"4\"\n  nproc: \"2\"\n" },
    };

    (void) state;
    expect_merged(cases, ELEMENTSOF(cases));
}

static void test_tags(void **state)
{
    static const MergeCase cases[] = {
        { "!reset takes a member away", "image: x\nports: ['80:80']\n", "ports: !reset []\n", "image: x\n" },
        { "!reset of one value of several", "environment: {A: 1, B: 2}\n", "environment: {A: !reset null}\n",
          "environment:\n  B: \"2\"\n" },
        { "!reset of one value of a list", "environment: [A=1, B=2]\n", "environment: {A: !reset null}\n",
          "environment:\n  B: \"2\"\n" },
        { "!reset of what is not there", "image: x\n", "ports: !reset null\n", "image: x\n" },
        { "!override replaces", "ports: ['80:80']\n", "ports: !override ['443:443']\n", "ports:\n  - \"443:443\"\n" },
        { "!override of a mapping", "environment: {A: 1, B: 2}\n", "environment: !override {B: 3, C: !reset x}\n",
          "environment:\n  B: \"3\"\n" },
    };

    (void) state;
    expect_merged(cases, ELEMENTSOF(cases));
}

static void test_a_name_may_have_dots(void **state)
{
    static const File files[] = {
        { "a.yml", "services: {web.api: {command: [a, b], ports: ['80:80'], environment: [A=1], networks: [n.x]}}\n" },
        { "b.yml", "services: {web.api: {command: [c], ports: ['80:80'], environment: {A: x}, networks: {n.x: }}}\n" },
        {}
    };

    (void) state;
    expect(files, NAMES("a.yml", "b.yml"), NULL,
           "services:\n  web.api:\n    command:\n      - c\n    ports:\n      - \"80:80\"\n"
           "    environment:\n      A: x\n    networks:\n      n.x: null\n");
}

static void test_pools_of_one_subnet_are_one(void **state)
{
    static const File files[] = {
        { "a.yml", "networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1}]}}}\n" },
        { "b.yml",
          "networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.2}, {subnet: 10.8.0.0/24}]}}}\n" },
        {}
    };

    (void) state;
    expect(files, NAMES("a.yml", "b.yml"), NULL,
           "networks:\n  n:\n    ipam:\n      config:\n        - subnet: 10.9.0.0/24\n          gateway: 10.9.0.2\n"
           "        - subnet: 10.8.0.0/24\n");
}

static void expect_error(const File *files, const char *id, const char *file, unsigned line)
{
    _cleanup_(gathered_done) Gathered out = {};
    _cleanup_(error_done) Error err = {};

    assert_true(gather(files, NAMES("a.yml"), NULL, &out, &err) < 0);
    assert_string_equal(error_id(&err), id);
    if (file) {
        assert_string_equal(err.file, file);
        assert_int_equal(err.line, line);
    }
}

static void test_one_file_stays_as_it_is(void **state)
{
    static const char text[] = "# a comment\nservices: {a: {image: \"${X:-1}\", profiles: [p]}}\n";
    static const File files[] = { { "a.yml", text }, {} };
    _cleanup_(gathered_done) Gathered out = {};

    (void) state;
    assert_int_equal(gather(files, NAMES("a.yml"), NULL, &out, NULL), 0);
    assert_true(out.is_same);
    assert_string_equal(out.text, text);
}

static void test_profiles(void **state)
{
    static const File files[] = {
        { "a.yml", "services: {a: {image: x}, b: {image: x, profiles: [debug]}, c: {image: x, profiles: [other]}}\n" },
        {}
    };

    (void) state;
    expect(files, NAMES("a.yml"), NAMES("debug"),
           "services:\n  a:\n    image: x\n  b:\n    image: x\n  c:\n    image: x\n    profiles:\n      - other\n");
    expect(files, NAMES("a.yml"), NAMES("*"),
           "services:\n  a:\n    image: x\n  b:\n    image: x\n  c:\n    image: x\n");
}

static void test_extends(void **state)
{
    static const File files[] = {
        { "p/a.yml", "services:\n"
                     "  web: {extends: base, environment: {B: 2}}\n"
                     "  base: {extends: {file: lib/b.yml, service: root}, image: y}\n" },
        { "p/lib/b.yml", "services:\n"
                         "  root: {extends: deep, volumes: ['./d:/d', 'v:/v'], env_file: r.env}\n"
                         "  deep: {image: x, environment: [A=1], command: [run]}\n" },
        {},
    };

    (void) state;
    expect(files, NAMES("p/a.yml"), NULL,
           "services:\n"
           "  web:\n"
           "    image: \"y\"\n    environment:\n      A: \"1\"\n      B: \"2\"\n    command:\n      - run\n"
           "    volumes:\n      - ./lib/d:/d\n      - v:/v\n    env_file: ./lib/r.env\n"
           "  base:\n"
           "    image: \"y\"\n    environment:\n      - A=1\n    command:\n      - run\n"
           "    volumes:\n      - ./lib/d:/d\n      - v:/v\n    env_file: ./lib/r.env\n");
}

static void test_extends_that_cannot_be(void **state)
{
    (void) state;
    expect_error((File[]) { { "a.yml", "services:\n  a:\n    extends: b\n  b:\n    extends: a\n" }, {} },
                 "gather.cycle", "a.yml", 5);
    expect_error((File[]) { { "a.yml", "services:\n  a:\n    extends: b\n" }, {} }, "gather.extends", "a.yml", 3);
    expect_error((File[]) { { "a.yml", "services:\n  a:\n    extends: {file: b.yml}\n" }, {} }, "gather.extends",
                 "a.yml", 3);
    expect_error((File[]) { { "a.yml", "services:\n  a:\n    extends: {file: b.yml, service: x}\n" }, {} },
                 "gather.missing", "a.yml", 3);
}

static void test_include(void **state)
{
    static const File files[] = {
        { "a.yml", "include:\n  - db/b.yml\n  - path: [c.yml, d.yml]\nservices: {a: {image: x}}\n" },
        { "db/b.yml", "services: {b: {image: 'db:${V}', volumes: ['./init:/i', 'data:/d']}}\nvolumes: {data: }\n" },
        { "db/.env", "V=16\nW=inner\n" },
        { "c.yml", "services: {c: {image: 'c:${W:-0}', command: one}}\n" },
        { "d.yml", "services: {c: {command: two}}\n" },
        { ".env", "W=outer\n" },
        {},
    };

    (void) state;
    expect(files, NAMES("a.yml"), NULL,
           "services:\n  a:\n    image: x\n"
           "  b:\n    image: \"db:${V-16}\"\n    volumes:\n      - ./db/init:/i\n      - data:/d\n"
           "  c:\n    image: \"c:${W:-outer}\"\n    command: two\n"
           "volumes:\n  data: null\n");
}

/* The same from every place that the project can be named from; each file adds its own folder once. */
static void test_relative_paths_are_from_the_project(void **state)
{
    static const char *const places[] = { "", "./", "p/", "./p/", "../p/", "../", "/srv/p/", "/" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(places); i++) {
        _cleanup_(freep) char *typed = str_format("%sa.yml", places[i]), *first = gather_join("", typed);
        _cleanup_(freep) char *folder = gather_folder(first), *second = gather_join(folder, "a/b.yml");
        _cleanup_(freep) char *third = gather_join(folder, "a/b/c.yml"), *other = gather_join(folder, "lib/l.yml");
        _cleanup_(freep) char *deep = gather_join(folder, "a/d/d.yml");
        const File files[] = {
            { first, "include: [a/b.yml]\nservices: {a: {extends: {file: lib/l.yml, service: l}}}\n" },
            { second, "include: [{path: b/c.yml, project_directory: x}]\n"
                      "services: {b: {volumes: ['./l:/l', '../m:/m', '/n:/n'], env_file: b.env}}\n" },
            { third, "services: {c: {extends: {file: ../d/d.yml, service: d}, env_file: [./c.env]}}\n"
                     "configs: {c: {file: c.conf}}\n" },
            { other, "services: {l: {volumes: ['./d:/d']}}\n" },
            { deep, "services: {d: {volumes: ['./d:/d', '../../d2:/d2']}}\n" },
            {},
        };

        expect(files, NAMES(first), NULL,
               "services:\n  a:\n    volumes:\n      - ./lib/d:/d\n"
               "  b:\n    volumes:\n      - ./a/l:/l\n      - ./m:/m\n      - /n:/n\n    env_file: ./a/b.env\n"
               "  c:\n    volumes:\n      - ./a/d/d:/d\n      - ./d2:/d2\n    env_file:\n      - ./a/x/c.env\n"
               "configs:\n  c:\n    file: ./a/x/c.conf\n");
    }
}

static void test_env_files_of_what_is_included(void **state)
{
    static const File files[] = {
        { "a.yml", "include: [{path: b.yml, env_file: [one.env, two.env]}]\n" },
        { "b.yml", "services: {b: {image: '$ONE:$TWO'}}\n" },
        { "one.env", "ONE=1\nTWO=1\n" },
        { "two.env", "TWO=2\n" },
        {},
    };

    (void) state;
    expect(files, NAMES("a.yml"), NULL, "services:\n  b:\n    image: \"${ONE-1}:${TWO-2}\"\n");
}

static void test_ways_between_folders(void **state)
{
    static const char *const cases[][3] = {
        { "", "", "" },
        { "p", "p", "" },
        { "", "a/b", "a/b" },
        { "p", "p/a", "a" },
        { "p", "", ".." },
        { "p/q", "p/r", "../r" },
        { "p", "pq", "../pq" },
        { "pq", "p", "../p" },
        { "/", "/a", "a" },
        { "/a/b", "/", "../.." },
        { "/a", "/a/b", "b" },
        { "/", "/", "" },
        { "..", "../a", "a" },
        { "p", "../x", "../../x" },
        { "..", "../..", ".." },
        { "a", "/b", "/b" },
        { "../p", "../../x", "../../x" },
    };
    static const char *const unknown[][2] = { { "/a", "a" }, { "..", "" }, { "../p", "x" }, { "../../a", "../b" } };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *way = NULL;

        assert_int_equal(gather_relative(cases[i][0], cases[i][1], &way), 0);
        if (!str_equal(way, cases[i][2]))
            fail_msg("from %s to %s: %s", cases[i][0], cases[i][1], way);
    }
    for (size_t i = 0; i < ELEMENTSOF(unknown); i++) {
        _cleanup_(freep) char *way = NULL;
        assert_int_equal(gather_relative(unknown[i][0], unknown[i][1], &way), -EXDEV);
    }
}

static void test_include_that_cannot_be(void **state)
{
    (void) state;
    expect_error((File[]) { { "a.yml", "services: {a: {image: x}}\ninclude:\n  - b.yml\n" },
                            { "b.yml", "services: {a: {image: y}}\n" },
                            {} },
                 "gather.conflict", "a.yml", 3);
    expect_error((File[]) { { "a.yml", "include: [a.yml]\n" }, {} }, "gather.cycle", "a.yml", 1);
    expect_error((File[]) { { "a.yml", "include:\n  - {env_file: x}\n" }, {} }, "gather.include", "a.yml", 2);
    expect_error(
        (File[]) { { "a.yml", "include:\n  - {path: b.yml, env_file: x}\n" }, { "b.yml", "services: {}\n" }, {} },
        "gather.env", "a.yml", 2);
}

static const char *lookup(const char *name, bool *ret_secret, void *userdata)
{
    static const char *const known[][2] = { { "A", "1" },          { "E", "" },    { "D", "a$b" },
                                            { "J", "{\"x\": 1}" }, { "BAD", "}" }, { "S", "swordfish" } };

    (void) userdata;
    *ret_secret = str_equal(name, "S");
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i][0], name))
            return known[i][1];
    return NULL;
}

static void test_values_as_defaults(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "plain", "plain" },
        { "$A", "${A-1}" },
        { "${A}", "${A-1}" },
        { "x$A.y", "x${A-1}.y" },
        { "${A:-d}", "${A:-1}" },
        { "${A-d}", "${A-1}" },
        { "${A:?m}", "${A:-1}" },
        { "${A?m}", "${A-1}" },
        { "${A:+r}", "r" },
        { "${A:+r$A}", "r${A-1}" },
        { "${E}", "${E-}" },
        { "${E:-d}", "${E:-d}" },
        { "${E-d}", "${E-}" },
        { "${E:?m}", "${E:?m}" },
        { "${E:+r}", "${E:+r}" },
        { "${E+r}", "r" },
        { "$D", "${D-a$$b}" },
        { "${J}", "${J-{\"x\": 1}}" },
        { "${N}", "${N}" },
        { "$N", "$N" },
        { "${N:-$A}", "${N:-${A-1}}" },
        { "${N:-${A:-x}}", "${N:-${A:-1}}" },
        { "$$A $${A}", "$$A $${A}" },
        { "${A", "${A" },
        { "${", "${" },
        { "$", "$" },
        { "$1 ${1}", "$1 ${1}" },
        { "${A/x}", "${A/x}" },
        { "$S", "$S" },
        { "${S}", "${S}" },
        { "${S:?m}", "${S:?m}" },
        { "${S:-changeme}", "${S:?the operator's .env has it, and secrets are not sent}" },
        { "x${S-changeme}.y", "x${S?the operator's .env has it, and secrets are not sent}.y" },
        { "${N:-${S:-d}}", "${N:-${S:?the operator's .env has it, and secrets are not sent}}" },
        { "${S:+--password $S}", "--password $S" },
    };
    const ValueSource context = { .lookup = lookup };
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *none = NULL;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *out = NULL;

        assert_int_equal(defaults_put_in(cases[i].in, &context, &out, NULL), 0);
        if (!str_equal(out, cases[i].out))
            fail_msg("%s: %s instead of %s", cases[i].in, out, cases[i].out);
    }
    assert_true(defaults_put_in("${BAD}", &context, &none, &err) < 0);
    assert_string_equal(error_id(&err), "gather.braces");
}

static void test_where_values_come_from(void **state)
{
    static const File files[] = {
        { "p/a.yml",
          "services: {a: {image: 'x:$TAG', environment: ['DB_PASSWORD=$DB_PASSWORD', 'N=${NOT_THERE}']}}\n" },
        { "p/.env", "TAG=1 # ours\nDB_PASSWORD=swordfish\nUNUSED=1\n" },
        {},
    };
    _cleanup_(gathered_done) Gathered out = {};

    (void) state;
    assert_int_equal(gather(files, NAMES("p/a.yml"), NULL, &out, NULL), 0);
    assert_non_null(strstr(out.text, "x:${TAG-1}"));
    assert_non_null(strstr(out.text, "DB_PASSWORD=$DB_PASSWORD"));
    assert_null(strstr(out.text, "swordfish"));
    assert_non_null(strstr(out.text, "N=${NOT_THERE}"));
    assert_int_equal(out.n_values, 2);
    assert_string_equal(out.values[0].name, "TAG");
    assert_string_equal(out.values[0].file, "p/.env");
    assert_false(out.values[0].is_secret);
    assert_string_equal(out.values[1].name, "DB_PASSWORD");
    assert_true(out.values[1].is_secret);
}

static void test_what_is_secret(void **state)
{
    static const File files[] = {
        { "a.yml",
          "services: {a: {environment: ['A=${PG_PWD:-d}', 'B=${DATABASE_URL:-d}', 'C=$SITE', 'D=${API_KEY-d}',\n"
          "                             'E=${EMPTY_TOKEN:-d}']}}\n" },
        { ".env", "PG_PWD=swordfish\nDATABASE_URL=postgres://u:swordfish@db/x\nSITE=https://a.example/x\n"
                  "API_KEY=swordfish\nEMPTY_TOKEN=\n" },
        {},
    };
    static const bool secret[] = { true, true, false, true, false };
    _cleanup_(gathered_done) Gathered out = {};

    (void) state;
    assert_int_equal(gather(files, NAMES("a.yml"), NULL, &out, NULL), 0);
    assert_null(strstr(out.text, "swordfish"));
    assert_non_null(strstr(out.text, "A=${PG_PWD:?"));
    assert_non_null(strstr(out.text, "B=${DATABASE_URL:?"));
    assert_non_null(strstr(out.text, "C=${SITE-https://a.example/x}"));
    assert_non_null(strstr(out.text, "D=${API_KEY?"));
    assert_non_null(strstr(out.text, "E=${EMPTY_TOKEN:-d}"));
    assert_int_equal(out.n_values, ELEMENTSOF(secret));
    for (size_t i = 0; i < out.n_values; i++)
        assert_true(out.values[i].is_secret == secret[i]);
}

static void test_paths(void **state)
{
    static const char *const cases[][3] = {
        { "", "a.yml", "a.yml" },    { "p", "./a", "p/a" },
        { "p/q", "../a", "p/a" },    { "", "../a", "../a" },
        { "..", "../a", "../../a" }, { "p", "/abs", "/abs" },
        { "/p", "../../a", "/a" },   { "p", "a//b/./c/..", "p/a/b" },
        { ".", "../a", "../a" },     { "./d", "../../a", "../a" },
        { "./p/", "", "p" },         { "", ".", "" },
        { "", "./a", "a" },          { "/", "", "/" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *path = gather_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_rules),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_a_name_may_have_dots),
        cmocka_unit_test(test_pools_of_one_subnet_are_one),
        cmocka_unit_test(test_env_files_of_what_is_included),
        cmocka_unit_test(test_one_file_stays_as_it_is),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_extends),
        cmocka_unit_test(test_extends_that_cannot_be),
        cmocka_unit_test(test_include),
        cmocka_unit_test(test_relative_paths_are_from_the_project),
        cmocka_unit_test(test_ways_between_folders),
        cmocka_unit_test(test_include_that_cannot_be),
        cmocka_unit_test(test_values_as_defaults),
        cmocka_unit_test(test_where_values_come_from),
        cmocka_unit_test(test_what_is_secret),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
