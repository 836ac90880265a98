/* SPDX-License-Identifier: MIT */
/* Two nets: the values that this process knows to be secret, and the shapes that secrets have. */

#include "lib/base/redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define SECRET_LENGTH_MIN 6

static char *secrets[REDACT_SECRETS_MAX];
static size_t n_secrets;

bool redact_key_is_secret(const char *key)
{
    static const char *const parts[] = { "TOKEN", "SECRET", "PASS", "KEY", "BOOTSTRAP", "CREDENTIAL", "AUTH" };

    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (strcasestr(key, parts[i]))
            return true;
    return strlen(key) >= 4 && strcasecmp(key + strlen(key) - 4, "_DSN") == 0;
}

void redact_add_secret(const char *value)
{
    if (!value || strlen(value) < SECRET_LENGTH_MIN || n_secrets == REDACT_SECRETS_MAX)
        return;
    for (size_t i = 0; i < n_secrets; i++)
        if (strcmp(secrets[i], value) == 0)
            return;
    secrets[n_secrets] = strdup(value);
    if (secrets[n_secrets])
        n_secrets++;
}

void redact_forget_all(void)
{
    while (n_secrets > 0)
        secret_free(secrets[--n_secrets]);
}

static size_t span_token(const char *p)
{
    size_t n = 0;

    while (isalnum((unsigned char) p[n]) || (p[n] && strchr("-_.~+/=", p[n])))
        n++;
    return n;
}

static size_t match_known(const char *p)
{
    size_t best = 0;

    for (size_t i = 0; i < n_secrets; i++) {
        size_t len = strlen(secrets[i]);

        if (len > best && strncmp(p, secrets[i], len) == 0)
            best = len;
    }
    return best;
}

/* Each matcher looks at p and says how many bytes to keep before the secret and how long the secret is. */
typedef struct Match {
    size_t keep, hide;
} Match;

static bool match_jwt(const char *p, Match *m)
{
    size_t n;

    if (strncmp(p, "eyJ", 3) != 0)
        return false;
    n = span_token(p);
    if (n < 20 || !memchr(p, '.', n))
        return false;
    *m = (Match) { 0, n };
    return true;
}

static bool match_bearer(const char *p, Match *m)
{
    size_t n;

    if (strncasecmp(p, "Bearer ", 7) != 0)
        return false;
    n = span_token(p + 7);
    *m = (Match) { 7, n };
    return n > 0;
}

static bool match_pem(const char *p, Match *m)
{
    const char *end;

    if (strncmp(p, "-----BEGIN ", 11) != 0 || !strstr(p, "PRIVATE KEY-----"))
        return false;
    end = strstr(p, "-----END ");
    end = end ? strstr(end + 9, "-----") : NULL;
    *m = (Match) { 0, end ? (size_t) (end + 5 - p) : strlen(p) };
    return true;
}

static bool match_userinfo(const char *p, Match *m)
{
    size_t n;

    if (strncmp(p, "://", 3) != 0)
        return false;
    n = strcspn(p + 3, "/?# \t\n\"'");
    for (size_t i = n; i > 0; i--)
        if (p[3 + i - 1] == '@') {
            *m = (Match) { 3, i - 1 };
            return i > 1;
        }
    return false;
}

/* KEY=value and "KEY": "value" where the name gives the secret away. Called only at the start of a word. */
static bool match_assignment(const char *p, Match *m)
{
    char key[80];
    size_t n = 0, at, len;

    while (isalnum((unsigned char) p[n]) || p[n] == '_')
        n++;
    if (n == 0 || n >= sizeof(key))
        return false;
    memcpy(key, p, n);
    key[n] = '\0';
    if (!redact_key_is_secret(key))
        return false;
    if (p[n] == '=') {
        at = n + 1;
        if (p[at] == '"' || p[at] == '\'') {
            char quote[2] = { p[at], 0 };

            at++;
            len = strcspn(p + at, quote);
        } else {
            len = strcspn(p + at, " \t\n\"',");
        }
    } else if (p[n] == '"' && p[n + 1] == ':') {
        at = n + 2;
        at += strspn(p + at, " \t");
        if (p[at] != '"')
            return false;
        at++;
        len = 0;
        while (p[at + len] && p[at + len] != '"')
            len += p[at + len] == '\\' && p[at + len + 1] ? 2 : 1;
    } else {
        return false;
    }
    *m = (Match) { at, len };
    return len > 0;
}

static bool match_any(const char *p, bool word_start, Match *m)
{
    size_t known;

    /* what is hidden already stays as it is, or a second pass would differ from the first */
    if (strncmp(p, REDACTED, strlen(REDACTED)) == 0) {
        *m = (Match) { strlen(REDACTED), 0 };
        return true;
    }
    known = match_known(p);
    if (known > 0) {
        *m = (Match) { 0, known };
        return true;
    }
    if (word_start && (match_bearer(p, m) || match_jwt(p, m) || match_assignment(p, m)))
        return true;
    return match_pem(p, m) || match_userinfo(p, m);
}

char *redact_text(const char *text)
{
    Buf out = BUF_INIT(strlen(text) * 3 + 64);
    bool word_start = true;
    int r = 0;

    for (const char *p = text; *p && r == 0;) {
        Match m;

        if (match_any(p, word_start, &m)) {
            bool hidden = strncmp(p + m.keep, REDACTED, strlen(REDACTED)) == 0;

            r = buf_append(&out, p, m.keep);
            if (r == 0 && m.hide > 0 && hidden)
                r = buf_append(&out, p + m.keep, m.hide);
            else if (r == 0 && m.hide > 0)
                r = buf_puts(&out, REDACTED);
            p += m.keep + m.hide;
            word_start = true;
            continue;
        }
        word_start = !isalnum((unsigned char) *p) && *p != '_';
        r = buf_append(&out, p, 1);
        p++;
    }
    if (r < 0) {
        buf_done(&out);
        return NULL;
    }
    return buf_take(&out);
}
