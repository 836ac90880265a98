/* SPDX-License-Identifier: MIT */
/* Private to registry*.c: what is asked, of whom, and with which authorization. */
#pragma once

#include "lib/base/map.h"
#include "lib/http/client.h"
#include "lib/registry/auth-challenge.h"
#include "lib/registry/registry-client.h"

typedef struct Ask Ask;

/* A registry's address. Its first ask goes ahead and finds out how to speak to it; the others wait for that. */
typedef struct Host {
    char *name;                     /* host[:port] to connect to */
    char *authorities;              /* PEM, or NULL */
    char *client_cert, *client_key; /* PEM, or NULL; the key is secret */
    bool insecure;                  /* plain HTTP is allowed */
    bool plain;                     /* and it speaks plain HTTP */
    bool answered;                  /* it has answered, one way or the other */
    bool settled;                   /* nobody is waiting for the first ask any more */
    bool has_leader;
    Challenge challenge; /* its last challenge; NONE as long as it wants none */
    bool open;           /* "/v2/" itself wants none */
    bool limited;        /* it does not want to be asked again for this long: */
    usec_t limited_usec; /* 0: it did not say for how long */
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
    RegistryPlace place;           /* that is asked now */
    RegistryPlaceList next_places; /* that are asked where it does not answer, the last one first */
    char *name;                    /* "REGISTRY/PATH:TAG", for sentences */
    char *tag;
    const LocalImage *local;
    Step step;
    RemoteImage remote;
    char *url; /* the URL that is being asked, after redirects */
    unsigned redirects;
    bool elsewhere;      /* redirected to another origin, which must not see our authorization */
    char *authorization; /* "Authorization: …"; secret */
    unsigned authorized; /* how often it was sent */
    bool early;          /* it answers a challenge that another image of this host got */
    bool waiting;        /* waits for the host's first ask */
    bool based;          /* "/v2/" was asked for this one */
    Error refusal;       /* what the registry said before that, */
    int refusal_code;    /* and its -errno */
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

/* asked-places.c */
/* The same ask of the places that are left, not begun; takes what the first one has of it. NULL when out of memory. */
Ask *ask_elsewhere(Ask *a);
/* Its end may come at once. */
void ask_begin_again(Ask *a);

/* registry-client.c */
void ask_free(Ask *a);
void registry_host_free(void *host);
/* Sends the step as its host is known by now. */
void ask_go_ahead(Ask *a);
int ask_send_step(Ask *a, Error *err) _must_check_;
/* The tag by GET, from the beginning; ends the ask when it cannot be sent. */
void ask_read_tag(Ask *a);
bool ask_is_redirect(int status);
/* Makes a->url what the answer redirects it to, within the limits: how often, and plain HTTP only where podman's files allow it. */
int ask_follow(Ask *a, const HttpResponse *response, Error *err) _must_check_;
/* Sends a request of this ask: it is counted, limited, and uses the host's authorities. */
int ask_start_request(Ask *a, HttpRequest *request, http_done_t on_done, Error *err) _must_check_;
/* Reports the end and frees the ask. err is NULL with r = 0. */
void ask_end(Ask *a, int r, ImageVerdict verdict, const Error *err, usec_t retry_after_usec);
/* The same with an error that is set here. */
void ask_fail(Ask *a, int code, const char *id, usec_t retry_after_usec, const char *fmt, ...) _printf_(5, 6);
/* Deals with a request that got no answer. */
void ask_fail_http(Ask *a, int r, const Error *why);
/* What an answer that is not the wanted one means; `who` answered. Negative. */
int ask_status_error(const Ask *a, const HttpResponse *response, const char *who, Error *err);
/* The same as the end of the ask. */
void ask_fail_status(Ask *a, const HttpResponse *response, const char *who);

/* base-challenge.c */
/* Whether that status may hide an image from somebody who has not said who he is. */
bool ask_may_be_hidden(const Ask *a, int status);
/* Looks for the challenge at "/v2/" and answers it; where there is none, the ask ends with what the registry has said. */
void ask_base(Ask *a, const HttpResponse *response);

/* bearer-token.c */
/* After a 401: answers the challenge and repeats the step, or ends the ask. */
void ask_authorize(Ask *a, const HttpResponse *response);
/* Uses what the host wants, when that is known already: 1 when the step will be sent in that way, 0 when it wants
 * nothing. */
int ask_authorize_early(Ask *a, Error *err) _must_check_;
