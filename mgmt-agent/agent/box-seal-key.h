/* SPDX-License-Identifier: MIT */
/* The public half of the key that secrets are sealed with for this box. */
#pragma once

#include "lib/base/mem.h"

typedef struct BoxSealKey BoxSealKey;

/* NULL when out of memory. */
BoxSealKey *box_seal_key_new(void);
BoxSealKey *box_seal_key_free(BoxSealKey *s);
DEFINE_CLEANUP(BoxSealKey, box_seal_key_free)

/* As text for agent.status; valid until the next call. The file is read, or made, when it is another one than the time before. NULL
 * when there is no key and none can be made, which is logged. */
const char *box_seal_key_text(BoxSealKey *s);
