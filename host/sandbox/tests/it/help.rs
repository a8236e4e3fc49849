//! What every story needs: a sandbox for all of them, devices from a line of text, verdicts as text.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use domain::device::Device;
use domain::id::{PluginName, ProfileName};
use domain::policy::Setup;
use domain::verdict::{Context, Decision, Verdict};
use sandbox::{Compiler, Limits, PluginSpec, Sandbox};

/// One for all tests, as a program has one for all plugins. What it compiles is kept beside what cargo does.
pub(crate) static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    Sandbox::new(compiler(), Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/plugin-cache").into())).unwrap()
});

/// The program that compiles, as this crate has it for itself.
pub(crate) fn compiler() -> Compiler {
    let program = env!("CARGO_BIN_EXE_compile-plugin").into();
    Compiler { program, arguments: Vec::new(), notice: |_| {}, retry: true }
}

/// A plugin called `site-policy` that may assign `kiosk` and `standard`.
pub(crate) fn spec(bytes: &[u8], settings: serde_json::Value) -> PluginSpec {
    PluginSpec {
        name: name(),
        bytes: bytes.to_vec(),
        expected_digest: None,
        limits: Limits::default(),
        settings,
        setup: setup(),
        tables: BTreeMap::new(),
    }
}

/// What settings may refer to.
pub(crate) fn setup() -> Setup {
    Setup {
        profiles: profiles(),
        channels: ["ops", "security"].map(|name| name.parse().unwrap()).into(),
        tokens: ["emea", "amer"].map(|name| name.parse().unwrap()).into(),
    }
}

pub(crate) fn name() -> PluginName {
    "site-policy".parse().unwrap()
}

pub(crate) fn profiles() -> Vec<ProfileName> {
    ["kiosk", "standard"].map(|name| name.parse().unwrap()).into()
}

/// A run that began on 9 January 2026 over the devices of `emea`.
pub(crate) fn context() -> Context {
    Context {
        now: "2026-01-09T09:13:20Z".parse().unwrap(),
        utc_offset: jiff::tz::Offset::UTC,
        token: "emea".parse().unwrap(),
        profiles: profiles(),
        defined: BTreeMap::new(),
        tables: Arc::default(),
    }
}

/// Devices with these serial numbers, divided by spaces.
pub(crate) fn devices(serials: &str) -> Vec<Device> {
    serials.split_whitespace().map(|serial| Device::new(serial.parse().unwrap())).collect()
}

/// One line for each device.
pub(crate) fn shown(devices: &[Device], verdicts: &[Verdict]) -> String {
    assert_eq!(devices.len(), verdicts.len(), "one verdict for each device");
    let line = |(device, verdict): (&Device, &Verdict)| {
        let Verdict { decision, reason, fault } = verdict;
        let decision = match decision {
            Decision::Assign { profile } => format!("assign {profile}"),
            Decision::Hold { until: None } => "hold".to_owned(),
            Decision::Hold { until: Some(until) } => format!("hold until {until}"),
            Decision::Ignore => "ignore".to_owned(),
        };
        let fault = if *fault { "fault: " } else { "" };
        format!("{} {decision}: {fault}{reason}\n", device.serial_number)
    };
    devices.iter().zip(verdicts).map(line).collect()
}
