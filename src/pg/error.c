// SPDX-License-Identifier: Apache-2.0
#include "pg/error_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SQLSTATE_LENGTH (PG_SQLSTATE_SIZE - 1)

void pg_error_set(struct pg_error *error, const char *sqlstate, const char *format, ...)
{
    memset(error, 0, sizeof(*error));
    snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
}

// --- of results ---

static const char *field(const PGresult *result, int code)
{
    const char *value = PQresultErrorField(result, code);
    return value != NULL ? value : "";
}

static bool in_class(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, strlen(class)) == 0;
}

// Whether the server's own messages of a class hold names only. Class 22 quotes the value that it
// refuses; P0 and codes of a trigger's own say what their author likes.
static bool names_only(const char *sqlstate)
{
    static const char *const classes[] = {"08", "0A", "21", "23", "25", "28", "3D", "3F", "40",
                                          "42", "44", "53", "54", "55", "57", "58", "XX"};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (in_class(sqlstate, classes[i]))
            return true;
    }
    return false;
}

// Leaves out what stands between the first and the last quotation mark: values hold quotes too.
static void copy_without_quoted(const char *message, char *text, size_t size)
{
    const char *first = strchr(message, '"');
    if (first == NULL)
        snprintf(text, size, "%s", message);
    else
        snprintf(text, size, "%.*s\"...\"%s", (int)(first - message), message,
                 strrchr(message, '"') + 1);
}

// RAISE of PL/pgSQL: the text is the author's, whatever class they chose.
static bool is_raised(const PGresult *result)
{
    return strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "exec_stmt_raise") == 0;
}

static void copy_message(const PGresult *result, struct pg_error *error)
{
    const char *message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    bool raised = is_raised(result);
    if (!raised && names_only(error->sqlstate))
        snprintf(error->message, sizeof(error->message), "%s", message);
    else if (!raised && in_class(error->sqlstate, "22"))
        copy_without_quoted(message, error->message, sizeof(error->message));
    else
        snprintf(error->message, sizeof(error->message),
                 "a trigger or function of the database refused it (its text is not shown, it may "
                 "hold values)");
    error->message[strcspn(error->message, "\r\n")] = '\0';
}

static void add_name(struct pg_error *error, const char *what, const char *name)
{
    size_t used = strlen(error->detail);
    if (name[0] != '\0')
        snprintf(error->detail + used, sizeof(error->detail) - used, "%s%s %s",
                 used > 0 ? ", " : "", what, name);
}

void pg_error_from_result(const PGresult *result, struct pg_error *error)
{
    memset(error, 0, sizeof(*error));
    snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", field(result, PG_DIAG_SQLSTATE));
    snprintf(error->column, sizeof(error->column), "%s", field(result, PG_DIAG_COLUMN_NAME));
    snprintf(error->constraint, sizeof(error->constraint), "%s",
             field(result, PG_DIAG_CONSTRAINT_NAME));
    copy_message(result, error);
    add_name(error, "table", field(result, PG_DIAG_TABLE_NAME));
    add_name(error, "column", error->column);
    add_name(error, "constraint", error->constraint);
}

bool pg_error_is_fatal(const PGresult *result)
{
    const char *severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

// --- of connections ---

static bool is_sqlstate(const char *text)
{
    for (int i = 0; i < SQLSTATE_LENGTH; i++) {
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'A' && text[i] <= 'Z'))
            return false;
    }
    return true;
}

// Where "SEVERITY:  SQLSTATE" has its SQLSTATE in a line, or NULL.
static const char *sqlstate_in(const char *line, size_t length)
{
    for (size_t i = 0; i + 3 + SQLSTATE_LENGTH <= length; i++) {
        size_t end = i + 3 + SQLSTATE_LENGTH;
        if (memcmp(line + i, ":  ", 3) == 0 && is_sqlstate(line + i + 3) &&
            (end == length || line[end] == ':'))
            return line + i + 3;
    }
    return NULL;
}

static void append(struct pg_error *error, const char *text, size_t length)
{
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof(error->message) - used, "%.*s", (int)length, text);
}

static void take_connect_line(struct pg_error *error, const char *line, size_t length)
{
    // Hints are indented; LOCATION is a line of the server's source.
    if (length == 0 || line[0] == '\t' || strncmp(line, "LOCATION:", 9) == 0)
        return;
    if (error->message[0] != '\0')
        append(error, "; ", 2);
    const char *sqlstate = sqlstate_in(line, length);
    if (sqlstate == NULL) {
        append(error, line, length);
        return;
    }
    memcpy(error->sqlstate, sqlstate, SQLSTATE_LENGTH);
    append(error, line, (size_t)(sqlstate - line) - 1); // up to "FATAL: "
    const char *after = sqlstate + SQLSTATE_LENGTH;
    size_t left = length - (size_t)(after - line);
    if (left > 2)
        append(error, after + 2, left - 2);
}

void pg_error_from_connect(const char *text, struct pg_error *error)
{
    memset(error, 0, sizeof(*error));
    for (size_t length; *text != '\0'; text += text[length] == '\n' ? length + 1 : length) {
        length = strcspn(text, "\n");
        take_connect_line(error, text, length);
    }
    if (error->message[0] == '\0')
        append(error, "the connection failed", strlen("the connection failed"));
}

void pg_error_from_broken(const char *text, struct pg_error *error)
{
    for (size_t length; *text != '\0'; text += text[length] == '\n' ? length + 1 : length) {
        length = strcspn(text, "\n");
        if (length > 0 && text[0] != '\t' && sqlstate_in(text, length) == NULL) {
            pg_error_set(error, "", "%.*s", (int)length, text);
            return;
        }
    }
    pg_error_set(error, "", "the connection to the server broke");
}

// --- what to do ---

// Classes that begin with 0 to 4 and A to H are the SQL standard's (ISO 9075-2, 24.1). Of the
// others the server has those in the table below; the rest is what somebody's trigger raises, and
// trying again would only raise it again.
static bool is_standard(const char *sqlstate)
{
    return (sqlstate[0] >= '0' && sqlstate[0] <= '4') || (sqlstate[0] >= 'A' && sqlstate[0] <= 'H');
}

enum pg_class pg_classify(const char *sqlstate)
{
    // The first that matches decides.
    static const struct {
        const char *prefix;
        enum pg_class class;
    } table[] = {
        {"08", PG_CLASS_RECONNECT},
        {"57P", PG_CLASS_RECONNECT},
        {"25006", PG_CLASS_RECONNECT}, // a standby, or a primary that became one
        {"22", PG_CLASS_ROW},
        {"23", PG_CLASS_ROW},
        {"44", PG_CLASS_ROW},
        {"54", PG_CLASS_ROW},
        {"P0", PG_CLASS_ROW},
        // One statement meets a row twice: keys that differ in bytes, but not for the database.
        {"21", PG_CLASS_ROW},
        {"27", PG_CLASS_ROW},
        {"42", PG_CLASS_BLOCKED},
        {"28", PG_CLASS_BLOCKED},
        {"3D", PG_CLASS_BLOCKED},
        {"3F", PG_CLASS_BLOCKED},
        {"0A", PG_CLASS_BLOCKED},
        {"F0", PG_CLASS_BLOCKED}, // our own DSN cannot be read
        {"53", PG_CLASS_RETRY},
        {"55", PG_CLASS_RETRY},
        {"57", PG_CLASS_RETRY},
        {"58", PG_CLASS_RETRY},
        {"72", PG_CLASS_RETRY},
        {"XX", PG_CLASS_RETRY},
    };
    if (sqlstate[0] == '\0')
        return PG_CLASS_RECONNECT;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (in_class(sqlstate, table[i].prefix))
            return table[i].class;
    }
    return is_standard(sqlstate) ? PG_CLASS_RETRY : PG_CLASS_ROW;
}

const char *pg_remedy(const char *sqlstate)
{
    static const struct {
        const char *prefix, *remedy;
    } table[] = {
        {"28P01", "check user and password of postgres.dsn (or what PGPASSFILE holds)"},
        {"28", "let this user in from here (pg_hba.conf), or check user and password of "
               "postgres.dsn"},
        {"3D000", "create the database (CREATE DATABASE), or check dbname of postgres.dsn"},
        {"53300", "the server has no connection left: raise max_connections, or lower "
                  "postgres.connections"},
        {"57P03", "the server is starting or stopping: try again soon"},
        {"57P", "the server ended the session: is it restarting?"},
        {"25006", "this server is a standby: name the primary, or set "
                  "target_session_attrs=read-write"},
        {"42501", "grant the role what it lacks; cxsink check --connect prints the SQL"},
        {"F0", "check how postgres.dsn is written"},
        {"", "check host and port of postgres.dsn, and whether the server runs and can be "
             "reached from here"},
    };
    size_t i = 0;
    while (!in_class(sqlstate, table[i].prefix))
        i++;
    return table[i].remedy;
}
