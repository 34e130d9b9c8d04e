// SPDX-License-Identifier: Apache-2.0
#include "core/mem.h"
#include "execute_priv.h"
#include "jobs/base64_text.h"
#include "json/text.h"
#include "kind_priv.h"
#include "place_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

// Where a PDF's header may stand (ISO 32000-1 annex H, note 13).
#define BEGIN_MAX 1024

// The beginning of a payload.
struct begin {
    unsigned char bytes[BEGIN_MAX];
    size_t length;
};

// --- signatures ----------------------------------------------------------------------------------

static const struct {
    const char *type;
    const char *bytes;
    size_t length;
    bool anywhere; // within the beginning
} signatures[] = {
    {"application/pdf", "%PDF-", 5, true},
    {"image/png", "\x89PNG\r\n\x1a\n", 8, false},
    {"image/jpeg", "\xff\xd8\xff", 3, false},
};
#define N_SIGNATURES (sizeof(signatures) / sizeof(signatures[0]))

static bool has_signature(const struct begin *begin, size_t i)
{
    if (signatures[i].anywhere)
        return memmem(begin->bytes, begin->length, signatures[i].bytes, signatures[i].length) !=
               NULL;
    return begin->length >= signatures[i].length &&
           memcmp(begin->bytes, signatures[i].bytes, signatures[i].length) == 0;
}

// Only types with a signature of their own can be told apart.
static void check_signature(const struct tape *params, uint32_t type, const struct begin *begin,
                            struct job_faults *faults)
{
    const char *found = NULL;
    char *declared = lookup_text(params, type);
    bool wrong = false;
    for (size_t i = 0; declared != NULL && i < N_SIGNATURES; i++) {
        bool here = has_signature(begin, i);
        if (here && found == NULL)
            found = signatures[i].type;
        if (strcasecmp(declared, signatures[i].type) == 0)
            wrong = !here;
    }
    if (wrong)
        check_fault(params, type, faults, "the payload does not begin like %s%s%s", declared,
                    found != NULL ? ", but like " : "", found != NULL ? found : "");
    free(declared);
}

const char *execute_string(const struct tape *params, uint32_t value, struct buf *held,
                           size_t *length_r)
{
    const char *text = tape_string(params, value, length_r);
    if ((params->tokens[value].flags & TAPE_ESCAPED) == 0)
        return text;
    char *room = buf_reserve(held, *length_r);
    *length_r = text_unescape(params, value, room);
    held->len = *length_r;
    return room;
}

// --- the payload ---------------------------------------------------------------------------------

static void check_size(const struct kind_context *context, const char *pointer, uint64_t bytes,
                       struct job_faults *faults)
{
    if (bytes > context->action->max_bytes)
        job_faults_add(faults, pointer,
                       "has %" PRIu64 " bytes, more than the %" PRIu64 " of the action's max_bytes",
                       bytes, context->action->max_bytes);
}

static void check_file(const struct kind_context *context, uint32_t file, uint32_t type,
                       struct job_faults *faults)
{
    struct begin begin;
    struct status st;
    uint64_t size;
    char *path = lookup_text(context->params, file);
    int fd = place_open(path, context->action->file_dir, &size, &st);
    ssize_t n = fd < 0 ? 0 : read(fd, begin.bytes, sizeof(begin.bytes));
    if (fd < 0) {
        check_fault(context->params, file, faults, "%s", st.detail);
    } else if (n < 0) {
        check_fault(context->params, file, faults, "cannot read %s: %s", path, strerror(errno));
    } else {
        begin.length = (size_t)n;
        check_size(context, "/file", size, faults);
        check_signature(context->params, type, &begin, faults);
    }
    if (fd >= 0)
        close(fd);
    free(path);
}

static void judge_data(const struct kind_context *context, const struct job_data *data,
                       uint32_t type, struct job_faults *faults)
{
    struct begin begin;
    uint64_t bytes;
    if (base64_text_end(&data->scan, &bytes)) {
        begin.length =
            base64_text_begin(data->text, data->length, begin.bytes, sizeof(begin.bytes));
        check_size(context, "/data", bytes, faults);
        check_signature(context->params, type, &begin, faults);
    } else if (data->scan.bad) {
        job_faults_add(faults, "/data", "is not base64: the character at offset %zu",
                       data->scan.at);
    } else {
        job_faults_add(faults, "/data", "is not base64: it ends within a group of four characters");
    }
}

static void check_data(const struct kind_context *context, uint32_t at, uint32_t type,
                       struct job_faults *faults)
{
    struct job_data data = {0};
    struct buf held = {0};
    const char *text = execute_string(context->params, at, &held, &data.length);
    base64_text_add(&data.scan, text, data.length);
    data.text = (char *)(uintptr_t)text; // is only read
    judge_data(context, &data, type, faults);
    buf_deinit(&held);
}

static void check_payload(const struct kind_context *context, uint32_t type,
                          struct job_faults *faults)
{
    const struct tape *params = context->params;
    uint32_t file = check_member(params, 0, "file", TAPE_STRING, faults);
    uint32_t data = check_member(params, 0, "data", TAPE_STRING, faults);
    uint32_t encoding = check_member(params, 0, "encoding", TAPE_STRING, faults);
    bool has_file = lookup_member(params, 0, "file") != TAPE_NONE;
    bool has_data = context->data != NULL || lookup_member(params, 0, "data") != TAPE_NONE;
    if (has_file && has_data)
        job_faults_add(faults, "/data", "there is \"file\" already; remove one of them");
    else if (!has_file && !has_data)
        job_faults_add(faults, "/file",
                       "is missing; name a file, or bring \"data\" with \"encoding\": \"base64\"");
    else if (file != TAPE_NONE)
        check_file(context, file, type, faults);
    else if (context->data != NULL)
        judge_data(context, context->data, type, faults);
    else if (data != TAPE_NONE)
        check_data(context, data, type, faults);
    if (encoding != TAPE_NONE && !lookup_is(params, encoding, "base64"))
        check_fault(params, encoding, faults, "the only encoding is \"base64\"");
    else if (has_data && lookup_member(params, 0, "encoding") == TAPE_NONE)
        job_faults_add(faults, "/encoding", "is missing; add \"encoding\": \"base64\"");
}

// --- the rest ------------------------------------------------------------------------------------

static void check_type(const struct kind_context *context, uint32_t type, struct job_faults *faults)
{
    const struct config_strings *allowed = &context->action->content_types;
    struct buf known = {0};
    char *text = lookup_text(context->params, type);
    bool found = text == NULL; // which is a fault already
    for (size_t i = 0; i < allowed->count && !found; i++) {
        found = strcasecmp(allowed->items[i], text) == 0;
        buf_printf(&known, "%s%s", known.len > 0 ? ", " : "", allowed->items[i]);
    }
    if (!found)
        check_fault(context->params, type, faults, "the action does not allow \"%.80s\", only %s",
                    text, buf_text(&known));
    buf_deinit(&known);
    free(text);
}

void execute_check(const struct kind_context *context, struct job_faults *faults)
{
    const struct tape *params = context->params;
    uint32_t type = check_member(params, 0, "content_type", TAPE_STRING, faults);
    if (lookup_member(params, 0, "content_type") == TAPE_NONE)
        job_faults_add(faults, "/content_type",
                       "is missing; add it, for example \"application/pdf\"");
    check_type(context, type, faults);
    check_payload(context, type, faults);
    check_member(params, 0, "metadata", TAPE_OBJECT, faults);
}
