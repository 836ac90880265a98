/* SPDX-License-Identifier: MIT */
/* The page by which a phone in the box's own network pairs it. It is there while mgmt-agent says that the box may be paired, and
 * for two minutes more, so that the phone learns how it ended. It holds no secret: mgmt-agent judges PIN and claim. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Page Page;

typedef struct PageOptions {
    const char *address; /* numeric */
    uint16_t port;
    const char *agent_socket;
} PageOptions;

/* The loop ends with 0 when the page is not needed any more. Errors: net.listen and others of the server. */
int page_new(sd_event *event, const PageOptions *options, Page **ret, Error *err) _must_check_;
Page *page_free(Page *p);
DEFINE_CLEANUP(Page, page_free)

/* Whether a name of the box, or an address, is what a browser was told to ask for. */
bool page_host_is_ours(const char *host);
