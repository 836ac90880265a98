/* SPDX-License-Identifier: MIT */
/* Everything needed to let a box in, kept in memory so that accepting a tunnel never asks the database: which devices
 * exist, which are blocked, the key of each role, and the proofs that each key has used lately. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

#define DEVICE_ID_MAX 64

typedef enum Role {
    ROLE_MGMT,
    ROLE_DEVICE,
    ROLE_RECOVERY,
    _ROLE_COUNT,
} Role;

const char *role_name(Role role);
/* -EINVAL for any other name. */
int role_parse(const char *name, Role *ret) _must_check_;

/* 1 to 64 letters, digits, '.', '_', '-', beginning with a letter or digit. */
bool device_id_is_valid(const char *id);

typedef struct DeviceRegistry DeviceRegistry;

DeviceRegistry *device_registry_new(void);
DeviceRegistry *device_registry_free(DeviceRegistry *r);
DEFINE_CLEANUP(DeviceRegistry, device_registry_free)

/* Adds a device or changes whether it is blocked. 0 or -ENOMEM. */
int device_registry_put_device(DeviceRegistry *r, const char *id, bool blocked) _must_check_;
/* Sets the key of one role; the device must be there (-ENOENT). */
int device_registry_put_key(DeviceRegistry *r, const char *id, Role role, const char *thumbprint) _must_check_;
/* Forgets the key of one role; one that is not there is no error. */
void device_registry_remove_key(DeviceRegistry *r, const char *id, Role role);
/* The key that the box's management key names for a role; NULL: none (any more). 0, -ENOMEM, -ENOENT. */
int device_registry_put_vouched(DeviceRegistry *r, const char *id, Role role, const char *thumbprint) _must_check_;
/* Whether the box's agent names keys: those of older versions never do. */
void device_registry_set_vouches(DeviceRegistry *r, const char *id, bool vouches);
bool device_registry_vouches(const DeviceRegistry *r, const char *id);
bool device_registry_is_vouched(const DeviceRegistry *r, const char *id, Role role, const char *thumbprint);
/* Forgets a device and its keys; one that is not there is no error. */
void device_registry_remove(DeviceRegistry *r, const char *id);
bool device_registry_has_device(const DeviceRegistry *r, const char *id);
bool device_registry_is_blocked(const DeviceRegistry *r, const char *id);
/* Every device, in no order. */
void device_registry_each(const DeviceRegistry *r, void (*visit)(const char *id, bool blocked, void *userdata),
                          void *userdata);
size_t device_registry_size(const DeviceRegistry *r);
/* How many keys there are, and so how many tunnels to expect. */
size_t device_registry_keys(const DeviceRegistry *r);

/* Whether this key may speak for this device in this role. -EKEYREJECTED "device.unknown",
 * "device.key-unknown" (nobody has claimed the role, or another key has), -EACCES "device.blocked". */
int device_registry_check(const DeviceRegistry *r, const char *id, Role role, const char *thumbprint,
                          Error *err) _must_check_;

/* Marks a proof as used; `now` in seconds. -EKEYREJECTED "proof.replayed" when it was used before within its
 * life, -EAGAIN "proof.too-many" when this key used more proofs than are remembered. The key must pass
 * device_registry_check(). */
int device_registry_use_proof(DeviceRegistry *r, const char *id, Role role, const char *proof_id, uint64_t now,
                              Error *err) _must_check_;
