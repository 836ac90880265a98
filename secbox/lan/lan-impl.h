/* SPDX-License-Identifier: MIT */
/* What the files of the guards' interface share. */
#pragma once

#include "lib/http/server.h"
#include "lib/postgres/store.h"
#include "secbox/lan/authority.h"
#include "secbox/lan/cloud-cert.h"
#include "secbox/lan/gate-data.h"
#include "secbox/lan/guard-sessions.h"
#include "secbox/lan/lan-events.h"
#include "secbox/lan/lan.h"
#include "secbox/lan/login-throttle.h"
#include "secbox/lan/request-throttle.h"
#include "secbox/lan/sightings.h"
#include "secbox/media/media.h"

typedef struct LanRequest LanRequest;
typedef struct CameraViewer CameraViewer; /* of api-cameras.c */

struct Lan {
    sd_event *event;
    HttpServer *server;
    Media *media;
    char *media_address, *device_id;
    uint16_t media_port;
    bool media_complained;
    LanAuthority authority;
    CloudCert cloud_cert;
    char **names;     /* of the server's certificate */
    bool stale;       /* its files are newer than what the server has */
    bool cloud_shown; /* the server has the cloud's certificate, too */
    char *state_dir, *run_dir, *more_names;
    GateData *data;
    GuardSessions *sessions;
    LoginThrottle *throttle;
    RequestThrottle *request_throttle;
    LanEvents *events;
    Queue *queue;
    PhotoStore *photos;
    Sightings *sightings;
    Cameras *cameras;   /* NULL: there is no Frigate */
    char *entry_camera; /* the one at the gate; NULL: none */
    CameraViewer *viewers;
    void (*on_photo)(void *userdata);
    void (*want_picture)(const char *id, void *userdata);
    int (*add_status)(cJSON *status, void *userdata);
    void *userdata;
    sd_event_source *timer; /* looks at names and validity */
    char *last_failure;
    LanRequest *requests;     /* those that are not answered yet */
    struct Writing *writings; /* of api-entries.c */
    uint64_t written;         /* changes with each request that has written events */
};

/* One request from its arrival to its answer, through the statements that it waits for. */
struct LanRequest {
    LanRequest *next, **link;
    Lan *lan;
    HttpExchange *exchange;
    char *guard, *guard_name; /* who asks; NULL before the login */
    char *token;              /* of the session, as the cookie has it */
    char *browser;            /* which browser, by its cookie; NULL: it has none yet */
    cJSON *body;              /* of POST */
    StoreQuery *query;
    void (*on_rows)(LanRequest *q, const StoreRows *rows);
    void (*without)(LanRequest *q); /* NULL: nothing can be told without the rows */
    void *scratch;                  /* what one handler keeps between its steps */
    void (*scratch_free)(void *scratch);
};

typedef enum LanAccess {
    LAN_GUARDS,       /* who is logged in */
    LAN_ABOUT_PEOPLE, /* the same, and it looks for people, residents among them: fewer are answered */
    LAN_OPEN,         /* everybody */
    LAN_JPEG,         /* who is logged in; the body is a photo */
} LanAccess;

typedef struct LanRoute {
    const char *method, *path;
    LanAccess access;
    void (*handler)(LanRequest *q);
} LanRoute;

extern const LanRoute lan_login_routes[], lan_lookup_routes[], lan_list_routes[], lan_entry_routes[],
    lan_photo_routes[], lan_sighting_routes[], lan_camera_routes[], lan_status_routes[];

/* NULL: out of memory; the exchange was answered. */
LanRequest *lan_request_new(Lan *lan, HttpExchange *x);
void lan_request_free(LanRequest *q);
/* Forgets events that are being written: for lan_free(). */
void lan_writings_free(Lan *lan);
/* Ends pictures that follow each other: for lan_free(). */
void lan_viewers_free(Lan *lan);

/* These answer, and free the request. */
void lan_answer(LanRequest *q, int status, cJSON *body); /* takes body; NULL: out of memory */
/* The same with up to three more headers "Name: value", the end of which is NULL. */
void lan_answer_with(LanRequest *q, int status, cJSON *body, const char *const *headers);
void lan_fail(LanRequest *q, int status, int r, const Error *err);
void lan_refuse(LanRequest *q, int status, const char *id, const char *fmt, ...) _printf_(4, 5);
/* 429, with the time after which it may be tried again. */
void lan_refuse_for(LanRequest *q, usec_t wait, const char *id, const char *message);
/* Answers 304 where the client has this version already, and says false; else true, and header is to be given to
 * lan_answer_with(). */
#define ETAG_HEADER_SIZE 192
bool lan_is_news(LanRequest *q, const char *version, char header[static ETAG_HEADER_SIZE]);

/* An answer outside the interface: a file of the app, a certificate. more: as of lan_answer_with(), or NULL. */
void lan_reply_raw(HttpExchange *x, int status, const char *content_type, const char *body, size_t len,
                   const char *const *more);

/* Runs a statement and hands its rows to on_rows; where that is not possible the request is answered (503
 * lan.no-database), or, where the database is lost or does not answer meanwhile, q->without is called. */
void lan_query(LanRequest *q, Statement st, void (*on_rows)(LanRequest *q, const StoreRows *rows));

/* A decimal query parameter, or the fallback; false: the request was answered. */
bool lan_query_number(LanRequest *q, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret);
