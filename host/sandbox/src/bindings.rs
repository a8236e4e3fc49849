//! Generated from `wit/`; nothing here is written by hand. A module for each major version that was released.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated from the contract")]

/// Version 0.1 of the contract.
pub(crate) mod v0_1 {
    wasmtime::component::bindgen!({
        world: "policy",
        path: "../../wit/v0.1",
        // Devices are lent to the guest rather than copied for it first.
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// Version 1 of the contract, in its newest minor. An older one is the same with less in it, and so the names of this
/// one find what a component of that one exports: where there is no interface of exactly this version, the engine takes
/// the newest of the same major that is there.
pub(crate) mod v1 {
    wasmtime::component::bindgen!({
        inline: "
            package deputy:host;
            world everything {
                include deputy:policy/policy@1.1.0;
                export deputy:policy/lasting@1.1.0;
            }
        ",
        path: "../../wit/v1.1",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
