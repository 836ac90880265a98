/* SPDX-License-Identifier: MIT */
/* Two nets, one after the other: the values that this process knows to be secret, wherever they stand, then the shapes
 * that secrets have. Each pass looks at a character a bounded number of times, whatever the text is. */

#include "lib/base/redact.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define SECRET_LENGTH_MIN 6
#define NAME_MAX_LENGTH 128
#define OWN_TOKEN_PREFIX "sbx_"
#define OWN_TOKEN_LENGTH_MIN 12
#define ROUNDS_MAX 4

static char *secrets[REDACT_SECRETS_MAX];
static size_t n_secrets;

bool redact_key_is_secret(const char *key)
{
    static const char *const parts[] = { "TOKEN",     "SECRET",    "PASS",       "KEY",
                                         "BOOTSTRAP", "ENROLMENT", "CREDENTIAL", "AUTH" };

    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (strcasestr(key, parts[i]))
            return true;
    /* PWD and OLDPWD are a shell's folders */
    if (strcasestr(key, "PWD") && strcasecmp(key, "PWD") != 0 && strcasecmp(key, "OLDPWD") != 0)
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

/* What is known of the text at hand, so that nothing is searched twice. */
typedef struct Scan {
    const char *text;
    const char *token_end;    /* behind the run of token characters that was measured last */
    const char *token_dot;    /* its last dot, or NULL */
    const char *word_end;     /* behind the run without blanks and quotes that was measured last */
    const char *word_at_sign; /* its last '@', or NULL */
    bool word_start;          /* no letter, digit or underscore before */
    bool line_start;          /* only blanks and list marks before */
} Scan;

/* How many bytes to keep before the secret, and how long the secret is. */
typedef struct Match {
    size_t keep, hide;
} Match;

static bool is_name(char c)
{
    return isalnum((unsigned char) c) || c == '_';
}

static bool is_token(char c)
{
    return isalnum((unsigned char) c) || (c && strchr("-_.~+/=", c));
}

/* The length of the token at p, where what is hidden already counts as a part of it. */
static size_t span_token(const char *p)
{
    size_t n = 0;

    for (;;) {
        if (is_token(p[n]))
            n++;
        else if (str_starts(p + n, REDACTED))
            n += strlen(REDACTED);
        else
            return n;
    }
}

static bool match_jwt(Scan *s, const char *p, Match *m)
{
    if (!str_starts(p, "eyJ"))
        return false;
    if (p >= s->token_end) {
        s->token_dot = NULL;
        for (s->token_end = p; is_token(*s->token_end); s->token_end++)
            if (*s->token_end == '.')
                s->token_dot = s->token_end;
    }
    *m = (Match) { 0, (size_t) (s->token_end - p) };
    return m->hide >= 20 && s->token_dot && s->token_dot >= p;
}

static bool match_own_token(const char *p, Match *m)
{
    size_t n = strlen(OWN_TOKEN_PREFIX);

    if (!str_starts(p, OWN_TOKEN_PREFIX))
        return false;
    while (is_name(p[n]) || p[n] == '-')
        n++;
    *m = (Match) { 0, n };
    return n >= OWN_TOKEN_LENGTH_MIN;
}

static bool match_bearer(const char *p, Match *m)
{
    if (strncasecmp(p, "Bearer ", 7) != 0)
        return false;
    *m = (Match) { 7, span_token(p + 7) };
    return m->hide > 0;
}

static bool match_pem(const char *p, Match *m)
{
    static const char begin[] = "-----BEGIN ", kind[] = "PRIVATE KEY-----";
    const char *end;
    size_t n = strlen(begin);

    if (!str_starts(p, begin))
        return false;
    for (size_t i = 0; i < NAME_MAX_LENGTH && !str_starts(p + n, kind); i++, n++)
        if (!isupper((unsigned char) p[n]) && !isdigit((unsigned char) p[n]) && p[n] != ' ')
            return false;
    if (!str_starts(p + n, kind))
        return false;
    end = strstr(p + n, "-----END ");
    end = end ? strstr(end + 9, "-----") : NULL;
    *m = (Match) { 0, end ? (size_t) (end + 5 - p) : strlen(p) };
    return true;
}

/* A password may hold a slash; a port is of digits only. */
static bool is_password(const char *p, size_t len)
{
    const char *colon = memchr(p, ':', len);

    if (!colon)
        return false;
    for (const char *c = colon + 1; c < p + len; c++)
        if (!isdigit((unsigned char) *c))
            return true;
    return false;
}

static bool match_userinfo(Scan *s, const char *p, Match *m)
{
    static const char ends[] = " \t\n\"'";
    const char *user = p + 3, *at_sign = NULL;
    size_t n;

    if (!str_starts(p, "://"))
        return false;
    if (user >= s->word_end) {
        s->word_at_sign = NULL;
        for (s->word_end = user; *s->word_end && !strchr(ends, *s->word_end); s->word_end++)
            if (*s->word_end == '@')
                s->word_at_sign = s->word_end;
    }
    n = strcspn(user, "/?# \t\n\"'");
    for (size_t i = n; i > 0 && !at_sign; i--)
        if (user[i - 1] == '@')
            at_sign = user + i - 1;
    if (!at_sign && is_password(user, n) && s->word_at_sign && s->word_at_sign > user)
        at_sign = s->word_at_sign;
    if (!at_sign || at_sign == user)
        return false;
    *m = (Match) { 3, (size_t) (at_sign - user) };
    return true;
}

/* The value at p, quoted or not: up to one of `ends` unless quoted. */
static bool match_value(const char *p, size_t at, const char *ends, Match *m)
{
    char quote = p[at];
    size_t len = 0;

    if (quote != '"' && quote != '\'') {
        len = strcspn(p + at, ends);
    } else {
        at++;
        while (p[at + len] && p[at + len] != quote)
            len += quote == '"' && p[at + len] == '\\' && p[at + len + 1] ? 2 : 1;
    }
    *m = (Match) { at, len };
    return len > 0;
}

/* A name that gives a secret away, with hyphens where `hyphens`. Its length, or 0. */
static size_t secret_name(const char *p, bool hyphens)
{
    char name[NAME_MAX_LENGTH];
    size_t n = 0;

    while (n < sizeof(name) && (is_name(p[n]) || (hyphens && p[n] == '-')))
        n++;
    if (n == 0 || n == sizeof(name))
        return 0;
    memcpy(name, p, n);
    name[n] = '\0';
    return redact_key_is_secret(name) ? n : 0;
}

static bool after_hyphen(const Scan *s, const char *p)
{
    return p > s->text && p[-1] == '-';
}

/* KEY=value and "KEY": "value". */
static bool match_assignment(const char *p, Match *m)
{
    size_t n = secret_name(p, false), at;

    if (n == 0)
        return false;
    if (p[n] == '=')
        return match_value(p, n + 1, " \t\n\"',", m);
    if (p[n] != '"' || p[n + 1] != ':')
        return false;
    at = n + 2;
    at += strspn(p + at, " \t");
    return p[at] == '"' && match_value(p, at, "", m);
}

/* --password VALUE, but not the name of a file. */
static bool match_option(const Scan *s, const char *p, Match *m)
{
    static const char *const places[] = { "file", "path", "dir" };
    size_t n, at;

    if (after_hyphen(s, p) || !str_starts(p, "--"))
        return false;
    n = secret_name(p + 2, true);
    if (n == 0 || p[2 + n] != ' ')
        return false;
    for (size_t i = 0; i < ELEMENTSOF(places); i++)
        if (n >= strlen(places[i]) && strncasecmp(p + 2 + n - strlen(places[i]), places[i], strlen(places[i])) == 0)
            return false;
    at = 2 + n + strspn(p + 2 + n, " ");
    return p[at] != '-' && match_value(p, at, " \t\n\"'", m);
}

/* Authorization: Basic x, X-Token: v, DB_PASSWORD: v anywhere; password: v only where a line begins, since sentences
 * have colons too. */
static bool match_header(const Scan *s, const char *p, Match *m)
{
    static const char *const schemes[] = { "Basic ", "Bearer ", "Digest ", "Negotiate " };
    size_t n = after_hyphen(s, p) ? 0 : secret_name(p, true), at;

    if (n == 0 || p[n] != ':' || (p[n + 1] != ' ' && p[n + 1] != '\t'))
        return false;
    if (!s->line_start && !memchr(p, '-', n) && !memchr(p, '_', n) && strncasecmp(p, "Authorization", n) != 0)
        return false;
    at = n + 1 + strspn(p + n + 1, " \t");
    for (size_t i = 0; i < ELEMENTSOF(schemes); i++)
        if (strncasecmp(p + at, schemes[i], strlen(schemes[i])) == 0)
            return match_value(p, at + strlen(schemes[i]), "\n\"'", m);
    return match_value(p, at, "\n\"'", m);
}

static bool match_shape(Scan *s, const char *p, Match *m)
{
    /* what is hidden already stays as it is, or a second pass would differ from the first */
    if (str_starts(p, REDACTED)) {
        *m = (Match) { strlen(REDACTED), 0 };
        return true;
    }
    if (s->word_start && (match_header(s, p, m) || match_bearer(p, m) || match_jwt(s, p, m) || match_own_token(p, m) ||
                          match_assignment(p, m) || match_option(s, p, m)))
        return true;
    return match_pem(p, m) || match_userinfo(s, p, m);
}

static int hide_shapes(const char *text, Buf *out)
{
    Scan s = { .text = text, .token_end = text, .word_end = text, .word_start = true, .line_start = true };
    int r = 0;

    for (const char *p = text; *p && r == 0;) {
        Match m = { 1, 0 };
        bool found = match_shape(&s, p, &m);

        r = buf_append(out, p, m.keep);
        if (r == 0 && m.hide > 0)
            r = buf_puts(out, REDACTED);
        s.word_start = found || !is_name(*p);
        s.line_start = !found && (*p == '\n' || (s.line_start && strchr(" \t-{", *p)));
        p += m.keep + m.hide;
    }
    return r;
}

static size_t match_known(const char *p)
{
    size_t best = 0;

    for (size_t i = 0; i < n_secrets; i++) {
        size_t len;

        if (secrets[i][0] != *p)
            continue;
        len = strlen(secrets[i]);
        if (len > best && strncmp(p, secrets[i], len) == 0)
            best = len;
    }
    return best;
}

static int hide_known(const char *text, Buf *out)
{
    int r = 0;

    for (const char *p = text; *p && r == 0;) {
        size_t hidden = str_starts(p, REDACTED) ? strlen(REDACTED) : 0, known = hidden ? 0 : match_known(p);

        r = known > 0 ? buf_puts(out, REDACTED) : buf_append(out, p, hidden ? hidden : 1);
        p += known ? known : hidden ? hidden : 1;
    }
    return r;
}

static char *pass(const char *text, int (*hide)(const char *text, Buf *out))
{
    _cleanup_(buf_done) Buf out = BUF_INIT(strlen(text) * 3 + 64);

    return hide(text, &out) < 0 ? NULL : buf_take(&out);
}

char *redact_text(const char *text)
{
    _cleanup_(freep) char *shown = pass(text, hide_known);
    bool settled = false;

    /* what was hidden may have held a shape together with what stands beside it */
    for (unsigned i = 0; shown && !settled && i < ROUNDS_MAX; i++) {
        char *next = pass(shown, hide_shapes);

        settled = next && str_equal(next, shown);
        free(shown);
        shown = next;
    }
    return TAKE_PTR(shown);
}
