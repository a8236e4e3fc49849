#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

static int failures;

static struct text text(const char *content) {
    return (struct text){content, strlen(content)};
}

static const char *NAMES[] = {"standard", "lab-ipad", "kiosk"};

static struct problems read(struct policy *policy, const char *settings) {
    struct text profiles[] = {text(NAMES[0]), text(NAMES[1]), text(NAMES[2])};
    return policy_read(policy, text(settings), profiles, 3);
}

static void expect(int line, const char *said, const char *expected) {
    if (strcmp(said, expected) != 0) {
        fprintf(stderr, "line %d: expected `%s`, got `%s`\n", line, expected, said);
        failures++;
    }
}

static void check_at(int line, const char *family, const char *asset_tag, const char *expected) {
    struct policy policy;
    struct problems problems = read(&policy, "{ \"families\": { \"Mac\": \"standard\", \"iPad\": \"lab-ipad\" },"
                                             "  \"prefixes\": { \"LIB-\": \"lab-ipad\", \"LIB-K\": \"kiosk\" } }");
    expect(line, problems.count == 0 ? "" : problems.items[0].message, "");
    struct verdict verdict = policy_decide(&policy, text(asset_tag), text(family));
    char said[256];
    snprintf(said, sizeof said, "%s: %s", verdict.assign ? NAMES[verdict.profile] : "hold",
             policy.reasons[verdict.reason]);
    expect(line, said, expected);
}
#define check(...) check_at(__LINE__, __VA_ARGS__)

static void check_problems_at(int line, const char *settings, const char *expected) {
    struct policy policy;
    struct problems problems = read(&policy, settings);
    char said[1024] = "";
    for (size_t i = 0; i < problems.count; i++) {
        size_t used = strlen(said);
        snprintf(said + used, sizeof said - used, "%s: %s\n", problems.items[i].pointer, problems.items[i].message);
    }
    expect(line, said, expected);
}
#define check_problems(...) check_problems_at(__LINE__, __VA_ARGS__)

int main(void) {
    /* The longest prefix decides, before the family. */
    check("Mac", "LIB-1", "lab-ipad: the asset tag begins with LIB-");
    check("Mac", "LIB-K1", "kiosk: the asset tag begins with LIB-K");

    /* Without a prefix that fits the family decides. */
    check("Mac", "", "standard: the family is Mac");
    check("iPad", "POOL-1", "lab-ipad: the family is iPad");

    /* What cannot be decided is held. */
    check("Vision", "", "hold: no profile is set for the family of the device");
    check("", "", "hold: Apple does not say which family the device is of");

    /* All that is wrong with the settings is said at once, with its place. */
    check_problems("{\"familys\":{},\"families\":{\"Mac\":\"sandard\"},\"prefixes\":{\"a/b\":1}}",
                   "/familys: there is no setting `familys`\n"
                   "/families/Mac: there is no profile `sandard`\n"
                   "/prefixes/a~1b: the name of a profile is a text\n");

    /* Settings that would decide nothing are a problem, and so is what is not JSON. */
    check_problems("{}", ": nothing is set, so no device would get a profile\n");
    check_problems("{\"families\":{\"\\u0000\":1}}", ": the settings are not a table\n");
    check_problems("[1, tru]", ": the settings are not a table\n");

    /* Texts are read as they were meant. */
    check_problems("{\"\\u00e9\\ud83d\\ude00\\n\":1,\"families\":{\"Mac\":\"standard\"}}",
                   "/\u00e9\U0001f600\n: there is no setting `\u00e9\U0001f600\n`\n");

    puts(failures == 0 ? "ok" : "failed");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
