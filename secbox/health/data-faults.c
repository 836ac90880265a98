/* SPDX-License-Identifier: MIT */
#include "secbox/health/data-faults.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

/* what authorities that renew every 90 days, or every 47, leave for it */
#define CERTIFICATE_DAYS 14

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *item = find(o, key);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Takes the text. */
static int add(cJSON *faults, const char *key, char *text)
{
    _cleanup_(freep) char *owned = text;

    return owned ? json_add_string(faults, key, owned) : -ENOMEM;
}

/* A database that has not answered yet is none. */
static int judge_database(cJSON *faults, const cJSON *database)
{
    const char *state = json_string(database, "state"), *help = json_string(database, "help");
    _cleanup_(freep) char *key = state ? str_format("database.%s", state) : NULL;

    if (!state || str_equal(state, "up") || str_equal(state, "connecting") || str_equal(state, "none"))
        return 0;
    return key ? add(faults, key, str_format("the database is %s", help ? help : state)) : -ENOMEM;
}

static int judge_data(cJSON *faults, const cJSON *replica, uint64_t old_seconds)
{
    double age = number(replica, "ageSeconds"), unconfirmed = number(replica, "unconfirmedBans");
    int r = 0;

    if (age >= (double) old_seconds)
        r = add(faults, "data.old", str_format("the community's data are %.0f hours old", age / 3600));
    if (r == 0 && unconfirmed > 0)
        r = add(
            faults, "bans.unconfirmed",
            str_format("%.0f bans went away without having been lifted, and hold until somebody agrees", unconfirmed));
    return r;
}

static int judge_queue(cJSON *faults, const cJSON *queue)
{
    double dead = number(queue, "dead");

    return dead > 0 ? add(faults, "queue.dead", str_format("the gateway has refused %.0f events", dead)) : 0;
}

static int judge_lan(cJSON *faults, const cJSON *lan)
{
    const cJSON *days = find(lan, "certificateDays");
    int r = json_bool(lan, "serving", true) ? 0 : add(faults, "lan.down", strdup("the guards' pages are not served"));

    if (r < 0 || !cJSON_IsNumber(days) || days->valuedouble >= CERTIFICATE_DAYS)
        return r;
    return add(faults, "certificate.ends",
               days->valuedouble < 0 ? strdup("the cloud's certificate for the guards' pages is over, and not shown")
                                     : str_format("the cloud's certificate for the guards' pages ends within %.0f days",
                                                  days->valuedouble + 1));
}

static int judge_frigate(cJSON *faults, const char *state)
{
    static const struct {
        const char *state, *sentence;
    } known[] = {
        { "away", "nothing answers at FRIGATE_URL: is Frigate running?" },
        { "slow", "Frigate takes requests and does not answer in time" },
        { "refuses", "Frigate does not let secbox in: correct FRIGATE_USER and FRIGATE_PASSWORD in secbox.env" },
        { "strange", "what answers at FRIGATE_URL is no Frigate, or one that fails" },
    };

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i].state, state))
            return add(faults, "cameras.frigate", strdup(known[i].sentence));
    return 0;
}

/* Entries have no picture of the gate. */
static int judge_entry_camera(cJSON *faults, const cJSON *cameras)
{
    const char *entry = json_string(cameras, "entry");
    const cJSON *camera;

    cJSON_ArrayForEach(camera, find(cameras, "cameras"))
        if (str_equal(json_string(camera, "name"), entry))
            return 0;
    return entry ? add(faults, "cameras.entry",
                       str_format("Frigate has no camera %s: correct ENTRY_CAMERA in secbox.env", entry))
                 : 0;
}

/* Whom no camera recognises although somebody has enrolled them. */
static int judge_faces(cJSON *faults, const cJSON *faces)
{
    static const struct {
        const char *state, *sentence;
    } known[] = {
        { "off", "recognises no faces: switch on face_recognition in its configuration" },
        { "refuses", "does not let FRIGATE_USER change its faces: give that user the role admin in Frigate" },
        { "fails", "does not take the community's faces: see its log" },
    };
    double refused = number(faces, "refused");

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i].state, json_string(faces, "state")))
            return add(faults, "cameras.faces", str_format("Frigate %s", known[i].sentence));
    return refused > 0
               ? add(faults, "cameras.faces",
                     str_format("Frigate finds no face in the pictures of %.0f people: secbox's log names them, give "
                                "others by: secbox-fleet community face set",
                                refused))
               : 0;
}

/* What it said of them last is old while Frigate itself is away. */
static int judge_cameras(cJSON *faults, const cJSON *cameras)
{
    const char *state = json_string(cameras, "frigate");
    _cleanup_(freep) char *names = NULL;
    const cJSON *camera;

    if (!str_equal(state, "up"))
        return judge_frigate(faults, state);
    cJSON_ArrayForEach(camera, find(cameras, "cameras")) {
        _cleanup_(freep) char *before = TAKE_PTR(names);
        const char *name = json_string(camera, "name");
        if (!str_equal(json_string(camera, "state"), "offline"))
            names = TAKE_PTR(before);
        else if (!(names = str_format("%s%s%s", before ? before : "", before ? ", " : "", name ? name : "?")))
            return -ENOMEM;
    }
    int r = names ? add(faults, "cameras.offline", str_format("no pictures come from %s", names)) : 0;
    if (r >= 0)
        r = judge_entry_camera(faults, cameras);
    if (r >= 0)
        r = judge_faces(faults, find(cameras, "faces"));
    if (r < 0 || !json_bool(cameras, "unheard", false))
        return r;
    return add(faults, "cameras.unheard",
               strdup("Frigate answers, and does not say what it sees: guards are not warned of plates and faces"));
}

cJSON *data_faults(const cJSON *values, uint64_t old_seconds)
{
    _cleanup_(cJSON_Deletep) cJSON *faults = cJSON_CreateObject();

    if (!faults || judge_database(faults, find(values, "database")) < 0 ||
        judge_data(faults, find(values, "replica"), old_seconds) < 0 ||
        judge_queue(faults, find(values, "queue")) < 0 || judge_cameras(faults, find(values, "cameras")) < 0 ||
        judge_lan(faults, find(values, "lan")) < 0)
        return NULL;
    return TAKE_PTR(faults);
}
