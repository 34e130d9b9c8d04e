// SPDX-License-Identifier: Apache-2.0
// What the files of net/http share.
//
// Structure: http.c drives libcurl for the client; http_request.c is the life of a request, which
// http_phase.c watches by the clock and http_pool.c makes wait. http_setup.c makes a transfer out
// of options, with http_target.c (URLs), http_body.c (what is sent), http_tls.c (certificates) and
// http_guard.c (addresses); http_result.c makes an answer or a sentence out of a finished one, and
// http_again.c the next transfer.
//
// A request waits for its pool, is resolved, runs in libcurl, and has ended: its callback is
// posted, so that no callback ever runs inside libcurl (those of a source do).
#ifndef CXSINK_NET_HTTP_PRIV_H
#define CXSINK_NET_HTTP_PRIV_H

#include "core/buf.h"
#include "core/timer.h"
#include "net/http.h"

#include <curl/curl.h>

struct resolve_request;
struct resolve_result;

// X(identifier, what a request is doing, as a timeout says it)
#define HTTP_PHASE_TABLE(X)                                  \
    X(WAITING, "waiting for its turn")                       \
    X(RESOLVING, "looking the name up")                      \
    X(CONNECTING, "in the TCP connect or the TLS handshake") \
    X(SENDING, "sending the request")                        \
    X(AWAITING, "waiting for the answer")                    \
    X(RECEIVING, "reading the answer")                       \
    X(ENDED, "calling back")

enum http_phase {
#define HTTP_PHASE_ENUM(id, doing) HTTP_##id,
    HTTP_PHASE_TABLE(HTTP_PHASE_ENUM)
#undef HTTP_PHASE_ENUM
};

#define HTTP_TARGET_SIZE 300 // "host:port"

// Where a URL leads.
struct http_target {
    bool tls;
    char *host; // owned; without brackets
    unsigned port;
    char text[HTTP_TARGET_SIZE]; // "host:port"
};

#define HTTP_HANDLES_KEPT 32

struct http_client {
    struct loop *loop;
    struct resolver *resolver;
    CURLM *multi;
    CURL *spare[HTTP_HANDLES_KEPT]; // of ended transfers: making one takes long
    size_t n_spare;
    struct timer timer; // libcurl's
    struct http_socket *sockets;
    struct http_request *requests;
    struct http_pool *pools;
    unsigned paused; // requests that wait for libcurl to read before it sends on
    unsigned inside; // a caller's function runs within libcurl, which may not be called then
    struct http_request *delivering; // its callback runs, and may destroy the client
};

struct http_request {
    struct http_client *client;
    struct http_request *previous, *next;
    struct http_request **handle; // the caller's; may be NULL
    http_fn fn;                   // NULL: cancelled within libcurl, about to be freed
    void *owner;

    enum http_phase phase;                      // set by http_enter() alone
    struct mono started, began, entered, moved; // began: this transfer's name and connection
    struct timer deadline;
    int64_t timeout_us, connect_timeout_us, response_timeout_us, idle_timeout_us; // 0: none

    struct http_pool *pool;
    bool queued, has_slot; // of the pool
    struct http_request *queue_previous, *queue_next;

    CURL *easy;
    bool running; // in the client's multi handle
    char *url;
    struct http_target target;
    struct curl_slist *headers;
    struct resolve_request *resolving;
    struct curl_slist *addresses;
    char *method;
    unsigned redirects, followed; // at most; until now
    bool repeated;                // after a kept connection died
    bool secret, once, public_only, connect_only;
    bool proxied; // an environment variable names a proxy for this URL
    bool http2;
    bool begun; // libcurl has begun to send this transfer's request

    struct tls_settings tls; // owned copies
    struct status tls_fault; // why the settings could not be applied
    char tls_names[256];     // whom the server's certificate is for
    char tls_check[512];     // which check of the certificates failed
    char denied[128];        // the address that is not public, and what it is
    bool dialled;            // another one was tried

    char *body; // of memory; NULL with a source
    struct http_source source;
    uint64_t body_length, taken, uploaded; // taken: from `source`
    struct buf slice;                      // taken, and not yet given to libcurl
    bool in_source, source_failed, paused;
    curl_socket_t sender; // that the body is being sent over; CURL_SOCKET_BAD: not known yet

    size_t header_bytes;
    bool headers_ended; // the empty line behind them came
    bool too_large;
    struct buf content; // the answer's body; its `max` is max_response
    char error[CURL_ERROR_SIZE];
    struct http_response response;
};

// --- http.c ---

#define HTTP_CONNECTIONS_KEPT 16 // beside those of the pools

// Cancels the requests of a pool; of NULL: all.
void http_client_cancel(struct http_client *client, const struct http_pool *pool);

// --- http_request.c ---

// The one exit of a request that is not cancelled; request->response is filled but for its body.
void http_finish(struct http_request *request);
// Looks the name up and gives the transfer to libcurl; the request has its slot. For loop_post.
void http_begin(void *request);
// libcurl has ended the transfer.
void http_done(struct http_request *request, CURLcode result);

// --- http_phase.c ---

void http_enter(struct http_request *request, enum http_phase phase);
// A byte of the request or the answer moved.
void http_moved(struct http_request *request);
// For request->deadline: ends the request, or sleeps on when its time was put off.
void http_deadline_passed(void *request);
const char *http_phase_doing(enum http_phase phase);

// --- http_pool.c ---

// Posts http_begin(), or does so when the pool has a slot for the request.
void http_pool_enter(struct http_request *request);
// Gives back its slot, or its place in the queue. Allowed within libcurl.
void http_pool_leave(struct http_request *request);
// cxsink_http_requests_total; `status` is a status of HTTP, or 0: then `code`.
void http_pool_count(const struct http_request *request, int status, const char *code);

// --- http_setup.c ---

// Copies the options and prepares request->easy. The sentence says what is wrong with them.
enum status_code http_setup(struct http_request *request, const struct http_options *options,
                            struct status *st) STATUS_MUST_CHECK;
// Without the headers that describe a body.
enum status_code http_setup_bodyless(struct http_request *request,
                                     struct status *st) STATUS_MUST_CHECK;
// Gives libcurl the addresses of the host.
void http_setup_addresses(struct http_request *request, const struct resolve_result *result);
// Wipes and frees all that http_setup made.
void http_setup_free(struct http_request *request);
void http_setup_free_spare(struct http_client *client);

// libcurl fails these calls for lack of memory only, or for an option that this build does not
// have, which a test would show.
#define HTTP_SET(request, option, value)                                                   \
    do {                                                                                   \
        if (curl_easy_setopt((request)->easy, option, value) != CURLE_OK)                  \
            return status_set(st, STATUS_INTERNAL, "libcurl refuses its option " #option); \
    } while (0)

// --- http_target.c ---

enum status_code http_target_parse(const char *url, struct http_target *target_r,
                                   struct status *st) STATUS_MUST_CHECK;
void http_target_free(struct http_target *target);
bool http_target_same(const struct http_target *a, const struct http_target *b);
// Does the environment name a proxy for this target? (no_proxy is not looked at.)
bool http_target_has_proxy(const struct http_target *target);

// --- http_body.c, http_tls.c, http_guard.c: each sets its part of the transfer up ---

enum status_code http_body_setup(struct http_request *request, const struct http_options *options,
                                 struct status *st) STATUS_MUST_CHECK;
// Back to the first byte; false: it cannot.
bool http_body_rewind(struct http_request *request);
// A GET without a body from now on.
enum status_code http_body_drop(struct http_request *request, struct status *st) STATUS_MUST_CHECK;
// Goes on with what read_source() paused; or forgets that it did.
void http_body_resume(struct http_request *request);
void http_body_unpause(struct http_request *request);
// Is all of it on its way, as far as libcurl knows?
bool http_body_sent(const struct http_request *request);
void http_body_free(struct http_request *request);
enum status_code http_tls_setup(struct http_request *request, const struct tls_settings *tls,
                                struct status *st) STATUS_MUST_CHECK;
void http_tls_free(struct http_request *request);
enum status_code http_guard_setup(struct http_request *request, const struct http_options *options,
                                  struct status *st) STATUS_MUST_CHECK;

// --- http_result.c, http_again.c ---

// Fills request->response from a transfer that ended with `result`.
void http_result_fill(struct http_request *request, CURLcode result, int64_t wall_us);
// Did the connection break off?
bool http_result_is_break(CURLcode result);
// Fills it with a failure, made printable.
void http_result_fail(struct http_request *request, enum status_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Retry-After's value to microseconds; -1 when it says nothing.
int64_t http_retry_after_parse(const char *value, int64_t wall_us);
// Is there to be another transfer: a redirect, or a repetition? Then it is ready to run. A redirect
// that may not be followed makes a failure of request->response.
bool http_again(struct http_request *request, CURLcode result);

#endif
