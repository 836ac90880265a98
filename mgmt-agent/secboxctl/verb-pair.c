/* SPDX-License-Identifier: MIT */
/* pair, unpair: what the pairing page does, on the console. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "env/claim-document.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/confirm.h"
#include "lib/cli/qr-code.h"
#include "lib/cli/report.h"
#include "lib/net/host-addresses.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define ASK_TIMEOUT (30 * USEC_PER_SEC)
#define LOOK_INTERVAL_USEC (500 * 1000)
#define TEXT_MAX ((size_t) 64 * 1024)

static const cJSON *pairing_of(const cJSON *answer)
{
    return cJSON_GetObjectItemCaseSensitive(answer, "pairing");
}

/* One more byte than is good, so that a longer text is refused and not cut. */
static int read_claim(const char *path, Buf *ret, Error *err)
{
    bool from_stdin = str_equal(path, "-");
    _cleanup_(closep) int fd = from_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    char chunk[CLAIM_DOCUMENT_MAX + 1];
    ssize_t n = 1;

    if (!from_stdin && fd < 0)
        return error_from_errno(err, -errno, "cannot read %s", path);
    while (n > 0 && ret->len <= CLAIM_DOCUMENT_MAX) {
        n = read(from_stdin ? STDIN_FILENO : fd, chunk, sizeof(chunk) - ret->len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            return error_from_errno(err, -errno, "cannot read %s", from_stdin ? "standard input" : path);
        else if (buf_append(ret, chunk, (size_t) n) < 0)
            return error_from_errno(err, -ENOMEM, "cannot read a claim");
    }
    if (ret->len > CLAIM_DOCUMENT_MAX)
        return error_set(err, EMSGSIZE, "claim.too-large", "the claim has more than %d bytes: is this the right file?",
                         CLAIM_DOCUMENT_MAX);
    if (memchr(ret->data, '\0', ret->len))
        return error_set(err, EINVAL, "claim.not-json", "the claim holds a NUL byte: is this the right file?");
    return 0;
}

static int ask(const Secboxctl *ctl, cJSON *request, cJSON **ret, Error *err)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    int r = request ? secboxctl_connect(ctl, &agent, err) : error_from_errno(err, -ENOMEM, "make a request");

    return r < 0 ? r : agent_ask(agent, request, "pair.report", ASK_TIMEOUT, ret, err);
}

static int look(const Secboxctl *ctl, bool show, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("pair.get");

    if (request && show && json_add_bool(request, "show", true) < 0)
        return error_from_errno(err, -ENOMEM, "make a request");
    return ask(ctl, request, ret, err);
}

static bool is_state(const cJSON *answer, const char *state)
{
    return str_equal(json_string(pairing_of(answer), "state"), state);
}

/* An operator has to let it in, which may take days: nobody waits here for that. */
static const char *waits_for_operator(const cJSON *answer)
{
    const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(pairing_of(answer), "trouble");

    return is_state(answer, "claiming") && str_equal(json_string(trouble, "id"), "enrolment.pending")
               ? json_string(trouble, "message")
               : NULL;
}

/* Until the cloud has said yes, or no, or that somebody has to. */
static int follow(const Secboxctl *ctl, cJSON **answer, usec_t deadline, Error *err)
{
    while (is_state(*answer, "claiming") && !waits_for_operator(*answer)) {
        const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(pairing_of(*answer), "trouble");
        _cleanup_(freep) char *why = trouble ? report_error(trouble) : NULL;

        if (boottime_usec() >= deadline)
            return error_set(err, ETIMEDOUT, "pair.not-yet",
                             "the cloud has not answered yet%s%s; the box goes on trying: see secboxctl pair --show, "
                             "or end it with secboxctl unpair",
                             why ? ": " : "", why ? why : "");
        (void) usleep(LOOK_INTERVAL_USEC);
        cJSON_Delete(TAKE_PTR(*answer));
        int r = look(ctl, false, answer, err);
        if (r < 0)
            return r;
    }
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(pairing_of(*answer), "error");
    if (is_state(*answer, "claimed") || waits_for_operator(*answer))
        return 0;
    return error ? json_to_error(error, EREMOTEIO, err)
                 : error_set(err, ECANCELED, "pair.ended",
                             "the claim was ended here, by secboxctl unpair or on the page: pair again");
}

/* "as caseta-5 with https://…, for …" */
static char *whose_text(const cJSON *pairing)
{
    _cleanup_(freep) char *id = report_member(pairing, "deviceId"), *cloud = report_member(pairing, "cloud"),
                          *community = report_member(pairing, "community");

    return str_format("%s%s%s%s%s%s", id ? " as " : "", id ? id : "", cloud ? " with " : "", cloud ? cloud : "",
                      community ? ", for " : "", community ? community : "");
}

static int print_state(const cJSON *pairing, Buf *b)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(pairing, "error");
    const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(pairing, "trouble");
    _cleanup_(freep) char *whose = whose_text(pairing), *since = report_when(json_string(pairing, "since")),
                          *why = error     ? report_error(error)
                                 : trouble ? report_error(trouble)
                                           : NULL;
    const char *state = json_string(pairing, "state");

    if (!whose)
        return -ENOMEM;
    if (str_equal(state, "claimed"))
        return buf_printf(b, "This box is paired%s%s%s.\n", whose, since ? ", since " : "", since ? since : "");
    if (str_equal(state, "claiming"))
        return buf_printf(b, "This box is being paired%s%s%s.\n", whose, why ? "; not yet: " : "", why ? why : "");
    return buf_printf(b, "This box is not paired%s%s.\n", why ? "; the last claim came to nothing: " : "",
                      why ? why : "");
}

static int print_page(const cJSON *pairing, char *const *addresses, Buf *b)
{
    const char *pin = json_string(pairing, "pin");
    _cleanup_(freep) char *url =
        addresses && addresses[0] ? str_format("http://%s:%d/", addresses[0], PAIRING_PORT) : NULL;
    _cleanup_(qr_code_freep) QrCode *code = NULL;
    _cleanup_(freep) char *blocks = NULL;
    int r = buf_printf(b, "\nPair it with a phone in the same network:\n");

    for (size_t i = 0; addresses && addresses[i] && r >= 0; i++)
        r = buf_printf(b, "    http://%s:%d/\n", addresses[i], PAIRING_PORT);
    if (r >= 0 && !url)
        r = buf_puts(b, "    (this machine has no address in a private network yet)\n");
    if (r >= 0)
        r = buf_printf(b, "PIN: %.4s-%s\n", pin, strlen(pin) > 4 ? pin + 4 : "");
    if (r >= 0 && url && qr_code_new(url, &code, NULL) >= 0 && (blocks = qr_code_blocks(code)))
        r = buf_printf(b, "\n%s", blocks);
    return r;
}

static int show(const Secboxctl *ctl)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    _cleanup_(strv_freep) char **addresses = NULL;
    _cleanup_(error_done) Error err = {};
    Buf b = BUF_INIT(TEXT_MAX);
    int r = look(ctl, true, &answer, &err);

    if (r >= 0)
        r = host_addresses(false, &addresses);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    if (ctl->json)
        return report_json(pairing_of(answer), EXIT_OK);
    r = print_state(pairing_of(answer), &b);
    if (r >= 0 && json_bool(pairing_of(answer), "open", false) && json_string(pairing_of(answer), "pin"))
        r = print_page(pairing_of(answer), addresses, &b);
    if (r < 0) {
        buf_done(&b);
        return report_text(NULL, EXIT_FAILED);
    }
    return report_text(buf_take(&b), EXIT_OK);
}

static int pair(const Secboxctl *ctl, const char *path, cJSON **ret, Error *err)
{
    _cleanup_(buf_done) Buf claim = BUF_INIT(CLAIM_DOCUMENT_MAX + 1);
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("pair.claim");
    usec_t timeout;
    int r = secboxctl_timeout(ctl, &timeout, err);

    if (r >= 0)
        r = read_claim(path, &claim, err);
    if (r >= 0 && (!request || json_add_string(request, "claim", claim.data ? claim.data : "") < 0))
        r = error_from_errno(err, -ENOMEM, "make a request");
    if (r >= 0)
        r = ask(ctl, request, ret, err);
    return r < 0 ? r : follow(ctl, ret, boottime_usec() + timeout, err);
}

int verb_pair(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    _cleanup_(error_done) Error err = {};
    int r = 0;

    if (ctl->show == (argc > 0))
        r = error_set(&err, EINVAL, "usage",
                      ctl->show ? "--show takes no FILE" : "say which FILE holds the claim, or --show");
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    if (ctl->show)
        return show(ctl);
    r = pair(ctl, argv[0], &answer, &err);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    if (ctl->json)
        return report_json(pairing_of(answer), EXIT_OK);
    if (waits_for_operator(answer)) {
        _cleanup_(freep) char *sentence = text_printable(waits_for_operator(answer));
        return report_text(
            sentence ? str_format("not paired yet: %s. The box goes on by itself once that is done.\n", sentence)
                     : NULL,
            EXIT_OK);
    }
    _cleanup_(freep) char *whose = whose_text(pairing_of(answer));
    return report_text(whose ? str_format("paired%s\n", whose) : NULL, EXIT_OK);
}

int verb_unpair(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL, *request = secboxctl_request("pair.end");
    _cleanup_(error_done) Error err = {};
    int r;

    (void) argc;
    (void) argv;
    r = cli_confirm(
        ctl->yes,
        "end the pairing of this box? Its management tunnel ends, and nobody reaches it through the cloud but by "
        "recovery-agent; containers and data stay",
        &err);
    if (r >= 0)
        r = ask(ctl, request, &answer, &err);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    if (ctl->json)
        return report_json(pairing_of(answer), EXIT_OK);
    return report_text(
        strdup("This box is not paired any more: its management tunnel has ended, and mgmt-agent.env names neither a "
               "cloud nor "
               "a token.\nWhat stays: containers, which go on running; secbox.env, with which their own tunnel goes on "
               "until the "
               "next claim; all data; the way in by recovery-agent, with the configuration that worked last.\n"
               "`secboxctl pair --show` tells how to pair it again.\n"),
        EXIT_OK);
}
