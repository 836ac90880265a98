/* SPDX-License-Identifier: MIT */
/* Devices, keys and used proofs in memory; bounded by the number of devices in the database. */
#include "gateway/auth/device-registry.h"

#include <errno.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

/* A box proves itself once a day, or every few minutes when something is wrong. */
#define PROOFS_MAX 16
/* A proof is good 300 s before and after its own time: after 601 s it cannot come back. */
#define PROOF_LIFE_SECONDS 601

typedef struct Proof {
    uint8_t digest[16];
    uint64_t used_at;
} Proof;

typedef struct RoleEntry {
    char *thumbprint;
    char *vouched; /* the key that the box's management key has named; NULL: none */
    Proof *proofs; /* PROOFS_MAX of them, or NULL before the first */
} RoleEntry;

typedef struct Device {
    bool blocked;
    bool vouches; /* its agent names keys */
    RoleEntry roles[_ROLE_COUNT];
} Device;

struct DeviceRegistry {
    Map *devices;
    size_t n_keys;
};

static const char *const role_names[_ROLE_COUNT] = {
    [ROLE_MGMT] = "mgmt",
    [ROLE_DEVICE] = "device",
    [ROLE_RECOVERY] = "recovery",
};

const char *role_name(Role role)
{
    return role_names[role];
}

int role_parse(const char *name, Role *ret)
{
    for (Role i = 0; i < _ROLE_COUNT; i++) {
        if (str_equal(name, role_names[i])) {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool device_id_is_valid(const char *id)
{
    if (str_empty(id) || strlen(id) > DEVICE_ID_MAX || !is_alphanumeric(*id))
        return false;
    for (const char *c = id; *c; c++)
        if (!is_alphanumeric(*c) && !strchr("._-", *c))
            return false;
    return true;
}

static void device_free(void *value)
{
    Device *d = value;
    for (Role i = 0; i < _ROLE_COUNT; i++) {
        free(d->roles[i].thumbprint);
        free(d->roles[i].vouched);
        free(d->roles[i].proofs);
    }
    free(d);
}

DeviceRegistry *device_registry_new(void)
{
    DeviceRegistry *r = calloc(1, sizeof(*r));
    if (r)
        r->devices = map_new(device_free);
    if (r && !r->devices)
        return device_registry_free(r);
    return r;
}

DeviceRegistry *device_registry_free(DeviceRegistry *r)
{
    if (r) {
        map_free(r->devices);
        free(r);
    }
    return NULL;
}

bool device_registry_is_blocked(const DeviceRegistry *r, const char *id)
{
    const Device *d = map_get(r->devices, id);
    return d && d->blocked;
}

int device_registry_put_device(DeviceRegistry *r, const char *id, bool blocked)
{
    Device *d = map_get(r->devices, id);
    if (d) {
        d->blocked = blocked;
        return 0;
    }
    d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->blocked = blocked;
    int ret = map_put(r->devices, id, d);
    if (ret < 0)
        device_free(d);
    return ret;
}

int device_registry_put_key(DeviceRegistry *r, const char *id, Role role, const char *thumbprint)
{
    Device *d = map_get(r->devices, id);
    if (!d)
        return -ENOENT;
    RoleEntry *e = &d->roles[role];
    if (str_equal(e->thumbprint, thumbprint))
        return 0;
    char *copy = strdup(thumbprint);
    if (!copy)
        return -ENOMEM;
    if (!e->thumbprint)
        r->n_keys++;
    free(e->thumbprint);
    e->thumbprint = copy;
    /* proofs by the former key are refused anyway, so there is no need to remember them */
    free(e->proofs);
    e->proofs = NULL;
    return 0;
}

void device_registry_remove_key(DeviceRegistry *r, const char *id, Role role)
{
    Device *d = map_get(r->devices, id);
    if (!d || !d->roles[role].thumbprint)
        return;
    free(d->roles[role].thumbprint);
    free(d->roles[role].proofs);
    d->roles[role] = (RoleEntry) { .vouched = d->roles[role].vouched };
    r->n_keys--;
}

int device_registry_put_vouched(DeviceRegistry *r, const char *id, Role role, const char *thumbprint)
{
    Device *d = map_get(r->devices, id);
    if (!d)
        return -ENOENT;
    char *copy = thumbprint ? strdup(thumbprint) : NULL;
    if (thumbprint && !copy)
        return -ENOMEM;
    free(d->roles[role].vouched);
    d->roles[role].vouched = copy;
    return 0;
}

void device_registry_set_vouches(DeviceRegistry *r, const char *id, bool vouches)
{
    Device *d = map_get(r->devices, id);
    if (d)
        d->vouches = vouches;
}

bool device_registry_vouches(const DeviceRegistry *r, const char *id)
{
    const Device *d = map_get(r->devices, id);
    return d && d->vouches;
}

bool device_registry_is_vouched(const DeviceRegistry *r, const char *id, Role role, const char *thumbprint)
{
    const Device *d = map_get(r->devices, id);
    return d && d->vouches && thumbprint && d->roles[role].vouched && secret_equal(d->roles[role].vouched, thumbprint);
}

void device_registry_remove(DeviceRegistry *r, const char *id)
{
    const Device *d = map_get(r->devices, id);
    for (Role i = 0; d && i < _ROLE_COUNT; i++)
        r->n_keys -= d->roles[i].thumbprint != NULL;
    map_remove(r->devices, id);
}

void device_registry_each(const DeviceRegistry *r, void (*visit)(const char *id, bool blocked, void *userdata),
                          void *userdata)
{
    const char *id;
    void *value;
    for (size_t i = 0; map_next(r->devices, &i, &id, &value);)
        visit(id, ((const Device *) value)->blocked, userdata);
}

size_t device_registry_size(const DeviceRegistry *r)
{
    return map_size(r->devices);
}

size_t device_registry_keys(const DeviceRegistry *r)
{
    return r->n_keys;
}

bool device_registry_has_device(const DeviceRegistry *r, const char *id)
{
    return map_get(r->devices, id) != NULL;
}

int device_registry_check(const DeviceRegistry *r, const char *id, Role role, const char *thumbprint, Error *err)
{
    const Device *d = map_get(r->devices, id);
    if (!d)
        return error_set(err, EKEYREJECTED, "device.unknown", "no device \"%s\" is registered here", id);
    if (d->blocked)
        return error_set(err, EACCES, "device.blocked", "device %s is blocked: an operator has to unblock it", id);
    const char *known = d->roles[role].thumbprint;
    if (!known || !secret_equal(known, thumbprint))
        return error_set(err, EKEYREJECTED, "device.key-unknown",
                         "this is not the key that device %s claimed the role %s with", id, role_name(role));
    return 0;
}

int device_registry_use_proof(DeviceRegistry *r, const char *id, Role role, const char *proof_id, uint64_t now,
                              Error *err)
{
    Device *d = map_get(r->devices, id);
    if (!d)
        return error_set(err, EKEYREJECTED, "device.unknown", "no device \"%s\" is registered here", id);
    RoleEntry *e = &d->roles[role];
    uint8_t digest[SHA256_SIZE];
    if (!e->proofs)
        e->proofs = calloc(PROOFS_MAX, sizeof(Proof));
    if (!e->proofs || sha256(proof_id, strlen(proof_id), digest) < 0)
        return error_from_errno(err, -ENOMEM, "remembering a proof");
    Proof *unused = NULL;
    for (Proof *p = e->proofs; p < e->proofs + PROOFS_MAX; p++) {
        if (p->used_at + PROOF_LIFE_SECONDS <= now)
            unused = p;
        else if (memcmp(p->digest, digest, sizeof(p->digest)) == 0)
            return error_set(err, EKEYREJECTED, "proof.replayed", "this proof was used before: make a new one");
    }
    if (!unused)
        return error_set(err, EAGAIN, "proof.too-many",
                         "device %s asked for more than %d tokens within ten minutes: wait, then try again", id,
                         PROOFS_MAX);
    memcpy(unused->digest, digest, sizeof(unused->digest));
    unused->used_at = now;
    return 0;
}
