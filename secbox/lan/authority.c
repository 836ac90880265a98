/* SPDX-License-Identifier: MIT */
/* Files and dates: what lib/data/x509-authority.h makes, and when. */
#include "secbox/lan/authority.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/x509-authority.h"

#define SECONDS_PER_DAY ((uint64_t) 24 * 60 * 60)
/* 2026-11-01: this program did not exist before, whatever the clock says. */
#define PROGRAM_EPOCH ((uint64_t) 1793491200)
/* 2024-01-01: a box whose clock was ahead when it made its authority must not wait for that day. */
#define AUTHORITY_FROM ((uint64_t) 1704067200)
#define AUTHORITY_DAYS (20 * (uint64_t) 365)
/* iOS takes no more than 825 days of a certificate by an authority that a user has added, browsers 398 of any other. */
#define SERVER_DAYS ((uint64_t) 397)
#define SERVER_DAYS_BEFORE ((uint64_t) 30)
#define SERVER_DAYS_LEFT ((uint64_t) 30)

void lan_authority_done(LanAuthority *a)
{
    free(a->ca_key);
    free(a->ca_cert);
    free(a->key);
    free(a->cert);
    free(a->title);
    *a = (LanAuthority) {};
}

int lan_authority_init(LanAuthority *a, const char *dir, const char *device_id, Error *err)
{
    *a = (LanAuthority) {
        .ca_key = path_join(dir, "authority.key"),
        .ca_cert = path_join(dir, "authority.pem"),
        .key = path_join(dir, "server.key"),
        .cert = path_join(dir, "server.pem"),
        .title = str_format("SecBox %.48s", device_id),
    };
    if (a->ca_key && a->ca_cert && a->key && a->cert && a->title)
        return dir_make(dir, 0700, (uid_t) -1, (gid_t) -1, err);
    lan_authority_done(a);
    return error_from_errno(err, -ENOMEM, "cannot keep the certificates' places");
}

/* Both files or neither: a key without its certificate is of no use, and nothing has been given out yet. */
static int ensure_authority(const LanAuthority *a, uint64_t now, bool *ret_made, Error *err)
{
    const CertValidity validity = { AUTHORITY_FROM, now + AUTHORITY_DAYS * SECONDS_PER_DAY };
    CertFacts facts;
    Error why = {};
    int r = x509_read(a->ca_cert, &facts, &why);

    *ret_made = r == -ENOENT;
    if (*ret_made)
        r = x509_authority_make(a->ca_key, a->ca_cert, a->title, LAN_HOST, validity, err);
    else if (r < 0)
        (void) error_copy(err, &why);
    error_done(&why);
    return r;
}

bool lan_cert_is_due(uint64_t from, uint64_t until, uint64_t now)
{
    return now < from || now + SERVER_DAYS_LEFT * SECONDS_PER_DAY > until;
}

/* Anything that is wrong with the server's own files is mended by making them anew. */
static bool server_is_good(const LanAuthority *a, const char *const *names, uint64_t now)
{
    CertFacts facts;

    return x509_server_check(a->ca_cert, a->key, a->cert, names, NULL) == 0 && x509_read(a->cert, &facts, NULL) == 0 &&
           !lan_cert_is_due(facts.validity.from, facts.validity.until, now);
}

int lan_authority_ensure(const LanAuthority *a, const char *const *names, usec_t now, bool *ret_changed, Error *err)
{
    uint64_t seconds = now / USEC_PER_SEC > PROGRAM_EPOCH ? now / USEC_PER_SEC : PROGRAM_EPOCH;
    const CertValidity validity = { seconds - SERVER_DAYS_BEFORE * SECONDS_PER_DAY,
                                    seconds + (SERVER_DAYS - SERVER_DAYS_BEFORE) * SECONDS_PER_DAY };
    bool made = false;
    int r = ensure_authority(a, seconds, &made, err);

    *ret_changed = false;
    if (r < 0 || (!made && server_is_good(a, names, seconds)))
        return r;
    *ret_changed = true;
    return x509_server_make(a->ca_key, a->ca_cert, a->key, a->cert, names, validity, err);
}

int lan_authority_fingerprint(const LanAuthority *a, char **ret, Error *err)
{
    CertFacts facts;
    int r = x509_read(a->ca_cert, &facts, err);
    char *text = r < 0 ? NULL : calloc(SHA256_SIZE, 3), *to = text;

    if (r < 0)
        return r;
    if (!text)
        return error_from_errno(err, -ENOMEM, "cannot show the fingerprint");
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        *to++ = facts.fingerprint[2 * i];
        *to++ = facts.fingerprint[2 * i + 1];
        *to++ = i + 1 < SHA256_SIZE ? ':' : '\0';
    }
    *ret = text;
    return 0;
}

/* Of the title only what a device id may have comes into the text: letters, digits and a few signs, none of them XML's. */
static char *profile_text(const char *title, const char *fingerprint, const char *der64)
{
    return str_format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
                      "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
                      "<plist version=\"1.0\"><dict>\n"
                      "<key>PayloadContent</key><array><dict>\n"
                      "<key>PayloadCertificateFileName</key><string>secbox.cer</string>\n"
                      "<key>PayloadContent</key><data>%1$s</data>\n"
                      "<key>PayloadDisplayName</key><string>%2$s</string>\n"
                      "<key>PayloadIdentifier</key><string>secbox.authority.%3$.32s</string>\n"
                      "<key>PayloadType</key><string>com.apple.security.root</string>\n"
                      "<key>PayloadUUID</key><string>%3$.8s-0000-4000-8000-000000000001</string>\n"
                      "<key>PayloadVersion</key><integer>1</integer>\n"
                      "</dict></array>\n"
                      "<key>PayloadDisplayName</key><string>%2$s</string>\n"
                      "<key>PayloadIdentifier</key><string>secbox.profile.%3$.32s</string>\n"
                      "<key>PayloadType</key><string>Configuration</string>\n"
                      "<key>PayloadUUID</key><string>%3$.8s-0000-4000-8000-000000000002</string>\n"
                      "<key>PayloadVersion</key><integer>1</integer>\n"
                      "</dict></plist>\n",
                      der64, title, fingerprint);
}

int lan_authority_profile(const LanAuthority *a, char **ret, Error *err)
{
    _cleanup_(freep) uint8_t *der = NULL;
    _cleanup_(freep) char *der64 = NULL;
    CertFacts facts;
    size_t len = 0;
    int r = x509_read(a->ca_cert, &facts, err);

    if (r >= 0)
        r = x509_der(a->ca_cert, &der, &len, err);
    if (r < 0)
        return r;
    der64 = base64_encode(der, len);
    *ret = der64 ? profile_text(a->title, facts.fingerprint, der64) : NULL;
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "cannot write the profile");
}
