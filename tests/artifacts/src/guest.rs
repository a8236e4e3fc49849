//! A policy written by hand, as a core module in text: everything a compiler would do right is there, and each piece
//! can be replaced by one that does it wrong.
//!
//! The names and signatures of the functions are those of version 0.1 of the contract, by the canonical ABI. A
//! function that fills another contract's shape is a `piece` away.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract that guests are written against.
const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1");

/// What a guest may import besides, as far as anybody does.
const IMPORTS: &str = include_str!("../../guests/imports.wit");

/// A policy that holds every device for the reason `fine`, in pieces.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    imports: String,
    declarations: String,
    memory: Option<String>,
    realloc: Option<String>,
    configure: Option<String>,
    decide: Option<String>,
}

impl Guest {
    /// Imports, such as `(import "m" "f" (func $f))`.
    pub fn imports(mut self, text: &str) -> Self {
        self.imports += text;
        self
    }

    /// Globals, tables, functions and data of its own.
    pub fn declarations(mut self, text: &str) -> Self {
        self.declarations += text;
        self
    }

    /// The size of its memory, in pages of 64 KiB.
    pub fn memory(mut self, pages: &str) -> Self {
        self.memory = Some(pages.to_owned());
        self
    }

    /// What it does when it is asked for room for arguments: `$size` bytes, aligned to `$align`; a pointer.
    pub fn realloc(mut self, body: &str) -> Self {
        self.realloc = Some(body.to_owned());
        self
    }

    /// What it does with its settings; a pointer to a result, `(i32.const 0)` for a good one.
    pub fn configure(mut self, body: &str) -> Self {
        self.configure = Some(body.to_owned());
        self
    }

    /// What it does with `$count` devices; a pointer to verdicts and reasons. `(call $hold (local.get $count)
    /// (i64.const N))` holds them all, until second N.
    pub fn decide(mut self, body: &str) -> Self {
        self.decide = Some(body.to_owned());
        self
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let contract = resolve.push_path(CONTRACT).and_then(|_| resolve.push_str("imports.wit", IMPORTS));
        let package = contract.unwrap_or_else(|error| panic!("{error:#}"));
        let world = resolve.select_world(&[package], Some("guest")).expect("the world is there");
        let mut module =
            wat::parse_str(self.text()).unwrap_or_else(|error| panic!("{error}\n{}", self.text()));
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("a module with metadata");
        let component = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.encode());
        component.unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn text(&self) -> String {
        let Self { imports, declarations, .. } = self;
        let memory = self.memory.as_deref().unwrap_or("2");
        let realloc = self.realloc.as_deref().unwrap_or("(call $room (local.get $align) (local.get $size))");
        let configure = self.configure.as_deref().unwrap_or("(i32.const 0)");
        let decide = self.decide.as_deref().unwrap_or("(call $hold (local.get $count) (i64.const -1))");
        format!(
            r#"(module
  {imports}
  (memory (export "memory") {memory})
  ;; 0: a good result of `configure`. 16: verdicts and reasons. 32: the one reason.
  (data (i32.const 32) "\30\00\00\00\04\00\00\00")
  (data (i32.const 48) "fine")
  (global $free (mut i32) (i32.const 4096))
  {declarations}
  ;; Room that is never given back.
  (func $room (param $align i32) (param $size i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $enough (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
      (br $more)))
    (local.get $at))
  ;; Everything held, until a second if it is not -1.
  (func $hold (param $count i32) (param $until i64) (result i32) (local $verdict i32)
    (local.set $verdict (call $room (i32.const 8) (i32.mul (local.get $count) (i32.const 32))))
    (i32.store (i32.const 16) (local.get $verdict))
    (i32.store (i32.const 20) (local.get $count))
    (i32.store (i32.const 24) (i32.const 32))
    (i32.store (i32.const 28) (i32.const 1))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (i32.store8 (local.get $verdict) (i32.const 1))
      (i32.store8 offset=8 (local.get $verdict) (i64.ne (local.get $until) (i64.const -1)))
      (i64.store offset=16 (local.get $verdict) (local.get $until))
      (local.set $verdict (i32.add (local.get $verdict) (i32.const 32)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
    (i32.const 16))
  (func $realloc (export "cabi_realloc")
    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    {realloc})
  (func $configure (export "deputy:policy/assignment@0.1.0#configure")
    (param i32 i32 i32 i32) (result i32)
    {configure})
  (func $reads (export "deputy:policy/assignment@0.1.0#reads") (result i32) (i32.const 0))
  (func $decide (export "deputy:policy/assignment@0.1.0#decide")
    (param $now i64) (param i32 i32 i32 i32) (param $devices i32) (param $count i32) (result i32)
    {decide}))"#
        )
    }
}
