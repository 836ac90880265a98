verb-sign-in.o: gateway/fleet/verb-sign-in.c gateway/fleet/fleet.h \
 compose/gather/project-files.h compose/gather/gather.h \
 lib/base/error-list.h lib/base/error.h lib/base/mem.h \
 gateway/fleet/gateway-client.h lib/base/clock.h lib/data/json.h \
 lib/cli/cli.h lib/data/digest.h lib/data/seal.h lib/data/key-hpke.h \
 gateway/fleet/sign-in-callback.h lib/base/encode.h lib/base/fileio.h \
 lib/base/redact.h lib/base/strv.h lib/cli/report.h lib/http/client.h
gateway/fleet/fleet.h:
compose/gather/project-files.h:
compose/gather/gather.h:
lib/base/error-list.h:
lib/base/error.h:
lib/base/mem.h:
gateway/fleet/gateway-client.h:
lib/base/clock.h:
lib/data/json.h:
lib/cli/cli.h:
lib/data/digest.h:
lib/data/seal.h:
lib/data/key-hpke.h:
gateway/fleet/sign-in-callback.h:
lib/base/encode.h:
lib/base/fileio.h:
lib/base/redact.h:
lib/base/strv.h:
lib/cli/report.h:
lib/http/client.h:
