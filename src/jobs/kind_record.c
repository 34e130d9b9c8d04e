// SPDX-License-Identifier: Apache-2.0
// A job's record as the kinds change it, and answers as they tell them.
#include "kind_priv.h"

#include "core/mem.h"
#include "json/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Bytes of what an answer says, in a sentence.
#define SENTENCE_MAX 300

bool kind_at(const struct job *job, const char *step)
{
    return strcmp(job->step, step) == 0;
}

void kind_go(struct job *job, const char *step)
{
    snprintf(job->step, sizeof(job->step), "%s", step);
}

void kind_remember(struct job *job, struct buf *json)
{
    free(job->progress);
    job->progress = mem_strdup(buf_text(json));
    buf_deinit(json);
    *json = (struct buf){0};
}

void kind_recall(const struct job *job, struct tape *tape_r)
{
    const char *text = job->progress != NULL ? job->progress : "{}";
    tape_init(tape_r, 0);
    if (!tape_parse(tape_r, text, strlen(text))) // cannot be: the column is jsonb
        (void)!tape_parse(tape_r, "{}", 2);
}

// --- the end -------------------------------------------------------------------------------------

bool kind_plan_end(const struct job *job, struct job_op *op)
{
    bool done = kind_at(job, "done");
    if (!done && !kind_at(job, "failed") && !kind_at(job, "restored"))
        return false;
    op->type = done ? JOB_OP_SUCCEED : JOB_OP_FAIL;
    buf_append_text(&op->result, job->progress != NULL ? job->progress : "{}");
    return true;
}

static void put_answer(struct buf *out, const struct job_answer *answer)
{
    if (answer->status > 0)
        put_integer(out, "status", answer->status);
    if (answer->body_length == 0)
        return;
    if (answer->json != NULL && answer->body_length <= KIND_ANSWER_MAX) {
        put_value(out, "answer", answer->json, 0);
        return;
    }
    // A NUL ends the text; what is not UTF-8 is replaced when it is written.
    char *text =
        mem_strndup(answer->body,
                    answer->body_length < KIND_ANSWER_MAX ? answer->body_length : KIND_ANSWER_MAX);
    put_text(out, "answer", text);
    free(text);
}

void kind_begin_error(struct buf *error, const struct job_answer *answer, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    buf_append_text(error, "{");
    put_text(error, "message", message);
    if (answer != NULL)
        put_answer(error, answer);
}

void kind_put_unknown(struct buf *error)
{
    put_text(error, "outcome", "unknown");
}

void kind_end(struct job *job, const char *step, struct buf *json)
{
    buf_append_text(json, "}");
    kind_remember(job, json);
    kind_go(job, step);
}

// --- answers -------------------------------------------------------------------------------------

bool kind_succeeded(const struct job_answer *answer)
{
    return answer->type == JOB_ANSWER_HTTP && answer->status >= 200 && answer->status < 300;
}

bool kind_has_object(const struct job_answer *answer)
{
    return answer->json != NULL && answer->json->tokens[0].kind == TAPE_OBJECT;
}

// As much of `text` as a sentence takes, control characters replaced.
static void append_plain(struct buf *out, const char *text)
{
    size_t start = out->len;
    while (*text != '\0' && out->len - start < SENTENCE_MAX) {
        size_t n = text_utf8_length(text, strlen(text));
        bool plain = n > 1 || (n == 1 && !iscntrl((unsigned char)*text));
        buf_append(out, plain ? text : " ", plain ? n : 1);
        text += n > 0 ? n : 1;
    }
    if (*text != '\0')
        buf_append_text(out, "...");
}

char *kind_sentence(const struct job_answer *answer)
{
    struct buf out = {0};
    char *said = answer->json != NULL ? lookup_explanation(answer->json) : NULL;
    if (said == NULL)
        said = mem_strndup(answer->body, answer->body_length);
    if (answer->type == JOB_ANSWER_HTTP)
        buf_printf(&out, "HTTP %d%s", answer->status, *said != '\0' ? ": " : "");
    append_plain(&out, answer->type == JOB_ANSWER_HTTP ? said : answer->message);
    char *sentence = mem_strdup(buf_text(&out));
    free(said);
    buf_deinit(&out);
    return sentence;
}

void kind_retry(struct job_verdict *verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    verdict->type = JOB_RETRY;
    vsnprintf(verdict->message, sizeof(verdict->message), format, args);
    va_end(args);
}
