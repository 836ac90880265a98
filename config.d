config.o: gateway/fleet/config.c env/env-file.h lib/base/error.h \
 lib/base/mem.h gateway/fleet/fleet.h compose/gather/project-files.h \
 compose/gather/gather.h lib/base/error-list.h \
 gateway/fleet/gateway-client.h lib/base/clock.h lib/data/json.h \
 lib/cli/cli.h lib/data/digest.h lib/data/seal.h lib/data/key-hpke.h \
 lib/base/fileio.h lib/base/limits.h lib/base/paths.h lib/base/redact.h \
 lib/base/strv.h lib/http/client.h
env/env-file.h:
lib/base/error.h:
lib/base/mem.h:
gateway/fleet/fleet.h:
compose/gather/project-files.h:
compose/gather/gather.h:
lib/base/error-list.h:
gateway/fleet/gateway-client.h:
lib/base/clock.h:
lib/data/json.h:
lib/cli/cli.h:
lib/data/digest.h:
lib/data/seal.h:
lib/data/key-hpke.h:
lib/base/fileio.h:
lib/base/limits.h:
lib/base/paths.h:
lib/base/redact.h:
lib/base/strv.h:
lib/http/client.h:
