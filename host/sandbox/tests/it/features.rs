//! What of WebAssembly is switched off: a proposal that no policy needs is a way in that nobody has to guard.

use expect_test::{Expect, expect};
use sandbox::Limits;

use crate::help::SANDBOX;

/// One small component for each proposal, and the words it is refused in.
#[track_caller]
fn check(proposals: &[(&str, &str)], expected: Expect) {
    let refusal = |(name, text): &(&str, &str)| {
        let component = artifacts::component(&format!("(component {text})"));
        match SANDBOX.inspect(&component, &Limits::default()) {
            Ok(_) => format!("{name}: ACCEPTED\n"),
            Err(error) => {
                format!("{name}: {}\n", error.to_string().replace("the component cannot be compiled: ", ""))
            }
        }
    };
    expected.assert_eq(&proposals.iter().map(refusal).collect::<String>());
}

#[test]
fn proposals_of_core_webassembly_that_no_policy_needs_are_off() {
    check(
        &[
            ("memory64", "(core module (memory i64 1))"),
            ("multi-memory", "(core module (memory 1) (memory 1))"),
            ("threads", "(core module (memory 1 1) (func (drop (i32.atomic.load (i32.const 0)))))"),
            ("shared memory", "(core module (memory 1 1 shared))"),
            ("shared everything", "(core module (global (shared i32) (i32.const 0)))"),
            ("exceptions", "(core module (tag))"),
            ("exception references", "(core module (func (param exnref)))"),
            ("legacy exceptions", "(core module (func try catch_all end))"),
            ("function references", "(core module (type $f (func)) (func (param (ref $f))))"),
            ("gc structs", "(core module (type (struct (field i32))))"),
            ("gc recursion groups", "(core module (rec (type (func)) (type (func))))"),
            ("gc references", "(core module (func (param i31ref)))"),
            ("tail calls", "(core module (func $f (return_call $f)))"),
            (
                "relaxed simd",
                "(core module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
            ),
            ("stack switching", "(core module (type $f (func)) (type $c (cont $f)))"),
            ("custom page sizes", "(core module (memory 1 (pagesize 1)))"),
            (
                "wide arithmetic",
                "(core module (func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))))",
            ),
        ],
        expect![[r#"
            memory64: failed to parse WebAssembly module: memory64 must be enabled for 64-bit memories (at offset 0x15)
            multi-memory: failed to parse WebAssembly module: multiple memories (at offset 0x14)
            threads: failed to compile: wasm[0]::function[0]: WebAssembly translation error: Invalid input WebAssembly code at offset 41: threads support is not enabled
            shared memory: failed to parse WebAssembly module: threads must be enabled for shared memories (at offset 0x15)
            shared everything: failed to parse WebAssembly module: shared globals require the shared-everything-threads proposal (at offset 0x15)
            exceptions: failed to parse WebAssembly module: exceptions proposal not enabled (at offset 0x1a)
            exception references: failed to parse WebAssembly module: exception refs not supported without the exception handling feature (at offset 0x15)
            legacy exceptions: failed to compile: wasm[0]::function[0]: WebAssembly translation error: Invalid input WebAssembly code at offset 33: legacy_exceptions feature required for try instruction
            function references: failed to parse WebAssembly module: function references required for index reference types (at offset 0x18)
            gc structs: failed to parse WebAssembly module: struct indexed types not supported without the gc feature (at offset 0x15)
            gc recursion groups: failed to parse WebAssembly module: rec group usage requires `gc` proposal to be enabled (at offset 0x15)
            gc references: failed to parse WebAssembly module: gc types are disallowed but found type which requires gc (at offset 0x15)
            tail calls: failed to compile: wasm[0]::function[0]::f: WebAssembly translation error: Invalid input WebAssembly code at offset 33: tail calls support is not enabled
            relaxed simd: failed to compile: wasm[0]::function[0]: WebAssembly translation error: Invalid input WebAssembly code at offset 40: relaxed SIMD support is not enabled
            stack switching: failed to parse WebAssembly module: cannot define continuation types when stack switching is disabled (at offset 0x18)
            custom page sizes: failed to parse WebAssembly module: the custom page sizes proposal must be enabled to customize a memory's page size (at offset 0x15)
            wide arithmetic: failed to compile: wasm[0]::function[0]: WebAssembly translation error: Invalid input WebAssembly code at offset 47: wide arithmetic support is not enabled
        "#]],
    );
}

#[test]
fn proposals_of_the_component_model_that_no_policy_needs_are_off() {
    check(
        &[
            ("async functions", r#"(import "f" (func async))"#),
            ("futures", "(type (future u32))"),
            ("streams", "(type (stream u32))"),
            ("error context", "(core func (canon error-context.drop))"),
            ("task built-ins", "(core func (canon backpressure.inc))"),
            ("threads", "(core func (canon thread.index))"),
            ("values", r#"(import "v" (value u32))"#),
            ("lists of a fixed length", "(type (list u32 4))"),
            ("maps", "(type (map string u32))"),
            ("nested names", r#"(import "a:b:c/d" (func))"#),
        ],
        expect![[r#"
            async functions: failed to parse WebAssembly module: async component functions require the component model async feature (at offset 0xb)
            futures: failed to parse WebAssembly module: `future` requires the component model async feature (at offset 0xb)
            streams: failed to parse WebAssembly module: `stream` requires the component model async feature (at offset 0xb)
            error context: failed to parse WebAssembly module: `error-context.drop` requires the component model error-context feature (at offset 0xb)
            task built-ins: failed to parse WebAssembly module: `backpressure.inc` requires the component model async feature (at offset 0xb)
            threads: failed to parse WebAssembly module: `thread.index` requires the component model threading feature (at offset 0xb)
            values: failed to parse WebAssembly module: support for component model `value`s is not enabled (at offset 0xb)
            lists of a fixed length: failed to parse WebAssembly module: Fixed-length lists require the component model fixed-length lists feature (at offset 0xb)
            maps: failed to parse WebAssembly module: Maps require the component model map feature (at offset 0xb)
            nested names: failed to parse WebAssembly module: import name `a:b:c/d` is not a valid extern name expected `/` after package name (at offset 0x12)
        "#]],
    );
}
