// SPDX-License-Identifier: Apache-2.0
// The parts of `cxsink check --connect`, and what they share.
//
// Structure: check_connect.c turns a loop for a struct probe until every struct check_task is over
// or the time is. check_database.c has one task; check_servers.c has one for each credential, each
// stream and each API; check_machine.c looks at this machine and needs no loop.
#ifndef CXSINK_CLI_CHECK_PRIV_H
#define CXSINK_CLI_CHECK_PRIV_H

#include "config/load.h"
#include "core/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;
struct loop;
struct resolver;

struct check_outcome {
    size_t unreachable; // faults that only mean that a server could not be reached
    struct buf left;    // streams that were left alone to the running daemon, "a, b"
};

struct check_task {
    struct probe *probe;
    struct check_task *next; // of those that are not over
    char *pointer;           // owned; where its faults are
    const char *doing;       // a literal, for the one that does not end
};

struct probe {
    const struct config *config;
    struct config_faults *faults;
    struct check_outcome *outcome;
    struct loop *loop;
    struct resolver *resolver;
    struct http_client *http;
    struct check_task *tasks;
    struct check_database *database;
    struct check_servers *servers;
    const char *daemon_status; // of the running daemon, JSON; "" when none answers
    bool daemon_silent;        // there is one, and it cannot be asked
};

// Tries all that the configuration names, for at most `limit_us`; adds a fault for everything that
// is wrong.
void check_connect(const struct config *config, int64_t limit_us, struct config_faults *faults,
                   struct check_outcome *outcome_r);

// --- for the parts ---

// A task begins; `pointer` becomes its own.
void check_begin(struct probe *probe, struct check_task *task, char *pointer, const char *doing);
// It is over; the last one ends the loop. Once a task.
void check_end(struct check_task *task);
bool check_is_over(const struct check_task *task);
// Adds a fault at `pointer`; STATUS_UNAVAILABLE and STATUS_TIMEOUT mean that a server could not be
// reached.
void check_add(struct probe *probe, enum status_code code, const char *pointer, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
// Is there a fault already, at this pointer or below it?
bool check_is_faulty(const struct probe *probe, const char *pointer);
// A fault where this machine's clock is more than a minute ahead of another one, or behind.
void check_clock(struct probe *probe, const char *pointer, int64_t ahead_us, const char *whose);
// A warning where a certificate expires (wall time; 0: not known) within 30 days, a fault where it
// has.
void check_certificate(struct probe *probe, const char *pointer, const char *whose,
                       int64_t until_us);

void check_database_start(struct probe *probe);
void check_database_stop(struct probe *probe);
void check_servers_start(struct probe *probe);
void check_servers_stop(struct probe *probe);
// The spool's file system, directories, descriptors.
void check_machine(const struct config *config, struct config_faults *faults);

#endif
