/* SPDX-License-Identifier: MIT */
/* Member by member: what is not known here does not go on. */
#include "mgmt-agent/worker/jobs/check-answer.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/image-ref.h"

static bool is_image_id(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* The name that the image was asked by, and the digest that was answered. */
static int add_reference(cJSON *o, const char *digest)
{
    _cleanup_(image_ref_done) ImageRef ref = {};
    _cleanup_(freep) char *reference = NULL;
    int r = image_ref_parse(json_string(o, "image"), &ref, NULL);

    if (r < 0)
        return r;
    reference = image_ref_print(&ref, digest);
    return reference ? json_add_string(o, "reference", reference) : -ENOMEM;
}

static int take_new(cJSON *o, const cJSON *said, const char *digest)
{
    const char *platform = json_string(said, "platformDigest"), *id = json_string(said, "newImageId");
    int r;

    if (!image_digest_is_valid(platform) || !is_image_id(id))
        return -EBADMSG;
    r = add_reference(o, digest);
    if (r == 0)
        r = json_add_string(o, "platformDigest", platform);
    return r == 0 ? json_add_string(o, "newImageId", id) : r;
}

static int take_unknown(cJSON *o, const cJSON *said)
{
    const cJSON *failure = cJSON_GetObjectItemCaseSensitive(said, "error");
    _cleanup_(error_done) Error err = {};
    uint64_t seconds;
    int r = json_u64(said, "retryAfterSeconds", &seconds);

    if (r == 0 && (seconds > INT32_MAX || json_add_int(o, "retryAfterSeconds", (int) seconds) < 0))
        return -EBADMSG;
    if (!failure || json_add_bool(o, "later", json_bool(said, "later", false)) < 0)
        return -EBADMSG;
    r = json_to_error(failure, EIO, &err);
    return json_add_item(o, "error", json_from_error(&err, r));
}

int check_take_answer(cJSON *o, const cJSON *said)
{
    static const char *const states[] = { "current", "new", "pinned", "local", "unknown" };
    const char *state = json_string(said, "state"), *digest = json_string(said, "digest");
    bool found = str_equal(state, "current") || str_equal(state, "new"), known = false;
    int r;

    for (size_t i = 0; i < ELEMENTSOF(states); i++)
        known = known || str_equal(state, states[i]);
    if (!known || (found && !image_digest_is_valid(digest)))
        return -EBADMSG;
    r = json_add_string(o, "state", state);
    if (r == 0 && found)
        r = json_add_string(o, "digest", digest);
    if (r == 0 && str_equal(state, "new"))
        r = take_new(o, said, digest);
    return r == 0 && str_equal(state, "unknown") ? take_unknown(o, said) : r;
}
