// SPDX-License-Identifier: Apache-2.0
#include "config/settings_priv.h"

#include <string.h>

#define ROOT(member) offsetof(struct config, member)
#define AUTH(member) offsetof(struct config_auth, member)
#define STREAM(member) offsetof(struct config_stream, member)
#define TABLE(member) offsetof(struct config_table, member)
#define API(member) offsetof(struct config_api, member)
#define ACTION(member) offsetof(struct config_action, member)

#define US INT64_C(1)
#define MS (1000 * US)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static const struct setting_choice log_levels[] = {{"error", LOG_LEVEL_ERROR},
                                                   {"warn", LOG_LEVEL_WARN},
                                                   {"info", LOG_LEVEL_INFO},
                                                   {"debug", LOG_LEVEL_DEBUG},
                                                   {NULL, 0}};
static const struct setting_choice log_targets[] = {{"auto", LOG_TARGET_AUTO},
                                                    {"journal", LOG_TARGET_JOURNAL},
                                                    {"text", LOG_TARGET_TEXT},
                                                    {"json", LOG_TARGET_JSON},
                                                    {NULL, 0}};
static const struct setting_choice grants[] = {{"client_credentials", GRANT_CLIENT_CREDENTIALS},
                                               {"password", GRANT_PASSWORD},
                                               {"access_key", GRANT_ACCESS_KEY},
                                               {"static", GRANT_STATIC},
                                               {NULL, 0}};
static const struct setting_choice client_auths[] = {{"form", CLIENT_AUTH_FORM},
                                                     {"basic", CLIENT_AUTH_BASIC},
                                                     {"basic_raw", CLIENT_AUTH_BASIC_RAW},
                                                     {"query", CLIENT_AUTH_QUERY},
                                                     {"json", CLIENT_AUTH_JSON},
                                                     {"none", CLIENT_AUTH_NONE},
                                                     {NULL, 0}};
static const struct setting_choice params_in[] = {
    {"form", PARAMS_IN_FORM}, {"query", PARAMS_IN_QUERY}, {"json", PARAMS_IN_JSON}, {NULL, 0}};
static const struct setting_choice drafts[] = {{"2020-12", DRAFT_2020_12},
                                               {"2019-09", DRAFT_2019_09},
                                               {"7", DRAFT_7},
                                               {"6", DRAFT_6},
                                               {"4", DRAFT_4},
                                               {NULL, 0}};
static const struct setting_choice formats[] = {
    {"assert", FORMATS_ASSERT}, {"annotate", FORMATS_ANNOTATE}, {NULL, 0}};
static const struct setting_choice stricts[] = {
    {"typos", STRICT_TYPOS}, {"all", STRICT_ALL}, {"off", STRICT_OFF}, {NULL, 0}};
static const struct setting_choice normal_closes[] = {
    {"reconnect", NORMAL_CLOSE_RECONNECT}, {"stop", NORMAL_CLOSE_STOP}, {NULL, 0}};
static const struct setting_choice when_full[] = {{"block", WHEN_FULL_BLOCK},
                                                  {"drop_newest", WHEN_FULL_DROP_NEWEST},
                                                  {"drop_oldest", WHEN_FULL_DROP_OLDEST},
                                                  {NULL, 0}};
static const struct setting_choice migrates[] = {
    {"auto", MIGRATE_AUTO}, {"check", MIGRATE_CHECK}, {"off", MIGRATE_OFF}, {NULL, 0}};

static const struct setting_choice kinds[] = {{"invoke", ACTION_INVOKE},
                                              {"execute", ACTION_EXECUTE},
                                              {"publish", ACTION_PUBLISH},
                                              {"configure", ACTION_CONFIGURE},
                                              {NULL, 0}};

#define TLS_ROWS(parent, IN, peer)                                                            \
    {.path = parent ".tls",                                                                   \
     .type = SETTING_OBJECT,                                                                  \
     .help = "TLS towards the " peer ". Version 1.2 at least, certificate and host name are " \
             "verified always."},                                                             \
        {.path = parent ".tls.ca_file",                                                       \
         .type = SETTING_PATH,                                                                \
         .nullable = true,                                                                    \
         .offset = IN(tls.ca_file),                                                           \
         .fallback = "null",                                                                  \
         .help = "PEM file of the authorities to trust, instead of the system's."},           \
        {.path = parent ".tls.cert_file",                                                     \
         .type = SETTING_PATH,                                                                \
         .nullable = true,                                                                    \
         .offset = IN(tls.cert_file),                                                         \
         .fallback = "null",                                                                  \
         .help = "PEM file of the client certificate and its chain; needs key_file."},        \
    {                                                                                         \
        .path = parent ".tls.key_file", .type = SETTING_PATH, .nullable = true,               \
        .offset = IN(tls.key_file), .fallback = "null",                                       \
        .help = "PEM file of the client certificate's key."                                   \
    }

// clang-format off
const struct setting settings_table[] = {
    {.path = "$schema", .type = SETTING_ANY, .example = "\"cxsink.schema.json\"",
     .help = "The JSON Schema of this file, for editors. Not used by cxsink."},
    {.path = "state_dir", .type = SETTING_PATH, .restart = true, .offset = ROOT(state_dir),
     .fallback_help = "`$STATE_DIRECTORY`, else `/var/lib/cxsink`",
     .example = "\"/var/lib/cxsink\"",
     .help = "Where the spool and the audit log live."},
    {.path = "runtime_dir", .type = SETTING_PATH, .restart = true, .offset = ROOT(runtime_dir),
     .fallback_help = "`$RUNTIME_DIRECTORY`, else `/run/cxsink`", .example = "\"/run/cxsink\"",
     .help = "Where control.sock lives."},
    {.path = "shutdown_timeout", .type = SETTING_DURATION, .offset = ROOT(shutdown_timeout_us),
     .min = 0, .max = HOUR, .fallback = "\"30s\"",
     .help = "How long a stop may take to drain. What is left stays in the spool."},

    {.path = "log", .type = SETTING_OBJECT, .help = "What is logged, and where to."},
    {.path = "log.level", .type = SETTING_CHOICE, .offset = ROOT(log_level),
     .choices = log_levels, .fallback = "\"info\"", .help = "The least weighty lines to log."},
    {.path = "log.target", .type = SETTING_CHOICE, .offset = ROOT(log_target),
     .choices = log_targets, .fallback = "\"auto\"",
     .help = "`auto`: the journal when started by systemd, else text on stderr. `json`: one object "
             "a line on stderr, for containers."},

    {.path = "audit", .type = SETTING_OBJECT, .help = "The audit log, `state_dir/audit.jsonl`."},
    {.path = "audit.max_bytes", .type = SETTING_SIZE, .offset = ROOT(audit.max_bytes),
     .min = 64 * KIB, .max = TIB, .fallback = "\"64MiB\"",
     .help = "A file of this size is renamed to `audit-YYYYMMDD-HHMMSS.jsonl`, and the chain of "
             "hashes goes on in a new one."},
    {.path = "audit.keep", .type = SETTING_NUMBER, .offset = ROOT(audit.keep), .min = 0,
     .max = 100000, .fallback = "16",
     .help = "Renamed files that stay; older ones are deleted, which is an event. 0: all."},
    {.path = "audit.key", .type = SETTING_SECRET, .nullable = true, .offset = ROOT(audit.key),
     .fallback = "null", .example = "{\"credential\": \"cxsink-audit-key\"}",
     .help = "A key of 16 bytes at least. With it the hashes are HMAC-SHA-256, so that a log that "
             "is altered can be given right hashes by its holders alone. Another key is an event, "
             "and `cxsink audit verify` needs the old one (`--key-file`) as long as lines have "
             "it. null: SHA-256."},

    {.path = "auth", .type = SETTING_MAP, .offset = ROOT(auth), .map = &settings_auth_map,
     .help = "Credentials by a name of your choice, which streams refer to."},
    {.path = "auth.*", .type = SETTING_OBJECT, .help = "Where tokens come from (OAuth 2.0)."},
    {.path = "auth.*.grant", .type = SETTING_CHOICE, .offset = AUTH(grant), .choices = grants,
     .fallback = "\"client_credentials\"",
     .help = "`client_credentials`; `password`: access keys as username and password; "
             "`access_key`: the older access key endpoint, JSON with username and password as key "
             "id and key secret; `static`: the token itself is configured."},
    {.path = "auth.*.token_url", .type = SETTING_URL, .nullable = true, .offset = AUTH(token_url),
     .schemes = "https http", .example = "\"https://api.cxp.cxone.com/oauth/token\"",
     .fallback_help = "`https://api.cxp.cxone.com/oauth/token` with client_credentials; else "
                      "required, but for static",
     .help = "The token endpoint."},
    {.path = "auth.*.client_auth", .type = SETTING_CHOICE, .offset = AUTH(client_auth),
     .choices = client_auths, .fallback_help = "`form`; with access_key `none`",
     .help = "Where the client's id and secret go. `basic` encodes them as RFC 6749 section 2.3.1 "
             "says, `basic_raw` does not."},
    {.path = "auth.*.params_in", .type = SETTING_CHOICE, .offset = AUTH(params_in),
     .choices = params_in, .fallback_help = "`form`; with access_key `json`",
     .help = "Where the other parameters go."},
    {.path = "auth.*.client_id", .type = SETTING_SECRET, .nullable = true,
     .offset = AUTH(client_id), .fallback = "null", .example = "{\"env\": \"CXONE_CLIENT_ID\"}",
     .help = "The client's id."},
    {.path = "auth.*.client_secret", .type = SETTING_SECRET, .nullable = true,
     .offset = AUTH(client_secret), .fallback = "null",
     .example = "{\"env\": \"CXONE_CLIENT_SECRET\"}", .help = "The client's secret."},
    {.path = "auth.*.username", .type = SETTING_SECRET, .nullable = true, .offset = AUTH(username),
     .fallback = "null", .example = "{\"env\": \"CXONE_ACCESS_KEY_ID\"}",
     .help = "With password and access_key: the access key's id."},
    {.path = "auth.*.password", .type = SETTING_SECRET, .nullable = true, .offset = AUTH(password),
     .fallback = "null", .example = "{\"env\": \"CXONE_ACCESS_KEY_SECRET\"}",
     .help = "With password and access_key: the access key's secret."},
    {.path = "auth.*.token", .type = SETTING_SECRET, .nullable = true, .offset = AUTH(token),
     .fallback = "null", .example = "{\"env\": \"CXONE_TOKEN\"}",
     .help = "With static: the bearer token."},
    {.path = "auth.*.scope", .type = SETTING_STRING, .nullable = true, .offset = AUTH(scope),
     .fallback_help = "`data-actions:read` with client_credentials, else null",
     .example = "\"data-actions:read\"",
     .help = "Scopes to ask for, separated by spaces. null: none are sent."},
    {.path = "auth.*.params", .type = SETTING_PARAMS, .offset = AUTH(params), .fallback = "{}",
     .help = "Further parameters of the token request, as they are."},
    {.path = "auth.*.headers", .type = SETTING_HEADERS, .offset = AUTH(headers), .fallback = "{}",
     .help = "Further headers of the token request."},
    {.path = "auth.*.refresh_margin", .type = SETTING_DURATION, .offset = AUTH(refresh_margin_us),
     .min = 0, .max = DAY, .fallback = "\"30s\"",
     .help = "How long before its end a token is renewed. Never more than half its life."},
    {.path = "auth.*.default_expires_in", .type = SETTING_DURATION,
     .offset = AUTH(default_expires_us), .min = SECOND, .max = 365 * DAY, .fallback = "\"3600s\"",
     .help = "The life of a token whose answer does not tell it (`expires_in`)."},
    {.path = "auth.*.timeout", .type = SETTING_DURATION, .offset = AUTH(timeout_us),
     .min = 10 * MS, .max = 10 * MINUTE, .fallback = "\"10s\"",
     .help = "For one token request as a whole."},
    TLS_ROWS("auth.*", AUTH, "token endpoint"),

    {.path = "streams", .type = SETTING_MAP,  .offset = ROOT(streams),
     .map = &settings_stream_map,
     .help = "Event streams by a name of your choice: 1 to 63 letters, digits, `_`, `.`, `-`. May be left "
             "out where there are jobs."},
    {.path = "streams.*", .type = SETTING_OBJECT, .help = "One WebSocket to receive from."},
    {.path = "streams.*.url", .type = SETTING_URL, .required = true, .offset = STREAM(url),
     .schemes = "wss ws",
     .example = "\"wss://api.cxp.cxone.com/data-actions/v1/stream/${CXONE_STREAM_ID}\"",
     .help = "The stream's address."},
    {.path = "streams.*.auth", .type = SETTING_AUTH_NAME, .nullable = true,
     .offset = STREAM(auth), .fallback = "null", .example = "\"cxone\"",
     .help = "The entry of auth whose token is sent. null: none."},
    {.path = "streams.*.headers", .type = SETTING_HEADERS, .offset = STREAM(headers),
     .fallback = "{\"Accept\": \"application/json\"}",
     .help = "Headers of the handshake beside Authorization."},
    {.path = "streams.*.schema", .type = SETTING_PATH, .nullable = true, .offset = STREAM(schema),
     .fallback = "null", .example = "\"schemas/cxone-event.json\"",
     .help = "JSON Schema that an event must match, else it becomes a dead letter. null: every "
             "event is taken."},
    {.path = "streams.*.schema_draft", .type = SETTING_CHOICE, .offset = STREAM(schema_draft),
     .choices = drafts, .fallback = "\"2020-12\"",
     .help = "The draft of JSON Schema where the schema has no `$schema`."},
    {.path = "streams.*.schema_strict", .type = SETTING_CHOICE, .offset = STREAM(schema_strict),
     .choices = stricts, .fallback = "\"typos\"",
     .help = "Unknown keywords of the schema: `typos`: those that look like a misspelt one are "
             "faults; `all`: all of them, and unknown formats; `off`: none."},
    {.path = "streams.*.formats", .type = SETTING_CHOICE, .offset = STREAM(formats),
     .choices = formats, .fallback = "\"assert\"",
     .help = "`assert`: an event must match the schema's `format` keywords. `annotate`: they are "
             "for readers only."},
    {.path = "streams.*.table", .type = SETTING_TABLE_NAME, .required = true,
     .offset = STREAM(table), .example = "\"cxone_events\"", .help = "The entry of tables that events go to."},
    {.path = "streams.*.max_message", .type = SETTING_SIZE, .offset = STREAM(max_message),
     .min = 1, .max = 64 * MIB, .fallback = "\"1MiB\"",
     .help = "Longest message. A longer one becomes a dead letter and ends the connection."},
    {.path = "streams.*.ping", .type = SETTING_OBJECT, .help = "Finds dead connections."},
    {.path = "streams.*.ping.interval", .type = SETTING_DURATION,
     .offset = STREAM(ping_interval_us), .min = 0, .max = HOUR, .fallback = "\"30s\"",
     .help = "Time between pings. `0s`: none are sent."},
    {.path = "streams.*.ping.timeout", .type = SETTING_DURATION, .offset = STREAM(ping_timeout_us),
     .min = MS, .max = 10 * MINUTE, .fallback = "\"10s\"",
     .help = "Time for the pong to come, else the connection counts as lost."},
    {.path = "streams.*.idle_timeout", .type = SETTING_DURATION, .offset = STREAM(idle_timeout_us),
     .min = 0, .max = 7 * DAY, .fallback = "\"0s\"",
     .help = "No data for this long: reconnect. `0s`: off."},
    {.path = "streams.*.reconnect", .type = SETTING_OBJECT,
     .help = "Exponential backoff with full jitter between attempts. It never gives up."},
    {.path = "streams.*.reconnect.base", .type = SETTING_DURATION,
     .offset = STREAM(reconnect_base_us), .min = MS, .max = HOUR, .fallback = "\"1s\"",
     .help = "Upper bound of the first wait; it doubles with every attempt."},
    {.path = "streams.*.reconnect.cap", .type = SETTING_DURATION,
     .offset = STREAM(reconnect_cap_us), .min = MS, .max = DAY, .fallback = "\"30s\"",
     .help = "Upper bound of any wait."},
    {.path = "streams.*.reconnect.stable", .type = SETTING_DURATION,
     .offset = STREAM(reconnect_stable_us), .min = 0, .max = DAY, .fallback = "\"60s\"",
     .help = "A connection that lasted this long starts the backoff anew."},
    {.path = "streams.*.connect_timeout", .type = SETTING_DURATION,
     .offset = STREAM(connect_timeout_us), .min = 10 * MS, .max = 10 * MINUTE,
     .fallback = "\"20s\"", .help = "For one attempt: TCP, TLS and handshake."},
    {.path = "streams.*.token_close_codes", .type = SETTING_CODES, .min = 1000, .max = 4999,
     .offset = STREAM(token_close_codes), .fallback = "[1008, 4001]",
     .help = "Close codes that mean an expired token: it is dropped and another one fetched."},
    {.path = "streams.*.on_normal_close", .type = SETTING_CHOICE,
     .offset = STREAM(on_normal_close), .choices = normal_closes, .fallback = "\"reconnect\"",
     .help = "What to do after close code 1000."},
    {.path = "streams.*.reject_guard", .type = SETTING_OBJECT, .nullable = true,
     .help = "Holds a stream whose events are refused in bulk (a schema or mapping that is wrong): "
             "they stay in the spool, and receiving goes on. A reload, or `cxsink resume`, tries "
             "again. It gives way, and they become dead letters, when the spool is four fifths "
             "full. null: off."},
    {.path = "streams.*.reject_guard.share", .type = SETTING_SHARE, .offset = STREAM(guard_share),
     .fallback = "0.5", .help = "Held when more than this share of its last events is refused."},
    {.path = "streams.*.reject_guard.events", .type = SETTING_NUMBER,
     .offset = STREAM(guard_events), .min = 1, .max = 1000000, .fallback = "1000",
     .help = "So many events are looked at. After a start, a reload or `cxsink resume` a tenth of "
             "them (20 at least) is enough."},
    TLS_ROWS("streams.*", STREAM, "stream"),

    {.path = "schemas", .type = SETTING_SCHEMAS, .offset = ROOT(schemas), .fallback = "{}",
     .example = "{\"https://example.com/common.json\": \"schemas/common.json\"}",
     .help = "Schemas that others refer to: a URI and the file that holds it, or the beginning of "
             "URIs, up to a `/`, and a directory. Nothing is ever fetched."},

    {.path = "tables", .type = SETTING_MAP, .offset = ROOT(tables),
     .map = &settings_table_map,
     .help = "Destination tables by their names in PostgreSQL: `table` or `schema.table`, case "
             "matters."},
    {.path = "tables.*", .type = SETTING_OBJECT, .help = "How an event becomes a row."},
    {.path = "tables.*.columns", .type = SETTING_COLUMNS, .required = true,
     .offset = TABLE(columns), .example = "{\"interaction_id\": \"/interactionId\"}",
     .help = "Column to JSON Pointer (RFC 6901) into the event. A jsonb column takes any value."},
    {.path = "tables.*.key", .type = SETTING_KEY, .required = true, .offset = TABLE(key),
     .example = "[\"idempotency_key\"]",
     .help = "Mapped columns that identify a row: the ON CONFLICT target, which needs a unique "
             "index."},
    {.path = "tables.*.update", .type = SETTING_UPDATE, .offset = TABLE(update),
     .fallback_help = "every mapped column that is not in the key", .example = "[\"timestamp\"]",
     .help = "Mapped columns that a later delivery of the same key changes. `[]`: none."},
    {.path = "tables.*.newest_by", .type = SETTING_NEWEST_BY, .nullable = true, .fallback = "null",
     .example = "\"timestamp\"",
     .help = "A column of update: an event that is older by it never overwrites a newer row; "
             "equal: the later arrival wins. null: always the later arrival."},
    {.path = "tables.*.touch", .type = SETTING_COLUMN, .nullable = true, .offset = TABLE(touch),
     .fallback = "null", .example = "\"updated_at\"",
     .help = "A column, not mapped, that an update sets to now(). null: none."},

    {.path = "spool", .type = SETTING_OBJECT,
     .help = "The durable buffer between the streams and PostgreSQL."},
    {.path = "spool.max_bytes", .type = SETTING_SIZE, .offset = ROOT(spool.max_bytes),
     .min = 64 * KIB, .max = 16 * TIB, .fallback = "\"1GiB\"", .help = "Most it may take on disk."},
    {.path = "spool.segment_bytes", .type = SETTING_SIZE, .offset = ROOT(spool.segment_bytes),
     .min = 4 * KIB, .max = 4 * GIB, .fallback = "\"64MiB\"",
     .help = "Size of one file of it. At most a quarter of max_bytes is used."},
    {.path = "spool.when_full", .type = SETTING_CHOICE, .offset = ROOT(spool.when_full),
     .choices = when_full, .fallback = "\"block\"",
     .help = "`block`: stop reading the sockets. Drops are counted and audited."},
    {.path = "spool.sync", .type = SETTING_SYNC, .offset = ROOT(spool.sync), .min = MS,
     .max = MINUTE, .fallback = "\"always\"",
     .help = "`always`: fsync before an event counts as received (group commit). "
             "`interval:50ms`: at most that long after. `off`: left to the kernel."},

    {.path = "postgres", .type = SETTING_OBJECT, .help = "The database."},
    {.path = "postgres.dsn", .type = SETTING_SECRET, .offset = ROOT(postgres.dsn),
     .fallback = "\"\"", .example = "{\"env\": \"CXSINK_PG_DSN\"}",
     .help = "libpq's connection string or URI. Empty: libpq's own environment and service files."},
    {.path = "postgres.connections", .type = SETTING_NUMBER, .offset = ROOT(postgres.connections),
     .min = 1, .max = 64, .fallback = "2", .help = "Connections that write."},
    {.path = "postgres.batch", .type = SETTING_OBJECT,
     .help = "A batch is one transaction; it closes at whichever bound comes first."},
    {.path = "postgres.batch.events", .type = SETTING_NUMBER, .offset = ROOT(postgres.batch_events),
     .min = 1, .max = 100000, .fallback = "2000", .help = "Most events."},
    {.path = "postgres.batch.bytes", .type = SETTING_SIZE, .offset = ROOT(postgres.batch_bytes),
     .min = 1, .max = 256 * MIB, .fallback = "\"1MiB\"", .help = "Most bytes of row data."},
    {.path = "postgres.batch.linger", .type = SETTING_DURATION, .offset = ROOT(postgres.linger_us),
     .min = 0, .max = MINUTE, .fallback = "\"10ms\"",
     .help = "How long the first event waits for company."},
    {.path = "postgres.connect_timeout", .type = SETTING_DURATION,
     .offset = ROOT(postgres.connect_timeout_us), .min = 10 * MS, .max = 10 * MINUTE,
     .fallback = "\"5s\"", .help = "For connecting and logging in."},
    {.path = "postgres.statement_timeout", .type = SETTING_DURATION,
     .offset = ROOT(postgres.statement_timeout_us), .min = 10 * MS, .max = HOUR,
     .fallback = "\"30s\"", .help = "For one batch."},
    {.path = "postgres.retry", .type = SETTING_OBJECT,
     .help = "Backoff after failures that pass. It never gives up."},
    {.path = "postgres.retry.base", .type = SETTING_DURATION,
     .offset = ROOT(postgres.retry_base_us), .min = MS, .max = HOUR, .fallback = "\"500ms\"",
     .help = "Upper bound of the first wait."},
    {.path = "postgres.retry.cap", .type = SETTING_DURATION, .offset = ROOT(postgres.retry_cap_us),
     .min = MS, .max = DAY, .fallback = "\"30s\"", .help = "Upper bound of any wait."},
    {.path = "postgres.migrate", .type = SETTING_CHOICE, .offset = ROOT(postgres.migrate),
     .choices = migrates, .fallback = "\"auto\"",
     .help = "`auto`: bring schema cxsink up to date when connecting. `check`: only see that it "
             "is. `off`: neither."},

    {.path = "jobs", .type = SETTING_OBJECT,
     .help = "REST operations as jobs on a durable queue in PostgreSQL. Left out: none are run."},
    {.path = "jobs.concurrency", .type = SETTING_NUMBER, .offset = ROOT(jobs.concurrency),
     .min = 1, .max = 256, .fallback = "8", .help = "Jobs that this process works at once."},
    {.path = "jobs.retention", .type = SETTING_DURATION, .offset = ROOT(jobs.retention_us),
     .min = MINUTE, .max = 3650 * DAY, .fallback = "\"30d\"",
     .help = "How long finished jobs are kept. Those of queue stay."},
    {.path = "jobs.apis", .type = SETTING_MAP, .offset = ROOT(jobs.apis),
     .map = &settings_api_map,
     .help = "REST APIs by a name of your choice, which actions refer to."},
    {.path = "jobs.apis.*", .type = SETTING_OBJECT, .help = "One REST API."},
    {.path = "jobs.apis.*.base_url", .type = SETTING_URL, .required = true,
     .offset = API(base_url), .schemes = "https http", .example = "\"https://api.cxone.com\"",
     .help = "What paths are appended to. http to this machine only."},
    {.path = "jobs.apis.*.auth", .type = SETTING_AUTH_NAME, .nullable = true,
     .offset = API(auth), .fallback = "null", .example = "\"cxone-jobs\"",
     .help = "The entry of auth whose token is sent. null: none."},
    {.path = "jobs.apis.*.connect_timeout", .type = SETTING_DURATION,
     .offset = API(connect_timeout_us), .min = 10 * MS, .max = 10 * MINUTE, .fallback = "\"5s\"",
     .help = "For connecting: TCP and TLS."},
    {.path = "jobs.apis.*.timeout", .type = SETTING_DURATION, .offset = API(timeout_us),
     .min = 10 * MS, .max = HOUR, .fallback = "\"30s\"",
     .help = "For one request as a whole, connecting included."},
    {.path = "jobs.apis.*.max_connections", .type = SETTING_NUMBER,
     .offset = API(max_connections), .min = 1, .max = 256, .fallback = "8",
     .help = "Most connections to it, kept open between requests."},
    {.path = "jobs.apis.*.rate_limit", .type = SETTING_RATE, .nullable = true,
     .offset = API(rate_limit), .fallback = "null", .example = "\"1000/min\"",
     .help = "Most requests in a second, minute or hour: `20/s`, `1000/min`, `5000/h`. null: no "
             "limit. An answer 429 holds the API back in any case."},
    {.path = "jobs.apis.*.breaker", .type = SETTING_OBJECT,
     .help = "Stops asking an API that fails; its jobs wait, which costs them no attempt."},
    {.path = "jobs.apis.*.breaker.failures", .type = SETTING_NUMBER,
     .offset = API(breaker_failures), .min = 1, .max = 1000, .fallback = "3",
     .help = "Failures in a row (5xx, network, timeout) that open it."},
    {.path = "jobs.apis.*.breaker.reset", .type = SETTING_DURATION,
     .offset = API(breaker_reset_us), .min = MS, .max = DAY, .fallback = "\"10s\"",
     .help = "How long it stays open; then one request alone tries."},
    {.path = "jobs.apis.*.headers", .type = SETTING_HEADERS, .offset = API(headers),
     .fallback = "{}", .help = "Further headers of every request."},
    TLS_ROWS("jobs.apis.*", API, "API"),
    {.path = "jobs.actions", .type = SETTING_MAP, .offset = ROOT(jobs.actions),
     .map = &settings_action_map,
     .help = "What may be run at all, by a name of your choice, which jobs refer to."},
    {.path = "jobs.actions.*", .type = SETTING_OBJECT, .help = "One operation."},
    {.path = "jobs.actions.*.kind", .type = SETTING_CHOICE, .required = true,
     .offset = ACTION(kind), .choices = kinds, .example = "\"invoke\"",
     .help = "`invoke`: runs a data action and waits for its result; `execute`: sends a file to "
             "one; `publish`: puts a version of one into sandbox or production; `configure`: sets "
             "its timeouts."},
    {.path = "jobs.actions.*.api", .type = SETTING_API_NAME, .required = true,
     .offset = ACTION(api), .example = "\"cxone\"", .help = "The entry of jobs.apis it goes to."},
    {.path = "jobs.actions.*.action_id", .type = SETTING_STRING, .required = true,
     .offset = ACTION(action_id), .example = "\"a1b2c3d4-e5f6-7890-abcd-ef1234567890\"",
     .help = "The data action's id; with invoke and publish a UUID."},
    {.path = "jobs.actions.*.paths", .type = SETTING_PARAMS, .offset = ACTION(paths),
     .fallback = "{}",
     .help = "REST paths where the tenant's differ: with invoke `invoke` and `status`, with "
             "execute `execute`, with publish `version`, with configure `health`, `update`, "
             "`read`. `{actionId}`, `{invocationId}`, `{versionId}` stand for values."},
    {.path = "jobs.actions.*.retry", .type = SETTING_OBJECT,
     .help = "How often it is tried again."},
    {.path = "jobs.actions.*.retry.max", .type = SETTING_NUMBER, .nullable = true,
     .offset = ACTION(retry_max), .max = 1000, .fallback = "null",
     .fallback_help = "3; after 429 with execute 4",
     .help = "Further tries after failures that may pass (429, 5xx, network, timeout)."},
    {.path = "jobs.actions.*.retry.give_up_after", .type = SETTING_DURATION,
     .offset = ACTION(give_up_after_us), .min = SECOND, .max = 365 * DAY, .fallback = "\"24h\"",
     .help = "A job that is not done so long after it was due fails."},
    {.path = "jobs.actions.*.notify_url", .type = SETTING_URL, .nullable = true,
     .offset = ACTION(notify_url), .schemes = "https http", .fallback = "null",
     .example = "\"https://hooks.example.com/cxone\"",
     .help = "Where what came of each job is POSTed to. Private addresses need allow_private, "
             "http a loopback one."},
    {.path = "jobs.actions.*.notify_secret", .type = SETTING_SECRET, .nullable = true,
     .offset = ACTION(notify_secret), .fallback = "null",
     .example = "{\"env\": \"CXSINK_NOTIFY_SECRET\"}",
     .help = "Signs notifications (HMAC-SHA-256). null: they are not signed."},
    {.path = "jobs.actions.*.allow_private", .type = SETTING_BOOLEAN,
     .offset = ACTION(allow_private), .fallback = "false",
     .help = "Whether notify_url, webhook_url and storage.url may lead to private, loopback or "
             "link-local addresses."},
    {.path = "jobs.actions.*.allowed_inputs", .type = SETTING_STRINGS, .nullable = true,
     .offset = ACTION(allowed_inputs), .fallback = "null",
     .example = "[\"customerId\", \"orderReference\"]",
     .help = "invoke: names of inputs that a job may bring. null: any; `[]`: none."},
    {.path = "jobs.actions.*.callback_url", .type = SETTING_URL, .nullable = true,
     .offset = ACTION(callback_url), .schemes = "https", .fallback = "null",
     .example = "\"https://hooks.example.com/cxone/actions\"",
     .help = "invoke: an address that CXone itself calls back."},
    {.path = "jobs.actions.*.poll", .type = SETTING_OBJECT,
     .help = "invoke: how the result is asked for."},
    {.path = "jobs.actions.*.poll.interval", .type = SETTING_DURATION,
     .offset = ACTION(poll_interval_us), .min = 10 * MS, .max = HOUR, .fallback = "\"5s\"",
     .help = "invoke: time between two questions."},
    {.path = "jobs.actions.*.poll.timeout", .type = SETTING_DURATION,
     .offset = ACTION(poll_timeout_us), .min = 10 * MS, .max = 7 * DAY, .fallback = "\"120s\"",
     .help = "invoke: how long after the invocation it is asked for; then the job fails."},
    {.path = "jobs.actions.*.max_payload", .type = SETTING_SIZE, .offset = ACTION(max_payload),
     .min = KIB, .max = 16 * MIB, .fallback = "\"512KiB\"",
     .help = "invoke: most bytes of the request's body."},
    {.path = "jobs.actions.*.content_types", .type = SETTING_STRINGS,
     .offset = ACTION(content_types),
     .fallback = "[\"application/pdf\", \"image/png\", \"image/jpeg\", "
                 "\"application/octet-stream\"]",
     .help = "execute: content types that a job may send."},
    {.path = "jobs.actions.*.max_bytes", .type = SETTING_SIZE, .offset = ACTION(max_bytes),
     .min = 1, .max = GIB, .fallback = "\"10MiB\"", .help = "execute: most bytes of a file."},
    {.path = "jobs.actions.*.file_dir", .type = SETTING_PATH, .nullable = true,
     .offset = ACTION(file_dir), .fallback = "null", .example = "\"/srv/cxsink/files\"",
     .help = "execute and publish: the directory that a job's file must be in. null: any file "
             "that cxsink may read."},
    {.path = "jobs.actions.*.storage", .type = SETTING_OBJECT,
     .help = "execute: where each execution is recorded."},
    {.path = "jobs.actions.*.storage.dir", .type = SETTING_PATH, .nullable = true,
     .offset = ACTION(storage_dir), .fallback = "null", .example = "\"executions\"",
     .help = "execute: a directory that gets one file an execution."},
    {.path = "jobs.actions.*.storage.url", .type = SETTING_URL, .nullable = true,
     .offset = ACTION(storage_url), .schemes = "https http", .fallback = "null",
     .example = "\"https://storage.example.com/executions\"",
     .help = "execute: an address that the record is PUT to."},
    {.path = "jobs.actions.*.storage.include_data", .type = SETTING_BOOLEAN,
     .offset = ACTION(storage_include_data), .fallback = "false",
     .help = "execute: whether the record holds the file as base64."},
    {.path = "jobs.actions.*.environments", .type = SETTING_STRINGS,
     .offset = ACTION(environments), .fallback = "[\"sandbox\", \"production\"]",
     .help = "publish: environments that a job may publish to; of `sandbox`, `production`."},
    {.path = "jobs.actions.*.allowed_versions", .type = SETTING_PARAMS,
     .offset = ACTION(allowed_versions), .fallback = "{}",
     .example = "{\"lodash\": \"^4.17.21\", \"axios\": \"^1.6.0\"}",
     .help = "publish: package to the range of versions (as npm writes them) that a dependency "
             "on it may have. Packages that are not named may have any."},
    {.path = "jobs.actions.*.blocked_packages", .type = SETTING_STRINGS,
     .offset = ACTION(blocked_packages), .fallback = "[]", .example = "[\"debug\"]",
     .help = "publish: packages that nothing may depend on."},
    {.path = "jobs.actions.*.webhook_url", .type = SETTING_URL, .nullable = true,
     .offset = ACTION(webhook_url), .schemes = "https http", .fallback = "null",
     .example = "\"https://artifacts.example.com/deployments\"",
     .help = "publish: where each deployment is told."},
    {.path = "jobs.queue", .type = SETTING_QUEUE, .offset = ROOT(jobs.queue), .fallback = "[]",
     .example = "[{\"id\": \"crm-timeouts-v3\", \"action\": \"crm-timeouts\", "
                "\"timeout_ms\": 15000}]",
     .help = "Jobs, each put on the queue once per id."},
    {.path = "jobs.drop_dir", .type = SETTING_PATH, .nullable = true,
     .offset = ROOT(jobs.drop_dir), .fallback = "null",
     .example = "\"/var/lib/cxsink/jobs.d\"",
     .help = "A directory: the jobs in *.json files put there, of 1 MiB at most, are queued, the "
             "files moved to its done/ or failed/. null: none."},

    {.path = "admin", .type = SETTING_OBJECT, .help = "Status page, metrics and health over HTTP."},
    {.path = "admin.listen", .type = SETTING_LISTEN, .nullable = true, .restart = true,
     .offset = ROOT(admin.listen), .fallback = "\"127.0.0.1:9464\"",
     .help = "`ADDRESS:PORT` or `[IPv6]:PORT`; port 0: a free one. null: off. Other "
             "than loopback needs token."},
    {.path = "admin.token", .type = SETTING_SECRET, .nullable = true, .restart = true,
     .offset = ROOT(admin.token), .fallback = "null",
     .example = "{\"env\": \"CXSINK_ADMIN_TOKEN\"}",
     .help = "Bearer token that requests must bring. null: none is asked for, loopback only."},
};
// clang-format on

const size_t settings_count = sizeof(settings_table) / sizeof(settings_table[0]);

// The rest of `path` below `parent`, NULL when it is not directly below.
static const char *child_part(const struct setting *parent, const char *path)
{
    if (parent != NULL) {
        size_t length = strlen(parent->path);
        if (strncmp(path, parent->path, length) != 0 || path[length] != '.')
            return NULL;
        path += length + 1;
    }
    return strchr(path, '.') == NULL ? path : NULL;
}

const struct setting *setting_next_child(const struct setting *parent, const struct setting *last)
{
    const struct setting *end = settings_table + settings_count;
    const struct setting *s = last == NULL ? settings_table : last + 1;
    while (s < end && child_part(parent, s->path) == NULL)
        s++;
    return s < end ? s : NULL;
}

const struct setting *setting_find_child(const struct setting *parent, const char *name)
{
    const struct setting *s = setting_next_child(parent, NULL);
    while (s != NULL && strcmp(child_part(parent, s->path), name) != 0)
        s = setting_next_child(parent, s);
    return s;
}

const char *setting_name(const struct setting *s)
{
    const char *dot = strrchr(s->path, '.');
    return dot == NULL ? s->path : dot + 1;
}
