// SPDX-License-Identifier: Apache-2.0
#include "config/secret.h"

#include "core/buf.h"
#include "core/fsio.h"
#include "core/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

// One ${NAME} or ${NAME:-default}.
struct reference {
    char *name;
    const char *fallback; // NULL: none
    size_t fallback_length;
    const char *end; // behind the brace
};

static enum status_code parse_reference(const char *at, struct reference *ref_r, struct status *st)
{
    const char *name = at + strlen("${");
    const char *close = strchr(name, '}');
    if (close == NULL)
        return status_set(st, STATUS_INVALID, "\"${\" is not closed; write ${NAME}");
    size_t length = strspn(name, LETTERS "0123456789");
    const char *rest = name + length;
    bool plain = rest == close;
    bool with_default = strncmp(rest, ":-", 2) == 0;
    if (length == 0 || strspn(name, LETTERS) == 0 || (!plain && !with_default))
        return status_set(st, STATUS_INVALID,
                          "\"${\" is not followed by a variable's name; write ${NAME} or "
                          "${NAME:-default}");
    *ref_r = (struct reference){.name = mem_strndup(name, length), .end = close + 1};
    if (with_default) {
        ref_r->fallback = rest + 2;
        ref_r->fallback_length = (size_t)(close - ref_r->fallback);
    }
    return STATUS_OK;
}

// The value that stands for the reference at *at, which moves behind it. NULL on failure.
static const char *take_reference(const char **at, size_t *length_r, struct status *st)
{
    struct reference ref = {0};
    if (parse_reference(*at, &ref, st) != STATUS_OK)
        return NULL;
    const char *value = getenv(ref.name);
    *at = ref.end;
    *length_r = value == NULL ? 0 : strlen(value);
    if (ref.fallback != NULL && *length_r == 0) {
        value = ref.fallback;
        *length_r = ref.fallback_length;
    }
    if (value == NULL)
        status_set(st, STATUS_NOT_FOUND,
                   "environment variable %s is not set; set it, or write a default: ${%s:-default}",
                   ref.name, ref.name);
    free(ref.name);
    return value;
}

// Writes the expanded text to `out` (NULL: only counts its bytes, without a NUL).
static bool expand(const char *text, char *out, size_t *length_r, struct status *st)
{
    size_t length = 0;
    for (const char *p = text; *p != '\0';) {
        const char *value = p;
        size_t n = 1;
        if (p[0] != '$' || p[1] != '{')
            p++;
        else if ((value = take_reference(&p, &n, st)) == NULL)
            return false;
        if (out != NULL)
            memcpy(out + length, value, n);
        length += n;
    }
    *length_r = length;
    return true;
}

char *secret_expand(const char *text, struct status *st)
{
    // Counted first: growing would leave copies of secrets behind.
    size_t length;
    if (!expand(text, NULL, &length, st))
        return NULL;
    char *expanded = mem_alloc(length + 1);
    if (!expand(text, expanded, &length, st))
        length = 0; // never: the first round went well
    expanded[length] = '\0';
    return expanded;
}

char *secret_from_env(const char *name, struct status *st)
{
    const char *value = *name == '\0' ? NULL : getenv(name);
    if (value == NULL) {
        status_set(st, STATUS_NOT_FOUND, "environment variable %s is not set; set it",
                   *name == '\0' ? "\"\"" : name);
        return NULL;
    }
    return mem_strdup(value);
}

static char *take_content(const char *path, struct buf *content, struct status *st)
{
    size_t length = content->len;
    if (length > 0 && content->data[length - 1] == '\n')
        length--;
    if (length > 0 && memchr(content->data, '\0', length) != NULL) {
        status_set(st, STATUS_INVALID, "%s holds a NUL byte; a secret is text", path);
        return NULL;
    }
    return mem_strndup(content->data, length);
}

char *secret_from_file(const char *path, struct status *st)
{
    struct buf content = {0};
    // All the room that reading may ask for, at once, so that nothing is left behind by growing.
    buf_grow(&content, 4 * SECRET_FILE_MAX);
    char *secret = NULL;
    if (fsio_read_file(path, SECRET_FILE_MAX, &content, st) == STATUS_OK)
        secret = take_content(path, &content, st);
    mem_wipe(content.data, content.len);
    buf_deinit(&content);
    return secret;
}

char *secret_from_credential(const char *name, struct status *st)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir == NULL || *dir == '\0') {
        status_set(
            st, STATUS_NOT_FOUND,
            "credential %s: $CREDENTIALS_DIRECTORY is not set; add LoadCredential=%s:FILE to "
            "the unit, and start cxsink with systemd",
            name, name);
        return NULL;
    }
    if (*name == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0) {
        status_set(
            st, STATUS_INVALID,
            "a credential's name is that of a file in $CREDENTIALS_DIRECTORY, without \"/\"");
        return NULL;
    }
    char *path = mem_printf("%s/%s", dir, name);
    char *secret = secret_from_file(path, st);
    free(path);
    return secret;
}
