// SPDX-License-Identifier: Apache-2.0
// The configuration file to one immutable struct, all faults at once. The settings table in
// config/settings.c is the only place that knows keys, types, ranges, defaults, reloadability and
// help; it feeds the parser, config/cxsink.schema.json and config/settings.md.
//
// A struct config is built by config_load, never changed, and freed as a whole. Lists are arrays in
// the file's order. Strings are never NULL unless said so. Durations are microseconds.
#ifndef CXSINK_CONFIG_LOAD_H
#define CXSINK_CONFIG_LOAD_H

#include "config/jobs.h"
#include "config/types.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_grant { GRANT_CLIENT_CREDENTIALS, GRANT_PASSWORD, GRANT_STATIC, GRANT_ACCESS_KEY };
enum config_client_auth {
    CLIENT_AUTH_FORM,
    CLIENT_AUTH_BASIC,
    CLIENT_AUTH_BASIC_RAW, // "basic_raw": id and secret without percent-encoding
    CLIENT_AUTH_QUERY,
    CLIENT_AUTH_JSON,
    CLIENT_AUTH_NONE
};
enum config_params_in { PARAMS_IN_FORM, PARAMS_IN_QUERY, PARAMS_IN_JSON };

struct config_auth {
    char *name;
    enum config_grant grant;
    char *token_url; // NULL with GRANT_STATIC
    enum config_client_auth client_auth;
    enum config_params_in params_in;
    char *client_id, *client_secret; // NULL: none; the secret is wiped when freed
    char *username, *password;       // NULL: none; likewise
    char *token;                     // GRANT_STATIC; likewise
    char *scope;                     // NULL: none sent
    struct config_pairs params;
    struct config_pairs headers;
    int64_t refresh_margin_us;
    int64_t default_expires_us; // "default_expires_in": where the answer has no expires_in
    int64_t timeout_us;
    struct config_tls tls;
};

// How schemas are read: options of schema/compile by value.
enum config_draft { DRAFT_2020_12, DRAFT_2019_09, DRAFT_7, DRAFT_6, DRAFT_4 };
enum config_formats { FORMATS_ASSERT, FORMATS_ANNOTATE };
enum config_strict { STRICT_TYPOS, STRICT_ALL, STRICT_OFF };

enum config_normal_close { NORMAL_CLOSE_RECONNECT, NORMAL_CLOSE_STOP };

struct config_stream {
    char *name;   // 1 to 63 of [A-Za-z0-9_.-]
    char *url;    // ws:// or wss://
    size_t auth;  // index into config.auth; CONFIG_NONE: none
    size_t table; // index into config.tables
    struct config_pairs headers;
    char *schema; // absolute path; NULL: no validation
    enum config_draft schema_draft;
    enum config_formats formats;
    enum config_strict schema_strict;
    uint64_t max_message;
    int64_t ping_interval_us, ping_timeout_us; // interval 0: no pings
    int64_t idle_timeout_us;                   // 0: off
    int64_t reconnect_base_us, reconnect_cap_us, reconnect_stable_us;
    int64_t connect_timeout_us;
    unsigned short *token_close_codes;
    size_t n_token_close_codes;
    enum config_normal_close on_normal_close;
    double guard_share;    // 0: no reject_guard
    unsigned guard_events; // its window; 0: no reject_guard
    struct config_tls tls;
};

struct config_column {
    char *name;
    char *pointer; // RFC 6901
};

struct config_table {
    char *name;   // as in the file: "table" or "schema.table"
    char *schema; // NULL: the search path
    char *table;
    struct config_column *columns;
    size_t n_columns;
    size_t *key; // indexes into columns
    size_t n_key;
    size_t *update; // indexes into columns; may be none
    size_t n_update;
    size_t newest_by; // index into columns, or CONFIG_NONE
    char *touch;      // a column that is not mapped; NULL: none
};

enum config_when_full { WHEN_FULL_BLOCK, WHEN_FULL_DROP_NEWEST, WHEN_FULL_DROP_OLDEST };
enum config_sync { SYNC_ALWAYS, SYNC_INTERVAL, SYNC_OFF };
enum config_migrate { MIGRATE_AUTO, MIGRATE_CHECK, MIGRATE_OFF };

struct config_spool {
    uint64_t max_bytes, segment_bytes;
    enum config_when_full when_full;
    enum config_sync sync;
    int64_t sync_interval_us;
};

struct config_audit {
    char *key;          // of the hashes; NULL: none; wiped when freed
    uint64_t max_bytes; // of a file of the audit log
    unsigned keep;      // renamed files that stay; 0: all
};

struct config_postgres {
    char *dsn; // "" means libpq's own environment; wiped when freed (it may hold a password)
    unsigned connections;
    unsigned batch_events;
    uint64_t batch_bytes;
    int64_t linger_us;
    int64_t connect_timeout_us, statement_timeout_us;
    int64_t retry_base_us, retry_cap_us;
    enum config_migrate migrate;
};

struct config_admin {
    char *listen;        // "ADDRESS:PORT", "[v6]:PORT"; NULL: no HTTP listener
    char *host;          // its address part
    unsigned short port; // 0: a free one
    char *token;         // NULL: loopback only; wiped when freed
};

struct config {
    char *path; // of the file, absolute
    char *dir;  // of the file, absolute: relative paths start here
    char *state_dir, *runtime_dir;
    int64_t shutdown_timeout_us;
    enum log_level log_level;
    enum log_target log_target;
    struct config_auth *auth;
    size_t n_auth;
    struct config_stream *streams;
    size_t n_streams;
    struct config_pairs schemas; // URI without fragment, absolute path of a file or directory
    struct config_table *tables;
    size_t n_tables;
    struct config_audit audit;
    struct config_spool spool;
    struct config_postgres postgres;
    struct config_admin admin;
    struct config_jobs jobs;
};

// One fault: where (line of the file, JSON Pointer) and what, with the remedy.
struct config_fault {
    unsigned line; // 0: unknown
    char pointer[256];
    char message[STATUS_DETAIL_MAX];
    char *sql;    // the SQL that mends it, whole; NULL where the message says it all; owned
    bool warning; // all works as it is, for now
};

struct config_faults {
    struct config_fault *items;
    size_t count;
};

// Reads at most 1 MiB. At most 1000 faults are kept, in the order of lines; the last one then says
// that there are more. NULL when there is any fault; then `faults_r` holds all of them. Free both
// with their functions.
struct config *config_load(const char *path, struct config_faults *faults_r);
void config_free(struct config **config);
// Only where a daemon of this configuration keeps its state and its socket, for commands that ask
// it: whatever else is faulty here (secrets that only the service has, mostly) does not matter.
// Both results are the caller's. False, with the faults, when even that cannot be told.
bool config_load_dirs(const char *path, char **state_dir_r, char **runtime_dir_r,
                      struct config_faults *faults_r);
// The names in a section, "streams" or "jobs.actions", a line each, in their order. Neither values
// nor secrets are looked at. False, with the fault, when the file cannot be read or is no JSON.
bool config_list_names(const char *path, const char *section, struct buf *names_r,
                       struct config_faults *faults_r);
// Only state_dir and `audit` of it, likewise; NULL, with the faults, when those cannot be told.
struct config *config_load_audit(const char *path, struct config_faults *faults_r);
// Adds a fault (used by config_load and by owners that check further: schemas, mappings).
void config_faults_add(struct config_faults *faults, unsigned line, const char *pointer,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
// Likewise, with the SQL that mends it (copied; NULL or "": none).
void config_faults_add_sql(struct config_faults *faults, const char *pointer, const char *message,
                           const char *sql);
// Likewise, of what works for now. The daemon adds none: a configuration with one is in force.
void config_faults_warn(struct config_faults *faults, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Fills in the lines of faults that have none, from their pointers: the file is read again. A
// pointer to something that is not written gets the line of what would hold it. Sorts by line.
void config_faults_locate(const char *path, struct config_faults *faults);
void config_faults_free(struct config_faults *faults);

// config/cxsink.schema.json, generated from the settings table.
void config_print_schema(struct buf *out);
// The reference in Markdown, one line a setting, from the same table.
void config_print_reference(struct buf *out);
// The manual page cxsink.json(5), as mdoc(7), from the same table.
void config_print_manual(struct buf *out);

// Names the settings that differ between two configurations and need a restart (state_dir,
// runtime_dir, admin.listen...), as JSON Pointers, comma-separated; "" when none.
void config_restart_needed(const struct config *old, const struct config *new, struct buf *out);

#endif
