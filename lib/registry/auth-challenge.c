/* SPDX-License-Identifier: MIT */
/* The grammar of challenges is ambiguous at its commas: a word that is followed by "=" goes on with the challenge before, any
 * other begins the next. */
#include "lib/registry/auth-challenge.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

void challenge_done(Challenge *c)
{
    free(c->realm);
    free(c->service);
    free(c->scope);
    *c = (Challenge) {};
}

static size_t token_length(const char *p)
{
    size_t n = 0;

    while (isalnum((unsigned char) p[n]) || (p[n] && strchr("!#$%&'*+-.^_`|~", p[n])))
        n++;
    return n;
}

static size_t token68_length(const char *p)
{
    size_t n = 0;

    while (isalnum((unsigned char) p[n]) || (p[n] && strchr("-._~+/", p[n])))
        n++;
    if (n > 0)
        while (p[n] == '=')
            n++;
    return n;
}

static const char *skip_blank(const char *p)
{
    return p + strspn(p, " \t");
}

/* A quoted string at *p into a new string. */
static int take_quoted(const char **p, char **ret)
{
    Buf b = BUF_INIT(HTTP_HEADER_MAX);
    const char *c = *p + 1;
    int r = buf_reserve(&b, 1);

    for (; r == 0 && *c != '"'; c++) {
        if (*c == '\\')
            c++;
        if (*c == '\0' || (iscntrl((unsigned char) *c) && *c != '\t'))
            r = -EBADMSG;
        else
            r = buf_append(&b, c, 1);
    }
    if (r < 0) {
        buf_done(&b);
        return r;
    }
    *p = c + 1;
    *ret = buf_take(&b);
    return *ret ? 0 : -ENOMEM;
}

/* NAME BWS "=" BWS VALUE at *p. -ENOENT when it is not a parameter. */
static int take_parameter(const char **p, Challenge *c)
{
    size_t len = token_length(*p);
    const char *name = *p, *value = skip_blank(name + len);
    const struct {
        const char *name;
        char **where;
    } known[] = { { "realm", &c->realm }, { "service", &c->service }, { "scope", &c->scope } };
    _cleanup_(freep) char *text = NULL;
    int r = 0;

    if (len == 0 || *value != '=')
        return -ENOENT;
    value = skip_blank(value + 1);
    if (*value == '"') {
        r = take_quoted(&value, &text);
    } else {
        size_t n = token_length(value);

        if (n == 0)
            return -EBADMSG;
        text = strndup(value, n);
        r = text ? 0 : -ENOMEM;
        value += n;
    }
    for (size_t i = 0; i < ELEMENTSOF(known) && r == 0; i++)
        if (strlen(known[i].name) == len && strncasecmp(known[i].name, name, len) == 0) {
            if (*known[i].where)
                return -EBADMSG;
            *known[i].where = TAKE_PTR(text);
        }
    *p = value;
    return r;
}

/* The parameters of one challenge, up to the next one or the end. */
static int take_parameters(const char **p, Challenge *c)
{
    const char *at = skip_blank(*p);
    size_t n = token68_length(at);
    int r;

    if (at == *p && *at && *at != ',')
        return -EBADMSG;
    if (strchr(",", *skip_blank(at + n))) { /* token68, or nothing at all */
        *p = skip_blank(at + n);
        return 0;
    }
    for (;;) {
        r = take_parameter(&at, c);
        if (r < 0)
            return r == -ENOENT ? -EBADMSG : r;
        at = skip_blank(at);
        *p = at;
        if (*at != ',')
            return *at ? -EBADMSG : 0;
        at += strspn(at, " \t,");
        size_t len = token_length(at);
        if (*at == '\0' || len == 0 || *skip_blank(at + len) != '=')
            return 0; /* the next challenge, or the end */
    }
}

int challenge_parse(const char *header, Challenge *ret, Error *err)
{
    _cleanup_(challenge_done) Challenge best = {};
    const char *p = header;
    int r = 0;

    for (p += strspn(p, " \t,"); *p && r == 0; p += strspn(p, " \t,")) {
        _cleanup_(challenge_done) Challenge c = {};
        size_t len = token_length(p);

        if (len == strlen("Basic") && strncasecmp(p, "Basic", len) == 0)
            c.kind = CHALLENGE_BASIC;
        else if (len == strlen("Bearer") && strncasecmp(p, "Bearer", len) == 0)
            c.kind = CHALLENGE_BEARER;
        p += len;
        r = len > 0 ? take_parameters(&p, &c) : -EBADMSG;
        if (r == 0 && c.kind > best.kind) {
            challenge_done(&best);
            best = c;
            c = (Challenge) {};
        }
    }
    if (r < 0)
        return error_set(err, -r, "challenge.bad", "the WWW-Authenticate header is malformed");
    *ret = best;
    best = (Challenge) {};
    return 0;
}

static int put_encoded(Buf *b, const char *text)
{
    int r = 0;

    for (; *text && r == 0; text++)
        r = isalnum((unsigned char) *text) || strchr("-._~:/,", *text) ? buf_append(b, text, 1)
                                                                       : buf_printf(b, "%%%02X", (unsigned char) *text);
    return r;
}

static int put_member(Buf *b, const char *separator, const char *name, const char *value)
{
    int r = value ? buf_printf(b, "%s%s=", separator, name) : 0;

    return r == 0 && value ? put_encoded(b, value) : r;
}

char *token_url(const char *realm, const char *service, const char *scope)
{
    Buf b = BUF_INIT(4 * HTTP_HEADER_MAX);
    const char *first = strchr(realm, '?') ? "&" : "?";
    int r = buf_puts(&b, realm);

    if (r == 0)
        r = put_member(&b, first, "service", service);
    if (r == 0)
        r = put_member(&b, service ? "&" : first, "scope", scope);
    if (r < 0) {
        buf_done(&b);
        return NULL;
    }
    return buf_take(&b);
}

char *token_refresh_body(const char *service, const char *scope, const char *refresh_token)
{
    Buf b = BUF_INIT(4 * HTTP_HEADER_MAX + 4 * REGISTRY_TOKEN_MAX);
    int r = buf_puts(&b, "grant_type=refresh_token&client_id=secbox");

    if (r == 0)
        r = put_member(&b, "&", "service", service);
    if (r == 0)
        r = put_member(&b, "&", "scope", scope);
    if (r == 0)
        r = put_member(&b, "&", "refresh_token", refresh_token);
    if (r < 0) {
        buf_done(&b);
        return NULL;
    }
    return buf_take(&b);
}

int token_parse(const char *body, size_t len, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    const char *token;

    if (json_parse_object(body, len, &o, NULL) < 0)
        return error_set(err, EBADMSG, "token.bad", "the token server's answer is no JSON object");
    token = json_string(o, "token");
    if (str_empty(token))
        token = json_string(o, "access_token");
    if (str_empty(token) || strlen(token) > REGISTRY_TOKEN_MAX || token68_length(token) != strlen(token))
        return error_set(err, EBADMSG, "token.bad", "the token server's answer holds no usable token");
    *ret = strdup(token);
    return *ret ? 0 : error_set(err, ENOMEM, "token.bad", "no memory");
}
