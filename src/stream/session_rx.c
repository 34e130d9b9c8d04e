// SPDX-License-Identifier: Apache-2.0
// Messages of a stream: joined from their pieces, capped, offered, and kept while there is no room.
// This runs for every frame (hundreds of thousands a second): the usual message, in one piece,
// goes from libwebsockets' buffer to the owner without a copy.
#include "stream/session_priv.h"

#define CLOSE_TOO_BIG 1009
// What the joining buffer keeps after a large message.
#define JOINED_KEEP 131072

static void keep(struct session_rx *rx, enum session_frame frame, const char *data, size_t length)
{
    buf_clear(&rx->kept);
    if (!buf_append(&rx->kept, data, length))
        return; // only with a cap, and there is none
    rx->kept_frame = frame;
    rx->has_kept = true;
}

static void pause_reading(struct session *s)
{
    ws_pause(s->ws);
    session_watch_pause(s);
    session_set_state(s, SESSION_PAUSED);
}

static void offer(struct session *s, enum session_frame frame, const char *data, size_t length)
{
    if (data == NULL) // an empty message
        data = "";
    if (s->callbacks->message(s->owner, frame, data, length) == SESSION_TAKEN)
        return;
    keep(&s->rx, frame, data, length);
    if (s->ws != NULL && s->state == SESSION_LIVE)
        pause_reading(s);
}

static void too_large(struct session *s, const char *data, size_t length)
{
    struct session_end end =
        session_end_make("too_large", "a message passes max_message (%llu bytes)",
                         (unsigned long long)s->config->max_message);
    // Before the offer, so that a refused one does not stop the reading of the close handshake.
    session_close(s, CLOSE_TOO_BIG, &end);
    struct buf *joined = &s->rx.joined;
    if (joined->len > 0) {
        size_t more = joined->len < SESSION_HEAD_MAX ? SESSION_HEAD_MAX - joined->len : 0;
        buf_append(joined, data, length < more ? length : more);
        data = joined->data;
        length = joined->len;
    }
    offer(s, SESSION_TOO_LARGE, data, length < SESSION_HEAD_MAX ? length : SESSION_HEAD_MAX);
    buf_clear(joined);
    buf_shrink(joined, JOINED_KEEP);
}

static void join(struct session *s, const char *data, size_t length, unsigned flags)
{
    struct buf *joined = &s->rx.joined;
    if (flags & WS_FIRST)
        buf_clear(joined);
    if (length > s->config->max_message - joined->len) {
        too_large(s, data, length);
        return;
    }
    buf_append(joined, data, length);
    if (!(flags & WS_FINAL))
        return;
    offer(s, flags & WS_BINARY ? SESSION_BINARY : SESSION_TEXT, joined->data, joined->len);
    buf_clear(joined);
    buf_shrink(joined, JOINED_KEEP);
}

// A piece while paused would have to be lost; the far side sends it again to the next connection.
static void piece_while_paused(struct session *s)
{
    struct session_end end =
        session_end_make("1006", "data came although reading is paused: the connection is dropped");
    end.was_live = true;
    session_over(s, &end, -1);
}

void session_on_data(struct session *s, const char *data, size_t length, unsigned flags)
{
    if (s->state != SESSION_LIVE) {
        if (s->state == SESSION_PAUSED)
            piece_while_paused(s);
        return; // CLOSING: it no longer counts
    }
    s->last_data = loop_now(s->loop);
    s->bytes_since_ping += length;
    if ((flags & (WS_FIRST | WS_FINAL)) == (WS_FIRST | WS_FINAL) &&
        length <= s->config->max_message) {
        offer(s, flags & WS_BINARY ? SESSION_BINARY : SESSION_TEXT, data, length);
        return;
    }
    join(s, data, length, flags);
}

void session_resume(struct session *s)
{
    struct session_rx *rx = &s->rx;
    if (rx->has_kept) {
        const char *data = rx->kept.len > 0 ? rx->kept.data : "";
        if (s->callbacks->message(s->owner, rx->kept_frame, data, rx->kept.len) == SESSION_PAUSE)
            return;
        rx->has_kept = false;
        buf_clear(&rx->kept);
        buf_shrink(&rx->kept, JOINED_KEEP);
    }
    if (s->ws == NULL || s->state != SESSION_PAUSED)
        return;
    session_set_state(s, SESSION_LIVE);
    session_watch_resume(s);
    ws_resume(s->ws);
}

void session_rx_deinit(struct session_rx *rx)
{
    buf_deinit(&rx->joined);
    buf_deinit(&rx->kept);
}
