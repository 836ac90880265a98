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
#include "lib/base/text.h"

#define LOG_LINE_MAX (64 * 1024)
#define LOG_FIELDS_MAX 8
#define RELAY_FIELDS_MAX 16
#define RELAY_SEPARATOR '\x1f' /* never in text that was made printable */

static const char *program_name = "secbox";
static LogLevel max_level = LOG_LEVEL_INFO;
static int journal_fd = -1;
static bool relayed; /* stderr leads to a program of ours that calls log_relay() */
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
    relayed = str_equal(getenv(LOG_RELAY_VARIABLE), "1");
    if (relayed || journal_fd >= 0 || !stderr_is_journal())
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

/* What may leave the process: secrets hidden, on one line, harmless for a terminal. */
static char *safe_text(const char *text)
{
    _cleanup_(freep) char *shown = redact_text(text);

    return shown ? text_printable(shown) : NULL;
}

static int journal_safe_field(Buf *b, const LogField *field)
{
    _cleanup_(freep) char *value = safe_text(field->value);

    return value ? journal_field(b, field->name, value) : -ENOMEM;
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
            r = journal_safe_field(&b, &(LogField) { sticky[i].name, sticky[i].value });
    for (; r == 0 && fields && fields->name; fields++)
        if (fields->value)
            r = journal_safe_field(&b, fields);
    if (r == 0)
        (void) send(journal_fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_done(&b);
}

static int line_field(Buf *b, char separator, const LogField *field)
{
    _cleanup_(freep) char *value = safe_text(field->value);

    return value ? buf_printf(b, "%c%s=%s", separator, field->name, value) : -ENOMEM;
}

/* Time, program and severity are put before the line by who passes it on. */
static void write_relayed(LogLevel level, const LogField *fields, const char *text)
{
    Buf b = BUF_INIT(LOG_LINE_MAX * 2);
    int r = buf_printf(&b, "<%d>%s", (int) level, text);

    for (size_t i = 0; r == 0 && i < LOG_FIELDS_MAX; i++)
        if (sticky[i].name && sticky[i].value)
            r = line_field(&b, RELAY_SEPARATOR, &(LogField) { sticky[i].name, sticky[i].value });
    for (; r == 0 && fields && fields->name; fields++)
        if (fields->value)
            r = line_field(&b, RELAY_SEPARATOR, fields);
    if (r == 0)
        r = buf_puts(&b, "\n");
    if (r == 0)
        (void) !fd_write_all(STDERR_FILENO, b.data, b.len);
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
            r = line_field(&b, ' ', fields);
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
    text = str_vformat(fmt, ap);
    if (!text)
        return;
    if (strlen(text) > LOG_LINE_MAX)
        text[LOG_LINE_MAX] = '\0';
    safe = safe_text(text);
    if (safe && relayed)
        write_relayed(level, fields, safe);
    else if (safe && journal_fd >= 0)
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

/* "<LEVEL>text", then what follows each separator is NAME=value. False for any other line. */
static bool relay_parse(char *line, LogLevel *level, LogField fields[static RELAY_FIELDS_MAX + 1])
{
    size_t n = 0;
    char *at;

    if (line[0] != '<' || line[1] < '0' + LOG_LEVEL_ERROR || line[1] > '0' + LOG_LEVEL_DEBUG || line[2] != '>')
        return false;
    *level = (LogLevel) (line[1] - '0');
    for (at = strchr(line, RELAY_SEPARATOR); at; at = strchr(at, RELAY_SEPARATOR)) {
        char *value;

        *at++ = '\0';
        value = at + strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        if (*value != '=' || value == at || *at == '_' || n == RELAY_FIELDS_MAX)
            continue;
        *value = '\0';
        fields[n++] = (LogField) { at, value + 1 };
        at = value + 1;
    }
    return true;
}

void log_relay(const char *who, const char *line)
{
    LogField fields[RELAY_FIELDS_MAX + 1] = {};
    _cleanup_(freep) char *copy = strdup(line);
    LogLevel level;

    if (copy && relay_parse(copy, &level, fields))
        log_line(level, fields, "%s", copy + 3);
    else
        log_warning("%s: %s", who, line);
}

void log_failure(LogLevel level, const LogField *fields, const Error *err, int r, const char *fmt, ...)
{
    _cleanup_(freep) char *prefix = NULL;
    _cleanup_(freep) char *place = NULL;
    va_list ap;

    va_start(ap, fmt);
    prefix = str_vformat(fmt, ap);
    va_end(ap);
    if (!prefix)
        return;
    if (err->file)
        place = str_format(" (%s:%u%s%s)", err->file, err->line, err->key ? " " : "", err->key ? err->key : "");
    log_line(level, fields, "%s: %s [%s]%s", prefix, error_message(err, r), error_id(err), place ? place : "");
}
