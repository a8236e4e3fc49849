/* The glue between the contract in wit/ and the decision in policy.c. What the functions mean is
 * written in wit/policy.wit; `deputy plugin build` makes assignment_policy.h of it. */

#include <stdlib.h>

#include "assignment_policy.h"
#include "policy.h"

/* Every call begins with a new instance, so what `configure` leaves here is for one call. */
static struct policy policy;

static const char SCHEMA[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"families\":{\"description\":\"The profile of each device family\","
    "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
    "\"prefixes\":{\"description\":\"The profile of the asset tags that begin so; the longest prefix decides, "
    "before any family\",\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}}}";

static struct text text(assignment_policy_string_t string) {
    return (struct text){(const char *)string.ptr, string.len};
}

static struct text text_or_empty(assignment_policy_option_string_t string) {
    return string.is_some ? text(string.val) : (struct text){"", 0};
}

void exports_deputy_policy_plugin_describe(exports_deputy_policy_plugin_description_t *ret) {
    assignment_policy_string_set(&ret->summary, "a profile by asset tag, else by family");
    assignment_policy_string_set(&ret->version, "0.1.0");
    ret->settings_schema.is_some = true;
    assignment_policy_string_set(&ret->settings_schema.val, SCHEMA);
}

bool exports_deputy_policy_plugin_configure(assignment_policy_string_t *settings,
                                            exports_deputy_policy_plugin_setup_t *setup,
                                            exports_deputy_policy_plugin_list_settings_problem_t *err) {
    size_t count = setup->profiles.len;
    struct text *profiles = calloc(count, sizeof *profiles);
    for (size_t i = 0; i < count; i++) {
        profiles[i] = text(setup->profiles.ptr[i]);
    }
    struct problems problems = policy_read(&policy, text(*settings), profiles, count);
    err->ptr = calloc(problems.count, sizeof *err->ptr);
    err->len = problems.count;
    for (size_t i = 0; i < problems.count; i++) {
        const struct problem *problem = &problems.items[i];
        assignment_policy_string_set(&err->ptr[i].pointer, problem->pointer);
        assignment_policy_string_set(&err->ptr[i].message, problem->message);
        err->ptr[i].hint.is_some = problem->hint != NULL;
        if (problem->hint != NULL) {
            assignment_policy_string_set(&err->ptr[i].hint.val, problem->hint);
        }
    }
    return problems.count == 0;
}

void exports_deputy_policy_plugin_tables(exports_deputy_policy_plugin_list_table_use_t *ret) {
    ret->ptr = NULL;
    ret->len = 0;
}

exports_deputy_policy_assignment_device_fields_t exports_deputy_policy_assignment_reads(void) {
    return EXPORTS_DEPUTY_POLICY_ASSIGNMENT_DEVICE_FIELDS_ASSET_TAG |
           EXPORTS_DEPUTY_POLICY_ASSIGNMENT_DEVICE_FIELDS_DEVICE_FAMILY;
}

void exports_deputy_policy_assignment_decide(exports_deputy_policy_assignment_context_t *context,
                                             exports_deputy_policy_assignment_list_device_t *devices,
                                             exports_deputy_policy_assignment_verdicts_t *ret) {
    (void)context;
    /* Only the reasons that are used are answered; `index` says where each of them went, plus one. */
    uint32_t *index = calloc(policy.reason_count, sizeof *index);
    ret->reasons.ptr = calloc(policy.reason_count, sizeof *ret->reasons.ptr);
    ret->reasons.len = 0;
    ret->verdicts.ptr = calloc(devices->len, sizeof *ret->verdicts.ptr);
    ret->verdicts.len = devices->len;
    for (size_t i = 0; i < devices->len; i++) {
        const exports_deputy_policy_assignment_device_t *device = &devices->ptr[i];
        struct verdict verdict =
            policy_decide(&policy, text_or_empty(device->asset_tag), text_or_empty(device->device_family));
        if (index[verdict.reason] == 0) {
            assignment_policy_string_set(&ret->reasons.ptr[ret->reasons.len], policy.reasons[verdict.reason]);
            index[verdict.reason] = (uint32_t)++ret->reasons.len;
        }
        exports_deputy_policy_assignment_verdict_t *answer = &ret->verdicts.ptr[i];
        answer->reason = index[verdict.reason] - 1;
        if (verdict.assign) {
            answer->decision.tag = EXPORTS_DEPUTY_POLICY_ASSIGNMENT_DECISION_ASSIGN;
            answer->decision.val.assign = verdict.profile;
        } else {
            answer->decision.tag = EXPORTS_DEPUTY_POLICY_ASSIGNMENT_DECISION_HOLD;
            answer->decision.val.hold.is_some = false;
        }
    }
}
