// SPDX-License-Identifier: Apache-2.0
// The viewers of /api/live. A snapshot is made when the first viewer can take it, and shared by all
// who have seen as much; with no viewer none is made.
#include "core/loop.h"
#include "core/mem.h"
#include "json/lookup.h"
#include "json/tape.h"
#include "json/text.h"
#include "ops/admin_priv.h"

#include <libwebsockets.h>
#include <string.h>

#define CLOSE_TOO_MANY 1013
#define CLOSE_TOO_LARGE 1009
#define CLOSE_TOKEN 4401

// The only place that assigns the state.
static void set_state(struct connection *c, enum live_state to)
{
    c->gate->n_viewers -= c->live == LIVE_VIEWING;
    c->gate->n_viewers += to == LIVE_VIEWING;
    c->live = to;
}

// --- who may look ---

int admin_live_handshake(struct connection *c)
{
    char path[16] = "";
    if (c == NULL || c->gate->admin == NULL)
        return -1;
    lws_hdr_copy(c->wsi, path, sizeof(path), WSI_TOKEN_GET_URI);
    struct admin_asker asker = admin_who_asks(c->gate, c->wsi);
    c->known = asker.known;
    return strcmp(path, "/api/live") != 0 || asker.refused != NULL ? -1 : 0;
}

// libwebsockets sends a close frame only from its own callbacks.
static void refuse(struct connection *c, int code, const char *reason)
{
    set_state(c, LIVE_REFUSED);
    c->close_code = code;
    c->close_reason = reason;
    admin_set_deadline(c, ADMIN_SNAPSHOT_US);
    lws_callback_on_writable(c->wsi);
}

static void want_snapshot(struct connection *c)
{
    c->waits = true;
    admin_set_deadline(c, ADMIN_SNAPSHOT_US);
    lws_callback_on_writable(c->wsi);
}

static void begin(struct connection *c)
{
    if (c->gate->n_viewers >= ADMIN_VIEWERS_MAX) {
        refuse(c, CLOSE_TOO_MANY, "too many viewers");
        return;
    }
    set_state(c, LIVE_VIEWING);
    want_snapshot(c);
}

int admin_live_established(struct connection *c)
{
    if (c == NULL || c->gate->admin == NULL)
        return -1;
    if (c->known) {
        begin(c);
        return 0;
    }
    set_state(c, LIVE_TOKEN);
    admin_set_deadline(c, ADMIN_TOKEN_US);
    return 0;
}

static bool token_right(const struct connection *c)
{
    const char *token = c->gate->admin->settings.token;
    char given[ADMIN_MESSAGE_MAX];
    struct tape tape;
    bool right = false;
    tape_init(&tape, 0);
    if (tape_parse(&tape, c->message.data, c->message.len)) {
        uint32_t i = lookup_member(&tape, 0, "token");
        if (i != TAPE_NONE && tape.tokens[i].kind == TAPE_STRING)
            right = admin_guard_token(token, given, text_unescape(&tape, i, given));
    }
    tape_deinit(&tape);
    mem_wipe(given, sizeof(given));
    return right;
}

static void forget_message(struct connection *c)
{
    if (c->message.data != NULL)
        mem_wipe(c->message.data, c->message.cap);
    buf_deinit(&c->message);
}

// The page says hello even where no token is asked for: what is not waited for is not looked at.
int admin_live_received(struct connection *c, const char *data, size_t length)
{
    if (c == NULL || c->gate->admin == NULL)
        return -1;
    if (c->message.len + length > ADMIN_MESSAGE_MAX) {
        refuse(c, CLOSE_TOO_LARGE, "a message is too long");
        return 0;
    }
    if (c->live == LIVE_TOKEN)
        buf_append(&c->message, data, length);
    if (c->live != LIVE_TOKEN || !lws_is_final_fragment(c->wsi))
        return 0;
    if (token_right(c))
        begin(c);
    else
        refuse(c, CLOSE_TOKEN, "the admin token is missing or wrong");
    forget_message(c);
    return 0;
}

// --- snapshots ---

static bool same_mark(const struct admin_mark *a, const struct admin_mark *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void make_snapshot(struct admin *admin, const struct admin_mark *from)
{
    struct buf *text = &admin->snapshot.text;
    buf_clear(text);
    buf_append(text, (char[LWS_PRE]){0}, LWS_PRE);
    admin->snapshot.from = admin->snapshot.to = *from;
    admin->snapshot.tick = admin->ticks;
    admin->callbacks.live(admin->owner, &admin->snapshot.to, text);
}

static int send_snapshot(struct connection *c)
{
    struct admin *admin = c->gate->admin;
    struct buf *text = &admin->snapshot.text;
    if (text->len == 0 || admin->snapshot.tick != admin->ticks ||
        !same_mark(&admin->snapshot.from, &c->mark))
        make_snapshot(admin, &c->mark);
    size_t length = text->len - LWS_PRE;
    c->waits = false;
    c->deadline = (struct mono){0};
    c->mark = admin->snapshot.to;
    int sent = lws_write(c->wsi, (unsigned char *)text->data + LWS_PRE, length, LWS_WRITE_TEXT);
    return sent < (int)length ? -1 : 0;
}

int admin_live_writable(struct connection *c)
{
    if (c == NULL || c->gate->admin == NULL)
        return -1;
    if (c->live == LIVE_REFUSED) {
        unsigned char *reason = (unsigned char *)(uintptr_t)c->close_reason;
        lws_close_reason(c->wsi, (enum lws_close_status)c->close_code, reason,
                         strlen(c->close_reason));
        return -1;
    }
    return c->live == LIVE_VIEWING && c->waits ? send_snapshot(c) : 0;
}

void admin_live_tick(struct gate *gate)
{
    for (struct connection *c = gate->first; gate->n_viewers > 0 && c != NULL; c = c->next) {
        if (c->live == LIVE_VIEWING && !c->waits)
            want_snapshot(c);
    }
}

void admin_live_ended(struct connection *c)
{
    set_state(c, LIVE_NONE);
    forget_message(c);
}
