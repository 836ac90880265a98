/* SPDX-License-Identifier: MIT */
#include "gateway/webhooks/webhook-rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/http/client.h"

#define SECRET_BYTES 32
#define SECRET_BYTES_MIN 24
#define SECRET_BYTES_MAX 64
#define URL_SIZE_MAX 2000
#define WAIT_FIRST (5 * USEC_PER_SEC)
#define WAIT_LAST USEC_PER_HOUR
#define DOUBLINGS_MAX 10

static int read_secret(const char *secret, uint8_t **ret, size_t *ret_len, Error *err)
{
    size_t prefix = strlen(WEBHOOK_SECRET_PREFIX);
    int r = -EINVAL;

    *ret = NULL;
    if (str_starts(secret, WEBHOOK_SECRET_PREFIX))
        r = base64_decode(secret + prefix, strlen(secret + prefix), ret, ret_len);
    if (r == -ENOMEM)
        return r;
    if (r >= 0 && *ret_len >= SECRET_BYTES_MIN && *ret_len <= SECRET_BYTES_MAX)
        return 0;
    free(*ret);
    *ret = NULL;
    return error_set(err, EINVAL, "webhook.bad-secret",
                     "a webhook's secret is " WEBHOOK_SECRET_PREFIX
                     " and %d to %d random bytes in Base64; give none to have one made",
                     SECRET_BYTES_MIN, SECRET_BYTES_MAX);
}

int webhook_secret_check(const char *secret, Error *err)
{
    uint8_t *key = NULL;
    size_t len;
    int r = read_secret(secret, &key, &len, err);

    free(key);
    return r;
}

char *webhook_secret_make(void)
{
    uint8_t bytes[SECRET_BYTES];

    random_bytes(bytes, sizeof(bytes));
    _cleanup_(secret_freep) char *text = base64_encode(bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
    return text ? str_format(WEBHOOK_SECRET_PREFIX "%s", text) : NULL;
}

/* What stands in front of the port. */
static bool host_is_this_machine(const char *host)
{
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");

    return (len == 9 && strncmp(host, "localhost", 9) == 0) || (len == 5 && strncmp(host, "[::1]", 5) == 0) ||
           (len > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len);
}

int webhook_url_check(const char *url, Error *err)
{
    _cleanup_(error_done) Error why = {};
    int r = strlen(url) > URL_SIZE_MAX
                ? error_set(&why, EINVAL, "url.bad", "the URL is longer than %d bytes", URL_SIZE_MAX)
                : url_check(url, "https,http", &why);

    if (r < 0)
        return error_set(err, EINVAL, "webhook.bad-url", "%s", error_message(&why, r));
    if (str_starts(url, "https://") || host_is_this_machine(url + strlen("http://")))
        return 0;
    return error_set(err, EINVAL, "webhook.bad-url",
                     "events go over https; http is for receivers on the gateway's own machine alone");
}

char *webhook_receiver(const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + strlen("://") : url;
    return str_format("the receiver at %.*s", (int) strcspn(host, "/?#"), host);
}

int webhook_sign(const char *secret, const char *id, uint64_t seconds, const char *body, size_t len, char **ret,
                 Error *err)
{
    uint8_t *key = NULL, mac[SHA256_SIZE];
    size_t key_len = 0;
    int r = read_secret(secret, &key, &key_len, err);

    if (r < 0)
        return r;
    _cleanup_(freep) char *text = str_format("%s.%llu.%.*s", id, (unsigned long long) seconds, (int) len, body);
    r = text ? hmac_sha256(key, key_len, text, strlen(text), mac) : -ENOMEM;
    explicit_bzero(key, key_len);
    free(key);
    _cleanup_(freep) char *encoded = r >= 0 ? base64_encode(mac, sizeof(mac)) : NULL;
    *ret = encoded ? str_format("v1,%s", encoded) : NULL;
    return *ret ? 0 : error_from_errno(err, r < 0 ? r : -ENOMEM, "signing a message");
}

WebhookVerdict webhook_verdict(int status)
{
    if (status >= 200 && status < 300)
        return WEBHOOK_TAKEN;
    return status == 410 ? WEBHOOK_GONE : WEBHOOK_AGAIN;
}

usec_t webhook_wait(unsigned tries, uint64_t random, usec_t retry_after)
{
    unsigned doublings = tries > 1 ? tries - 1 : 0;
    usec_t wait = WAIT_FIRST << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);

    if (wait > WAIT_LAST)
        wait = WAIT_LAST;
    wait = wait - wait / 4 + random % (wait / 2 + 1);
    if (retry_after > WEBHOOK_WAIT_MAX)
        retry_after = WEBHOOK_WAIT_MAX;
    return wait > retry_after ? wait : retry_after;
}
