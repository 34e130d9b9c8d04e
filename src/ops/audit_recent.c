// SPDX-License-Identifier: Apache-2.0
#include "audit_recent_priv.h"

void audit_recent_add(struct audit_recent *recent, const struct buf *members)
{
    struct buf *line = &recent->lines[recent->count++ % AUDIT_RECENT_MAX];
    buf_clear(line);
    buf_shrink(line, 1024);
    buf_append(line, members->data, members->len);
    buf_append(line, "}", 1);
}

void audit_recent_deinit(struct audit_recent *recent)
{
    for (size_t i = 0; i < AUDIT_RECENT_MAX; i++)
        buf_deinit(&recent->lines[i]);
}

void audit_recent_json(const struct audit_recent *recent, uint64_t *mark, struct buf *out)
{
    uint64_t oldest = recent->count > AUDIT_RECENT_MAX ? recent->count - AUDIT_RECENT_MAX : 0;
    uint64_t first = *mark > oldest ? *mark : oldest;
    buf_append(out, "[", 1);
    for (uint64_t n = first; n < recent->count; n++) {
        const struct buf *line = &recent->lines[n % AUDIT_RECENT_MAX];
        buf_append(out, ",", n > first);
        buf_append(out, line->data, line->len);
    }
    buf_append(out, "]", 1);
    *mark = recent->count;
}
