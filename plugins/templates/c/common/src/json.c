#include "json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than any settings, and less deep than the stack. */
#define DEPTH 64

struct reader {
    const char *at;
    const char *end;
};

static struct json *value(struct reader *reader, int depth);

struct json *json_read(const char *text, size_t length) {
    struct reader reader = {text, text + length};
    struct json *read = value(&reader, 0);
    return reader.at == reader.end ? read : NULL;
}

const struct json *json_member(const struct json *table, const char *key) {
    for (const struct json *member = table->first; member != NULL; member = member->next) {
        if (strcmp(member->key, key) == 0) {
            return member;
        }
    }
    return NULL;
}

static void blanks(struct reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t')) {
        reader->at++;
    }
}

static bool take(struct reader *reader, char expected) {
    blanks(reader);
    if (reader->at < reader->end && *reader->at == expected) {
        reader->at++;
        return true;
    }
    return false;
}

static struct json *make(enum json_kind kind) {
    struct json *made = calloc(1, sizeof *made);
    if (made == NULL) {
        abort();
    }
    made->kind = kind;
    return made;
}

/* Four hexadecimal digits, or -1. */
static int32_t four_digits(struct reader *reader) {
    int32_t code = 0;
    if (reader->end - reader->at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = *reader->at++;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

/* What follows `\u`: a code point, made of two escapes if it is beyond the first 65,536. */
static int32_t code_point(struct reader *reader) {
    int32_t high = four_digits(reader);
    if (high < 0xD800 || high > 0xDFFF) {
        return high;
    }
    if (high > 0xDBFF || reader->end - reader->at < 2 || reader->at[0] != '\\' || reader->at[1] != 'u') {
        return -1;
    }
    reader->at += 2;
    int32_t low = four_digits(reader);
    if (low < 0xDC00 || low > 0xDFFF) {
        return -1;
    }
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static char *utf8(char *to, int32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

/* The rest of a text after its first quote, or NULL. */
static const char *text(struct reader *reader) {
    /* No escape is shorter than what it stands for. */
    char *start = malloc((size_t)(reader->end - reader->at) + 1);
    if (start == NULL) {
        abort();
    }
    char *to = start;
    while (reader->at < reader->end) {
        char c = *reader->at++;
        if (c == '"') {
            *to = '\0';
            return start;
        }
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        if (reader->at == reader->end) {
            return NULL;
        }
        static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        c = *reader->at++;
        if (c == 'u') {
            int32_t code = code_point(reader);
            if (code <= 0) {
                return NULL;
            }
            to = utf8(to, code);
            continue;
        }
        size_t which = 0;
        while (which < sizeof escapes - 1 && escapes[which] != c) {
            which++;
        }
        if (which == sizeof escapes - 1) {
            return NULL;
        }
        *to++ = meanings[which];
    }
    return NULL;
}

static struct json *members(struct reader *reader, int depth, enum json_kind kind, char close) {
    struct json *made = make(kind);
    struct json **last = &made->first;
    if (take(reader, close)) {
        return made;
    }
    do {
        const char *key = NULL;
        if (kind == JSON_TABLE) {
            key = take(reader, '"') ? text(reader) : NULL;
            if (key == NULL || !take(reader, ':')) {
                return NULL;
            }
        }
        struct json *member = value(reader, depth + 1);
        if (member == NULL) {
            return NULL;
        }
        member->key = key;
        *last = member;
        last = &member->next;
    } while (take(reader, ','));
    return take(reader, close) ? made : NULL;
}

/* A number or one of JSON's three words. Settings come from a program that writes JSON: what it is
 * not is told, what it might be is not checked. */
static struct json *word(struct reader *reader) {
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != ']' && *reader->at != '}' && *reader->at != ' ' && *reader->at != '\n') {
        reader->at++;
    }
    size_t length = (size_t)(reader->at - start);
    char *copy = memcpy(calloc(1, length + 1), start, length);
    enum json_kind kind = strcmp(copy, "null") == 0                                      ? JSON_NULL
                          : strcmp(copy, "true") == 0 || strcmp(copy, "false") == 0      ? JSON_BOOL
                          : *copy == '-' || (*copy >= '0' && *copy <= '9')               ? JSON_NUMBER
                                                                                         : JSON_TEXT;
    if (kind == JSON_TEXT) {
        return NULL;
    }
    struct json *made = make(kind);
    made->text = copy;
    return made;
}

static struct json *value(struct reader *reader, int depth) {
    if (depth > DEPTH) {
        return NULL;
    }
    struct json *made = NULL;
    if (take(reader, '{')) {
        made = members(reader, depth, JSON_TABLE, '}');
    } else if (take(reader, '[')) {
        made = members(reader, depth, JSON_LIST, ']');
    } else if (take(reader, '"')) {
        const char *read = text(reader);
        if (read != NULL) {
            made = make(JSON_TEXT);
            made->text = read;
        }
    } else {
        made = word(reader);
    }
    blanks(reader);
    return made;
}
