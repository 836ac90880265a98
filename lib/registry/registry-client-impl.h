/* SPDX-License-Identifier: MIT */
/* Private to registry*.c: what is asked, of whom, and with which authorization. */
#pragma once

#include "lib/base/map.h"
#include "lib/http/client.h"
#include "lib/registry/auth-challenge.h"
#include "lib/registry/registry-client.h"

typedef struct Ask Ask;

/* A registry's address. The first ask of it goes ahead and finds out how it is spoken to; the others wait for that. */
typedef struct Host {
    char *name;        /* host[:port] to connect to */
    char *authorities; /* PEM, or NULL */
    bool insecure;     /* plain HTTP is allowed */
    bool plain;        /* and that is what it speaks */
    bool answered;     /* it has, in whichever way */
    bool settled;      /* nobody waits for the first any more */
    bool has_leader;
    Challenge challenge; /* its last; NONE as long as it wants none */
    bool limited;        /* it does not want to be asked any more, for so long: */
    usec_t limited_usec; /* 0: it did not say how long */
} Host;

typedef enum Step {
    STEP_HEAD,     /* the tag, without a body */
    STEP_TAG,      /* the tag with its body, where HEAD did not do */
    STEP_INDEX,    /* the index, by its digest */
    STEP_MANIFEST, /* this platform's manifest, by its digest */
} Step;

struct Ask {
    Registry *registry;
    Ask *prev, *next;
    Host *host;
    RegistryPlace place;
    char *name; /* "REGISTRY/PATH:TAG", for sentences */
    char *tag;
    const LocalImage *local;
    Step step;
    RemoteImage remote;
    char *url;             /* what is being asked, redirects followed */
    unsigned redirects;
    bool elsewhere;        /* redirected to another origin, where our authorization has no business */
    char *authorization;   /* "Authorization: …"; secret */
    unsigned authorized;   /* how often it was made */
    bool early;            /* it answers the challenge that another image of the host got */
    bool waiting;          /* for the host's first */
    HttpCall *call;
    registry_done_t on_done;
    void *userdata;
};

struct Registry {
    sd_event *event;
    HttpClient *client;
    RegistryOptions options;
    Map *hosts;
    Map *tokens; /* key → secret */
    Ask *asks;
    sd_event_source *deadline;
    RegistryFigures figures;
};

/* registry-client.c */
int ask_send_step(Ask *a, Error *err) _must_check_;
/* Sends a request of this ask: counted, limited, with the host's authorities. */
int ask_start_request(Ask *a, HttpRequest *request, http_done_t on_done, Error *err) _must_check_;
/* Says the end and frees. err is taken from the sentence's own place; NULL with r = 0. */
void ask_end(Ask *a, int r, ImageVerdict verdict, const Error *err, usec_t retry_after_usec);
/* The same with an error that is set here. */
void ask_fail(Ask *a, int code, const char *id, usec_t retry_after_usec, const char *fmt, ...) _printf_(5, 6);
/* What a request that got no answer means. */
void ask_fail_http(Ask *a, int r, const Error *why);
/* What an answer that is not the wanted one means; `who` answered. */
void ask_fail_status(Ask *a, const HttpResponse *response, const char *who);

/* bearer-token.c */
/* After a 401: answers the challenge and sends the step again, or ends the ask. */
void ask_authorize(Ask *a, const HttpResponse *response);
/* With what the host wants, when that is known already: 1 when the step will be sent by it, 0 when it wants nothing. */
int ask_authorize_early(Ask *a, Error *err) _must_check_;
