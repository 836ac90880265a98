/* SPDX-License-Identifier: MIT */
/* Drives podman-compose; never believes its exit status. */

#include "mgmt-agent/worker/podman/podman-compose.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/worker/podman/user-process.h"

#define PROBE_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define UP_TIMEOUT_USEC (5 * USEC_PER_MINUTE)
#define OUTPUT_LINES_KEPT 20

const char *driver_strategy_to_string(DriverStrategy s)
{
    return s == STRATEGY_CLASSIC ? "classic (env_file in the compose file)" : "modern (--podman-run-args, no pod)";
}

void driver_done(Driver *d)
{
    free(d->program);
    free(d->version);
    *d = (Driver) {};
}

int driver_parse_version(const char *text, char **ret_version, DriverStrategy *ret_strategy, bool *ret_has_in_pod)
{
    const char *at = strstr(text, "podman-compose");
    unsigned major, minor, patch;
    char *version;

    while (at && *at && *at != '\n' && !isdigit((unsigned char) *at))
        at++;
    if (!at || !isdigit((unsigned char) *at) || sscanf(at, "%u.%u.%u", &major, &minor, &patch) != 3)
        return -EINVAL;
    version = str_format("%u.%u.%u", major, minor, patch);
    if (!version)
        return -ENOMEM;
    *ret_version = version;
    *ret_strategy = major == 1 && minor == 0 ? STRATEGY_CLASSIC : STRATEGY_MODERN;
    *ret_has_in_pod = !(major == 1 && minor == 0 && patch < 6);
    return 0;
}

char **driver_argv_up(const Driver *d, const char *project, const char *file, const char *env_file,
                      char *const *run_args)
{
    _cleanup_(strv_freep) char **argv = NULL;
    int r = strv_add(&argv, d->program);

    if (r == 0)
        r = strv_add(&argv, "-p");
    if (r == 0)
        r = strv_add(&argv, project);
    if (r == 0)
        r = strv_add(&argv, "-f");
    if (r == 0)
        r = strv_add(&argv, file);
    /* the empty value: 1.0.6 takes any other, "0" too, for true */
    if (r == 0 && d->has_in_pod)
        r = strv_add(&argv, "--in-pod=");
    if (r == 0 && d->strategy == STRATEGY_MODERN)
        r = strv_addf(&argv, "--podman-run-args=--env-file=%s", env_file);
    for (; r == 0 && run_args && *run_args; run_args++)
        r = strv_addf(&argv, "--podman-run-args=%s", *run_args);
    if (r == 0)
        r = strv_add(&argv, "up");
    if (r == 0)
        r = strv_add(&argv, "-d");
    return r == 0 ? TAKE_PTR(argv) : NULL;
}

static int find_program(const char *wanted, char **ret, struct stat *st, Error *err)
{
    static const char *const usual[] = { "/usr/local/bin/podman-compose", "/usr/bin/podman-compose" };

    for (size_t i = 0; i < (wanted ? 1 : ELEMENTSOF(usual)); i++) {
        const char *path = wanted ? wanted : usual[i];

        if (stat(path, st) == 0 && S_ISREG(st->st_mode) && (st->st_mode & 0111)) {
            *ret = strdup(path);
            return *ret ? 0 : -ENOMEM;
        }
    }
    return error_set(err, ENOENT, "compose-driver.missing", "%s is not there; install podman-compose",
                     wanted ? wanted : "podman-compose");
}

/* Identity of the program file: when it changes, the version is asked again. */
static char *stamp_of(const char *program, const struct stat *st)
{
    return str_format("%s %llu %lld %lld", program, (unsigned long long) st->st_ino, (long long) st->st_size,
                      (long long) st->st_mtim.tv_sec);
}

static char *cache_path(void)
{
    return path_in_root(RUN_DIR "/podman-compose.json");
}

static char *cached_version_text(const char *stamp)
{
    _cleanup_(freep) char *path = cache_path();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    size_t len;

    if (!path || file_read(path, 4096, &text, &len, NULL) < 0 || json_parse_object(text, len, &o, NULL) < 0 ||
        !str_equal(json_string(o, "stamp"), stamp) || !json_string(o, "version"))
        return NULL;
    return strdup(json_string(o, "version"));
}

static void remember_version_text(const char *stamp, const char *version)
{
    _cleanup_(freep) char *path = cache_path();
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;

    if (!path || !o || json_add_string(o, "stamp", stamp) < 0 || json_add_string(o, "version", version) < 0)
        return;
    text = json_print(o);
    /* only a cache: without it the version is asked again */
    if (text && file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, NULL) < 0)
        return;
}

static int ask_version(const char *program, const PodmanUser *user, char **ret, Error *err)
{
    const char *argv[] = { program, "--version", NULL };
    const ProcessSpec spec = podman_user_spec(user, argv, PROBE_TIMEOUT_USEC);
    _cleanup_(process_result_done) ProcessResult result = {};
    int r = process_run(&spec, NULL, NULL, &result, err);

    if (r < 0)
        return error_prefix(err, r, "asking podman-compose for its version");
    *ret = str_format("%s\n%s", result.out ? result.out : "", result.err ? result.err : "");
    return *ret ? 0 : -ENOMEM;
}

int driver_probe(const char *program, const PodmanUser *user, Driver *ret, Error *err)
{
    _cleanup_(driver_done) Driver d = {};
    _cleanup_(freep) char *stamp = NULL;
    _cleanup_(freep) char *text = NULL;
    struct stat st;
    bool cached;
    int r = find_program(program, &d.program, &st, err);

    if (r < 0)
        return r;
    stamp = stamp_of(d.program, &st);
    if (!stamp)
        return -ENOMEM;
    text = cached_version_text(stamp);
    cached = text != NULL;
    if (!cached)
        r = ask_version(d.program, user, &text, err);
    if (r < 0)
        return r;
    r = driver_parse_version(text, &d.version, &d.strategy, &d.has_in_pod);
    if (r < 0)
        return error_set(err, EINVAL, "compose-driver.unknown-version",
                         "%s --version does not tell its version; is it podman-compose?", d.program);
    if (!cached) {
        _cleanup_(freep) char *short_text = str_format("podman-compose %s", d.version);

        if (short_text)
            remember_version_text(stamp, short_text);
    }
    *ret = d;
    d = (Driver) {};
    return 0;
}

/* "Error: …" is podman's own; its logger writes time="…" level=error msg="…". What follows a failure (exit codes, the next
 * command) tells nothing. */
char *driver_reason(const char *output)
{
    static const char *const marks[] = { "Error: ", "level=fatal msg=", "level=error msg=" };

    for (size_t i = 0; output && i < ELEMENTSOF(marks); i++) {
        const char *last = NULL;

        for (const char *at = output; (at = strstr(at, marks[i])) != NULL; at += strlen(marks[i]))
            last = at + strlen(marks[i]);
        if (last && strcspn(last, "\n") > 0)
            return strndup(last, strcspn(last, "\n"));
    }
    return NULL;
}

typedef struct Run {
    struct Pool *pool;
    DriverJob *job;
    Process *process;
    char **lines; /* the last few */
} Run;

typedef struct Pool {
    sd_event *event;
    const Driver *driver;
    const PodmanUser *user;
    const char *project;
    Run *runs;
    size_t n, next, running;
} Pool;

static void on_line(Process *p, ProcessStream stream, const char *line, void *userdata)
{
    Run *run = userdata;
    char *safe = redact_text(line);

    (void) p;
    (void) stream;
    if (strv_length(run->lines) >= OUTPUT_LINES_KEPT) {
        free(run->lines[0]);
        memmove(run->lines, run->lines + 1, OUTPUT_LINES_KEPT * sizeof(char *));
    }
    if (strv_take(&run->lines, safe) < 0)
        return;
}

static void on_done(Process *p, int status, bool timed_out, void *userdata)
{
    Run *run = userdata;
    _cleanup_(freep) char *ended = process_status_string(status, timed_out);

    (void) p;
    run->job->result = timed_out ? -ETIMEDOUT : status == 0 ? 0 : -EIO;
    if (run->job->result < 0 && strv_addf(&run->lines, "podman-compose: %s", ended ? ended : "failed") < 0)
        run->job->result = -ENOMEM;
    run->job->output = strv_join(run->lines, "\n");
    run->pool->running--;
}

static int start_run(Pool *pool, Run *run, Error *err)
{
    _cleanup_(strv_freep) char **argv =
        driver_argv_up(pool->driver, pool->project, run->job->file, run->job->env_file, run->job->run_args);
    _cleanup_(freep) char *folder = strdup(run->job->file);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    ProcessSpec spec = podman_user_spec(pool->user, (const char *const *) argv, UP_TIMEOUT_USEC);
    int r;

    if (!argv || !slash)
        return error_set(err, ENOMEM, "compose-driver.failed", "no memory");
    *slash = '\0';
    spec.cwd = folder;
    spec.keep_with_parent = false; /* killed half-way it would leave storage locked or mounts behind */
    r = process_spawn(pool->event, &spec, on_line, on_done, run, &run->process, err);
    if (r < 0)
        return error_prefix(err, r, "starting podman-compose for %s", run->job->service);
    pool->running++;
    return 0;
}

static int pool_run(Pool *pool, unsigned parallel, bool first_alone, Error *err)
{
    while (pool->next < pool->n || pool->running > 0) {
        unsigned limit = first_alone && (pool->next == 0 || (pool->next == 1 && pool->running > 0)) ? 1 : parallel;
        int r = 0;

        while (r == 0 && pool->next < pool->n && pool->running < limit) {
            r = start_run(pool, &pool->runs[pool->next++], err);
            if (first_alone && pool->next == 1)
                break;
        }
        if (r < 0)
            return r;
        r = sd_event_run(pool->event, UINT64_MAX);
        if (r < 0)
            return error_set(err, r, "compose-driver.failed", "waiting for podman-compose: %s", strerror(-r));
    }
    return 0;
}

int driver_up_all(const Driver *d, const PodmanUser *user, const char *project, DriverJob *jobs, size_t n,
                  unsigned parallel, bool first_alone, Error *err)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    Pool pool = { .driver = d, .user = user, .project = project, .n = n };
    int r = sd_event_new(&event);

    if (r < 0)
        return error_set(err, r, "compose-driver.failed", "no event loop: %s", strerror(-r));
    pool.event = event;
    pool.runs = calloc(n + 1, sizeof(*pool.runs));
    if (!pool.runs)
        return error_set(err, ENOMEM, "compose-driver.failed", "no memory");
    for (size_t i = 0; i < n; i++)
        pool.runs[i] = (Run) { .pool = &pool, .job = &jobs[i] };
    r = pool_run(&pool, parallel, first_alone, err);
    for (size_t i = 0; i < n; i++) {
        process_free(pool.runs[i].process);
        strv_free(pool.runs[i].lines);
    }
    free(pool.runs);
    return r;
}
