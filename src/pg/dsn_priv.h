// SPDX-License-Identifier: Apache-2.0
// A DSN, completed from libpq's environment and service file and with every host made numeric, so
// that libpq never resolves a name: it would do so synchronously, and freeze the loop.
//
// pg/conn parses, looks the names up that dsn_lookup_name() tells, adds their addresses, connects,
// and frees it (which wipes the passwords) once the connection is up or has failed.
#ifndef CXSINK_PG_DSN_PRIV_H
#define CXSINK_PG_DSN_PRIV_H

#include "core/status.h"

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

// Most addresses that one attempt goes through.
#define DSN_TARGETS_MAX 64

struct dsn;

struct dsn_settings {
    const char *text;             // as configured; "" is fine
    const char *application_name; // unless the DSN or the environment names one
    int64_t answer_timeout_us;    // becomes tcp_user_timeout; 0: 30 s
};

// STATUS_INVALID with a sentence that repeats nothing of the text: it may hold a password.
enum status_code dsn_parse(const struct dsn_settings *settings, struct dsn **dsn_r,
                           struct status *st) STATUS_MUST_CHECK;
void dsn_free(struct dsn **dsn);

// Hosts in the DSN's order, at least one.
size_t dsn_hosts(const struct dsn *dsn);
// The name to look up for a host; NULL where it is numeric, a socket or has a hostaddr.
const char *dsn_lookup_name(const struct dsn *dsn, size_t host);
// An address of a host that was looked up. A host without any is left out.
void dsn_add_address(struct dsn *dsn, size_t host, const char *address);
// "host:port,host:port" or socket paths, for messages.
void dsn_describe(const struct dsn *dsn, char *text, size_t size);
// The same of one host as PQhost() and PQport() tell it.
void dsn_format_peer(const char *host, const char *port, char *text, size_t size);

// Starts to connect (PQconnectStartParams). NULL when out of memory or no host has an address.
PGconn *dsn_connect(const struct dsn *dsn);
// Replaces every occurrence of a password in a text of the server's or libpq's by "***".
// `used` is PQpass(), or NULL.
void dsn_scrub(const struct dsn *dsn, const char *used, char *text);

#endif
