//! Policies of any version, or of several, that answer as little as the contract allows: every function is there
//! and returns zeros, which are empty texts, empty lists, and good results.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const CONTRACTS: [&str; 3] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v1.0"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v1.1"),
];

/// Everything that a policy of any version can export, with its parameters by the canonical ABI.
const EXPORTS: [(&str, &str); 16] = [
    ("deputy:policy/assignment@0.1.0#configure", "i32 i32 i32 i32"),
    ("deputy:policy/assignment@0.1.0#reads", ""),
    ("deputy:policy/assignment@0.1.0#decide", "i64 i32 i32 i32 i32 i32 i32"),
    ("deputy:policy/plugin@1.0.0#describe", ""),
    ("deputy:policy/plugin@1.0.0#configure", "i32 i32 i32 i32 i32 i32 i32 i32"),
    ("deputy:policy/plugin@1.0.0#tables", ""),
    ("deputy:policy/assignment@1.0.0#reads", ""),
    ("deputy:policy/assignment@1.0.0#decide", "i64 i32 i32 i32 i32 i32 i32 i32"),
    ("deputy:policy/review@1.0.0#review", "i32"),
    ("deputy:policy/plugin@1.1.0#describe", ""),
    ("deputy:policy/plugin@1.1.0#configure", "i32 i32 i32 i32 i32 i32 i32 i32"),
    ("deputy:policy/plugin@1.1.0#tables", ""),
    ("deputy:policy/assignment@1.1.0#reads", ""),
    ("deputy:policy/assignment@1.1.0#decide", "i64 i32 i32 i32 i32 i32 i32 i32"),
    ("deputy:policy/lasting@1.1.0#how-long", "i64 i32 i32 i32 i32 i32"),
    ("deputy:policy/review@1.1.0#review", "i32"),
];

/// A policy that exports these interfaces, such as `deputy:policy/review@1.0.0`. `describe` is what it does when it is
/// asked what it is; without, it says nothing of itself.
pub fn policy(interfaces: &[&str], describe: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for contract in CONTRACTS {
        resolve.push_path(contract).unwrap_or_else(|error| panic!("{error:#}"));
    }
    let exports: String = interfaces.iter().map(|interface| format!("export {interface};\n")).collect();
    let world = format!("package test:versions;\nworld guest {{\n{exports}}}");
    let package = resolve.push_str("guest.wit", &world).unwrap_or_else(|error| panic!("{error:#}"));
    let world = resolve.select_world(&[package], Some("guest")).expect("the world is there");

    let there = EXPORTS.iter().filter(|(name, _)| interfaces.iter().any(|it| name.starts_with(*it)));
    let function = |(name, parameters): &(&str, &str)| {
        let body = describe.filter(|_| name.ends_with("#describe"));
        // Below are the zeros, unless a result fits into the number itself.
        let body =
            body.unwrap_or(if name.ends_with("#reads") { "(i32.const 0)" } else { "(i32.const 1024)" });
        format!("(func (export \"{name}\") (param {parameters}) (result i32) {body})\n")
    };
    let functions: String = there.map(function).collect();
    let text = format!(
        r#"(module
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.add (global.get $free) (i32.const 4096)))
    (global.get $free))
  {functions})"#
    );
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("a module with metadata");
    let component = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.encode());
    component.unwrap_or_else(|error| panic!("{error:#}"))
}
