api-entries.o: secbox/lan/api-entries.c lib/base/log.h lib/base/error.h \
 lib/base/mem.h lib/base/strv.h lib/base/uuid.h lib/data/digest.h \
 lib/data/json.h lib/data/pass.h lib/data/jwt.h lib/base/clock.h \
 lib/data/key.h secbox/lan/entry-picture.h secbox/cameras/cameras.h \
 lib/http/mjpeg-viewer.h lib/http/server.h lib/event/coarse-timer.h \
 lib/http/parser.h lib/base/buf.h lib/base/limits.h lib/net/stream.h \
 secbox/cameras/frigate.h lib/data/camera-name.h lib/http/client.h \
 secbox/photos/photo-store.h secbox/lan/lan-impl.h lib/postgres/store.h \
 lib/postgres/rows.h lib/postgres/schema.h lib/postgres/statement.h \
 secbox/lan/authority.h secbox/lan/cloud-cert.h secbox/lan/gate-data.h \
 secbox/lan/ban-index.h secbox/lan/verdict.h lib/base/time-window.h \
 secbox/lan/match.h secbox/lan/guard-sessions.h secbox/lan/lan-events.h \
 secbox/lan/lan.h lib/base/uplink-budget.h secbox/matches/sighting.h \
 secbox/matches/frigate-news.h secbox/queue/queue.h \
 secbox/lan/login-throttle.h secbox/lan/request-throttle.h \
 secbox/lan/sightings.h secbox/lan/notices.h secbox/media/media.h \
 secbox/replica/gate-sql.h
lib/base/log.h:
lib/base/error.h:
lib/base/mem.h:
lib/base/strv.h:
lib/base/uuid.h:
lib/data/digest.h:
lib/data/json.h:
lib/data/pass.h:
lib/data/jwt.h:
lib/base/clock.h:
lib/data/key.h:
secbox/lan/entry-picture.h:
secbox/cameras/cameras.h:
lib/http/mjpeg-viewer.h:
lib/http/server.h:
lib/event/coarse-timer.h:
lib/http/parser.h:
lib/base/buf.h:
lib/base/limits.h:
lib/net/stream.h:
secbox/cameras/frigate.h:
lib/data/camera-name.h:
lib/http/client.h:
secbox/photos/photo-store.h:
secbox/lan/lan-impl.h:
lib/postgres/store.h:
lib/postgres/rows.h:
lib/postgres/schema.h:
lib/postgres/statement.h:
secbox/lan/authority.h:
secbox/lan/cloud-cert.h:
secbox/lan/gate-data.h:
secbox/lan/ban-index.h:
secbox/lan/verdict.h:
lib/base/time-window.h:
secbox/lan/match.h:
secbox/lan/guard-sessions.h:
secbox/lan/lan-events.h:
secbox/lan/lan.h:
lib/base/uplink-budget.h:
secbox/matches/sighting.h:
secbox/matches/frigate-news.h:
secbox/queue/queue.h:
secbox/lan/login-throttle.h:
secbox/lan/request-throttle.h:
secbox/lan/sightings.h:
secbox/lan/notices.h:
secbox/media/media.h:
secbox/replica/gate-sql.h:
