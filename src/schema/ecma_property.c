// SPDX-License-Identifier: Apache-2.0
// Unicode properties of \p{ }: ECMA-262's names (tables 69 to 71) as PCRE2's.
#include "schema/ecma_priv.h"

#include <string.h>

struct property_name {
    const char *pcre;
    const char *names[3]; // as ECMA-262 has them
};

// General categories; the first name is the short one.
static const struct property_name categories[] = {
    {"L&", {"LC", "Cased_Letter"}},
    {"Pe", {"Pe", "Close_Punctuation"}},
    {"Pc", {"Pc", "Connector_Punctuation"}},
    {"Cc", {"Cc", "Control", "cntrl"}},
    {"Sc", {"Sc", "Currency_Symbol"}},
    {"Pd", {"Pd", "Dash_Punctuation"}},
    {"Nd", {"Nd", "Decimal_Number", "digit"}},
    {"Me", {"Me", "Enclosing_Mark"}},
    {"Pf", {"Pf", "Final_Punctuation"}},
    {"Cf", {"Cf", "Format"}},
    {"Pi", {"Pi", "Initial_Punctuation"}},
    {"L", {"L", "Letter"}},
    {"Nl", {"Nl", "Letter_Number"}},
    {"Zl", {"Zl", "Line_Separator"}},
    {"Ll", {"Ll", "Lowercase_Letter"}},
    {"M", {"M", "Mark", "Combining_Mark"}},
    {"Sm", {"Sm", "Math_Symbol"}},
    {"Lm", {"Lm", "Modifier_Letter"}},
    {"Sk", {"Sk", "Modifier_Symbol"}},
    {"Mn", {"Mn", "Nonspacing_Mark"}},
    {"N", {"N", "Number"}},
    {"Ps", {"Ps", "Open_Punctuation"}},
    {"C", {"C", "Other"}},
    {"Lo", {"Lo", "Other_Letter"}},
    {"No", {"No", "Other_Number"}},
    {"Po", {"Po", "Other_Punctuation"}},
    {"So", {"So", "Other_Symbol"}},
    {"Zp", {"Zp", "Paragraph_Separator"}},
    {"Co", {"Co", "Private_Use"}},
    {"P", {"P", "Punctuation", "punct"}},
    {"Z", {"Z", "Separator"}},
    {"Zs", {"Zs", "Space_Separator"}},
    {"Mc", {"Mc", "Spacing_Mark"}},
    {"Cs", {"Cs", "Surrogate"}},
    {"S", {"S", "Symbol"}},
    {"Lt", {"Lt", "Titlecase_Letter"}},
    {"Cn", {"Cn", "Unassigned"}},
    {"Lu", {"Lu", "Uppercase_Letter"}},
};

static const struct property_name binaries[] = {
    {"ASCII", {"ASCII"}},
    {"AHex", {"ASCII_Hex_Digit", "AHex"}},
    {"Alphabetic", {"Alphabetic", "Alpha"}},
    {"Any", {"Any"}},
    {"Cased", {"Cased"}},
    {"Dash", {"Dash"}},
    {"Emoji", {"Emoji"}},
    {"Emoji_Presentation", {"Emoji_Presentation", "EPres"}},
    {"Extended_Pictographic", {"Extended_Pictographic", "ExtPict"}},
    {"Hex_Digit", {"Hex_Digit", "Hex"}},
    {"ID_Continue", {"ID_Continue", "IDC"}},
    {"ID_Start", {"ID_Start", "IDS"}},
    {"Ideographic", {"Ideographic", "Ideo"}},
    {"Lowercase", {"Lowercase", "Lower"}},
    {"Math", {"Math"}},
    {"Uppercase", {"Uppercase", "Upper"}},
    {"White_Space", {"White_Space", "space"}},
    {"XID_Continue", {"XID_Continue", "XIDC"}},
    {"XID_Start", {"XID_Start", "XIDS"}},
};

static const char *find(const struct property_name *table, size_t n, const char *name,
                        size_t length)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3 && table[i].names[k] != NULL; k++)
            if (strlen(table[i].names[k]) == length && memcmp(table[i].names[k], name, length) == 0)
                return table[i].pcre;
    return NULL;
}

static bool starts(const char *name, size_t length, const char *with, size_t *rest_r)
{
    *rest_r = strlen(with);
    return length > *rest_r && memcmp(name, with, *rest_r) == 0;
}

static bool script(const char *kind, const char *name, size_t length, struct buf *out)
{
    for (size_t i = 0; i < length; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
              name[i] == '_'))
            return false;
    return buf_printf(out, "%s:%.*s", kind, (int)length, name);
}

bool ecma_property(const char *name, size_t length, struct buf *out)
{
    const char *found;
    size_t skip;

    if (starts(name, length, "Script=", &skip) || starts(name, length, "sc=", &skip))
        return script("sc", name + skip, length - skip, out);
    if (starts(name, length, "Script_Extensions=", &skip) || starts(name, length, "scx=", &skip))
        return script("scx", name + skip, length - skip, out);
    bool category =
        starts(name, length, "General_Category=", &skip) || starts(name, length, "gc=", &skip);
    if (category) {
        name += skip;
        length -= skip;
    }
    found = find(categories, sizeof(categories) / sizeof(*categories), name, length);
    if (found == NULL && !category)
        found = find(binaries, sizeof(binaries) / sizeof(*binaries), name, length);
    return found != NULL && buf_append_text(out, found);
}
