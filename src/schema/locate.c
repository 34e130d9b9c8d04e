// SPDX-License-Identifier: Apache-2.0
// The absolute URI of a keyword: JSON Schema Core 2020-12, section 12.3.2.
#include "json/pointer.h"
#include "schema/ascii_priv.h"
#include "schema/program_priv.h"
#include "schema/validate.h"

// The innermost resource that holds the token; a schema's first one holds all of its first text.
static const struct named_resource *resource_of(const struct schema *schema, uint32_t token)
{
    const struct tape_token *tokens = schema->tape.tokens;

    for (uint32_t i = schema->n_resources; i-- > 0;) {
        const struct named_resource *resource = &schema->resources[i];
        if (resource->token <= token && token < tokens[resource->token].next)
            return resource;
    }
    return NULL;
}

// Appends a fragment (RFC 3986 section 3.5), what it cannot hold as %XX.
static bool append_fragment(const struct buf *text, struct buf *out)
{
    bool room = true;

    for (size_t i = 0; i < text->len && room; i++) {
        char c = text->data[i];
        room = ascii_is_alnum(c) || ascii_is_in(c, "-._~!$&'()*+,;=:@/?")
                   ? buf_append(out, &c, 1)
                   : buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
    return room;
}

bool schema_error_uri(const struct schema *schema, const struct schema_error *error,
                      struct buf *out)
{
    const struct named_resource *resource = resource_of(schema, error->place);
    struct buf pointer = {0};

    if (resource == NULL || resource->uri[0] == '\0')
        return false;
    bool room = pointer_of_below(&schema->tape, resource->token, error->place, &pointer) &&
                buf_append_text(out, resource->uri) && buf_append_text(out, "#") &&
                append_fragment(&pointer, out);
    buf_deinit(&pointer);
    return room;
}
