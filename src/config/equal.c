// SPDX-License-Identifier: Apache-2.0
#include "config/equal.h"

#include <string.h>

static bool text_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool pairs_equal(const struct config_pairs *a, const struct config_pairs *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!text_equal(a->items[i].name, b->items[i].name) ||
            !text_equal(a->items[i].value, b->items[i].value))
            return false;
    }
    return true;
}

static bool tls_equal(const struct config_tls *a, const struct config_tls *b)
{
    return text_equal(a->ca_file, b->ca_file) && text_equal(a->cert_file, b->cert_file) &&
           text_equal(a->key_file, b->key_file);
}

bool config_auth_equal(const struct config_auth *a, const struct config_auth *b)
{
    return text_equal(a->name, b->name) && a->grant == b->grant &&
           text_equal(a->token_url, b->token_url) && a->client_auth == b->client_auth &&
           a->params_in == b->params_in && text_equal(a->client_id, b->client_id) &&
           text_equal(a->client_secret, b->client_secret) && text_equal(a->username, b->username) &&
           text_equal(a->password, b->password) && text_equal(a->token, b->token) &&
           text_equal(a->scope, b->scope) && pairs_equal(&a->params, &b->params) &&
           pairs_equal(&a->headers, &b->headers) && a->refresh_margin_us == b->refresh_margin_us &&
           a->default_expires_us == b->default_expires_us && a->timeout_us == b->timeout_us &&
           tls_equal(&a->tls, &b->tls);
}

static bool codes_equal(const struct config_stream *a, const struct config_stream *b)
{
    return a->n_token_close_codes == b->n_token_close_codes &&
           (a->n_token_close_codes == 0 ||
            memcmp(a->token_close_codes, b->token_close_codes,
                   a->n_token_close_codes * sizeof(*a->token_close_codes)) == 0);
}

bool config_stream_equal(const struct config_stream *a, const struct config_stream *b)
{
    return text_equal(a->name, b->name) && text_equal(a->url, b->url) &&
           pairs_equal(&a->headers, &b->headers) && a->max_message == b->max_message &&
           a->ping_interval_us == b->ping_interval_us && a->ping_timeout_us == b->ping_timeout_us &&
           a->idle_timeout_us == b->idle_timeout_us &&
           a->reconnect_base_us == b->reconnect_base_us &&
           a->reconnect_cap_us == b->reconnect_cap_us &&
           a->reconnect_stable_us == b->reconnect_stable_us &&
           a->connect_timeout_us == b->connect_timeout_us && codes_equal(a, b) &&
           a->on_normal_close == b->on_normal_close && tls_equal(&a->tls, &b->tls);
}
