/* SPDX-License-Identifier: MIT */
/* The journal's native protocol when stderr leads there (fields survive), else one readable line per event. */

#include "lib/base/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"

#define LOG_LINE_MAX (64 * 1024)
#define LOG_FIELDS_MAX 8

static const char *program_name = "secbox";
static LogLevel max_level = LOG_LEVEL_INFO;
static int journal_fd = -1;
static struct {
    const char *name;
    char *value;
} sticky[LOG_FIELDS_MAX];

/* systemd sets JOURNAL_STREAM=DEVICE:INODE of the stderr that it connected; a redirected stderr differs. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *program)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };

    program_name = program;
    if (str_equal(getenv("SECBOX_LOG"), "debug"))
        max_level = LOG_LEVEL_DEBUG;
    if (journal_fd >= 0 || !stderr_is_journal())
        return;
    journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (journal_fd >= 0 && connect(journal_fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        close(journal_fd);
        journal_fd = -1;
    }
}

void log_set_field(const char *name, const char *value)
{
    size_t at = LOG_FIELDS_MAX;

    for (size_t i = 0; i < LOG_FIELDS_MAX; i++) {
        if (str_equal(sticky[i].name, name)) {
            at = i;
            break;
        }
        if (!sticky[i].name && at == LOG_FIELDS_MAX)
            at = i;
    }
    if (at == LOG_FIELDS_MAX)
        return;
    free(sticky[at].value);
    sticky[at].name = value ? name : NULL;
    sticky[at].value = value ? strdup(value) : NULL;
}

/* A field in the native protocol: NAME\n, length as little-endian 64 bits, the bytes, \n. Works for any content. */
static int journal_field(Buf *b, const char *name, const char *value)
{
    uint64_t len = strlen(value);
    unsigned char little[8];
    int r;

    for (unsigned i = 0; i < 8; i++)
        little[i] = (unsigned char) (len >> (8 * i));
    r = buf_puts(b, name);
    if (r == 0)
        r = buf_puts(b, "\n");
    if (r == 0)
        r = buf_append(b, little, sizeof(little));
    if (r == 0)
        r = buf_puts(b, value);
    return r == 0 ? buf_puts(b, "\n") : r;
}

static void write_journal(LogLevel level, const LogField *fields, const char *text)
{
    Buf b = BUF_INIT(LOG_LINE_MAX * 2);
    char priority[2] = { (char) ('0' + level), 0 };
    int r = journal_field(&b, "MESSAGE", text);

    if (r == 0)
        r = journal_field(&b, "PRIORITY", priority);
    if (r == 0)
        r = journal_field(&b, "SYSLOG_IDENTIFIER", program_name);
    for (size_t i = 0; r == 0 && i < LOG_FIELDS_MAX; i++)
        if (sticky[i].name && sticky[i].value)
            r = journal_field(&b, sticky[i].name, sticky[i].value);
    for (; r == 0 && fields && fields->name; fields++)
        if (fields->value)
            r = journal_field(&b, fields->name, fields->value);
    if (r == 0)
        (void) send(journal_fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_done(&b);
}

static void write_stderr(LogLevel level, const LogField *fields, const char *text)
{
    static const char *const names[] = { "", "", "", "error", "warning", "notice", "info", "debug" };
    char stamp[TIMESTAMP_SIZE];
    Buf b = BUF_INIT(LOG_LINE_MAX * 2);
    int r = buf_printf(&b, "%s %s %s: %s", timestamp_format(realtime_usec(), stamp), program_name, names[level], text);

    for (; r == 0 && fields && fields->name; fields++)
        if (fields->value)
            r = buf_printf(&b, " %s=%s", fields->name, fields->value);
    /* one event is one line, whatever a peer put into it */
    for (size_t i = 0; i < b.len; i++)
        if ((unsigned char) b.data[i] < ' ')
            b.data[i] = ' ';
    if (r == 0)
        r = buf_puts(&b, "\n");
    if (r == 0)
        r = fd_write_all(STDERR_FILENO, b.data, b.len); /* a full log disk must not stop the program */
    buf_done(&b);
}

static _printf_(3, 0) void log_vline(LogLevel level, const LogField *fields, const char *fmt, va_list ap)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(freep) char *safe = NULL;
    int saved = errno;

    if (level > max_level)
        return;
    if (vasprintf(&text, fmt, ap) < 0) {
        text = NULL;
        return;
    }
    if (strlen(text) > LOG_LINE_MAX)
        text[LOG_LINE_MAX] = '\0';
    safe = redact_text(text);
    if (safe && journal_fd >= 0)
        write_journal(level, fields, safe);
    else if (safe)
        write_stderr(level, fields, safe);
    errno = saved;
}

void log_line(LogLevel level, const LogField *fields, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vline(level, fields, fmt, ap);
    va_end(ap);
}

void log_failure(LogLevel level, const LogField *fields, const Error *err, int r, const char *fmt, ...)
{
    _cleanup_(freep) char *prefix = NULL;
    _cleanup_(freep) char *place = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&prefix, fmt, ap);
    va_end(ap);
    if (n < 0) {
        prefix = NULL;
        return;
    }
    if (err->file)
        place = str_format(" (%s:%u%s%s)", err->file, err->line, err->key ? " " : "", err->key ? err->key : "");
    log_line(level, fields, "%s: %s [%s]%s", prefix, error_message(err, r), error_id(err), place ? place : "");
}
