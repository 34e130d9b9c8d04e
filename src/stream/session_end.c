// SPDX-License-Identifier: Apache-2.0
// Words how a connection ended, and decides when the next attempt comes.
#include "stream/session_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RETRY_AFTER_MAX_US (3600 * US_PER_S)
// The most that is waited before an attempt that should come at once.
#define PROMPT_US (US_PER_S / 2)

struct session_end session_end_make(const char *label, const char *format, ...)
{
    struct session_end end = {.retry_in_us = -1};
    snprintf(end.label, sizeof(end.label), "%s", label);
    va_list args;
    va_start(args, format);
    vsnprintf(end.detail, sizeof(end.detail), format, args);
    va_end(args);
    return end;
}

static const char *remedy(const struct session *s, int status)
{
    switch (status) {
    case 401:
    case 403:
        return s->bearer != NULL ? ": the token was refused; check the credential and its scope"
                                 : ": a credential is needed; set \"auth\" or a header";
    case 404:
        return ": check the stream's URL";
    case 429:
        return ": too many connections or attempts";
    default:
        return status >= 300 && status < 400
                   ? ": redirects are not followed; set \"url\" to the final address"
                   : "";
    }
}

static struct session_end end_of_refusal(const struct session *s, const struct ws_end *ws)
{
    struct session_end end = session_end_make("", "the handshake was refused with HTTP %d%s",
                                              ws->http_status, remedy(s, ws->http_status));
    snprintf(end.label, sizeof(end.label), "http_%d", ws->http_status);
    end.http_status = ws->http_status;
    return end;
}

static struct session_end end_of_close(const struct session *s, const struct ws_end *ws)
{
    struct session_end end;
    bool echo = s->bearer != NULL && strstr(ws->detail, s->bearer) != NULL;
    const char *reason = echo ? "(a reason that repeats the token)" : ws->detail;
    if (ws->close_code == 1005) {
        end = session_end_make("1005", "the server closed the connection without a code");
    } else {
        end = session_end_make("", "the server closed the connection with code %d%s%s",
                               ws->close_code, reason[0] != '\0' ? ": " : "", reason);
        snprintf(end.label, sizeof(end.label), "%d", ws->close_code);
        end.close_code = ws->close_code;
    }
    return end;
}

struct session_end session_end_of_ws(const struct session *s, const struct ws_end *ws)
{
    struct session_end end;
    switch (ws->kind) {
    case WS_END_REFUSED:
        end = end_of_refusal(s, ws);
        break;
    case WS_END_CLOSED:
        end = end_of_close(s, ws);
        break;
    case WS_END_TLS:
        end = session_end_make("tls", "no TLS with %s at %s: %s", s->url.host, s->address,
                               ws->detail);
        break;
    case WS_END_CONNECT:
        end = session_end_make("connect", "no connection to %s at %s: %s", s->url.authority,
                               s->address, ws->detail);
        break;
    default:
        end = session_end_make("1006", "%s", ws->detail);
        break;
    }
    end.was_live = session_is_open(s);
    return end;
}

static bool is_token_close(const struct session *s, const struct session_end *end)
{
    for (size_t i = 0; i < s->config->n_token_close_codes; i++) {
        if (end->was_live && end->close_code == s->config->token_close_codes[i])
            return true;
    }
    return false;
}

static bool is_refusal(const struct session_end *end)
{
    return end->http_status == 401 || end->http_status == 403;
}

bool session_end_refuses_token(const struct session *s, const struct session_end *end)
{
    return s->bearer != NULL && (is_refusal(end) || is_token_close(s, end));
}

// Uniform in [0, bound].
static int64_t jitter(int64_t bound)
{
    struct backoff once = {.base_us = bound, .cap_us = bound};
    return backoff_next(&once, backoff_random());
}

static int64_t prompt(const struct session *s)
{
    int64_t base = s->config->reconnect_base_us;
    return jitter(base < PROMPT_US ? base : PROMPT_US);
}

// The first refusal is answered with a fresh token at once; in a row they are a fault of the
// configuration or of the far side, and wait for up to five minutes.
static int64_t refused_delay(struct session *s)
{
    bool first = s->refused.attempts == 0;
    int64_t delay = backoff_next(&s->refused, backoff_random());
    return first && s->bearer != NULL ? prompt(s) : delay;
}

int64_t session_retry_delay(struct session *s, const struct session_end *end,
                            int64_t retry_after_us)
{
    if (end->was_live && end->close_code == 1000 && s->config->on_normal_close == NORMAL_CLOSE_STOP)
        return -1;
    if (is_refusal(end))
        return refused_delay(s);
    if (end->http_status != 0 && retry_after_us > 0) {
        if (retry_after_us > RETRY_AFTER_MAX_US)
            retry_after_us = RETRY_AFTER_MAX_US;
        return retry_after_us + prompt(s); // not all clients in the same instant
    }
    if (s->bearer != NULL && is_token_close(s, end) && !s->token_closed) {
        s->token_closed = true; // until a connection is stable again
        return prompt(s);
    }
    return backoff_next(&s->backoff, backoff_random());
}
