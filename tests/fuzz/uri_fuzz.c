// SPDX-License-Identifier: Apache-2.0
// schema/uri: a base in the first line, a reference behind it. What it resolves to is a fixed
// point, and an absolute reference does not look at the base.
#include "fuzz.h"

#include "schema/uri_priv.h"

static struct buf resolve(struct fuzz_piece base, struct fuzz_piece reference)
{
    struct uri from, to;
    struct buf out = {0};
    uri_split(base.data, base.size, &from);
    uri_split(reference.data, reference.size, &to);
    uri_resolve(&from, &to, &out);
    return out;
}

static struct fuzz_piece piece_of(const struct buf *text)
{
    return (struct fuzz_piece){text->len > 0 ? text->data : "", text->len};
}

static void check_equal(const struct buf *a, const struct buf *b)
{
    FUZZ_CHECK(a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0),
               "%.*s, %.*s", (int)a->len, a->len > 0 ? a->data : "", (int)b->len,
               b->len > 0 ? b->data : "");
}

// The parts and their delimiters are all of the text.
static void check_split(struct fuzz_piece text)
{
    struct uri uri;
    uri_split(text.data, text.size, &uri);
    size_t total = uri.scheme.length + uri.scheme.present + uri.authority.length +
                   2 * (size_t)uri.authority.present + uri.path.length + uri.query.length +
                   uri.query.present + uri.fragment.length + uri.fragment.present;
    FUZZ_CHECK(total == text.size && uri.path.present, "%zu of %zu bytes", total, text.size);
}

// What has a stray "%" is no URI, and comes out as something else that is none.
static bool is_escaped(struct fuzz_piece text)
{
    char *copy = fuzz_copy(text.data, text.size);
    size_t length = text.size;
    bool right = uri_percent_decode(copy, &length);
    free(copy);
    return right;
}

int fuzz_one(const uint8_t *data, size_t size)
{
    static const struct fuzz_piece nothing = {"", 0};
    struct fuzz_piece rest = {(const char *)data, size}, line = fuzz_line(&rest);
    char *base_text = fuzz_copy(line.data, line.size), *text = fuzz_copy(rest.data, rest.size);
    struct fuzz_piece base = {base_text, line.size}, reference = {text, rest.size};
    struct uri uri;

    check_split(base);
    check_split(reference);
    struct buf normal = resolve(nothing, base); // as all bases are
    struct buf target = resolve(piece_of(&normal), reference);
    if (target.len > 0) {
        uri_split(target.data, target.len, &uri);
        FUZZ_CHECK(!uri.fragment.present, "%.*s", (int)target.len, target.data);
    }
    uri_split(piece_of(&normal).data, normal.len, &uri);
    bool absolute = uri.scheme.present;
    uri_split(reference.data, reference.size, &uri);
    if ((absolute || uri.scheme.present) && is_escaped(base) && is_escaped(reference)) {
        struct buf again = resolve(nothing, piece_of(&target));
        check_equal(&target, &again);
        buf_deinit(&again);
    }
    if (uri.scheme.present) {
        struct buf alone = resolve(nothing, reference);
        check_equal(&target, &alone);
        buf_deinit(&alone);
    }
    size_t length = reference.size;
    if (uri_percent_decode(text, &length))
        FUZZ_CHECK(length <= reference.size, "%zu", length);
    buf_deinit(&target);
    buf_deinit(&normal);
    free(text);
    free(base_text);
    return 0;
}
