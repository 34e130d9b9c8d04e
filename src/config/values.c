// SPDX-License-Identifier: Apache-2.0
// One reader for each type of setting (config/values_jobs.c: those of jobs); `setting_kinds` at the
// end lists them.
#include "config/reader_priv.h"

#include "config/listen_priv.h"
#include "config/secret.h"
#include "config/units.h"
#include "core/mem.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_string(struct reader *r, const struct slot *slot)
{
    *(char **)slot_field(slot) = reader_string(r, slot->node);
}

static void read_path(struct reader *r, const struct slot *slot)
{
    char *path = reader_string(r, slot->node);
    if (path != NULL && *path == '\0') {
        reader_fault(r, slot->node, "this path is empty; name a file or directory");
        mem_wipe_free(&path);
    }
    if (path != NULL)
        *(char **)slot_field(slot) = reader_absolute(r, path);
}

// --- secrets -------------------------------------------------------------------------------------

static char *secret_from_relative_file(struct reader *r, const char *name, struct status *st)
{
    char *path = reader_absolute(r, mem_strdup(name));
    char *secret = secret_from_file(path, st);
    free(path);
    return secret;
}

static char *secret_from(struct reader *r, const char *source, const char *name, struct status *st)
{
    if (strcmp(source, "env") == 0)
        return secret_from_env(name, st);
    if (strcmp(source, "file") == 0)
        return secret_from_relative_file(r, name, st);
    return secret_from_credential(name, st);
}

static bool is_source(const struct doc_node *node)
{
    return node->type == DOC_STRING &&
           (strcmp(node->name, "env") == 0 || strcmp(node->name, "file") == 0 ||
            strcmp(node->name, "credential") == 0);
}

static char *read_source(struct reader *r, const struct doc_node *node)
{
    char *name = reader_string(r, node);
    if (name == NULL)
        return NULL;
    struct status st;
    char *secret = secret_from(r, node->name, name, &st);
    if (secret == NULL)
        reader_fault(r, node, "%s", st.detail);
    free(name);
    return secret;
}

static void read_secret(struct reader *r, const struct slot *slot)
{
    char **secret = slot_field(slot);
    const struct doc_node *node = slot->node;
    if (node->type == DOC_STRING)
        *secret = reader_string(r, node);
    else if (node->count == 1 && is_source(node->first))
        *secret = read_source(r, node->first);
    else
        reader_fault(r, node, "expected %s", setting_kinds[SETTING_SECRET].expected);
}

// --- URLs ----------------------------------------------------------------------------------------

// Length of "scheme://" when it is one of `schemes`, else 0.
static size_t url_scheme(const char *url, const char *schemes)
{
    const char *end = strstr(url, "://");
    if (end == NULL)
        return 0;
    size_t length = (size_t)(end - url);
    for (const char *s = schemes; *s != '\0'; s += strspn(s, " ")) {
        size_t n = strcspn(s, " ");
        if (n == length && strncasecmp(s, url, n) == 0)
            return length + strlen("://");
        s += n;
    }
    return 0;
}

static bool valid_authority(const char *text)
{
    size_t length = strcspn(text, "/?#");
    if (memchr(text, '@', length) != NULL)
        return false;
    const char *host_end = *text == '[' ? memchr(text, ']', length) : NULL;
    size_t host = host_end != NULL ? (size_t)(host_end + 1 - text) : strcspn(text, ":/?#");
    if (host == 0 || (*text == '[' && host_end == NULL) || (host < length && text[host] != ':'))
        return false;
    if (host == length)
        return true;
    char *end;
    unsigned long port = strtoul(text + host + 1, &end, 10);
    return strchr("0123456789", text[host + 1]) != NULL && end == text + length && port >= 1 &&
           port <= 65535;
}

// What is wrong with it, or NULL. The URL itself is never told: its query may hold a token.
static const char *url_fault(const char *url, const char *schemes)
{
    size_t scheme = url_scheme(url, schemes);
    for (const unsigned char *p = (const unsigned char *)url; *p != '\0'; p++) {
        if (*p <= 0x20 || *p == 0x7f)
            return "has a space or a control character; percent-encode it";
    }
    if (scheme == 0)
        return "does not begin with one of the schemes possible here";
    if (!valid_authority(url + scheme))
        return "needs HOST or HOST:PORT after the scheme, and no user name";
    if (strchr(url, '#') != NULL)
        return "has a fragment (#...), which is never sent; remove it";
    return NULL;
}

static void read_url(struct reader *r, const struct slot *slot)
{
    char *url = reader_string(r, slot->node);
    const char *what = url == NULL ? NULL : url_fault(url, slot->setting->schemes);
    if (what != NULL) {
        reader_fault(r, slot->node, "this URL %s (schemes: %s; for example %s)", what,
                     slot->setting->schemes, slot->setting->example);
        mem_wipe_free(&url);
    }
    *(char **)slot_field(slot) = url;
}

// --- pairs ---------------------------------------------------------------------------------------

static const char *header_fault(const char *name, const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (*name == '\0' || name[strspn(name, token)] != '\0')
        return "this is not the name of a header (RFC 9110 section 5.1)";
    for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return "the value has a control character, which no header can carry";
    }
    return NULL;
}

// An absolute URI (RFC 3986 section 4.3), as references in schemas are resolved to.
static const char *schema_fault(const char *uri, const char *path)
{
    static const char scheme[] =
        "+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t length = strspn(uri, scheme);
    if (!isalpha((unsigned char)uri[0]) || uri[length] != ':')
        return "this is not an absolute URI; write for example \"https://example.com/common.json\"";
    for (const unsigned char *p = (const unsigned char *)uri; *p != '\0'; p++) {
        if (*p <= 0x20 || *p == 0x7f)
            return "the URI has a space or a control character; percent-encode it";
    }
    if (strcspn(uri, "#") + 1 < strlen(uri)) // an empty one, as older drafts have it, is none
        return "the URI has a fragment (#...); it names a place within a schema, so remove it";
    return *path == '\0' ? "this path is empty; name a file or directory" : NULL;
}

// The value of one pair, or NULL after a fault.
static char *pair_value(struct reader *r, const struct slot *slot, const struct doc_node *node)
{
    if (node->type != DOC_STRING) {
        reader_expected(r, node, "a string");
        return NULL;
    }
    char *value = reader_string(r, node);
    if (value == NULL)
        return NULL;
    enum setting_type type = slot->setting->type;
    const char *what = type == SETTING_HEADERS   ? header_fault(node->name, value)
                       : type == SETTING_SCHEMAS ? schema_fault(node->name, value)
                                                 : NULL;
    if (what != NULL) {
        reader_fault(r, node, "%s", what);
        mem_wipe_free(&value);
        return NULL;
    }
    return type == SETTING_SCHEMAS ? reader_absolute(r, value) : value;
}

static void read_pairs(struct reader *r, const struct slot *slot)
{
    struct config_pairs *pairs = slot_field(slot);
    pairs->items = mem_zalloc((slot->node->count + 1) * sizeof(*pairs->items));
    for (const struct doc_node *m = slot->node->first; m != NULL; m = m->next) {
        size_t mark = pointer_push(&r->pointer, m->name);
        char *value = m->duplicate ? NULL : pair_value(r, slot, m);
        if (value != NULL)
            pairs->items[pairs->count++] =
                (struct config_pair){.name = mem_strdup(m->name), .value = value};
        r->pointer.len = mark;
    }
}

static void release_pairs(void *base, void *field)
{
    (void)base;
    struct config_pairs *pairs = field;
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->items[i].name);
        mem_wipe_free(&pairs->items[i].value);
    }
    free(pairs->items);
}

// --- numbers, durations, sizes -------------------------------------------------------------------

static void read_number(struct reader *r, const struct slot *slot)
{
    const struct setting *s = slot->setting;
    uint64_t value;
    if (!doc_whole_number(slot->node, &value) || value < s->min || value > s->max)
        reader_fault(r, slot->node, "must be a whole number from %" PRIu64 " to %" PRIu64, s->min,
                     s->max);
    else
        *(unsigned *)slot_field(slot) = (unsigned)value;
}

static void read_share(struct reader *r, const struct slot *slot)
{
    char text[32];
    snprintf(text, sizeof(text), "%.*s", (int)slot->node->length, slot->node->text);
    double value = slot->node->length < sizeof(text) ? strtod(text, NULL) : 0;
    if (value > 0 && value <= 1)
        *(double *)slot_field(slot) = value;
    else
        reader_fault(r, slot->node, "must be above 0 and at most 1, for example 0.5");
}

static bool check_duration(struct reader *r, const struct slot *slot, int64_t us)
{
    const struct setting *s = slot->setting;
    char least[UNITS_TEXT_SIZE];
    char most[UNITS_TEXT_SIZE];
    if (us >= (int64_t)s->min && us <= (int64_t)s->max)
        return true;
    units_duration_format((int64_t)s->min, least);
    units_duration_format((int64_t)s->max, most);
    reader_fault(r, slot->node, "must be from %s to %s", least, most);
    return false;
}

static void read_duration(struct reader *r, const struct slot *slot)
{
    char *text = reader_string(r, slot->node);
    char quote[READER_QUOTE_SIZE];
    int64_t us;
    if (text == NULL)
        return;
    if (!units_duration_parse(text, &us))
        reader_fault(r, slot->node,
                     "%s is not a duration; write a whole number and a unit (us, ms, s, m, h, d), "
                     "for example \"30s\"",
                     reader_quote(slot->node, quote));
    else if (check_duration(r, slot, us))
        *(int64_t *)slot_field(slot) = us;
    free(text);
}

static void check_size(struct reader *r, const struct slot *slot, uint64_t bytes)
{
    const struct setting *s = slot->setting;
    char least[UNITS_TEXT_SIZE];
    char most[UNITS_TEXT_SIZE];
    if (bytes >= s->min && bytes <= s->max) {
        *(uint64_t *)slot_field(slot) = bytes;
        return;
    }
    units_size_format(s->min, least);
    units_size_format(s->max, most);
    reader_fault(r, slot->node, "must be from %s to %s", least, most);
}

static void read_size(struct reader *r, const struct slot *slot)
{
    char *text = reader_string(r, slot->node);
    char quote[READER_QUOTE_SIZE];
    uint64_t bytes;
    if (text == NULL)
        return;
    if (!units_size_parse(text, &bytes))
        reader_fault(r, slot->node,
                     "%s is not a size; write a whole number and a unit (B, KB, MB, GB, TB, KiB, "
                     "MiB, GiB, TiB), for example \"512KiB\"",
                     reader_quote(slot->node, quote));
    else
        check_size(r, slot, bytes);
    free(text);
}

// --- choices -------------------------------------------------------------------------------------

static void choice_fault(struct reader *r, const struct slot *slot)
{
    struct buf names = {0};
    char quote[READER_QUOTE_SIZE];
    for (const struct setting_choice *c = slot->setting->choices; c->name != NULL; c++)
        buf_printf(&names, "%s\"%s\"", names.len > 0 ? ", " : "", c->name);
    reader_fault(r, slot->node, "%s is not possible here; choose one of %s",
                 reader_quote(slot->node, quote), buf_text(&names));
    buf_deinit(&names);
}

static void read_choice(struct reader *r, const struct slot *slot)
{
    char *text = reader_string(r, slot->node);
    if (text == NULL)
        return;
    const struct setting_choice *c = slot->setting->choices;
    while (c->name != NULL && strcmp(c->name, text) != 0)
        c++;
    if (c->name == NULL)
        choice_fault(r, slot);
    else
        memcpy(slot_field(slot), &c->value, sizeof(c->value)); // of whichever enum
    free(text);
}

static_assert(sizeof(enum config_grant) == sizeof(unsigned), "read_choice writes an unsigned");

static void read_sync_interval(struct reader *r, const struct slot *slot, const char *text)
{
    struct config_spool *spool = &((struct config *)slot->base)->spool;
    int64_t us;
    if (!units_duration_parse(text, &us))
        reader_fault(r, slot->node,
                     "the interval is not a duration; write for example \"interval:50ms\"");
    else if (check_duration(r, slot, us))
        spool->sync_interval_us = us;
    spool->sync = SYNC_INTERVAL;
}

static void read_sync(struct reader *r, const struct slot *slot)
{
    static const char interval[] = "interval:";
    struct config_spool *spool = &((struct config *)slot->base)->spool;
    char quote[READER_QUOTE_SIZE];
    char *text = reader_string(r, slot->node);
    if (text == NULL)
        return;
    if (strcmp(text, "always") == 0)
        spool->sync = SYNC_ALWAYS;
    else if (strcmp(text, "off") == 0)
        spool->sync = SYNC_OFF;
    else if (strncmp(text, interval, strlen(interval)) == 0)
        read_sync_interval(r, slot, text + strlen(interval));
    else
        reader_fault(r, slot->node,
                     "%s is not possible here; choose \"always\", \"off\" or an interval like "
                     "\"interval:50ms\"",
                     reader_quote(slot->node, quote));
    free(text);
}

// --- close codes, the admin address --------------------------------------------------------------

static void read_codes(struct reader *r, const struct slot *slot)
{
    const struct setting *s = slot->setting;
    struct config_stream *stream = slot->base;
    size_t index = 0;
    stream->token_close_codes =
        mem_zalloc((slot->node->count + 1) * sizeof(*stream->token_close_codes));
    for (const struct doc_node *n = slot->node->first; n != NULL; n = n->next, index++) {
        size_t mark = pointer_push_index(&r->pointer, index);
        uint64_t code;
        if (!doc_whole_number(n, &code) || code < s->min || code > s->max)
            reader_fault(r, n, "a close code is a number from %" PRIu64 " to %" PRIu64, s->min,
                         s->max);
        else
            stream->token_close_codes[stream->n_token_close_codes++] = (unsigned short)code;
        r->pointer.len = mark;
    }
}

static void release_allocated(void *base, void *field)
{
    (void)base;
    free(*(void **)field);
}

static void read_listen(struct reader *r, const struct slot *slot)
{
    struct config_admin *admin = &((struct config *)slot->base)->admin;
    char quote[READER_QUOTE_SIZE];
    char *text = reader_string(r, slot->node);
    if (text == NULL)
        return;
    if (*text == '\0' || listen_parse(text, &admin->host, &admin->port)) {
        admin->listen = *text == '\0' ? NULL : mem_strdup(text);
    } else {
        reader_fault(r, slot->node,
                     "%s is not ADDRESS:PORT; write for example \"127.0.0.1:9464\", \"[::1]:9464\" "
                     "or \"0.0.0.0:9464\"",
                     reader_quote(slot->node, quote));
    }
    free(text);
}

static void release_listen(void *base, void *field)
{
    (void)field;
    struct config_admin *admin = &((struct config *)base)->admin;
    free(admin->listen);
    free(admin->host);
}

// Every string may come from the environment, and so be a secret.
static void release_text(void *base, void *field)
{
    (void)base;
    mem_wipe_free(field);
}

#define DURATION_EXAMPLE "a duration as a string with its unit, for example \"30s\""
#define SIZE_EXAMPLE "a size as a string with its unit, for example \"512KiB\""
#define SECRET_FORMS                                                                     \
    "a secret: a string, {\"env\": \"NAME\"}, {\"file\": \"PATH\"} or {\"credential\": " \
    "\"NAME\"}"

const struct setting_kind setting_kinds[SETTING_TYPES] = {
    [SETTING_OBJECT] = {DOC_OBJECT, .expected = "an object", .read = read_object},
    [SETTING_MAP] = {DOC_OBJECT, .expected = "an object", .read = read_map},
    [SETTING_ANY] = {DOC_NULL},
    [SETTING_STRING] = {DOC_STRING, .expected = "a string", .text = true, .read = read_string,
                        .release = release_text},
    [SETTING_PATH] = {DOC_STRING, .expected = "a path as a string", .text = true, .read = read_path,
                      .release = release_text},
    [SETTING_SECRET] = {DOC_STRING, .expected = SECRET_FORMS, .text = true, .read = read_secret,
                        .release = release_text},
    [SETTING_URL] = {DOC_STRING, .expected = "a URL as a string", .text = true, .read = read_url,
                     .release = release_text},
    [SETTING_HEADERS] = {DOC_OBJECT, .expected = "an object of strings", .read = read_pairs,
                         .release = release_pairs},
    [SETTING_PARAMS] = {DOC_OBJECT, .expected = "an object of strings", .read = read_pairs,
                        .release = release_pairs},
    [SETTING_SCHEMAS] = {DOC_OBJECT, .expected = "an object of URIs and paths", .read = read_pairs,
                         .release = release_pairs},
    [SETTING_STRINGS] = {DOC_ARRAY, .expected = "an array of strings", .read = read_strings,
                         .release = release_strings},
    [SETTING_BOOLEAN] = {DOC_BOOLEAN, .expected = "true or false", .size = sizeof(bool),
                         .read = read_boolean},
    [SETTING_NUMBER] = {DOC_NUMBER, .expected = "a whole number", .size = sizeof(unsigned),
                        .read = read_number},
    [SETTING_SHARE] = {DOC_NUMBER, .expected = "a number, for example 0.5", .size = sizeof(double),
                       .read = read_share},
    [SETTING_DURATION] = {DOC_STRING, .expected = DURATION_EXAMPLE, .size = sizeof(int64_t),
                          .read = read_duration},
    [SETTING_SIZE] = {DOC_STRING, .expected = SIZE_EXAMPLE, .size = sizeof(uint64_t),
                      .read = read_size},
    [SETTING_CHOICE] = {DOC_STRING, .expected = "a string", .size = sizeof(unsigned),
                        .read = read_choice},
    [SETTING_SYNC] = {DOC_STRING, .expected = "a string", .read = read_sync},
    [SETTING_CODES] = {DOC_ARRAY, .expected = "an array of close codes", .read = read_codes,
                       .release = release_allocated},
    [SETTING_LISTEN] = {DOC_STRING, .expected = "ADDRESS:PORT as a string, or null", .text = true,
                        .read = read_listen, .release = release_listen},
    [SETTING_RATE] = {DOC_STRING, .expected = "a rate as a string, for example \"1000/min\"",
                      .read = read_rate},
    [SETTING_QUEUE] = {DOC_ARRAY, .expected = "an array of jobs", .read = read_queue,
                       .release = release_queue},
    [SETTING_COLUMN] = {DOC_STRING, .expected = "a column's name", .text = true,
                        .read = read_column, .release = release_text},
    [SETTING_COLUMNS] = {DOC_OBJECT,
                         .expected = "an object of columns and JSON Pointers, for example "
                                     "{\"interaction_id\": \"/interactionId\"}",
                         .read = read_columns, .release = release_columns},
    [SETTING_AUTH_NAME] = {DOC_STRING, .by_name = true, .read = read_auth_name,
                           .expected = "the name of an entry of \"auth\""},
    [SETTING_API_NAME] = {DOC_STRING, .by_name = true, .read = read_api_name,
                          .expected = "the name of an entry of \"jobs.apis\""},
    [SETTING_TABLE_NAME] = {DOC_STRING, .by_name = true, .read = read_table_name,
                            .expected = "the name of an entry of \"tables\""},
    [SETTING_KEY] = {DOC_ARRAY, .by_name = true, .expected = "an array of columns",
                     .read = read_key, .release = release_allocated},
    [SETTING_UPDATE] = {DOC_ARRAY, .by_name = true, .expected = "an array of columns",
                        .read = read_update, .release = release_allocated},
    [SETTING_NEWEST_BY] = {DOC_STRING, .by_name = true, .expected = "a column's name, or null",
                           .read = read_newest_by},
};
