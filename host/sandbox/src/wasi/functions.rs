//! The functions of the empty world, by name. What is not here has nothing to work on (a method of a file of which
//! there is none), and is refused in the way its type allows.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{ResourceDynamic, Val};

use super::resource;
use super::world::{Refused, Stream, World};
use crate::call::{Guest, pay};
use crate::log::Log;

/// How much a stream takes at a time, in bytes: as much as the shortest way to write allows.
const PERMIT: u64 = 4_096;

/// What one call costs, and each thing in a list that comes with it or is handed back: about as much as the plugin
/// burns in the time it takes us. Calling for ever ends like any other loop.
const FUEL: u64 = 400;
const FUEL_PER_ITEM: u64 = 20;

/// The streams, as the guest holds them.
const INPUT: u32 = 0;
const OUTPUT: u32 = 1;
const ERRORS: u32 = 2;
/// Anything of which there is only one.
const ONLY: u32 = 0;

/// One call of a guest's into the empty world.
pub(super) fn call(
    mut store: StoreContextMut<'_, Guest>,
    function: &str,
    ty: &ComponentFunc,
    arguments: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let mut handles = Vec::new();
    for argument in arguments {
        take_handles(&mut store, argument, &mut handles)?;
    }
    pay(&mut store, FUEL + FUEL_PER_ITEM * arguments.iter().map(items).sum::<u64>())?;
    let Guest { world, log, .. } = store.data_mut();
    let answer = answer(function, ty, arguments, &handles, world, log)?;
    if let Answer::Value(value) = &answer {
        pay(&mut store, FUEL_PER_ITEM * items(value))?;
    }
    match (results, answer) {
        ([], Answer::Nothing) => Ok(()),
        ([result], Answer::Value(value)) => {
            *result = value;
            Ok(())
        }
        ([result], Answer::Handle(kind, which)) => {
            let kind = resource(kind).unwrap_or_default();
            let handle = ResourceDynamic::new_own(which, kind).try_into_resource_any(&mut store)?;
            *result = Val::Resource(handle);
            Ok(())
        }
        _ => Err(Refused::Shape { function: function.to_owned() }.into()),
    }
}

fn items(value: &Val) -> u64 {
    match value {
        Val::List(list) => list.len() as u64,
        _ => 0,
    }
}

/// What a function comes to.
enum Answer {
    Nothing,
    Value(Val),
    /// A handle to something of this kind, and which.
    Handle(&'static str, u32),
}

fn answer(
    function: &str,
    ty: &ComponentFunc,
    arguments: &[Val],
    handles: &[u32],
    world: &mut World,
    log: &mut Log,
) -> Result<Answer, Refused> {
    let (interface, name) = function.split_once('#').unwrap_or_default();
    let name = name.rsplit_once('.').map_or(name, |(_, method)| method);
    let value = match (interface, name) {
        ("wasi:cli/environment", "get-environment" | "get-arguments")
        | ("wasi:filesystem/preopens", "get-directories") => Val::List(Vec::new()),
        ("wasi:cli/environment", "initial-cwd")
        | ("wasi:cli/terminal-stdin", "get-terminal-stdin")
        | ("wasi:cli/terminal-stdout", "get-terminal-stdout")
        | ("wasi:cli/terminal-stderr", "get-terminal-stderr")
        | ("wasi:filesystem/types", "filesystem-error-code") => Val::Option(None),

        ("wasi:cli/exit", _) => return Err(Refused::Exit { function: function.to_owned() }),

        ("wasi:cli/stdin", "get-stdin") => return Ok(Answer::Handle("input-stream", INPUT)),
        ("wasi:cli/stdout", "get-stdout") => return Ok(Answer::Handle("output-stream", OUTPUT)),
        ("wasi:cli/stderr", "get-stderr") => return Ok(Answer::Handle("output-stream", ERRORS)),
        ("wasi:sockets/instance-network", "instance-network") => {
            return Ok(Answer::Handle("network", ONLY));
        }

        ("wasi:clocks/wall-clock", "now") => datetime(world.seconds()),
        ("wasi:clocks/wall-clock", "resolution") => datetime(1),
        ("wasi:clocks/monotonic-clock", "now") => Val::U64(world.seconds().saturating_mul(1_000_000_000)),
        ("wasi:clocks/monotonic-clock", "resolution") => Val::U64(1_000_000_000),

        // Whatever is waited for has come.
        ("wasi:clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration")
        | ("wasi:io/streams", "subscribe") => return Ok(Answer::Handle("pollable", ONLY)),
        ("wasi:io/poll", "ready") => Val::Bool(true),
        ("wasi:io/poll", "block") => return Ok(Answer::Nothing),
        ("wasi:io/poll", "poll") => Val::List((0_u32..).zip(handles).map(|(at, _)| Val::U32(at)).collect()),

        ("wasi:io/streams", "check-write") => success(Some(Val::U64(PERMIT))),
        ("wasi:io/streams", "write" | "blocking-write-and-flush") => {
            let stream = match handles {
                [ERRORS] => Stream::Errors,
                _ => Stream::Output,
            };
            world.write(stream, arguments.iter().flat_map(bytes), log);
            success(None)
        }
        (
            "wasi:io/streams",
            "flush" | "blocking-flush" | "write-zeroes" | "blocking-write-zeroes-and-flush",
        ) => success(None),
        ("wasi:io/streams", _) => failure(Val::Variant("closed".to_owned(), None)),
        ("wasi:io/error", "to-debug-string") => {
            Val::String("there is nothing in a policy's world".to_owned())
        }

        ("wasi:random/random", "get-random-bytes")
        | ("wasi:random/insecure", "get-insecure-random-bytes") => match arguments {
            [Val::U64(length)] => Val::List(world.random(*length)?.into_iter().map(Val::U8).collect()),
            _ => return Err(Refused::Shape { function: function.to_owned() }),
        },
        ("wasi:random/random", "get-random-u64") | ("wasi:random/insecure", "get-insecure-random-u64") => {
            number(world)?
        }
        ("wasi:random/insecure-seed", "insecure-seed") => Val::Tuple(vec![number(world)?, number(world)?]),

        _ => match refusal(ty) {
            Some(code) => failure(Val::Enum(code)),
            None => return Err(Refused::Absent { function: function.to_owned() }),
        },
    };
    Ok(Answer::Value(value))
}

/// The error code that says no, if this function can give one.
fn refusal(ty: &ComponentFunc) -> Option<String> {
    let Type::Result(result) = ty.results().next()? else { return None };
    let Some(Type::Enum(codes)) = result.err() else { return None };
    let no = |code: &&str| ["access-denied", "access", "not-permitted"].contains(code);
    codes.names().find(no).map(str::to_owned)
}

fn datetime(seconds: u64) -> Val {
    let field = |name: &str, value| (name.to_owned(), value);
    Val::Record(vec![field("seconds", Val::U64(seconds)), field("nanoseconds", Val::U32(0))])
}

fn number(world: &mut World) -> Result<Val, Refused> {
    let bytes = world.random(8)?;
    Ok(Val::U64(bytes.into_iter().fold(0, |number, byte| number << 8 | u64::from(byte))))
}

fn success(value: Option<Val>) -> Val {
    Val::Result(Ok(value.map(Box::new)))
}

fn failure(error: Val) -> Val {
    Val::Result(Err(Some(Box::new(error))))
}

/// The bytes in an argument.
fn bytes(argument: &Val) -> Vec<u8> {
    let Val::List(list) = argument else { return Vec::new() };
    let byte = |value: &Val| match value {
        Val::U8(byte) => Some(*byte),
        _ => None,
    };
    list.iter().filter_map(byte).collect()
}

/// The handles in an argument, given back to the engine, which counts those that are lent to us.
fn take_handles(
    store: &mut StoreContextMut<'_, Guest>,
    argument: &Val,
    handles: &mut Vec<u32>,
) -> wasmtime::Result<()> {
    match argument {
        Val::Resource(handle) => handles.push(handle.try_into_resource_dynamic(&mut *store)?.rep()),
        Val::List(list) => list.iter().try_for_each(|value| take_handles(store, value, handles))?,
        _ => {}
    }
    Ok(())
}
