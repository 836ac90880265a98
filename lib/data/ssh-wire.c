/* SPDX-License-Identifier: MIT */
#include "lib/data/ssh-wire.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

int ssh_wire_bytes(SshText *w, size_t n, SshText *ret)
{
    if (n > w->len)
        return -EBADMSG;
    *ret = (SshText) { w->data, n };
    w->data += n;
    w->len -= n;
    return 0;
}

int ssh_wire_u32(SshText *w, uint32_t *ret)
{
    SshText four;

    if (ssh_wire_bytes(w, 4, &four) < 0)
        return -EBADMSG;
    *ret = (uint32_t) four.data[0] << 24 | (uint32_t) four.data[1] << 16 | (uint32_t) four.data[2] << 8 | four.data[3];
    return 0;
}

int ssh_wire_string(SshText *w, SshText *ret)
{
    uint32_t len;

    return ssh_wire_u32(w, &len) < 0 ? -EBADMSG : ssh_wire_bytes(w, len, ret);
}

bool ssh_wire_is(const SshText *w, const char *text)
{
    return w->len == strlen(text) && memcmp(w->data, text, w->len) == 0;
}

int ssh_put_u32(Buf *b, uint32_t n)
{
    const uint8_t bytes[] = { (uint8_t) (n >> 24), (uint8_t) (n >> 16), (uint8_t) (n >> 8), (uint8_t) n };
    return buf_append(b, bytes, sizeof(bytes));
}

int ssh_put_u64(Buf *b, uint64_t n)
{
    int r = ssh_put_u32(b, (uint32_t) (n >> 32));
    return r < 0 ? r : ssh_put_u32(b, (uint32_t) n);
}

int ssh_put_string(Buf *b, const void *data, size_t len)
{
    int r = ssh_put_u32(b, (uint32_t) len);
    return r < 0 || len == 0 ? r : buf_append(b, data, len);
}

int ssh_put_text(Buf *b, const char *text)
{
    return ssh_put_string(b, text, strlen(text));
}

int ssh_fingerprint(const void *blob, size_t len, char ret[static SSH_FINGERPRINT_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    _cleanup_(freep) char *text = sha256(blob, len, digest) < 0 ? NULL : base64_encode(digest, sizeof(digest));

    if (!text)
        return -ENOMEM;
    memcpy(ret, "SHA256:", 7);
    memcpy(ret + 7, text, SSH_FINGERPRINT_SIZE - 8); /* without the padding */
    ret[SSH_FINGERPRINT_SIZE - 1] = '\0';
    return 0;
}

size_t ssh_line_length(const char *text)
{
    size_t len = strnlen(text, SSH_PUBLIC_KEY_MAX + 1);

    if (len > 0 && text[len - 1] == '\n')
        len--;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char) text[i] < ' ' || text[i] == 0x7f)
            return 0;
    return len > SSH_PUBLIC_KEY_MAX ? 0 : len;
}

char *ssh_ed25519_line(const uint8_t public[static 32], const char *comment)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(SSH_PUBLIC_KEY_MAX);

    if (ssh_put_text(&b, SSH_ED25519) < 0 || ssh_put_string(&b, public, 32) < 0)
        return NULL;
    _cleanup_(freep) char *encoded = base64_encode(b.data, b.len);
    return encoded ? str_format(SSH_ED25519 " %s%s%s", encoded, comment ? " " : "", comment ? comment : "") : NULL;
}
