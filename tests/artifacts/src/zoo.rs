//! The zoo: components that somebody made to hurt, or that a bad day made. A line for each; what comes of them is said
//! where they are kept in: `host/sandbox/tests/it/zoo.rs` and `tests/it/zoo.rs`.

use crate::guest::Guest;
use crate::{CORE_MODULE, FUTURE_CONTRACT, NO_QUESTION, TEXT, UNGRANTED_IMPORTS, WRONG_SHAPE};

/// One of the zoo.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What it does, as a name that a plugin may have.
    pub name: &'static str,
    /// The file.
    pub component: Vec<u8>,
}

/// Files that nobody should load.
pub fn files() -> Vec<Hostile> {
    let good = Guest::default().component();
    let large = [b"\0asm\x0d\0\x01\0".as_slice(), &vec![0; 17 << 20]].concat();
    vec![
        file("empty-file", b""),
        file("text-file", TEXT),
        file("core-module", CORE_MODULE),
        file("oversize", &large),
        file("truncated", &good[..good.len() / 2]),
        file("bit-flipped", &flipped(&good, good.len() / 3)),
        file("other-world", NO_QUESTION),
        file("future-contract", FUTURE_CONTRACT),
        file("wrong-shape", WRONG_SHAPE),
        file("unknown-host-function", UNGRANTED_IMPORTS),
        guest("wants-http", calls("wasi:http/outgoing-handler@0.2.3", "handle", "(param i32 i32 i32)")),
        file("two-memories", &crate::component(TWO_MEMORIES)),
        file(
            "second-memory-inside",
            &crate::component("(component (component (core module (memory 1) (memory 1))))"),
        ),
        guest("wants-a-huge-table", Guest::default().declarations("(table 1000000 funcref)")),
        guest("wants-huge-memory", Guest::default().memory("2000")),
        guest("loops-at-start", Guest::default().declarations("(func $begin (loop (br 0))) (start $begin)")),
        guest("traps-at-start", Guest::default().declarations("(func $begin unreachable) (start $begin)")),
        guest("loops-in-configure", Guest::default().configure("(loop (br 0)) unreachable")),
        guest("traps-in-configure", Guest::default().configure("unreachable")),
        guest(
            "lies-in-configure",
            Guest::default().configure("(i32.store8 (i32.const 64) (i32.const 7)) (i32.const 64)"),
        ),
    ]
}

/// Policies that load like any other, and misbehave when they are asked.
pub fn policies() -> Vec<Hostile> {
    let decides = |body: &str| Guest::default().decide(body);
    let held = "(call $hold (local.get $count) (i64.const -1))";
    // The verdicts as they should be, and then one thing about them that should not.
    let but = |what: &str| decides(&format!("(drop {held}) {what} (i32.const 16)"));
    let first = "(i32.load (i32.const 16))";
    let logs = |level: i32, at: i64, length: i64| {
        let log = r#"(import "deputy:policy/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
        Guest::default()
            .imports(log)
            .decide(&format!("(call $log (i32.const {level}) (i32.const {at}) (i32.const {length})) {held}"))
    };
    vec![
        guest("loops", decides("(loop (br 0)) unreachable")),
        guest("recurses", Guest::default().declarations("(func $deeper (call $deeper) (call $deeper))").decide("(call $deeper) unreachable")),
        guest("traps", decides("unreachable")),
        guest("divides-by-zero", decides("(i32.div_u (local.get $count) (i32.const 0))")),
        guest("reads-beyond-memory", decides("(i32.load (i32.const -8))")),
        guest("calls-nothing", Guest::default().declarations("(table 1 funcref) (type $f (func))").decide("(call_indirect (type $f) (i32.const 0)) unreachable")),
        guest("grows-at-once", decides("(if (i32.eq (memory.grow (i32.const 60000)) (i32.const -1)) (then unreachable)) unreachable")),
        guest("grows-in-steps", decides("(block (loop (br_if 1 (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) (br 0))) unreachable")),
        guest("grows-a-table", Guest::default().declarations("(table $t 1 funcref)").decide("(block (loop (br_if 1 (i32.eq (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1))) (br 0))) unreachable")),
        guest("too-few-verdicts", but("(i32.store (i32.const 20) (i32.sub (local.get $count) (i32.const 1)))")),
        guest("too-many-verdicts", but("(i32.store (i32.const 20) (i32.add (local.get $count) (i32.const 1)))")),
        guest("unknown-profile", but(&format!("(i32.store8 {first} (i32.const 0)) (i32.store offset=8 {first} (i32.const 99))"))),
        guest("unknown-reason", but(&format!("(i32.store offset=24 {first} (i32.const 1))"))),
        guest("unknown-decision", but(&format!("(i32.store8 {first} (i32.const 9))"))),
        guest("impossible-time", decides("(call $hold (local.get $count) (i64.const 9223372036854775807))")),
        guest("huge-reason", Guest::default().memory("1000").decide(&format!("(drop {held}) (i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 60000000)) (i32.const 16)"))),
        guest("endless-reason", but("(i32.store (i32.const 36) (i32.const 100000000))")),
        guest("million-reasons", Guest::default().memory("200").decide(&format!("(drop {held}) (i32.store (i32.const 24) (i32.const 1048576)) (i32.store (i32.const 28) (i32.const 1000000)) (i32.const 16)"))),
        guest("reason-is-no-text", but("(i32.store (i32.const 48) (i32.const -1))")),
        guest("misaligned-list", but("(i32.store (i32.const 16) (i32.const 4099))")),
        guest("list-beyond-memory", but("(i32.store (i32.const 16) (i32.const -4096))")),
        guest("misaligned-answer", decides("(i32.const 17)")),
        guest("answer-beyond-memory", decides("(i32.const -16)")),
        guest("realloc-beyond-memory", Guest::default().realloc("(i32.const -4096)")),
        guest("realloc-misaligned", Guest::default().realloc("(i32.const 4099)")),
        guest("realloc-traps", Guest::default().realloc("unreachable")),
        guest("realloc-loops", Guest::default().realloc("(loop (br 0)) unreachable")),
        guest("remembers", Guest::default().declarations("(global $asked (mut i64) (i64.const 0))").decide("(global.set $asked (i64.add (global.get $asked) (i64.const 1))) (call $hold (local.get $count) (global.get $asked))")),
        guest("logs-no-text", logs(1, 1024, 0).declarations(r#"(data (i32.const 2048) "\ff\fe")"#).decide(&format!("(call $log (i32.const 1) (i32.const 2048) (i32.const 2)) {held}"))),
        guest("logs-a-huge-line", logs(1, 0, 60_000_000).memory("1000")),
        guest("logs-beyond-memory", logs(1, 0, 100_000_000)),
        guest("logs-at-no-level", logs(99, 48, 4)),
        guest("logs-for-ever", logs(1, 48, 4).decide("(loop (call $log (i32.const 1) (i32.const 48) (i32.const 4)) (br 0)) unreachable")),
        guest("exits", calls("wasi:cli/exit@0.2.3", "exit", "(param i32)")),
        guest("asks-the-time-zone", calls("wasi:clocks/timezone@0.2.3", "utc-offset", "(result i32)")),
        guest("wants-all-randomness", wasi("wasi:random/random@0.2.3", "get-random-bytes", "(param i64 i32)").decide("(call $f (i64.const -1) (i32.const 64)) unreachable")),
        guest("wants-all-handles", wasi("wasi:cli/stdout@0.2.3", "get-stdout", "(result i32)").decide("(loop (drop (call $f)) (br 0)) unreachable")),
        guest("reads-the-clock", wasi("wasi:clocks/wall-clock@0.2.3", "now", "(param i32)").decide("(call $f (i32.const 64)) (call $hold (local.get $count) (i64.load (i32.const 64)))")),
        guest("waits", wasi("wasi:clocks/monotonic-clock@0.2.3", "subscribe-duration", "(param i64) (result i32)").imports(r#"(import "wasi:io/poll@0.2.3" "[method]pollable.block" (func $block (param i32)))"#).decide(&format!("(call $block (call $f (i64.const -1))) {held}"))),
        guest("throws-dice", wasi("wasi:random/random@0.2.3", "get-random-u64", "(result i64)").decide("(call $hold (local.get $count) (i64.and (call $f) (i64.const 0xffffffff)))")),
        guest("reads-the-environment", wasi("wasi:cli/environment@0.2.3", "get-environment", "(param i32)").decide("(call $f (i32.const 64)) (call $hold (local.get $count) (i64.load32_u (i32.const 68)))")),
        guest("opens-folders", wasi("wasi:filesystem/preopens@0.2.3", "get-directories", "(param i32)").decide("(call $f (i32.const 64)) (call $hold (local.get $count) (i64.load32_u (i32.const 68)))")),
        guest("opens-a-socket", wasi("wasi:sockets/tcp-create-socket@0.2.3", "create-tcp-socket", "(param i32 i32)").decide("(call $f (i32.const 0) (i32.const 64)) (call $hold (local.get $count) (i64.load32_u (i32.const 64)))")),
        guest("prints", wasi("wasi:cli/stdout@0.2.3", "get-stdout", "(result i32)").imports(r#"(import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))"#).decide(&format!("(call $write (call $f) (i32.const 48) (i32.const 4) (i32.const 64)) {held}"))),
        guest("prints-for-ever", wasi("wasi:cli/stdout@0.2.3", "get-stdout", "(result i32)").imports(r#"(import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))"#).declarations("(global $out (mut i32) (i32.const 0))").decide("(global.set $out (call $f)) (loop (call $write (global.get $out) (i32.const 1024) (i32.const 32768) (i32.const 64)) (br 0)) unreachable")),
        guest("reads-the-clock-for-ever", wasi("wasi:clocks/wall-clock@0.2.3", "now", "(param i32)").decide("(loop (call $f (i32.const 64)) (br 0)) unreachable")),
    ]
}

/// Two components in one, each with a memory of its own, and a text that goes from one to the other: the engine copies it
/// with code that has both memories.
const TWO_MEMORIES: &str = r#"(component
  (component $listens
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "hear") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "hear") (param "text" string)
      (canon lift (core func $i "hear") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (component $speaks
    (import "hear" (func $hear (param "text" string)))
    (core module $memory (memory (export "memory") 1) (data (i32.const 16) "fine"))
    (core instance $own (instantiate $memory))
    (core func $lowered (canon lower (func $hear) (memory (core memory $own "memory"))))
    (core module $m
      (import "host" "hear" (func $hear (param i32 i32)))
      (func (export "speak") (call $hear (i32.const 16) (i32.const 4))))
    (core instance $i (instantiate $m (with "host" (instance (export "hear" (func $lowered))))))
    (func (export "speak") (canon lift (core func $i "speak"))))
  (instance $one (instantiate $listens))
  (instance $other (instantiate $speaks (with "hear" (func $one "hear"))))
  (export "speak" (func $other "speak")))"#;

/// A component that takes a compiler long: a function as long as a function may be.
pub fn compile_bomb() -> Vec<u8> {
    let turn = "(local.set 1 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.load (local.get 1))))"
        .repeat(400_000);
    let declarations = format!("(func (param i32) (result i32) (local i32) {turn} (local.get 1))");
    Guest::default().declarations(&declarations).component()
}

fn file(name: &'static str, component: &[u8]) -> Hostile {
    Hostile { name, component: component.to_vec() }
}

fn guest(name: &'static str, guest: Guest) -> Hostile {
    Hostile { name, component: guest.component() }
}

/// A guest that imports one function as `$f`.
fn wasi(module: &str, function: &str, signature: &str) -> Guest {
    Guest::default().imports(&format!(r#"(import "{module}" "{function}" (func $f {signature}))"#))
}

/// A guest that calls one function with noughts, and then has no answer.
fn calls(module: &str, function: &str, signature: &str) -> Guest {
    let noughts =
        "(i32.const 0) ".repeat(signature.split("(result").next().unwrap_or("").matches("i32").count());
    let (begin, end) = if signature.contains("result") { ("(drop", ")") } else { ("", "") };
    wasi(module, function, signature).decide(&format!("{begin} (call $f {noughts}) {end} unreachable"))
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x80;
    bytes
}
