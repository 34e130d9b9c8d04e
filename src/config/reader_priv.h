// SPDX-License-Identifier: Apache-2.0
// Reads a parsed file into a struct config by the settings table, and finds every fault.
//
// Structure: config/reader.c walks the tree along the table; config/values.c reads one value of
// each type (config/values_jobs.c: those of jobs); config/names.c the values that name columns,
// tables, credentials and APIs; config/finish.c and config/finish_jobs.c check what spans several
// settings. Names are read after everything they may refer to, checks
// last: both are put off by reader_defer().
#ifndef CXSINK_CONFIG_READER_PRIV_H
#define CXSINK_CONFIG_READER_PRIV_H

#include "config/document_priv.h"
#include "config/settings_priv.h"

// One value to read: the row, the node, and the struct that the row's offset counts from.
struct slot {
    const struct setting *setting;
    const struct doc_node *node;
    void *base;
};

enum reader_phase { READER_NAMES, READER_CHECKS, READER_PHASES };

typedef void (*reader_fn)(struct reader *r, const struct slot *slot);

struct deferred {
    reader_fn fn;
    struct slot slot;
    char *pointer;
    struct deferred *next;
};

struct reader {
    struct config *config;
    struct config_faults *faults;
    struct buf pointer; // of the value that is being read
    struct deferred *later[READER_PHASES], **last[READER_PHASES];
};

struct setting_kind {
    enum doc_type type;   // as which it is written
    bool by_name;         // read in READER_NAMES
    bool text;            // stored as one char *
    size_t size;          // of what is stored, where a comparison byte by byte is right
    const char *expected; // "a duration as a string, for example \"30s\""
    reader_fn read;       // the node is of `type`, but for secrets
    void (*release)(void *base, void *field);
};

extern const struct setting_kind setting_kinds[SETTING_TYPES];

// The whole file. `root` must outlive the call only.
void reader_read(struct config *config, const struct doc_node *root, struct config_faults *faults);
// Frees what the rows below `parent` hold in `base`, secrets and other strings wiped.
void reader_release(const struct setting *parent, void *base);

// --- for the readers of values -------------------------------------------------------------------

// A fault at the present pointer and the node's line.
void reader_fault(struct reader *r, const struct doc_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The same at the member `name` of `node`, in that member's line when it is there.
void reader_fault_at(struct reader *r, const struct doc_node *node, const char *name,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
void reader_expected(struct reader *r, const struct doc_node *node, const char *expected);
void reader_defer(struct reader *r, enum reader_phase phase, reader_fn fn, const struct slot *slot);
// The string of a DOC_STRING with its ${} replaced; NULL after a fault. The caller's, to be wiped
// and freed.
char *reader_string(struct reader *r, const struct doc_node *node);
// The value as written, in quotes, for a message; "this" for what may hold a secret. `text` holds
// READER_QUOTE_SIZE.
#define READER_QUOTE_SIZE 64
const char *reader_quote(const struct doc_node *node, char *text);
// An absolute path from one that is relative to the configuration file. Takes over `path`.
char *reader_absolute(const struct reader *r, char *path);
// Whether the member is there and not null.
bool reader_given(const struct doc_node *node, const char *name);

static inline void *slot_field(const struct slot *slot)
{
    return (char *)slot->base + slot->setting->offset;
}

// --- readers, one for each type ------------------------------------------------------------------

void read_object(struct reader *r, const struct slot *slot);
void read_map(struct reader *r, const struct slot *slot);
void read_columns(struct reader *r, const struct slot *slot);
void read_column(struct reader *r, const struct slot *slot);
void read_strings(struct reader *r, const struct slot *slot);
void read_boolean(struct reader *r, const struct slot *slot);
void read_rate(struct reader *r, const struct slot *slot);
void read_queue(struct reader *r, const struct slot *slot);
void release_strings(void *base, void *field);
void release_queue(void *base, void *field);
void read_auth_name(struct reader *r, const struct slot *slot);
void read_api_name(struct reader *r, const struct slot *slot);
void read_table_name(struct reader *r, const struct slot *slot);
void read_key(struct reader *r, const struct slot *slot);
void read_update(struct reader *r, const struct slot *slot);
void read_newest_by(struct reader *r, const struct slot *slot);
void release_columns(void *base, void *field);

// Checks of what belongs to no entry of a map: spool, postgres, admin, directories.
void finish_root(struct reader *r, const struct slot *slot);

#endif
