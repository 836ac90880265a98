/* SPDX-License-Identifier: MIT */
/* Requests with the operator's token; the gateway's errors become ours. */
#include "gateway/fleet/gateway-client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/http/client.h"

/* deployments and histories are the largest answers */
#define ANSWER_MAX (8 * 1024 * 1024)
#define ENCODED_MAX 4096
#define APPROVAL_POLL (2 * USEC_PER_SEC)
#define APPROVAL_TIMEOUT (30 * USEC_PER_SEC)

void api_done(Api *api)
{
    free(api->gateway);
    secret_free(api->token);
    free(api->ca_file);
    *api = (Api) {};
}

void api_reply_done(ApiReply *reply)
{
    cJSON_Delete(reply->body);
    *reply = (ApiReply) {};
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

char *api_encode(const char *text)
{
    Buf out = BUF_INIT(ENCODED_MAX);
    int r = buf_puts(&out, "");

    for (; r >= 0 && *text; text++)
        r = is_unreserved(*text) ? buf_append(&out, text, 1) : buf_printf(&out, "%%%02X", (unsigned char) *text);
    if (r < 0) {
        buf_done(&out);
        return NULL;
    }
    return buf_take(&out);
}

bool api_is_unreachable(const ApiReply *reply, int r)
{
    int status = reply ? reply->status : 0;
    return r == -EHOSTUNREACH || status == 502 || status == 503 || status == 504;
}

static int answer_error(const Api *api, ApiReply *reply, Error *err)
{
    const cJSON *error = reply->body ? cJSON_GetObjectItemCaseSensitive(reply->body, "error") : NULL;

    if (cJSON_IsObject(error))
        return json_to_error(error, EREMOTEIO, err);
    return error_set(err, EREMOTEIO, "api.status", "%s answered with HTTP status %d and no reason", api->gateway,
                     reply->status);
}

static int parse_answer(const Api *api, const HttpResponse *response, ApiReply *reply, Error *err)
{
    _cleanup_(error_done) Error why = {};
    bool good = response->status >= 200 && response->status <= 299;
    int r = 0;

    reply->status = response->status;
    if (response->body_len > 0)
        r = json_parse_object(response->body, response->body_len, &reply->body, &why);
    if (!good)
        return answer_error(api, reply, err);
    if (r < 0 || !reply->body)
        return error_set(err, EHOSTUNREACH, "api.bad-answer", "what %s answers is no SecBox gateway's: %s",
                         api->gateway, response->body_len > 0 ? error_message(&why, r) : "an empty body");
    return 0;
}

/* A request with what belongs to it. */
typedef struct Prepared {
    HttpRequest request;
    char *url, *type, *authorization;
    const char *headers[4];
} Prepared;

static void prepared_done(Prepared *p)
{
    free(p->url);
    free(p->type);
    secret_free(p->authorization);
}

static int prepare(const Api *api, const HttpRequest *asked, const char *path, const char *content_type,
                   const char *accept, Prepared *ret, Error *err)
{
    *ret = (Prepared) {
        .request = *asked,
        .url = str_format("%s%s", api->gateway, path),
        .type = str_format("Content-Type: %s", content_type ? content_type : ""),
        .authorization = api->token ? str_format("Authorization: Bearer %s", api->token) : strdup("Authorization:"),
    };
    if (!ret->url || !ret->type || !ret->authorization)
        return error_from_errno(err, -ENOMEM, "make a request");
    ret->headers[0] = ret->authorization;
    ret->headers[1] = accept;
    ret->headers[2] = asked->body ? ret->type : NULL;
    ret->request.url = ret->url;
    ret->request.headers = ret->headers;
    ret->request.ca_file = api->ca_file;
    ret->request.ca_advice = "check the clock, and name a private authority's certificate by SECBOX_CA or --ca";
    ret->request.response_max = asked->on_data ? 0 : ANSWER_MAX;
    return 0;
}

static int failed(const Api *api, int r, Error *why, Error *err)
{
    error_prefix(why, r, "%s cannot be reached", api->gateway);
    (void) error_copy(err, why);
    return r == -ENOMEM ? r : -EHOSTUNREACH;
}

static int run(const Api *api, const HttpRequest *asked, const char *path, const char *content_type, const char *accept,
               HttpResponse *response, Error *err)
{
    _cleanup_(prepared_done) Prepared p = {};
    _cleanup_(error_done) Error why = {};
    int r = prepare(api, asked, path, content_type, accept, &p, err);

    if (r < 0)
        return r;
    r = http_run(&p.request, response, &why);
    return r >= 0 ? 0 : failed(api, r, &why, err);
}

int api_send(const Api *api, const char *method, const char *path, const char *content_type, const char *text,
             size_t len, usec_t timeout, ApiReply *reply, Error *err)
{
    const HttpRequest request = {
        .method = method, .body = text, .body_len = len, .body_stays = true, .timeout_usec = timeout
    };
    _cleanup_(http_response_done) HttpResponse response = {};

    api_reply_done(reply);
    int r = run(api, &request, path, content_type, "Accept: application/json", &response, err);
    return r < 0 ? r : parse_answer(api, &response, reply, err);
}

int api_fetch(const Api *api, const char *path, usec_t timeout, ApiReply *reply, char **ret, size_t *ret_len,
              Error *err)
{
    const HttpRequest request = { .method = "GET", .timeout_usec = timeout };
    _cleanup_(http_response_done) HttpResponse response = {};

    api_reply_done(reply);
    int r = run(api, &request, path, NULL, "Accept: */*", &response, err);
    if (r < 0)
        return r;
    if (response.status < 200 || response.status > 299)
        return parse_answer(api, &response, reply, err);
    reply->status = response.status;
    *ret_len = response.body_len;
    *ret = TAKE_PTR(response.body);
    return 0;
}

/* An error is kept, and everything else written. */
typedef struct Download {
    FILE *out;
    Buf error;
    bool good;
    int r;
} Download;

static int on_download_head(const HttpResponse *head, void *userdata)
{
    Download *d = userdata;

    d->good = head->status >= 200 && head->status <= 299;
    return 0;
}

static int on_download(const char *data, size_t len, void *userdata)
{
    Download *d = userdata;

    if (!d->good)
        d->r = buf_append(&d->error, data, len);
    else if (fwrite(data, 1, len, d->out) != len)
        d->r = errno > 0 ? -errno : -EIO;
    return d->r;
}

int api_download(const Api *api, const char *path, usec_t timeout, FILE *out, ApiReply *reply, Error *err)
{
    Download d = { .out = out, .error = BUF_INIT(ANSWER_MAX) };
    const HttpRequest request = { .method = "GET",
                                  .timeout_usec = timeout,
                                  .stall_usec = USEC_PER_MINUTE,
                                  .on_head = on_download_head,
                                  .on_data = on_download,
                                  .userdata = &d };
    _cleanup_(http_response_done) HttpResponse response = {};

    api_reply_done(reply);
    int r = run(api, &request, path, NULL, "Accept: */*", &response, err);
    if (d.r < 0) {
        error_done(err);
        r = error_from_errno(err, d.r, "cannot write what comes");
    } else if (r >= 0 && (response.status < 200 || response.status > 299)) {
        free(response.body);
        response.body_len = d.error.len;
        response.body = buf_take(&d.error);
        r = response.body ? parse_answer(api, &response, reply, err) : -ENOMEM;
    } else if (r >= 0) {
        reply->status = response.status;
    }
    buf_done(&d.error);
    return r;
}

/* The approval that a refused request waits for, a new string; NULL: it waits for none. */
static char *approval_wanted(const ApiReply *reply)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply->body, "error"),
                *approval = cJSON_GetObjectItemCaseSensitive(reply->body, "approval");
    const char *id = json_string(approval, "id");

    return id && str_equal(json_string(error, "id"), "approval.needed") ? strdup(id) : NULL;
}

/* Asks until somebody has decided it; what that is, the request itself says. False: its time is over. */
static bool wait_for_approval(const Api *api, const char *id)
{
    _cleanup_(freep) char *encoded = api_encode(id), *shown = text_printable(id);
    _cleanup_(freep) char *path = encoded ? str_format("/v1/approvals/%s", encoded) : NULL;
    usec_t deadline = boottime_usec() + USEC_PER_HOUR;

    if (!path || !shown)
        return false;
    fprintf(
        stderr,
        "secbox-fleet: this waits for another person, who types `secbox-fleet approvals approve %s` within an hour; "
        "Ctrl-C ends the waiting\n",
        shown);
    while (boottime_usec() < deadline) {
        _cleanup_(api_reply_done) ApiReply reply = {};
        _cleanup_(error_done) Error err = {};

        (void) usleep(APPROVAL_POLL);
        int r = api_send(api, "GET", path, NULL, NULL, 0, APPROVAL_TIMEOUT, &reply, &err);
        const char *state = json_string(cJSON_GetObjectItemCaseSensitive(reply.body, "approval"), "state");
        if (r >= 0 ? !str_equal(state, "waiting") : !api_is_unreachable(&reply, r))
            return !str_equal(state, "expired");
    }
    return false;
}

int api_call(const Api *api, const char *method, const char *path, const cJSON *body, usec_t timeout, ApiReply *reply,
             Error *err)
{
    _cleanup_(freep) char *text = body ? json_print(body) : NULL, *approval = NULL;
    size_t len = text ? strlen(text) : 0;

    if (body && !text)
        return error_from_errno(err, -ENOMEM, "make a request");
    int r = api_send(api, method, path, "application/json", text, len, timeout, reply, err);
    if (r != -EREMOTEIO || !(approval = approval_wanted(reply)))
        return r;
    bool decided = wait_for_approval(api, approval);
    error_done(err);
    if (!decided) /* the request would only ask for another approval */
        return error_set(
            err, EREMOTEIO, "approval.over",
            "nobody has decided it within the hour, and nothing was done: ask once more when somebody is there");
    return api_send(api, method, path, "application/json", text, len, timeout, reply, err);
}

/* The requests of `prepared` in a row, as http_run_all() takes them. */
static int run_all(const Api *api, const Prepared *prepared, size_t n, unsigned parallel, ApiReply *replies,
                   Error *errs, int *results)
{
    HttpRequest *requests = calloc(n, sizeof(*requests));
    HttpResponse *responses = calloc(n, sizeof(*responses));
    Error *why = calloc(n, sizeof(*why));
    int r = requests && responses && why ? 0 : -ENOMEM;

    for (size_t i = 0; i < n && r >= 0; i++)
        requests[i] = prepared[i].request;
    if (r >= 0)
        r = http_run_all(requests, n, parallel, responses, why, results);
    for (size_t i = 0; i < n && r >= 0; i++)
        results[i] = results[i] < 0 ? failed(api, results[i], &why[i], &errs[i])
                                    : parse_answer(api, &responses[i], &replies[i], &errs[i]);
    for (size_t i = 0; i < n; i++) {
        if (responses)
            http_response_done(&responses[i]);
        if (why)
            error_done(&why[i]);
    }
    free(requests);
    free(responses);
    free(why);
    return r;
}

int api_ask_all(const Api *api, const char *const *paths, size_t n, unsigned parallel, usec_t timeout,
                ApiReply *replies, Error *errs, int *results)
{
    const HttpRequest asked = { .method = "GET", .timeout_usec = timeout };
    Prepared *prepared = calloc(n + 1, sizeof(*prepared));
    int r = prepared ? 0 : -ENOMEM;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = prepare(api, &asked, paths[i], NULL, "Accept: application/json", &prepared[i], NULL);
    if (r >= 0 && n > 0)
        r = run_all(api, prepared, n, parallel, replies, errs, results);
    for (size_t i = 0; i < n && prepared; i++)
        prepared_done(&prepared[i]);
    free(prepared);
    return r;
}
