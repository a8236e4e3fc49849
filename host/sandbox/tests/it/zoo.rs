//! The zoo, one by one: each is contained, and what it did is said in words. A new one is a line in
//! `artifacts::zoo` and, after `UPDATE_EXPECT=1`, a line here.

use artifacts::zoo::{self, Hostile};
use domain::verdict::Context;
use expect_test::{Expect, expect};
use sandbox::{Answer, Error, Limits, Plugin, PluginSpec};

use crate::help::{SANDBOX, context, devices, shown, spec};

fn load(component: &[u8]) -> Result<Plugin, Error> {
    SANDBOX.load(spec(component, serde_json::json!({})))
}

#[track_caller]
fn check(outcomes: impl Iterator<Item = String>, expected: Expect) {
    expected.assert_eq(&outcomes.map(|outcome| outcome + "\n").collect::<String>());
}

/// What a policy of the zoo answers about one device, and what it logs first.
fn asked(plugin: &Plugin, context: &Context) -> String {
    let devices = devices("C1");
    let Answer { answer: verdicts, log, .. } = plugin.answer_assignment(context, &devices);
    let logged = log.first().map_or(String::new(), |line| format!(" (logs: {})", line.text));
    shown(&devices, &verdicts).trim_end().to_owned() + &logged
}

#[test]
fn files_that_nobody_should_load_are_refused() {
    let outcome = |Hostile { name, component }| match load(&component) {
        Ok(_) => format!("{name}: LOADED"),
        Err(error) => format!("{name}: {error}"),
    };
    check(
        zoo::files().into_iter().map(outcome),
        expect![[r#"
            empty-file: this is an empty file, not a WebAssembly component; build it again
            text-file: this is some other kind of file, not a WebAssembly component; give the path of the component that the build made
            core-module: this is a core module, not a WebAssembly component; wrap it as a component, as `wasm-tools component new` does
            oversize: the component has 17825800 bytes, more than the 16777216 allowed; one that carries an interpreter, as those of JavaScript and Python do, needs `limits = { preset = "interpreter" }`
            truncated: the component cannot be compiled: failed to parse WebAssembly module: unexpected end-of-file (at offset 0x7a7)
            bit-flipped: the component cannot be compiled: failed to parse WebAssembly module: invalid leading byte (0x0) for component defined type (at offset 0x536)
            other-world: the component answers none of the questions Deputy asks; it exports `acme:weather/forecast@1.0.0`, and a policy exports `plugin` of `deputy:policy@1.1.0` and one of `assignment`, `reminder` and `review`
            future-contract: the component keeps to version 9.0.0 of the contract, and this Deputy knows 0.1, 1.0 and 1.1; if that is a later one, a later Deputy knows it
            wrong-shape: the component does not keep to the contract it names: instance export `deputy:policy/assignment@0.1.0` does not have export `configure`
            unknown-host-function: the component imports what no plugin is granted: `acme:directory/people@1.0.0`; a policy gets everything it needs as arguments, so build it without them
            wants-http: the component imports what no plugin is granted: `wasi:http/outgoing-handler@0.2.3`; a policy gets everything it needs as arguments, so build it without them
            two-memories: the component answers none of the questions Deputy asks; it exports `speak`, and a policy exports `plugin` of `deputy:policy@1.1.0` and one of `assignment`, `reminder` and `review`
            second-memory-inside: the component cannot be compiled: failed to parse WebAssembly module: multiple memories (at offset 0x1e)
            wants-a-huge-table: the component cannot be compiled: module table does not fit in pooling allocator requirements: table index 0 has a minimum element size of 1000000 which exceeds the limit of 50000
            wants-huge-memory: plugin `site-policy` failed while it was configured: it wanted more than its 64 MiB of memory
            loops-at-start: plugin `site-policy` failed while it was configured: it ran out of fuel (5,001,000)
            traps-at-start: plugin `site-policy` failed while it was configured: it trapped: wasm `unreachable` instruction executed
            loops-in-configure: plugin `site-policy` failed while it was configured: it ran out of fuel (5,001,000)
            traps-in-configure: plugin `site-policy` failed while it was configured: it trapped: wasm `unreachable` instruction executed
            lies-in-configure: plugin `site-policy` failed while it was configured: it broke the contract: invalid expected discriminant
        "#]],
    );
}

#[test]
fn policies_that_misbehave_are_contained_and_answer_the_same_twice() {
    let outcome = |Hostile { name, component }| match load(&component) {
        Ok(plugin) => {
            let [first, second] = [(); 2].map(|()| asked(&plugin, &context()));
            assert_eq!(first, second, "{name} answers differently the second time");
            format!("{name}: {first}")
        }
        Err(error) => format!("{name}: {error}"),
    };
    check(
        zoo::policies().into_iter().map(outcome),
        expect![[r#"
            loops: C1 hold: fault: plugin `site-policy` ran out of fuel (5,201,000 for one device)
            recurses: C1 hold: fault: plugin `site-policy` trapped: call stack exhausted
            traps: C1 hold: fault: plugin `site-policy` trapped: wasm `unreachable` instruction executed
            divides-by-zero: C1 hold: fault: plugin `site-policy` trapped: integer divide by zero
            reads-beyond-memory: C1 hold: fault: plugin `site-policy` trapped: out of bounds memory access
            calls-nothing: C1 hold: fault: plugin `site-policy` trapped: uninitialized element
            grows-at-once: C1 hold: fault: plugin `site-policy` wanted more than its 64 MiB of memory
            grows-in-steps: C1 hold: fault: plugin `site-policy` wanted more than its 64 MiB of memory
            grows-a-table: C1 hold: fault: plugin `site-policy` wanted more than its 20,000 elements of tables
            too-few-verdicts: C1 hold: fault: plugin `site-policy` broke the contract: the number of verdicts (0) is not that of the devices (1)
            too-many-verdicts: C1 hold: fault: plugin `site-policy` broke the contract: the number of verdicts (2) is not that of the devices (1)
            unknown-profile: C1 hold: fault: plugin `site-policy` broke the contract: it assigned profile 99, and there are 2
            unknown-reason: C1 hold: fault: plugin `site-policy` broke the contract: it gave reason 1, and there are 1
            unknown-decision: C1 hold: fault: plugin `site-policy` broke the contract: unexpected discriminant: 9
            impossible-time: C1 hold: fault: plugin `site-policy` broke the contract: it held a device until second 9223372036854775807, which no calendar has
            huge-reason: C1 hold: fault: plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
            endless-reason: C1 hold: fault: plugin `site-policy` broke the contract: string pointer/length out of bounds of memory
            million-reasons: C1 hold: fault: plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
            reason-is-no-text: C1 hold: fault: plugin `site-policy` broke the contract: invalid utf-8 sequence of 1 bytes from index 0
            misaligned-list: C1 hold: fault: plugin `site-policy` broke the contract: list pointer is not aligned
            list-beyond-memory: C1 hold: fault: plugin `site-policy` broke the contract: list pointer/length out of bounds of memory
            misaligned-answer: C1 hold: fault: plugin `site-policy` broke the contract: return pointer not aligned
            answer-beyond-memory: C1 hold: fault: plugin `site-policy` broke the contract: pointer out of bounds of memory
            realloc-beyond-memory: plugin `site-policy` failed while it was configured: it broke the contract: realloc return: beyond end of memory
            realloc-misaligned: plugin `site-policy` failed while it was configured: it broke the contract: realloc return: result not aligned
            realloc-traps: plugin `site-policy` failed while it was configured: it trapped: wasm `unreachable` instruction executed
            realloc-loops: plugin `site-policy` failed while it was configured: it ran out of fuel (5,001,000)
            remembers: C1 hold until 1970-01-01T00:00:01Z: fine
            logs-no-text: C1 hold: fault: plugin `site-policy` broke the contract: invalid utf-8 sequence of 1 bytes from index 0
            logs-a-huge-line: C1 hold: fault: plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
            logs-beyond-memory: C1 hold: fault: plugin `site-policy` broke the contract: string pointer/length out of bounds of memory
            logs-at-no-level: C1 hold: fault: plugin `site-policy` broke the contract: unexpected discriminant: 99
            logs-for-ever: C1 hold: fault: plugin `site-policy` ran out of fuel (5,201,000 for one device) (logs: fine)
            exits: C1 hold: fault: plugin `site-policy` called `wasi:cli/exit#exit`; a policy ends by answering
            asks-the-time-zone: C1 hold: fault: plugin `site-policy` called `wasi:clocks/timezone#utc-offset`; there is no such thing in a policy's world
            wants-all-randomness: C1 hold: fault: plugin `site-policy` wanted more than 65536 bytes of randomness in a call
            wants-all-handles: C1 hold: fault: plugin `site-policy` broke the contract: cannot allocate another handle: store handle limit exceeded
            reads-the-clock: C1 hold until 2026-01-09T09:13:20Z: fine
            waits: C1 hold: fine
            throws-dice: C1 hold until 2034-03-29T13:16:13Z: fine
            reads-the-environment: C1 hold until 1970-01-01T00:00:00Z: fine
            opens-folders: C1 hold until 1970-01-01T00:00:00Z: fine
            opens-a-socket: C1 hold until 1970-01-01T00:00:01Z: fine
            prints: C1 hold: fine (logs: fine)
            prints-for-ever: C1 hold: fault: plugin `site-policy` ran out of fuel (5,201,000 for one device) (logs: )
            reads-the-clock-for-ever: C1 hold: fault: plugin `site-policy` ran out of fuel (5,201,000 for one device)
        "#]],
    );
}

#[test]
fn what_a_policy_sees_of_the_world_depends_on_the_run_and_not_on_the_batch() {
    let hostile = zoo::policies().into_iter().find(|hostile| hostile.name == "throws-dice").unwrap();
    let plugin = load(&hostile.component).unwrap();
    let verdict = |context: &Context, serials: &str| {
        let devices = devices(serials);
        plugin.answer_assignment(context, &devices).answer.pop().unwrap()
    };
    let mut later = context();
    assert_eq!(verdict(&context(), "C1"), verdict(&context(), "C3 C2 C1"));
    later.now = "2026-01-09T09:28:20Z".parse().unwrap();
    assert_ne!(verdict(&context(), "C1"), verdict(&later, "C1"));
}

#[test]
fn a_component_of_more_pieces_than_it_may_have_is_not_started() {
    let mut spec = spec(artifacts::MISBEHAVE, serde_json::json!({}));
    spec.limits.instances = 1;
    let error = SANDBOX.load(spec).expect_err("it is made of three");
    expect![[r#"
        plugin `site-policy` failed while it was configured: it could not be started: resource limit exceeded: instance count too high at 2
    "#]].assert_eq(&format!("{error}\n"));
}

/// A compile bomb, within these limits.
fn compile(limits: Limits) -> Error {
    let component = zoo::compile_bomb();
    let spec = PluginSpec { limits, ..spec(&component, serde_json::json!({})) };
    SANDBOX.load(spec).expect_err("it takes more than that")
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused() {
    let error = compile(Limits { compile_time: std::time::Duration::from_millis(300), ..Limits::default() });
    expect![[r#"
        the component takes longer than 300ms to compile; if it is meant to be that large, allow more with `limits = { preset = "interpreter" }` or `compile_time`
    "#]].assert_eq(&format!("{error}\n"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    let error = compile(Limits {
        compile_time: std::time::Duration::from_secs(600),
        compile_bytes: 192 << 20,
        ..Limits::default()
    });
    expect![[r#"
        the component needs more than 192 MiB of memory to compile; if it is meant to be that large, allow more with `limits = { preset = "interpreter" }` or `compile_memory`
    "#]].assert_eq(&format!("{error}\n"));
}

#[test]
fn a_trap_tells_its_author_where_it_happened_once() {
    let guest = artifacts::guest::Guest::default()
        .declarations("(func $_ZN6policy6lookup17h0123456789abcdefE unreachable)")
        .decide("(call $_ZN6policy6lookup17h0123456789abcdefE) unreachable");
    let Answer { traces, .. } =
        load(&guest.component()).unwrap().answer_assignment(&context(), &devices("C1 C2 C3"));
    let shown: String = traces.iter().map(|trace| format!("{trace}\n")).collect();
    expect![[r#"
        trapped: wasm `unreachable` instruction executed, in policy::lookup at 0xf0 <- decide at 0x19d
    "#]]
    .assert_eq(&shown);
}
