// SPDX-License-Identifier: Apache-2.0
// The token endpoint: accepts every variant of a client-credentials, password, refresh or
// access-key request, checks the client where it was told whom to expect, and hands out tokens that
// say themselves when they end.
#include "sim.h"

#include <ctype.h>
#include <libwebsockets.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 512

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

// application/x-www-form-urlencoded, in place.
static void decode_form(char *text)
{
    char *out = text;
    for (const char *in = text; *in != '\0'; in++) {
        if (*in == '%' && hex_value(in[1]) >= 0 && hex_value(in[2]) >= 0) {
            *out++ = (char)(hex_value(in[1]) * 16 + hex_value(in[2]));
            in += 2;
        } else {
            *out++ = *in == '+' ? ' ' : *in;
        }
    }
    *out = '\0';
}

static bool form_value(const char *body, const char *name, char value[VALUE_MAX])
{
    size_t n = strlen(name);
    for (const char *p = body; p != NULL; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL) {
        if (strncmp(p, name, n) != 0 || p[n] != '=')
            continue;
        snprintf(value, VALUE_MAX, "%.*s", (int)strcspn(p + n + 1, "&"), p + n + 1);
        decode_form(value);
        return true;
    }
    return false;
}

// A string member of a flat JSON object; enough for what clients send.
static bool json_value(const char *body, const char *name, char value[VALUE_MAX])
{
    char key[64];
    snprintf(key, sizeof(key), "\"%s\"", name);
    const char *p = strstr(body, key);
    p = p != NULL ? strchr(p + strlen(key), ':') : NULL;
    p = p != NULL ? strchr(p, '"') : NULL;
    if (p == NULL)
        return false;
    snprintf(value, VALUE_MAX, "%.*s", (int)strcspn(p + 1, "\""), p + 1);
    return true;
}

static bool basic_value(struct lws *wsi, char id[VALUE_MAX], char secret[VALUE_MAX])
{
    char header[2 * VALUE_MAX] = "";
    unsigned char plain[2 * VALUE_MAX] = "";
    lws_hdr_copy(wsi, header, sizeof(header), WSI_TOKEN_HTTP_AUTHORIZATION);
    if (strncasecmp(header, "Basic ", 6) != 0)
        return false;
    if (EVP_DecodeBlock(plain, (const unsigned char *)header + 6, (int)strlen(header + 6)) < 0)
        return false;
    char *colon = strchr((char *)plain, ':');
    if (colon == NULL)
        return false;
    *colon = '\0';
    snprintf(id, VALUE_MAX, "%.*s", VALUE_MAX - 1, (char *)plain);
    snprintf(secret, VALUE_MAX, "%.*s", VALUE_MAX - 1, colon + 1);
    decode_form(id); // RFC 6749 section 2.3.1
    decode_form(secret);
    return true;
}

// Wherever the variant puts it: form, query or JSON.
static bool parameter(struct lws *wsi, const char *body, const char *name, char value[VALUE_MAX])
{
    if (body[0] == '{')
        return json_value(body, name, value);
    return form_value(body, name, value) || sim_query(wsi, name, value, VALUE_MAX);
}

static bool client_allowed(const struct sim *sim, struct lws *wsi, const char *body)
{
    static const char *const names[][2] = {{"client_id", "client_secret"},
                                           {"username", "password"},
                                           {"accessKeyId", "accessKeySecret"}};
    char id[VALUE_MAX] = "", secret[VALUE_MAX] = "";
    const struct sim_settings *s = &sim->settings;
    if (s->client_id == NULL)
        return true;
    if (parameter(wsi, body, "refresh_token", secret))
        return strncmp(secret, "refresh-", 8) == 0;
    if (basic_value(wsi, id, secret) && strcmp(id, s->client_id) == 0)
        return strcmp(secret, s->client_secret) == 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (parameter(wsi, body, names[i][0], id) && strcmp(id, s->client_id) == 0 &&
            parameter(wsi, body, names[i][1], secret))
            return strcmp(secret, s->client_secret) == 0;
    }
    return false;
}

static void refuse_client(struct sim_reply *reply)
{
    reply->status = 401;
    buf_append_text(&reply->body, "{\"error\":\"invalid_client\",\"error_description\":"
                                  "\"the client's id or secret is wrong\"}");
}

static void grant_token(struct sim *sim, struct lws *wsi, const char *body, struct buf *out)
{
    char scope[VALUE_MAX] = "", grant[VALUE_MAX] = "";
    long long ends = (long long)(loop_wall_us(sim->loop) / US_PER_MS) +
                     (long long)(sim->settings.expires_in * 1000);
    sim->counts.tokens++;
    buf_printf(out,
               "{\"access_token\":\"sim-%llu-%lld\",\"token_type\":\"Bearer\",\"expires_in\":%.0f",
               (unsigned long long)sim->counts.tokens, ends, sim->settings.expires_in);
    if (parameter(wsi, body, "scope", scope)) {
        buf_append_text(out, ",\"scope\":");
        buf_json_string(out, scope, strlen(scope));
    }
    if (parameter(wsi, body, "grant_type", grant) && strcmp(grant, "password") == 0)
        buf_printf(out, ",\"refresh_token\":\"refresh-%llu\"",
                   (unsigned long long)sim->counts.tokens);
    buf_append_text(out, "}");
}

void sim_token_answer(struct sim *sim, struct lws *wsi, const char *body, struct sim_reply *reply)
{
    struct sim_fault *fault = &sim->token_fault;
    bool faulty = fault->times > 0 && (fault->status != 0 || fault->body[0] != '\0');
    if (fault->times > 0)
        reply->delay = fault->delay;
    fault->times -= fault->times > 0;
    reply->status = 200;
    if (faulty) { // else it is only late
        buf_append_text(&reply->body, fault->body[0] ? fault->body : "{\"error\":\"simulated\"}");
        reply->status = fault->status != 0 ? fault->status : 200;
        snprintf(reply->retry_after, sizeof(reply->retry_after), "%s", fault->retry_after);
    } else if (!client_allowed(sim, wsi, body)) {
        refuse_client(reply);
    } else {
        grant_token(sim, wsi, body, &reply->body);
    }
}

bool sim_token_valid(const struct sim *sim, const char *authorization)
{
    unsigned long long number;
    long long ends;
    return strncasecmp(authorization, "Bearer ", 7) == 0 &&
           sscanf(authorization + 7, "sim-%llu-%lld", &number, &ends) == 2 &&
           number <= sim->counts.tokens && number > sim->counts.revoked &&
           ends > (long long)(loop_wall_us(sim->loop) / US_PER_MS);
}
