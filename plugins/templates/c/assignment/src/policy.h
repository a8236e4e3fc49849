/* The decision: plain functions of plain values, tested by `make test` without WebAssembly.
 *
 * A device gets the profile of the longest prefix that its asset tag begins with, else the profile
 * of its family. What neither settles is held, with a reason, for somebody to look at.
 *
 * Nothing is ever freed: every call of a policy begins with a new instance. */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text of somebody else's: not ended by a null character. */
struct text {
    const char *start;
    size_t length;
};

/* Something that is wrong with the settings, and where: a JSON pointer. */
struct problem {
    const char *pointer;
    const char *message;
    /* Or NULL. */
    const char *hint;
};

struct problems {
    struct problem *items;
    size_t count;
};

/* Reasons by index; the two that hold a device come first. */
enum { REASON_NO_FAMILY, REASON_OTHER_FAMILY, REASONS_FIXED };

struct entry {
    const char *key;
    /* An index into the operator's profiles. */
    uint32_t profile;
    uint32_t reason;
};

struct entries {
    struct entry *items;
    size_t count;
};

struct policy {
    struct entries families;
    struct entries prefixes;
    const char **reasons;
    size_t reason_count;
};

struct verdict {
    /* Otherwise the device is held. */
    bool assign;
    uint32_t profile;
    uint32_t reason;
};

/* Reads the settings. With problems, the policy is not to be used. */
struct problems policy_read(struct policy *policy, struct text settings, const struct text *profiles, size_t count);

/* What becomes of one device. What is not known of it is an empty text. */
struct verdict policy_decide(const struct policy *policy, struct text asset_tag, struct text family);

#endif
