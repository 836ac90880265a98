/* SPDX-License-Identifier: MIT */
/* A small client of the libpod REST API, version 4 (podman 4 and 5 both serve it). */

#include "mgmt-agent/worker/podman/podman.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/host/user-folder.h"
#include "mgmt-agent/worker/podman/podman-call.h"
#include "mgmt-agent/worker/podman/user-process.h"

#define API "http://podman/v4.0.0/libpod"
#define CALL_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define STORE_TIMEOUT_USEC (10 * USEC_PER_MINUTE)
#define READY_POLL_USEC 5000
#define READY_TIMEOUT_USEC (20 * USEC_PER_SEC)
#define EXEC_TIMED_OUT 124                        /* as timeout(1) says it */
#define SERVICE_LIFETIME_USEC (7 * USEC_PER_HOUR) /* longer than any worker lives */

struct Podman {
    char *socket;
    char *version;
    char *graphroot;
    sd_event *event;
    Process *service;
    char *last_words; /* the service's last line on stderr */
    bool ended;
    UserFolder runtime_dir; /* of its user, when the service began */
};

static void on_service_line(Process *process, ProcessStream stream, const char *line, void *userdata)
{
    Podman *p = userdata;

    (void) process;
    (void) stream;
    free(p->last_words);
    p->last_words = redact_text(line);
}

static void on_service_done(Process *process, int status, bool timed_out, void *userdata)
{
    Podman *p = userdata;

    (void) process;
    (void) status;
    (void) timed_out;
    p->ended = true;
}

/* Takes what the service printed, so that it never blocks on a full pipe. */
static void drain(Podman *p)
{
    while (!p->ended && sd_event_run(p->event, 0) > 0)
        ;
}

Podman *podman_free(Podman *p)
{
    if (!p)
        return NULL;
    process_free(p->service);
    sd_event_unref(p->event);
    if (p->socket)
        (void) unlink(p->socket);
    free(p->last_words);
    free(p->socket);
    free(p->version);
    user_folder_done(&p->runtime_dir);
    free(p->graphroot);
    free(p);
    return NULL;
}

const char *podman_version(const Podman *p)
{
    return p->version;
}

/* Podman's {"cause":…,"message":…}, or the bare status. */
static int refused(const char *what, const HttpResponse *response, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(freep) char *safe = NULL;
    const char *message = NULL;

    if (json_parse_object(response->body, response->body_len, &o, NULL) == 0)
        message = json_string(o, "message");
    safe = message ? redact_text(message) : NULL;
    return error_set(err, response->status == 404 ? ENOENT : EIO, "podman.refused", "podman refused to %s: %s (%d)",
                     what, safe ? safe : "no reason given", response->status);
}

/* url is owned by the caller. */
static HttpRequest request_of(const Podman *p, const PodmanCall *c, char **ret_url)
{
    static const char *const json_headers[] = { "Content-Type: application/json", NULL };

    *ret_url = str_format(API "%s", c->path);
    return (HttpRequest) { .method = c->method,
                           .url = *ret_url,
                           .unix_socket = p->socket,
                           .timeout_usec = c->timeout,
                           .response_max = PODMAN_RESPONSE_MAX,
                           .body = c->body,
                           .body_len = c->body ? strlen(c->body) : 0,
                           .headers = c->body ? json_headers : NULL };
}

/* What an answer means; r and reason where there was none. */
static int judge(const char *what, int r, const Error *reason, const HttpResponse *response, Error *err)
{
    if (r < 0)
        return error_set(err, r, str_equal(error_id(reason), "http.timeout") ? "podman.timeout" : "podman.unreachable",
                         "podman did not answer when asked to %s: %s", what, error_message(reason, r));
    return response->status >= 300 && response->status != 304 ? refused(what, response, err) : 0;
}

int podman_call(Podman *p, const char *method, const char *path, const char *body, usec_t timeout, const char *what,
                HttpResponse *ret, Error *err)
{
    const PodmanCall c = { method, path, body, timeout, what };
    _cleanup_(freep) char *url = NULL;
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(error_done) Error reason = {};
    HttpRequest request = request_of(p, &c, &url);
    int r;

    if (!url)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    drain(p);
    r = judge(what, http_run(&request, &response, &reason), &reason, &response, err);
    if (r == 0 && ret) {
        *ret = response;
        response = (HttpResponse) {};
    }
    return r;
}

int podman_call_all(Podman *p, const PodmanCall *calls, size_t n, unsigned parallel, HttpResponse *rets, Error *errs,
                    int *results)
{
    _cleanup_(freep) HttpRequest *requests = calloc(n + 1, sizeof(*requests));
    _cleanup_(strv_freep) char **urls = calloc(n + 1, sizeof(*urls));
    int r = requests && urls ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        requests[i] = request_of(p, &calls[i], &urls[i]);
        r = urls[i] ? 0 : -ENOMEM;
    }
    if (r < 0)
        return r;
    drain(p);
    r = http_run_all(requests, n, parallel, rets, errs, results);
    for (size_t i = 0; r == 0 && i < n; i++) {
        Error reason = errs[i];

        errs[i] = (Error) {};
        results[i] = judge(calls[i].what, results[i], &reason, &rets[i], &errs[i]);
        error_done(&reason);
    }
    return r;
}

static int call(Podman *p, const char *method, const char *path, usec_t timeout, const char *what, HttpResponse *ret,
                Error *err)
{
    return podman_call(p, method, path, NULL, timeout, what, ret, err);
}

static int call_json_within(Podman *p, const char *path, usec_t timeout, const char *what, cJSON **ret, Error *err)
{
    _cleanup_(http_response_done) HttpResponse response = {};
    int r = call(p, "GET", path, timeout, what, &response, err);

    if (r < 0)
        return r;
    r = json_parse(response.body, response.body_len, ret, err);
    return r < 0 ? error_prefix(err, r, "podman's answer to '%s'", what) : 0;
}

static int call_json(Podman *p, const char *path, const char *what, cJSON **ret, Error *err)
{
    return call_json_within(p, path, CALL_TIMEOUT_USEC, what, ret, err);
}

/* Percent-encodes what may stand in an image reference or name. */
static char *encode(const char *text)
{
    Buf b = BUF_INIT(4096);
    int r = 0;

    for (; *text && r == 0; text++) {
        unsigned char c = (unsigned char) *text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.~", c))
            r = buf_append(&b, text, 1);
        else
            r = buf_printf(&b, "%%%02X", c);
    }
    if (r < 0) {
        buf_done(&b);
        return NULL;
    }
    return buf_take(&b);
}

static int start_service(Podman *p, const PodmanUser *user, const char *runtime, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(RUN_DIR "/podman");
    _cleanup_(freep) char *address = NULL;
    const char *argv[] = { "/usr/bin/podman", "system", "service", "--time=0", NULL, runtime ? "--runtime" : NULL,
                           runtime,           NULL };
    ProcessSpec spec = podman_user_spec(user, argv, SERVICE_LIFETIME_USEC);
    int r;

    spec.cwd = user->home;
    if (!folder)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    r = dir_make(folder, 0700, user->uid, user->gid, err);
    if (r < 0)
        return r;
    p->socket = str_format("%s/api-%d%s.sock", folder, (int) getpid(), runtime ? "-runtime" : "");
    address = p->socket ? str_format("unix://%s", p->socket) : NULL;
    if (!address)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    (void) unlink(p->socket);
    argv[4] = address;
    r = sd_event_new(&p->event);
    if (r >= 0)
        r = user_folder_note(&p->runtime_dir, user->runtime_dir);
    if (r < 0)
        return error_set(err, r, "podman.unreachable", "no event loop: %s", strerror(-r));
    r = process_spawn(p->event, &spec, on_service_line, on_service_done, p, &p->service, err);
    return r < 0 ? error_prefix(err, r, "starting podman") : 0;
}

bool podman_is_outlived(const Podman *p)
{
    return user_folder_is_gone(&p->runtime_dir);
}

/* "Libpod/4.3.1 (linux)". Podman's /version and /info run dpkg four times and take half a second. */
static char *version_from_server(const char *server)
{
    const char *prefix = "Libpod/";

    if (!server || !str_starts(server, prefix))
        return strdup("unknown");
    return strndup(server + strlen(prefix), strcspn(server + strlen(prefix), " "));
}

static int wait_until_ready(Podman *p, Error *err)
{
    usec_t deadline = boottime_usec() + READY_TIMEOUT_USEC;

    for (;;) {
        _cleanup_(http_response_done) HttpResponse response = {};
        _cleanup_(error_done) Error reason = {};
        int r = -ENOENT;
        struct stat st;

        if (stat(p->socket, &st) == 0)
            r = call(p, "GET", "/_ping", CALL_TIMEOUT_USEC, "tell its version", &response, &reason);
        if (r == 0) {
            p->version = version_from_server(response.server);
            return p->version ? 0 : error_set(err, ENOMEM, "podman.unreachable", "no memory");
        }
        drain(p);
        const Error *failure = p->service ? process_failure(p->service) : NULL;
        if (failure)
            return error_copy(err, failure) < 0 ? -ENOMEM : error_prefix(err, -ENOENT, "starting podman");
        if (p->ended || boottime_usec() > deadline)
            return error_set(err, ETIMEDOUT, "podman.unreachable", "podman %s (%s); try as its user: podman info",
                             p->ended ? "ended instead of serving its API" : "did not serve its API within 20 s",
                             p->last_words    ? p->last_words
                             : reason.message ? reason.message
                                              : "no socket");
        usleep(READY_POLL_USEC);
    }
}

int podman_open_runtime(const PodmanUser *user, const char *runtime, Podman **ret, Error *err)
{
    _cleanup_(podman_freep) Podman *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    r = start_service(p, user, runtime, err);
    if (r == 0)
        r = wait_until_ready(p, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

int podman_open(const PodmanUser *user, Podman **ret, Error *err)
{
    return podman_open_runtime(user, NULL, ret, err);
}

int podman_list(Podman *p, const char *project, ObservedContainer **ret, size_t *ret_n, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    int r = call_json(p, "/containers/json?all=true", "list containers", &list, err);

    return r < 0 ? r : podman_answer_containers(list, project, ret, ret_n, err);
}

/* Where there is no container of a name, podman takes the name for the start of an id ("db", "cafe"), and shows another. */
int podman_inspect(Podman *p, const char *container, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *path = str_format("/containers/%s/json", container);
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(error_done) Error why = {};
    int r = path ? call_json(p, path, "show a container", &info, &why) : -ENOMEM;

    if (r == 0 && !str_equal(json_string(info, "Name"), container) && !str_equal(json_string(info, "Id"), container))
        r = -ENOENT;
    if (r == -ENOENT)
        return error_set(err, ENOENT, "podman.no-container", "there is no container %s", container);
    if (r < 0)
        return error_set(err, r, error_id(&why), "%s", error_message(&why, r));
    *ret = TAKE_PTR(info);
    return 0;
}

/* GRAPHROOT/DRIVER-containers/ID/userdata, as every container knows it. NULL when there is none. */
static char *graphroot_from_container(Podman *p)
{
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(freep) char *path = NULL;
    const char *id;

    if (call_json(p, "/containers/json?all=true&limit=1", "list containers", &list, NULL) < 0)
        return NULL;
    id = json_string(cJSON_GetArrayItem(list, 0), "Id");
    if (!id || podman_inspect(p, id, &info, NULL) < 0 || !json_string(info, "StaticDir") ||
        !(path = strdup(json_string(info, "StaticDir"))))
        return NULL;
    for (int level = 0; level < 3; level++) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path || (level == 1 && !str_equal(slash + 1, id)))
            return NULL;
        *slash = '\0';
    }
    return TAKE_PTR(path);
}

int podman_graphroot(Podman *p, const char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const char *found;
    int r;

    if (!p->graphroot)
        p->graphroot = graphroot_from_container(p);
    if (!p->graphroot) {
        r = call_json(p, "/info", "tell about itself", &info, err);
        if (r < 0)
            return r;
        found = json_string(cJSON_GetObjectItemCaseSensitive(info, "store"), "graphRoot");
        if (!found)
            return error_set(err, EIO, "podman.refused", "podman does not tell where its store is; try: podman info");
        p->graphroot = strdup(found);
    }
    if (!p->graphroot)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    *ret = p->graphroot;
    return 0;
}

int podman_store(Podman *p, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *usage = NULL;
    int r = call_json_within(p, "/system/df", STORE_TIMEOUT_USEC, "measure its store", &usage, err);

    return r < 0 ? r : podman_answer_store(usage, ret, err);
}

int podman_rename(Podman *p, const char *container, const char *name, Error *err)
{
    _cleanup_(freep) char *path = str_format("/containers/%s/rename?name=%s", container, name);

    return path ? call(p, "POST", path, CALL_TIMEOUT_USEC, "rename a container", NULL, err) : -ENOMEM;
}

int podman_start(Podman *p, const char *container, Error *err)
{
    _cleanup_(freep) char *path = str_format("/containers/%s/start", container);

    return path ? call(p, "POST", path, CALL_TIMEOUT_USEC, "start a container", NULL, err) : -ENOMEM;
}

int podman_remove(Podman *p, const char *container, Error *err)
{
    _cleanup_(freep) char *path = str_format("/containers/%s?force=true&timeout=0", container);
    _cleanup_(error_done) Error reason = {};
    int r = path ? call(p, "DELETE", path, CALL_TIMEOUT_USEC, "remove a container", NULL, &reason) : -ENOMEM;

    if (r == -ENOENT)
        return 0;
    return r < 0 ? error_set(err, r, error_id(&reason), "%s", error_message(&reason, r)) : 0;
}

int podman_healthcheck(Podman *p, const char *container, usec_t timeout, Error *err)
{
    _cleanup_(freep) char *path = str_format("/containers/%s/healthcheck", container);
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int r = path ? call(p, "GET", path, timeout, "run a health check", &response, err) : -ENOMEM;

    if (r == 0)
        r = json_parse_object(response.body, response.body_len, &o, err);
    if (r < 0)
        return r;
    return str_equal(json_string(o, "Status"), "healthy");
}

static int exec_create(Podman *p, const char *container, const cJSON *argv, char **ret, Error *err)
{
    _cleanup_(freep) char *path = str_format("/containers/%s/exec", container);
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    _cleanup_(freep) char *body = NULL;
    int r = request ? json_add_item(request, "Cmd", cJSON_Duplicate(argv, 1)) : -ENOMEM;

    /* something has to be attached, or podman does not wait for the end */
    if (r == 0)
        r = json_add_bool(request, "AttachStdout", true);
    body = r == 0 ? json_print(request) : NULL;
    if (!path || !body)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    r = podman_call(p, "POST", path, body, CALL_TIMEOUT_USEC, "prepare a command in a container", &response, err);
    if (r == 0)
        r = json_parse_object(response.body, response.body_len, &answer, err);
    if (r < 0)
        return r;
    *ret = json_string(answer, "Id") ? strdup(json_string(answer, "Id")) : NULL;
    return *ret ? 0
                : error_set(err, EIO, "podman.refused", "podman gave no id for a command in container %s", container);
}

/* The answer ends when the command does; a detached one would never be seen to end without podman's cleanup process. */
static int exec_wait(Podman *p, const char *id, usec_t timeout, Error *err)
{
    _cleanup_(freep) char *start = str_format("/exec/%s/start", id);
    _cleanup_(freep) char *show = str_format("/exec/%s/json", id);
    _cleanup_(http_response_done) HttpResponse output = {};
    _cleanup_(cJSON_Deletep) cJSON *state = NULL;
    _cleanup_(error_done) Error reason = {};
    const cJSON *code;
    int r = start && show ? podman_call(p, "POST", start, "{\"Detach\":false}", timeout, "run a command in a container",
                                        &output, &reason)
                          : -ENOMEM;

    if (r < 0 && str_equal(error_id(&reason), "podman.timeout"))
        return EXEC_TIMED_OUT;
    if (r < 0)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    r = call_json(p, show, "show a command in a container", &state, err);
    code = cJSON_GetObjectItemCaseSensitive(state, "ExitCode");
    if (r == 0 && !cJSON_IsNumber(code))
        r = error_set(err, EIO, "podman.refused", "podman gave no exit status for a command in a container");
    return r < 0 ? r : code->valueint;
}

int podman_exec(Podman *p, const char *container, const cJSON *argv, usec_t timeout, Error *err)
{
    _cleanup_(freep) char *id = NULL;
    int r = exec_create(p, container, argv, &id, err);

    return r < 0 ? r : exec_wait(p, id, timeout, err);
}

/* {"containerExitCode":"7"} in an event, or -1. */
static int code_in(const char *events, size_t len)
{
    static const char key[] = "\"containerExitCode\":\"";
    const char *at = memmem(events, len, key, sizeof(key) - 1);
    int code = 0, digits = 0;

    if (!at)
        return -1;
    at += sizeof(key) - 1;
    for (; at + digits < events + len && at[digits] >= '0' && at[digits] <= '9' && digits < 3; digits++)
        code = code * 10 + (at[digits] - '0');
    return digits > 0 ? code : -1;
}

PodmanPast podman_past(Podman *p, const char *container, const char *since)
{
    PodmanPast past = { .exit_code = -1 };
    _cleanup_(freep) char *from = since ? encode(since) : NULL;
    _cleanup_(freep) char *filters = str_format("{\"container\":[\"%s\"]}", container);
    _cleanup_(freep) char *encoded = filters ? encode(filters) : NULL;
    _cleanup_(freep) char *path = NULL;
    _cleanup_(http_response_done) HttpResponse response = {};

    if (encoded && from)
        path = str_format("/events?stream=false&since=%s&until=%llu&filters=%s", from,
                          (unsigned long long) realtime_usec() / USEC_PER_SEC + 1, encoded);
    if (!path || call(p, "GET", path, CALL_TIMEOUT_USEC, "tell what has happened", &response, NULL) < 0 ||
        !response.body)
        return past;
    past.restarted = memmem(response.body, response.body_len, "\"restart\"", strlen("\"restart\""));
    past.exit_code = code_in(response.body, response.body_len);
    return past;
}

char *podman_log_tail(Podman *p, const char *container, unsigned lines)
{
    _cleanup_(freep) char *path = str_format("/containers/%s/logs?stdout=true&stderr=true&tail=%u", container, lines);
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(freep) char *text = NULL;

    if (path && call(p, "GET", path, CALL_TIMEOUT_USEC, "show a log", &response, NULL) < 0)
        http_response_done(&response);
    text = podman_answer_log(response.body, response.body_len);
    return text ? redact_text(text) : NULL;
}

int podman_exists(Podman *p, const char *kind, const char *name, Error *err)
{
    _cleanup_(freep) char *encoded = encode(name);
    _cleanup_(freep) char *path = encoded ? str_format("/%ss/%s/exists", kind, encoded) : NULL;
    _cleanup_(error_done) Error reason = {};
    int r = path ? call(p, "GET", path, CALL_TIMEOUT_USEC, "look for a network or volume", NULL, &reason) : -ENOMEM;

    if (r == -ENOENT)
        return 0;
    return r < 0 ? error_set(err, r, error_id(&reason), "%s", error_message(&reason, r)) : 1;
}

int podman_show(Podman *p, const char *kind, const char *name, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *encoded = encode(name);
    _cleanup_(freep) char *path = encoded ? str_format("/%ss/%s/json", kind, encoded) : NULL;

    return path ? call_json(p, path, "show a network or volume", ret, err) : -ENOMEM;
}

int podman_inspect_image(Podman *p, const char *reference, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *encoded = encode(reference);
    _cleanup_(freep) char *path = encoded ? str_format("/images/%s/json", encoded) : NULL;
    _cleanup_(error_done) Error reason = {};
    int r = path ? call_json(p, path, "show an image", ret, &reason) : -ENOMEM;

    if (r == -ENOENT)
        return error_set(err, ENOENT, "image.missing", "image %s is not on this box", reference);
    return r < 0 ? error_set(err, r, error_id(&reason), "%s", error_message(&reason, r)) : 0;
}

int podman_image_id(Podman *p, const char *reference, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    const char *id;
    int r = podman_inspect_image(p, reference, &o, err);

    if (r < 0)
        return r;
    id = json_string(o, "Id");
    *ret = id ? strdup(id) : NULL;
    return *ret ? 0 : error_set(err, EIO, "podman.refused", "podman gave no id for image %s", reference);
}

int podman_image_digests(Podman *p, const char *reference, LocalImage *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int r = podman_inspect_image(p, reference, &o, err);

    return r < 0 ? r : podman_answer_image(o, ret, err);
}

int podman_pull(Podman *p, const char *reference, const char *policy, usec_t timeout, char **ret, Error *err)
{
    _cleanup_(freep) char *encoded = encode(reference);
    _cleanup_(freep) char *path = encoded ? str_format("/images/pull?reference=%s&policy=%s", encoded, policy) : NULL;
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(error_done) Error reason = {};
    int r = path ? call(p, "POST", path, timeout, "pull an image", &response, &reason) : -ENOMEM;

    if (r < 0 && str_equal(error_id(&reason), "podman.timeout"))
        return error_set(err, r, "pull.timeout", "pulling %s took longer than %llu s", reference,
                         (unsigned long long) (timeout / USEC_PER_SEC));
    if (r < 0)
        return error_set(err, r, str_equal(error_id(&reason), "podman.refused") ? "pull.failed" : error_id(&reason),
                         "cannot pull %s: %s", reference, error_message(&reason, r));
    return podman_answer_pull(response.body, response.body_len, reference, ret, err);
}

int podman_tag(Podman *p, const char *image, const char *repository, const char *tag, Error *err)
{
    _cleanup_(freep) char *path = str_format("/images/%s/tag?repo=%s&tag=%s", image, repository, tag);

    return path ? call(p, "POST", path, CALL_TIMEOUT_USEC, "tag an image", NULL, err) : -ENOMEM;
}

int podman_images(Podman *p, cJSON **ret, Error *err)
{
    return call_json(p, "/images/json", "list images", ret, err);
}

void podman_remove_image(Podman *p, const char *image)
{
    _cleanup_(freep) char *encoded = encode(image);
    _cleanup_(freep) char *path = encoded ? str_format("/images/%s?force=false", encoded) : NULL;

    if (path)
        (void) call(p, "DELETE", path, CALL_TIMEOUT_USEC, "remove an image", NULL, NULL);
}

static void drop_name(Podman *p, const char *id, const char *repository, const char *tag)
{
    _cleanup_(freep) char *path = str_format("/images/%s/untag?repo=%s&tag=%s", id, repository, tag);

    if (path)
        (void) call(p, "POST", path, CALL_TIMEOUT_USEC, "untag an image", NULL, NULL);
}

void podman_drop_others(Podman *p, const char *repository, char *const *keep)
{
    _cleanup_(cJSON_Deletep) cJSON *images = NULL;
    _cleanup_(freep) char *prefix = str_format("%s:", repository);
    const cJSON *image, *name;

    if (!prefix || podman_images(p, &images, NULL) < 0)
        return;
    cJSON_ArrayForEach(image, images) {
        const cJSON *names = cJSON_GetObjectItemCaseSensitive(image, "RepoTags");
        const char *id = json_string(image, "Id");

        cJSON_ArrayForEach(name, names) {
            const char *text = cJSON_GetStringValue(name);

            if (text && id && str_starts(text, prefix) && !strv_contains(keep, text + strlen(prefix)))
                drop_name(p, id, repository, text + strlen(prefix));
        }
    }
}
