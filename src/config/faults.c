// SPDX-License-Identifier: Apache-2.0
#include "config/faults_priv.h"

#include "core/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Names come from the file: nothing of them may move a terminal's cursor.
static void make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
}

// A text that was cut gives the bytes of a half character back.
static void trim_character(char *text)
{
    size_t end = strlen(text);
    size_t at = end;
    while (at > 0 && end - at < 4 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
        at--;
    if (at == 0 || (unsigned char)text[at - 1] < 0xc0)
        return;
    unsigned char lead = (unsigned char)text[at - 1];
    size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (end - (at - 1) < need)
        text[at - 1] = '\0';
}

static void set_message(struct config_fault *fault, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void set_message(struct config_fault *fault, const char *format, va_list args)
{
    int length = vsnprintf(fault->message, sizeof(fault->message), format, args);
    if (length >= (int)sizeof(fault->message)) {
        fault->message[sizeof(fault->message) - sizeof("...")] = '\0';
        trim_character(fault->message);
        strcat(fault->message, "...");
    }
    make_printable(fault->message);
}

// NULL when there is no more room.
static struct config_fault *next_fault(struct config_faults *faults, unsigned line)
{
    if (faults->count >= CONFIG_FAULTS_MAX)
        return NULL;
    if ((faults->count & (faults->count - 1)) == 0) { // at a power of two it is full
        size_t room = faults->count == 0 ? 1 : faults->count * 2;
        faults->items = mem_realloc_array(faults->items, room, sizeof(*faults->items));
    }
    struct config_fault *fault = &faults->items[faults->count++];
    *fault = (struct config_fault){.line = line};
    if (faults->count < CONFIG_FAULTS_MAX)
        return fault;
    snprintf(fault->message, sizeof(fault->message),
             "there are more faults than these %d; correct these first", CONFIG_FAULTS_MAX - 1);
    return NULL;
}

static struct config_fault *add_fault(struct config_faults *faults, unsigned line,
                                      const char *pointer, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));
static struct config_fault *add_fault(struct config_faults *faults, unsigned line,
                                      const char *pointer, const char *format, va_list args)
{
    struct config_fault *fault = next_fault(faults, line);
    if (fault == NULL)
        return NULL;
    snprintf(fault->pointer, sizeof(fault->pointer), "%s", pointer);
    trim_character(fault->pointer);
    make_printable(fault->pointer);
    set_message(fault, format, args);
    return fault;
}

void config_faults_add(struct config_faults *faults, unsigned line, const char *pointer,
                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_fault(faults, line, pointer, format, args);
    va_end(args);
}

void config_faults_warn(struct config_faults *faults, const char *pointer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct config_fault *fault = add_fault(faults, 0, pointer, format, args);
    va_end(args);
    if (fault != NULL)
        fault->warning = true;
}

void config_faults_add_sql(struct config_faults *faults, const char *pointer, const char *message,
                           const char *sql)
{
    size_t before = faults->count;
    config_faults_add(faults, 0, pointer, "%s", message);
    if (sql != NULL && sql[0] != '\0' && faults->count > before &&
        faults->count < CONFIG_FAULTS_MAX)
        faults->items[before].sql = mem_strdup(sql);
}

void config_faults_sort(struct config_faults *faults)
{
    for (size_t i = 1; i < faults->count; i++) {
        struct config_fault fault = faults->items[i];
        size_t at = i;
        for (; at > 0 && faults->items[at - 1].line > fault.line; at--)
            faults->items[at] = faults->items[at - 1];
        faults->items[at] = fault;
    }
}

void config_faults_free(struct config_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        free(faults->items[i].sql);
    free(faults->items);
    *faults = (struct config_faults){0};
}
