/* SPDX-License-Identifier: MIT */
/* Some registries hide what they have from strangers: 404, 403 or 400 where others say 401. podman asks "/v2/" before anything
 * else, and finds the challenge there (OCI distribution-spec, "Determining Support"). Here it is asked only then. */
#include <errno.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/registry/registry-client-impl.h"

bool ask_may_be_hidden(const Ask *a, int status)
{
    return status >= 400 && status < 500 && status != 429 && !a->based && !a->elsewhere && a->authorized == 0 &&
           !a->host->open;
}

static void end_refused(Ask *a)
{
    _cleanup_(error_done) Error err = a->refusal;

    a->refusal = (Error) {};
    ask_end(a, a->refusal_code, IMAGE_NEW, &err, 0);
}

static void on_base(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Ask *a = userdata;

    (void) call;
    (void) err;
    a->call = NULL;
    if (r < 0) {
        end_refused(a);
        return;
    }
    a->registry->figures.bytes += response->wire_bytes;
    if (response->status == 401) {
        ask_authorize(a, response);
        return;
    }
    a->host->open = response->status == 200;
    end_refused(a);
}

void ask_base(Ask *a, const HttpResponse *response)
{
    _cleanup_(freep) char *url = str_format("%s://%s/v2/", a->host->plain ? "http" : "https", a->host->name);
    HttpRequest request = { .method = "GET", .url = url, .response_max = REGISTRY_TOKEN_ANSWER_MAX };
    _cleanup_(error_done) Error err = {};

    a->based = true;
    a->refusal_code = ask_status_error(a, response, "the registry", &a->refusal);
    if (!url || ask_start_request(a, &request, on_base, &err) < 0)
        end_refused(a);
}
