sign-in-callback.o: gateway/fleet/sign-in-callback.c \
 gateway/fleet/sign-in-callback.h lib/base/clock.h lib/base/error.h \
 lib/base/mem.h lib/base/buf.h lib/base/strv.h lib/http/parser.h \
 lib/base/limits.h
gateway/fleet/sign-in-callback.h:
lib/base/clock.h:
lib/base/error.h:
lib/base/mem.h:
lib/base/buf.h:
lib/base/strv.h:
lib/http/parser.h:
lib/base/limits.h:
