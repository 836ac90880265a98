/* SPDX-License-Identifier: MIT */
/* secbox-gateway: the cloud side of the tunnels, the operators' HTTP interface, and its few verbs. */
#include <stdlib.h>

#include "gateway/serve.h"
#include "gateway/gateway-env.h"
#include "gateway/sessions/signer-packet.h"
#include "gateway/settings.h"
#include "gateway/verb-audit.h"
#include "gateway/verb-doctor.h"
#include "gateway/verb-sign-ins.h"
#include "gateway/verb-signer.h"
#include "gateway/verb-tokens.h"
#include "lib/base/strv.h"
#include "lib/cli/cli.h"
#include "lib/event/saver.h"
#include "gateway/deployments/bundle-writer.h"

/* Our own children, which write one file, and which sign certificates. */
static bool is_child(const char *option)
{
    return str_equal(option, "--save") || str_equal(option, "--write-bundle") || str_equal(option, SIGNER_CHILD_OPTION);
}

static int run_child(const char *option, const char *path)
{
    return str_equal(option, "--save")           ? saver_run(path)
           : str_equal(option, "--write-bundle") ? bundle_writer_run(path)
                                                 : signer_run_child(path);
}

int main(int argc, char **argv)
{
    Settings s = {
        .listen = "127.0.0.1:8080",
        .database = getenv(DATABASE_VARIABLE),
        .token_hours = "36",
        .bootstrap_hours = "24",
        .accept_rate = "500",
    };
    if (argc == 3 && is_child(argv[1]))
        return run_child(argv[1], argv[2]);
    const CliOption options[] = {
        { "listen", "ADDR:PORT", "where to listen (127.0.0.1:8080; port 0: any)", .text = &s.listen },
        { "database", "CONNINFO", "PostgreSQL connection string; with a password, set " DATABASE_VARIABLE " instead",
          .text = &s.database },
        { "state", "DIR", "where the key that signs device tokens is kept", .text = &s.state },
        { "signer", "SOCKET", "of a process that signs support staff's certificates (a child)", .text = &s.signer },
        { "issuer", "URL", "public base URL; proofs must then name it (http(s)://listen)", .text = &s.issuer },
        { "cert", "FILE", "TLS certificate chain, PEM; without it plain HTTP", .text = &s.cert },
        { "key", "FILE", "its private key, PEM", .text = &s.key },
        { "proxy-protocol", "ADDRESSES", "proxies that begin with a PROXY header, v1 or v2",
          .text = &s.proxy_protocol },
        { "forwarded-for", "ADDRESSES", "proxies whose X-Forwarded-For tells who asks", .text = &s.forwarded_for },
        { "install-dir", "DIR", "of `make repo`, for new boxes; served below /install/", .text = &s.install_dir },
        { "token-hours", "HOURS", "life of a device token (36)", .text = &s.token_hours },
        { "bootstrap-hours", "HOURS", "life of a bootstrap token (24)", .text = &s.bootstrap_hours },
        { "accept-rate", "N", "tunnels accepted in a second (500); boxes beyond that are told when to come back",
          .text = &s.accept_rate },
        { "accept-burst", "N", "tunnels accepted at once after a quiet time (as many as in a second)",
          .text = &s.accept_burst },
        { "webhook-ca", "FILE", "authorities of webhooks' receivers beside the system's, PEM", .text = &s.webhook_ca },
        { "webhook-networks", "ADDRESSES", "private networks that webhooks may go to (none)",
          .text = &s.webhook_networks },
        { "webhook-tries", "N", "how often an event is sent before it is a dead letter (20)",
          .text = &s.webhook_tries },
        { "relay-check", "SECONDS", "how often boxes are asked by their relays, as viewers do; 0: never (600)",
          .text = &s.relay_check },
        { "relay-ca", "FILE", "authorities of relays' certificates beside the system's, PEM", .text = &s.relay_ca },
        { "relay-networks", "ADDRESSES", "private networks that relays may be in (none)", .text = &s.relay_networks },
        { "keepalive", "N", "ask each tunnel in which nothing comes after so many seconds (25)", .text = &s.keepalive },
        { "photo-days", "N", "how long photos are kept after their events (30)", .text = &s.photo_days },
        { "event-days", "N", "how long what boxes have reported is kept (1825)", .text = &s.event_days },
        { "bans-behind", "MINUTES", "an alarm when a connected box has not had a ban for so long (15)",
          .text = &s.bans_behind },
        { "bans-away", "HOURS", "an alarm when a box that is away has not been up to date for so long (24)",
          .text = &s.bans_away },
        { "import-max", "MIB", "the largest file that can be imported in one request (512)", .text = &s.import_max },
        { "oidc-issuer", "URL", "the OpenID provider at which people sign in (nobody does)", .text = &s.oidc_issuer },
        { "oidc-client", "ID", "by which it knows this gateway", .text = &s.oidc_client },
        { "oidc-roles", "ROLE=VALUE,…", "who may what, by a claim of the provider's token; *: everybody",
          .text = &s.oidc_roles },
        { "oidc-claim", "NAME", "that claim (groups)", .text = &s.oidc_claim },
        { "oidc-name", "NAME", "the claim that says who somebody is (email)", .text = &s.oidc_name },
        { "oidc-ca", "FILE", "authorities of the provider's certificate, PEM (the system's)", .text = &s.oidc_ca },
        { "oidc-hours", "HOURS", "how long a sign-in lasts (12)", .text = &s.oidc_hours },
        { "env-file", "FILE", "where " DATABASE_VARIABLE " is found when it is not set (" GATEWAY_ENV_FILE ")",
          .text = &s.env_file },
        { "role", "ROLE", "what the token is for: admin, operator or viewer (operator)", .text = &s.role },
        { "two-person", NULL, "another person has to approve break-glass, bootstrap tokens, blocking and rollouts",
          .flag = &s.two_person },
        { "head", "NUMBER:HASH", "where a journal says that the audit log was: it must still be so", .text = &s.head },
        { "label", "KEY=VALUE", "the token reaches only boxes with this label; may be repeated", .list = &s.labels },
        { "days", "N", "the token is good for so many days (until it is revoked)", .text = &s.days },
        { "account", "NAME", "the token logs in to boxes as this account; may be repeated (all)", .list = &s.accounts },
        { "json", NULL, "one JSON document on stdout", .flag = &s.json },
        {},
    };
    static const CliVerb verbs[] = {
        { "serve", "", 0, 0, "serve boxes and operators", verb_serve,
          "listen state signer issuer cert key proxy-protocol forwarded-for install-dir token-hours bootstrap-hours "
          "accept-rate accept-burst webhook-ca webhook-networks webhook-tries relay-check relay-ca relay-networks "
          "keepalive photo-days event-days bans-behind bans-away "
          "import-max two-person oidc-issuer oidc-client oidc-roles oidc-claim oidc-name oidc-ca oidc-hours" },
        { "signer", "", 0, 0, "sign support staff's certificates, for its unit", verb_signer, NULL },
        { "signer prepare", "", 0, 0, "make the key that signs them, if there is none, and give it to root",
          verb_signer_prepare, "state" },
        { "tokens add", "NAME", 1, 1, "make an operator token; it is printed once", verb_tokens_add,
          "env-file role label account days" },
        { "tokens list", "", 0, 0, "list the operator tokens", verb_tokens_list, "env-file json" },
        { "tokens revoke", "NAME", 1, 1, "revoke an operator token at once", verb_tokens_revoke, "env-file" },
        { "sign-ins list", "", 0, 0, "who is signed in", verb_sign_ins_list, "env-file json" },
        { "sign-ins revoke", "NAME", 1, 1, "end all sign-ins of a person at once", verb_sign_ins_revoke, "env-file" },
        { "audit verify", "", 0, 0, "whether each entry of the audit log is what it was when it was written",
          verb_audit_verify, "env-file head json" },
        { "migrate", "", 0, 0, "bring the database schema up to date (serve does it too)", verb_migrate, "env-file" },
        { "doctor", "", 0, 0, "check what a working gateway needs, and say what to do", verb_doctor, "env-file json" },
        {},
    };
    const Cli cli = {
        .program = "secbox-gateway",
        .summary = "the cloud side of SecBox",
        .options = options,
        .verbs = verbs,
        .common = "database",
    };
    int code = cli_run(&cli, argc, argv, &s);
    strv_free(s.labels);
    strv_free(s.accounts);
    return code;
}
