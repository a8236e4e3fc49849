#include "policy.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* The texts one after the other; the last argument is NULL. */
static const char *join(const char *first, ...) {
    size_t length = 0;
    char *joined = NULL;
    va_list rest;
    va_start(rest, first);
    for (const char *piece = first; piece != NULL; piece = va_arg(rest, const char *)) {
        size_t more = strlen(piece);
        joined = realloc(joined, length + more + 1);
        if (joined == NULL) {
            abort();
        }
        memcpy(joined + length, piece, more + 1);
        length += more;
    }
    va_end(rest);
    return joined;
}

static const char *copy(struct text text) {
    char *copied = calloc(1, text.length + 1);
    if (copied == NULL) {
        abort();
    }
    return memcpy(copied, text.start, text.length);
}

static bool same(struct text text, const char *other) {
    return text.length == strlen(other) && memcmp(text.start, other, text.length) == 0;
}

/* A step of a JSON pointer. */
static const char *escape(const char *key) {
    char *escaped = malloc(2 * strlen(key) + 1);
    if (escaped == NULL) {
        abort();
    }
    char *to = escaped;
    for (; *key != '\0'; key++) {
        if (*key == '~' || *key == '/') {
            *to++ = '~';
            *to++ = *key == '~' ? '0' : '1';
        } else {
            *to++ = *key;
        }
    }
    *to = '\0';
    return escaped;
}

static void add_problem(struct problems *problems, const char *pointer, const char *message, const char *hint) {
    problems->items = realloc(problems->items, (problems->count + 1) * sizeof *problems->items);
    if (problems->items == NULL) {
        abort();
    }
    problems->items[problems->count++] = (struct problem){pointer, message, hint};
}

static uint32_t add_reason(struct policy *policy, const char *reason) {
    policy->reasons = realloc(policy->reasons, (policy->reason_count + 1) * sizeof *policy->reasons);
    if (policy->reasons == NULL) {
        abort();
    }
    policy->reasons[policy->reason_count] = reason;
    return (uint32_t)policy->reason_count++;
}

static const char *known_profiles(const struct text *profiles, size_t count) {
    const char *said = "there are ";
    for (size_t i = 0; i < count; i++) {
        said = join(said, i == 0 ? "`" : ", `", copy(profiles[i]), "`", NULL);
    }
    return said;
}

static const char *example(const struct text *profiles, size_t count) {
    return count > 0 ? copy(profiles[0]) : "standard";
}

/* Reads the table `key`, from a text to the name of a profile. `because` begins its reasons. */
static struct entries read_profiles(struct policy *policy, struct problems *problems, const struct json *settings,
                                    const char *key, const char *because, const struct text *profiles, size_t count) {
    struct entries entries = {NULL, 0};
    const struct json *table = json_member(settings, key);
    if (table == NULL) {
        return entries;
    }
    if (table->kind != JSON_TABLE) {
        const char *hint = join(key, " = { ... = \"", example(profiles, count), "\" }", NULL);
        add_problem(problems, join("/", key, NULL), join("`", key, "` is not a table", NULL), hint);
        return entries;
    }
    for (const struct json *member = table->first; member != NULL; member = member->next) {
        const char *pointer = join("/", key, "/", escape(member->key), NULL);
        if (member->kind != JSON_TEXT) {
            add_problem(problems, pointer, "the name of a profile is a text", NULL);
            continue;
        }
        size_t profile = 0;
        while (profile < count && !same(profiles[profile], member->text)) {
            profile++;
        }
        if (profile == count) {
            const char *message = join("there is no profile `", member->text, "`", NULL);
            add_problem(problems, pointer, message, known_profiles(profiles, count));
            continue;
        }
        entries.items = realloc(entries.items, (entries.count + 1) * sizeof *entries.items);
        if (entries.items == NULL) {
            abort();
        }
        uint32_t reason = add_reason(policy, join(because, member->key, NULL));
        entries.items[entries.count++] = (struct entry){member->key, (uint32_t)profile, reason};
    }
    return entries;
}

struct problems policy_read(struct policy *policy, struct text settings, const struct text *profiles, size_t count) {
    struct problems problems = {NULL, 0};
    *policy = (struct policy){0};
    add_reason(policy, "Apple does not say which family the device is of");
    add_reason(policy, "no profile is set for the family of the device");
    const struct json *root = json_read(settings.start, settings.length);
    if (root == NULL || root->kind != JSON_TABLE) {
        add_problem(&problems, "", "the settings are not a table", NULL);
        return problems;
    }
    for (const struct json *member = root->first; member != NULL; member = member->next) {
        if (strcmp(member->key, "families") != 0 && strcmp(member->key, "prefixes") != 0) {
            const char *message = join("there is no setting `", member->key, "`", NULL);
            const char *hint = "the settings are `families` and `prefixes`";
            add_problem(&problems, join("/", escape(member->key), NULL), message, hint);
        }
    }
    policy->families =
        read_profiles(policy, &problems, root, "families", "the family is ", profiles, count);
    policy->prefixes =
        read_profiles(policy, &problems, root, "prefixes", "the asset tag begins with ", profiles, count);
    for (size_t i = 0; i < policy->prefixes.count; i++) {
        if (*policy->prefixes.items[i].key == '\0') {
            const char *hint = "write what is for a whole family under `families`";
            add_problem(&problems, "/prefixes/", "the empty text begins every asset tag", hint);
        }
    }
    if (problems.count == 0 && policy->families.count == 0 && policy->prefixes.count == 0) {
        const char *hint = join("families = { iPad = \"", example(profiles, count), "\" }", NULL);
        add_problem(&problems, "", "nothing is set, so no device would get a profile", hint);
    }
    return problems;
}

struct verdict policy_decide(const struct policy *policy, struct text asset_tag, struct text family) {
    const struct entry *longest = NULL;
    size_t length = 0;
    for (size_t i = 0; i < policy->prefixes.count; i++) {
        const struct entry *entry = &policy->prefixes.items[i];
        size_t own = strlen(entry->key);
        if (own > length && own <= asset_tag.length && memcmp(asset_tag.start, entry->key, own) == 0) {
            longest = entry;
            length = own;
        }
    }
    if (longest != NULL) {
        return (struct verdict){true, longest->profile, longest->reason};
    }
    if (family.length == 0) {
        return (struct verdict){false, 0, REASON_NO_FAMILY};
    }
    for (size_t i = 0; i < policy->families.count; i++) {
        const struct entry *entry = &policy->families.items[i];
        if (same(family, entry->key)) {
            return (struct verdict){true, entry->profile, entry->reason};
        }
    }
    return (struct verdict){false, 0, REASON_OTHER_FAMILY};
}
