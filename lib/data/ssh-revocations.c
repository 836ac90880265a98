/* SPDX-License-Identifier: MIT */
#include "lib/data/ssh-revocations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define FILE_MAX (64 * 1024)
#define VERSION_PREFIX "# version "
#define ID_PREFIX "id: "
#define DIGITS "0123456789"
#define PART_MAX 64

/* PERSON/GRANT/SERIAL, as the signer writes it into certificates: nothing that ssh-keygen could read as anything else. */
static bool is_key_id(const char *id, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "._@-";
    size_t at = 0;

    for (int part = 0; part < 3; part++) {
        size_t n = strspn(id + at, part < 2 ? letters : DIGITS);

        if (n == 0 || n > PART_MAX || at + n > len || (part < 2 && id[at + n] != '/'))
            return false;
        at += n + (part < 2);
    }
    return at == len;
}

static int bad(Error *err, const char *what)
{
    return error_set(err, EBADMSG, "ssh.bad-revocations", "the list of revoked certificates %s", what);
}

static int write_text(const cJSON *message, uint64_t version, Buf *out, Error *err)
{
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(message, "keyIds"), *id;
    _cleanup_(freep) char *head = str_format(VERSION_PREFIX "%" PRIu64 "\n", version);
    int r = head ? buf_puts(out, head) : -ENOMEM;

    if (!cJSON_IsArray(ids) || cJSON_GetArraySize(ids) > SSH_REVOCATIONS_MAX)
        return bad(err, "of the gateway is too long, or none");
    cJSON_ArrayForEach(id, ids) {
        const char *text = cJSON_GetStringValue(id);

        if (!text || !is_key_id(text, strlen(text)))
            return bad(err, "of the gateway names something that is no key id");
        if (r >= 0)
            r = buf_puts(out, ID_PREFIX);
        if (r >= 0)
            r = buf_puts(out, text);
        if (r >= 0)
            r = buf_puts(out, "\n");
    }
    return error_from_errno(err, r, "keep the list of revoked certificates");
}

/* The number of the first line; 0 when that is another one. */
static uint64_t read_version(const char *text)
{
    const char *number = text + strlen(VERSION_PREFIX);
    uint64_t version = 0;

    if (!str_starts(text, VERSION_PREFIX))
        return 0;
    size_t n = strspn(number, DIGITS);
    if (n == 0 || n > 18 || number[n] != '\n')
        return 0;
    for (size_t i = 0; i < n; i++)
        version = version * 10 + (uint64_t) (number[i] - '0');
    return version;
}

uint64_t ssh_revocations_version(const char *path)
{
    _cleanup_(freep) char *text = NULL;

    return file_read(path, FILE_MAX, &text, NULL, NULL) < 0 ? 0 : read_version(text);
}

int ssh_revocations_take(const char *path, const cJSON *message, Error *err)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(FILE_MAX);
    uint64_t version = 0, have = ssh_revocations_version(path);

    if (json_u64(message, "version", &version) < 0 || version == 0 || version > INT64_MAX / 100)
        return bad(err, "of the gateway has no version");
    if (version == have)
        return 0;
    if (version < have)
        return error_set(err, ESTALE, "ssh.revocations-old",
                         "the gateway's list of revoked certificates has version %" PRIu64 ", and this box has %" PRIu64
                         " already: was the gateway's database put back?",
                         version, have);
    int r = write_text(message, version, &out, err);
    if (r >= 0)
        r = file_write_atomic(path, out.data, out.len, 0600, (uid_t) -1, (gid_t) -1, err);
    return r < 0 ? r : 1;
}

int ssh_revocations_check(const char *path, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    int r = file_read(path, FILE_MAX, &text, &len, err);

    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    if (r < 0)
        return r;
    if (read_version(text) == 0 || strlen(text) != len || text[len - 1] != '\n')
        return bad(err, "on this box is damaged");
    for (const char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1)
        if (!str_starts(line, ID_PREFIX) ||
            !is_key_id(line + strlen(ID_PREFIX), strcspn(line, "\n") - strlen(ID_PREFIX)))
            return bad(err, "on this box is damaged");
    return 0;
}
