// SPDX-License-Identifier: Apache-2.0
// The settings table: one row a setting, read by the parser (config/reader_priv.h), the JSON
// Schema, the reference and the comparison on reload. Nothing else knows a key, a range or a
// default.
#ifndef CXSINK_CONFIG_SETTINGS_PRIV_H
#define CXSINK_CONFIG_SETTINGS_PRIV_H

#include "config/load.h"

// How a value is written, checked and stored: the rows of `kinds` in config/values.c.
enum setting_type {
    SETTING_OBJECT,   // its members have rows of their own
    SETTING_MAP,      // an object whose names the user chooses; the row "<path>.*" is one of them
    SETTING_ANY,      // not looked at
    SETTING_STRING,   // char *
    SETTING_PATH,     // char *, made absolute
    SETTING_SECRET,   // char *
    SETTING_URL,      // char *, of one of `schemes`
    SETTING_HEADERS,  // struct config_pairs
    SETTING_PARAMS,   // struct config_pairs
    SETTING_SCHEMAS,  // struct config_pairs: URIs and paths made absolute
    SETTING_STRINGS,  // struct config_strings, none of them empty
    SETTING_BOOLEAN,  // bool
    SETTING_NUMBER,   // unsigned, `min` to `max`
    SETTING_SHARE,    // double, above 0 and at most 1
    SETTING_DURATION, // int64_t, likewise, microseconds
    SETTING_SIZE,     // uint64_t, likewise, bytes
    SETTING_CHOICE,   // an enum; `choices`
    SETTING_SYNC,     // config.spool.sync and sync_interval_us
    SETTING_CODES,    // config_stream.token_close_codes
    SETTING_LISTEN,   // config.admin.listen, host and port
    SETTING_RATE,     // config_api.rate_limit and rate_period_us
    SETTING_QUEUE,    // config.jobs.queue
    SETTING_COLUMN,   // char *, the name of a column
    SETTING_COLUMNS,  // config_table.columns
    // The ones below are read when everything else is: they name something.
    SETTING_AUTH_NAME,  // size_t, an index into config.auth
    SETTING_API_NAME,   // size_t, an index into config.jobs.apis
    SETTING_TABLE_NAME, // size_t, an index into config.tables
    SETTING_KEY,        // config_table.key
    SETTING_UPDATE,     // config_table.update
    SETTING_NEWEST_BY,  // config_table.newest_by
    SETTING_TYPES
};

struct setting_choice {
    const char *name; // NULL ends a list
    unsigned value;
};

struct doc_node;
struct reader;

// Where the entries of a SETTING_MAP go: an array of structs that begin with their `char *name`.
struct setting_map {
    size_t item_size;
    size_t count_offset; // of the array's size_t; the array's own is the row's
    void (*init)(void *item);
    // Checks across the entry's settings, when everything is read.
    void (*finish)(struct reader *r, const struct doc_node *node, void *item);
    void (*deinit)(void *item); // frees what is not in the table
};

struct setting {
    const char *path; // "streams.*.ping.interval"
    enum setting_type type;
    bool required;
    bool nullable; // null stands for none
    bool restart;  // a change is taken by a restart only
    size_t offset; // in the struct of the nearest "*" above, else in struct config
    uint64_t min, max;
    const char *fallback;      // the default as JSON; NULL: none
    const char *fallback_help; // the default in words, where it is none of JSON
    const char *example;       // as JSON
    const struct setting_choice *choices;
    const char *schemes; // of a SETTING_URL: "ws wss"
    const struct setting_map *map;
    const char *help; // one sentence or two, with a full stop
};

extern const struct setting settings_table[];
extern const size_t settings_count;

// The maps' rules (config/finish.c, config/finish_jobs.c).
extern const struct setting_map settings_auth_map;
extern const struct setting_map settings_stream_map;
extern const struct setting_map settings_table_map;
extern const struct setting_map settings_api_map;
extern const struct setting_map settings_action_map;

// The members of `parent` (NULL: the top) one after the other: NULL for the first, NULL at the end.
// For a SETTING_MAP that is its "*".
const struct setting *setting_next_child(const struct setting *parent, const struct setting *last);
// NULL when there is no such member.
const struct setting *setting_find_child(const struct setting *parent, const char *name);
// The last part of the path.
const char *setting_name(const struct setting *s);

#endif
