//! The process that compiles, as a program of its own: `deputy` has it built in, the tests and benchmarks of
//! this crate start this one.

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    sandbox::compile::serve(&arguments)
}
