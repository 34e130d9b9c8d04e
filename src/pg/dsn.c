// SPDX-License-Identifier: Apache-2.0
#include "pg/dsn_priv.h"

#include "core/buf.h"
#include "core/mem.h"
#include "pg/conn.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// libpq 17 has 43 options.
#define OPTIONS_MAX 64
// A password shorter than this is not looked for in messages: "a" is in every one of them.
#define SCRUB_MIN 4

struct option {
    char *keyword;
    char *value; // NULL: not set
};

struct host {
    char *name;     // "" : libpq's default socket directory
    char *hostaddr; // "" : none was given
    char *port;
    bool lookup;
};

// What is handed to libpq: one entry of its host, hostaddr and port lists.
struct target {
    size_t host;
    char *address; // "" for a socket
};

struct dsn {
    struct option options[OPTIONS_MAX];
    size_t n_options;
    struct host *hosts;
    size_t n_hosts;
    struct target targets[DSN_TARGETS_MAX];
    size_t n_targets;
};

static bool is_secret(const char *keyword)
{
    return strcmp(keyword, "password") == 0 || strcmp(keyword, "sslpassword") == 0;
}

static struct option *find(struct dsn *dsn, const char *keyword)
{
    for (size_t i = 0; i < dsn->n_options; i++) {
        if (strcmp(dsn->options[i].keyword, keyword) == 0)
            return &dsn->options[i];
    }
    return NULL;
}

static const char *value_of(struct dsn *dsn, const char *keyword)
{
    const struct option *option = find(dsn, keyword);
    return option != NULL && option->value != NULL ? option->value : "";
}

// Sets or, with NULL, takes away. A libpq that does not know the keyword goes without it.
static void set(struct dsn *dsn, const char *keyword, const char *value)
{
    struct option *option = find(dsn, keyword);
    if (option == NULL)
        return;
    mem_wipe_free(&option->value);
    option->value = value != NULL ? mem_strdup(value) : NULL;
}

static void set_default(struct dsn *dsn, const char *keyword, const char *value)
{
    if (value_of(dsn, keyword)[0] == '\0')
        set(dsn, keyword, value);
}

// --- the merged options ---

// An unescaped @ or / in a URI's password moves the rest of it into the host or database name,
// from where it would get into messages. PostgreSQL would never connect that way.
static bool uri_is_ambiguous(const char *text)
{
    const char *at = strstr(text, "://");
    if (at == NULL || (strncmp(text, "postgresql:", 11) != 0 && strncmp(text, "postgres:", 9) != 0))
        return false;
    at += 3;
    at += strcspn(at, "@/");
    if (*at == '\0')
        return false;
    const char *query = strchr(at, '?');
    const char *again = strchr(at + 1, '@');
    return again != NULL && (query == NULL || again < query);
}

static enum status_code check_text(const char *text, struct status *st)
{
    if (uri_is_ambiguous(text))
        return status_set(st, STATUS_INVALID,
                          "the PostgreSQL DSN holds an unescaped '@' or '/' in its user or "
                          "password; write %%40 and %%2F");
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(text, &error);
    bool ok = options != NULL;
    PQconninfoFree(options);
    if (error != NULL)
        mem_wipe(error, strlen(error)); // it quotes the text
    PQfreemem(error);
    if (ok)
        return STATUS_OK;
    return status_set(st, STATUS_INVALID,
                      "the PostgreSQL DSN cannot be parsed as keyword=value pairs or as a "
                      "postgresql:// URI; quote values that hold spaces");
}

static void free_conninfo(PQconninfoOption *options)
{
    for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (o->val != NULL && is_secret(o->keyword))
            mem_wipe(o->val, strlen(o->val));
    }
    PQconninfoFree(options);
}

// What libpq makes of text, environment and service file together. libpq tells that of a
// connection only, so it gets one that it refuses before it does anything: the option `spoiled` has
// a value that no libpq accepts. NULL with a sentence when it fails already while merging.
static PQconninfoOption *merge(const char *text, const char *spoiled, struct status *st)
{
    const char *keywords[] = {"dbname", spoiled, NULL};
    const char *values[] = {text, "?", NULL};
    PGconn *pg = PQconnectStartParams(keywords, values, 1);
    PQconninfoOption *options = pg != NULL ? PQconninfo(pg) : NULL;
    const PQconninfoOption *o = options;
    while (o != NULL && o->keyword != NULL && strcmp(o->keyword, spoiled) != 0)
        o++;
    if (o == NULL || o->keyword == NULL || o->val == NULL || strcmp(o->val, "?") != 0) {
        // The text itself was parsed before: what is wrong here is a service.
        const char *why = pg != NULL ? PQerrorMessage(pg) : "out of memory";
        status_set(st, STATUS_INVALID,
                   "the PostgreSQL DSN cannot be completed from the environment: %.*s",
                   (int)strcspn(why, "\n"), why);
        free_conninfo(options);
        options = NULL;
    }
    PQfinish(pg);
    return options;
}

static void take_options(struct dsn *dsn, const PQconninfoOption *options)
{
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (dsn->n_options == OPTIONS_MAX)
            return;
        struct option *to = &dsn->options[dsn->n_options++];
        to->keyword = mem_strdup(o->keyword);
        to->value = o->val != NULL && o->val[0] != '\0' ? mem_strdup(o->val) : NULL;
    }
}

// Twice, each time with another option spoiled, so that both have their true values in the end.
static enum status_code read_options(struct dsn *dsn, const char *text, struct status *st)
{
    PQconninfoOption *first = merge(text, "gssencmode", st);
    PQconninfoOption *second = first != NULL ? merge(text, "target_session_attrs", st) : NULL;
    if (second != NULL) {
        take_options(dsn, first);
        for (const PQconninfoOption *o = second; o->keyword != NULL; o++) {
            if (strcmp(o->keyword, "gssencmode") == 0)
                set(dsn, "gssencmode", o->val);
        }
    }
    free_conninfo(first);
    free_conninfo(second);
    return second != NULL ? STATUS_OK : STATUS_INVALID;
}

static void complete(struct dsn *dsn, const struct dsn_settings *settings)
{
    char timeout[32];
    int64_t ms = settings->answer_timeout_us > 0 ? settings->answer_timeout_us / 1000 : 30000;
    snprintf(timeout, sizeof(timeout), "%lld", (long long)(ms < INT_MAX ? ms : INT_MAX));
    set_default(dsn, "tcp_user_timeout", timeout);
    set_default(dsn, "keepalives", "1");
    set_default(dsn, "keepalives_idle", "30");
    set_default(dsn, "keepalives_interval", "10");
    set_default(dsn, "keepalives_count", "3");
    set_default(dsn, "application_name", settings->application_name);
    // What we send is UTF-8, whatever the environment says.
    set(dsn, "client_encoding", "UTF8");
    // "prefer" is libpq's default, and it talks to the KDC synchronously.
    if (strcmp(value_of(dsn, "gssencmode"), "prefer") == 0)
        set(dsn, "gssencmode", "disable");
    set(dsn, "connect_timeout", NULL); // libpq ignores it here; conn has a deadline
    set(dsn, "service", NULL);
}

// --- hosts ---

// The i-th element of a comma-separated list; the last one where the list is shorter.
static char *element(const char *list, size_t i)
{
    const char *comma;
    while (i-- > 0 && (comma = strchr(list, ',')) != NULL)
        list = comma + 1;
    return mem_strndup(list, strcspn(list, ","));
}

static size_t count_elements(const char *list)
{
    size_t n = list[0] != '\0' ? 1 : 0;
    for (; *list != '\0'; list++)
        n += *list == ',';
    return n;
}

static bool is_numeric(const char *host)
{
    unsigned char address[16];
    char copy[64];
    size_t length = strcspn(host, "%"); // an IPv6 scope
    if (length >= sizeof(copy))
        return false;
    memcpy(copy, host, length);
    copy[length] = '\0';
    return inet_pton(AF_INET, copy, address) == 1 || inet_pton(AF_INET6, copy, address) == 1;
}

static bool is_socket(const char *host)
{
    return host[0] == '/' || host[0] == '@';
}

static bool is_port(const char *port)
{
    char *end;
    long number = strtol(port, &end, 10);
    return port[0] == '\0' || (*end == '\0' && number >= 1 && number <= 65535);
}

static enum status_code read_host(struct dsn *dsn, size_t i, struct status *st)
{
    struct host *host = &dsn->hosts[i];
    host->name = element(value_of(dsn, "host"), i);
    host->hostaddr = element(value_of(dsn, "hostaddr"), i);
    host->port = element(value_of(dsn, "port"), i);
    if (!is_port(host->port))
        return status_set(st, STATUS_INVALID,
                          "the PostgreSQL DSN has a port that is not a number from 1 to 65535");
    if (strpbrk(host->name, "@ ") != NULL && !is_socket(host->name))
        return status_set(st, STATUS_INVALID,
                          "the PostgreSQL DSN has a host name with '@' or a space in it; "
                          "percent-encode the password of a URI, quote values with spaces");
    if (host->hostaddr[0] != '\0')
        dsn_add_address(dsn, i, host->hostaddr);
    else if (host->name[0] == '\0' || is_socket(host->name))
        dsn_add_address(dsn, i, "");
    else if (is_numeric(host->name))
        dsn_add_address(dsn, i, host->name);
    else
        host->lookup = true;
    return STATUS_OK;
}

static enum status_code read_hosts(struct dsn *dsn, struct status *st)
{
    size_t names = count_elements(value_of(dsn, "host"));
    size_t addresses = count_elements(value_of(dsn, "hostaddr"));
    size_t ports = count_elements(value_of(dsn, "port"));
    size_t n = addresses > 0 ? addresses : names > 0 ? names : 1;
    if ((addresses > 0 && names > 0 && names != addresses) || (ports > 1 && ports != n))
        return status_set(st, STATUS_INVALID,
                          "the PostgreSQL DSN lists %zu hosts, %zu host addresses and %zu ports; "
                          "the numbers must match, or be one port",
                          names, addresses, ports);
    if (n > DSN_TARGETS_MAX)
        return status_set(st, STATUS_INVALID, "the PostgreSQL DSN lists %zu hosts; %d is the most",
                          n, DSN_TARGETS_MAX);
    dsn->hosts = mem_realloc_array(NULL, n, sizeof(*dsn->hosts));
    memset(dsn->hosts, 0, n * sizeof(*dsn->hosts));
    for (; dsn->n_hosts < n; dsn->n_hosts++) {
        if (read_host(dsn, dsn->n_hosts, st) != STATUS_OK) {
            dsn->n_hosts++; // its strings are there
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}

size_t dsn_hosts(const struct dsn *dsn)
{
    return dsn->n_hosts;
}

const char *dsn_lookup_name(const struct dsn *dsn, size_t host)
{
    return dsn->hosts[host].lookup ? dsn->hosts[host].name : NULL;
}

// Keeps the order of the hosts, in whatever order the answers come.
void dsn_add_address(struct dsn *dsn, size_t host, const char *address)
{
    if (dsn->n_targets == DSN_TARGETS_MAX)
        return;
    size_t at = dsn->n_targets++;
    for (; at > 0 && dsn->targets[at - 1].host > host; at--)
        dsn->targets[at] = dsn->targets[at - 1];
    dsn->targets[at] = (struct target){.host = host, .address = mem_strdup(address)};
}

void dsn_format_peer(const char *host, const char *port, char *text, size_t size)
{
    if (host[0] == '\0')
        snprintf(text, size, "the local socket");
    else if (is_socket(host))
        snprintf(text, size, "%s/.s.PGSQL.%s", host, port);
    else if (strchr(host, ':') != NULL)
        snprintf(text, size, "[%s]:%s", host, port);
    else
        snprintf(text, size, "%s:%s", host, port);
}

void dsn_describe(const struct dsn *dsn, char *text, size_t size)
{
    struct buf out = {0};
    char one[256];
    for (size_t i = 0; i < dsn->n_hosts; i++) {
        const struct host *h = &dsn->hosts[i];
        dsn_format_peer(h->name[0] != '\0' ? h->name : h->hostaddr, h->port, one, sizeof(one));
        buf_printf(&out, "%s%s", i > 0 ? "," : "", one);
    }
    snprintf(text, size, "%s", buf_text(&out));
    buf_deinit(&out);
}

// --- to libpq ---

struct lists {
    struct buf host, hostaddr, port;
    bool any_host, any_address;
};

static void write_lists(const struct dsn *dsn, struct lists *lists)
{
    for (size_t i = 0; i < dsn->n_targets; i++) {
        const struct target *t = &dsn->targets[i];
        const struct host *h = &dsn->hosts[t->host];
        const char *comma = i > 0 ? "," : "";
        buf_printf(&lists->host, "%s%s", comma, h->name);
        buf_printf(&lists->hostaddr, "%s%s", comma, t->address);
        buf_printf(&lists->port, "%s%s", comma, h->port);
        lists->any_host |= h->name[0] != '\0';
        lists->any_address |= t->address[0] != '\0';
    }
}

PGconn *dsn_connect(const struct dsn *dsn)
{
    if (dsn->n_targets == 0)
        return NULL;
    struct lists lists = {0};
    write_lists(dsn, &lists);
    const char *keywords[OPTIONS_MAX + 1] = {NULL};
    const char *values[OPTIONS_MAX + 1] = {NULL};
    for (size_t i = 0; i < dsn->n_options; i++) {
        const char *keyword = dsn->options[i].keyword;
        keywords[i] = keyword;
        values[i] = dsn->options[i].value;
        if (strcmp(keyword, "host") == 0)
            values[i] = lists.any_host ? buf_text(&lists.host) : NULL;
        else if (strcmp(keyword, "hostaddr") == 0)
            values[i] = lists.any_address ? buf_text(&lists.hostaddr) : NULL;
        else if (strcmp(keyword, "port") == 0)
            values[i] = buf_text(&lists.port);
    }
    PGconn *pg = PQconnectStartParams(keywords, values, 0);
    buf_deinit(&lists.host);
    buf_deinit(&lists.hostaddr);
    buf_deinit(&lists.port);
    return pg;
}

static void scrub_one(const char *secret, char *text)
{
    size_t length = secret != NULL ? strlen(secret) : 0;
    char *found;
    if (length < SCRUB_MIN)
        return;
    while ((found = strstr(text, secret)) != NULL) {
        // The stars are never longer than what they replace.
        memmove(found + 3, found + length, strlen(found + length) + 1);
        memcpy(found, "***", 3);
    }
}

void dsn_scrub(const struct dsn *dsn, const char *used, char *text)
{
    scrub_one(used, text);
    for (size_t i = 0; i < dsn->n_options; i++) {
        if (is_secret(dsn->options[i].keyword))
            scrub_one(dsn->options[i].value, text);
    }
}

// --- life ---

enum status_code dsn_parse(const struct dsn_settings *settings, struct dsn **dsn_r,
                           struct status *st)
{
    *dsn_r = NULL;
    if (check_text(settings->text, st) != STATUS_OK)
        return STATUS_INVALID;
    struct dsn *dsn = mem_zalloc(sizeof(*dsn));
    if (read_options(dsn, settings->text, st) == STATUS_OK) {
        complete(dsn, settings);
        if (read_hosts(dsn, st) == STATUS_OK)
            *dsn_r = dsn;
    }
    if (*dsn_r != NULL)
        return STATUS_OK;
    dsn_free(&dsn);
    return STATUS_INVALID;
}

enum status_code pg_dsn_check(const char *text, struct status *st)
{
    struct dsn *dsn = NULL;
    enum status_code code =
        dsn_parse(&(struct dsn_settings){.text = text, .application_name = "cxsink"}, &dsn, st);
    dsn_free(&dsn);
    return code;
}

void dsn_free(struct dsn **pointer)
{
    struct dsn *dsn = *pointer;
    if (dsn == NULL)
        return;
    *pointer = NULL;
    for (size_t i = 0; i < dsn->n_options; i++) {
        free(dsn->options[i].keyword);
        mem_wipe_free(&dsn->options[i].value);
    }
    for (size_t i = 0; i < dsn->n_hosts; i++) {
        free(dsn->hosts[i].name);
        free(dsn->hosts[i].hostaddr);
        free(dsn->hosts[i].port);
    }
    for (size_t i = 0; i < dsn->n_targets; i++)
        free(dsn->targets[i].address);
    free(dsn->hosts);
    free(dsn);
}
