// SPDX-License-Identifier: Apache-2.0
// The token request from the configuration.
#include "auth/token.h"
#include "config/load.h"
#include "core/base64.h"
#include "core/buf.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

enum place { IN_FORM, IN_QUERY, IN_JSON };

struct part {
    const char *name;
    const char *value;
    enum place place;
};

// The request's parts in the order in which they go out.
struct parts {
    struct part *items;
    size_t count;
    size_t bytes; // an upper bound of them all, encoded
};

static void add(struct parts *parts, enum place place, const char *name, const char *value)
{
    if (value == NULL)
        return;
    parts->items = mem_realloc_array(parts->items, parts->count + 1, sizeof(*parts->items));
    parts->items[parts->count++] = (struct part){name, value, place};
    // A byte becomes at most six: \u0000, or U+FFFD in JSON; three in percent-encoding.
    parts->bytes += 6 * (strlen(name) + strlen(value)) + 8;
}

// --- which parts ---

static void add_access_key(struct parts *parts, const struct config_auth *config)
{
    bool user = config->username != NULL;
    add(parts, IN_JSON, "accessKeyId", user ? config->username : config->client_id);
    add(parts, IN_JSON, "accessKeySecret", user ? config->password : config->client_secret);
}

static void add_grant(struct parts *parts, const struct config_auth *config,
                      const char *refresh_token, enum place place)
{
    if (refresh_token != NULL) {
        add(parts, place, "grant_type", "refresh_token");
        add(parts, place, "refresh_token", refresh_token);
    } else if (config->grant == GRANT_PASSWORD) {
        add(parts, place, "grant_type", "password");
        add(parts, place, "username", config->username);
        add(parts, place, "password", config->password);
    } else {
        add(parts, place, "grant_type", "client_credentials");
    }
}

static void add_client(struct parts *parts, const struct config_auth *config)
{
    static const enum place places[] = {
        [CLIENT_AUTH_FORM] = IN_FORM, [CLIENT_AUTH_QUERY] = IN_QUERY, [CLIENT_AUTH_JSON] = IN_JSON};
    if (config->client_auth != CLIENT_AUTH_FORM && config->client_auth != CLIENT_AUTH_QUERY &&
        config->client_auth != CLIENT_AUTH_JSON)
        return;
    add(parts, places[config->client_auth], "client_id", config->client_id);
    add(parts, places[config->client_auth], "client_secret", config->client_secret);
}

static void collect(struct parts *parts, const struct config_auth *config,
                    const char *refresh_token)
{
    static const enum place places[] = {
        [PARAMS_IN_FORM] = IN_FORM, [PARAMS_IN_QUERY] = IN_QUERY, [PARAMS_IN_JSON] = IN_JSON};
    enum place place = places[config->params_in];
    if (config->grant == GRANT_ACCESS_KEY) {
        add_access_key(parts, config);
    } else {
        add_grant(parts, config, refresh_token, place);
        add_client(parts, config);
    }
    // A refreshed token has the scope that was granted (RFC 6749 section 6).
    if (refresh_token == NULL)
        add(parts, place, "scope", config->scope);
    for (size_t i = 0; i < config->params.count; i++)
        add(parts, place, config->params.items[i].name, config->params.items[i].value);
}

static bool any(const struct parts *parts, enum place place)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->items[i].place == place)
            return true;
    }
    return false;
}

// A request has one body: what was meant for a form joins the JSON.
static void settle_body(struct parts *parts)
{
    if (!any(parts, IN_JSON))
        return;
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->items[i].place == IN_FORM)
            parts->items[i].place = IN_JSON;
    }
}

// --- their encodings; the buffers have room for all of it, so nothing moves and stays behind ---

// RFC 3986 section 2.1. A space is %20, which every decoder of forms and of queries understands.
static void put_encoded(struct buf *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char triple[3] = {'%', hex[byte >> 4], hex[byte & 15]};
        if (strchr(unreserved, byte) != NULL)
            buf_append(out, text, 1);
        else
            buf_append(out, triple, sizeof(triple));
    }
}

static void put_pairs(struct buf *out, const struct parts *parts, enum place place)
{
    const char *separator = "";
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->items[i].place != place)
            continue;
        buf_append_text(out, separator);
        put_encoded(out, parts->items[i].name);
        buf_append_text(out, "=");
        put_encoded(out, parts->items[i].value);
        separator = "&";
    }
}

static void put_json(struct buf *out, const struct parts *parts)
{
    const char *separator = "{";
    for (size_t i = 0; i < parts->count; i++) {
        const struct part *part = &parts->items[i];
        if (part->place != IN_JSON)
            continue;
        buf_append_text(out, separator);
        buf_json_string(out, part->name, strlen(part->name));
        buf_append_text(out, ":");
        buf_json_string(out, part->value, strlen(part->value));
        separator = ",";
    }
    buf_append_text(out, "}");
}

static void put_base64(struct buf *out, const char *data, size_t length)
{
    size_t written = BASE64_LENGTH(length);
    base64_encode(data, length, buf_reserve(out, written));
    out->len += written;
}

static struct buf room(size_t bytes)
{
    struct buf out = {0};
    buf_grow(&out, bytes + 16);
    return out;
}

// The text becomes the caller's.
static char *take(struct buf *out)
{
    buf_text(out);
    return out->data;
}

// --- the request's members ---

static char *make_url(const struct config_auth *config, const struct parts *parts)
{
    struct buf url = room(strlen(config->token_url) + parts->bytes);
    buf_append(&url, config->token_url, strcspn(config->token_url, "#"));
    if (any(parts, IN_QUERY)) {
        const char *query = memchr(url.data, '?', url.len);
        if (query == NULL)
            buf_append_text(&url, "?");
        else if (query + 1 < url.data + url.len)
            buf_append_text(&url, "&");
        put_pairs(&url, parts, IN_QUERY);
    }
    return take(&url);
}

static void make_body(struct token_request *request, const struct parts *parts)
{
    bool json = any(parts, IN_JSON);
    if (!json && !any(parts, IN_FORM))
        return;
    struct buf body = room(parts->bytes);
    if (json)
        put_json(&body, parts);
    else
        put_pairs(&body, parts, IN_FORM);
    request->body = take(&body);
    request->content_type =
        mem_strdup(json ? "application/json" : "application/x-www-form-urlencoded");
}

// RFC 6749 section 2.3.1 encodes both parts before RFC 7617 joins them; some servers do not decode.
static char *make_basic(const struct config_auth *config)
{
    bool raw = config->client_auth == CLIENT_AUTH_BASIC_RAW;
    if ((config->client_auth != CLIENT_AUTH_BASIC && !raw) || config->client_id == NULL)
        return NULL;
    const char *secret = config->client_secret != NULL ? config->client_secret : "";
    size_t bytes = 3 * (strlen(config->client_id) + strlen(secret)) + 1;
    struct buf pair = room(bytes);
    struct buf value = room(6 + bytes * 4 / 3 + 4);
    if (raw) {
        buf_append_text(&pair, config->client_id);
        buf_append_text(&pair, ":");
        buf_append_text(&pair, secret);
    } else {
        put_encoded(&pair, config->client_id);
        buf_append_text(&pair, ":");
        put_encoded(&pair, secret);
    }
    buf_append_text(&value, "Basic ");
    put_base64(&value, pair.data, pair.len);
    mem_wipe(pair.data, pair.cap);
    buf_deinit(&pair);
    return take(&value);
}

void token_request_build(const struct config_auth *config, const char *refresh_token,
                         struct token_request *request_r)
{
    struct parts parts = {0};
    collect(&parts, config, refresh_token);
    settle_body(&parts);
    *request_r = (struct token_request){.url = make_url(config, &parts)};
    make_body(request_r, &parts);
    if (config->grant != GRANT_ACCESS_KEY)
        request_r->authorization = make_basic(config);
    free(parts.items);
}

void token_request_deinit(struct token_request *request)
{
    mem_wipe_free(&request->url);
    mem_wipe_free(&request->body);
    mem_wipe_free(&request->content_type);
    mem_wipe_free(&request->authorization);
}
