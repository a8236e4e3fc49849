//! Generated from `wit/`; nothing here is written by hand. A module for each version that was released.

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

/// Version 1.0 of the contract.
pub(crate) mod v1_0 {
    wasmtime::component::bindgen!({
        world: "policy",
        path: "../../wit/v1.0",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
