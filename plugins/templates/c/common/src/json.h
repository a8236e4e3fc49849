/* Reads JSON, as much as settings need: into a tree of values that is never freed. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_TABLE };

struct json {
    enum json_kind kind;
    /* The name of a member of a table. */
    const char *key;
    /* What a text says; a number or a bool as it is written. */
    const char *text;
    /* The first of the members of a list or a table; each knows the next. */
    struct json *first;
    struct json *next;
};

/* The value that `text` is, or NULL if it is not JSON, goes too deep, or holds a null character. */
struct json *json_read(const char *text, size_t length);

/* The member of a table, or NULL. */
const struct json *json_member(const struct json *table, const char *key);

#endif
