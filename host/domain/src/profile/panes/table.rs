//! Apple's list of panes as of August 2026, in the order of the alphabet; then those it had once.

use super::{Pane, Support};

/// Every pane that can be skipped, and those that could be.
#[rustfmt::skip]
pub const PANES: &[Pane] = &[
    Pane::new("Accessibility", "the accessibility settings for further users of a Mac")
        .macos(from("11.0").not_always())
        .note("only when another user is created, not in the first setup"),
    Pane::new("AccessibilityAppearance", "the choice of larger text and other accessibility appearances")
        .ios(from("17.0")),
    Pane::new("ActionButton", "the choice of what the Action button does")
        .ios(from("17.0")),
    Pane::new("Android", "\"Move Data from Android\" among the ways to restore")
        .ios(from("9.0"))
        .note("matters only if `Restore` is not skipped"),
    Pane::new("Appearance", "the choice between light and dark")
        .ios(from("13.0"))
        .macos(from("10.14")),
    Pane::new("AppleID", "the sign-in with an Apple Account")
        .ios(from("7.0"))
        .macos(from("10.9"))
        .tvos(from("10.2"))
        .visionos(from("26.0")),
    Pane::new("AppStore", "the introduction to the App Store")
        .ios(from("14.3"))
        .macos(from("11.1")),
    Pane::new("Biometric", "the setup of Touch ID, Face ID or Optic ID")
        .ios(from("8.1"))
        .macos(from("10.12.4"))
        .visionos(from("26.0")),
    Pane::new("CameraButton", "the introduction to Camera Control")
        .ios(from("18.0")),
    Pane::new("DeviceToDeviceMigration", "the transfer from another device")
        .ios(from("12.4")),
    Pane::new("Diagnostics", "the question whether to send analytics to Apple and app developers")
        .ios(from("7.0"))
        .macos(from("10.9"))
        .tvos(from("10.2"))
        .visionos(from("26.0"))
        .privacy(),
    Pane::new("DisplayTone", "the introduction to True Tone")
        .ios(from("9.3.2").until("15.0"))
        .macos(from("10.13.6").until("12.0")),
    Pane::new("EnableLockdownMode", "the offer of Lockdown Mode")
        .ios(from("17.1"))
        .macos(from("14.0"))
        .note("comes only when an Apple Account was set up"),
    Pane::new("FileVault", "the offer to encrypt the disk with FileVault")
        .macos(from("10.10")),
    Pane::new("HomeButtonSensitivity", "the choice of how the Home button clicks")
        .ios(from("10.0").until("15.0"))
        .note("iPhone 7, 8 and SE"),
    Pane::new("iCloudDiagnostics", "the question whether to send iCloud analytics to Apple")
        .macos(from("10.12.4"))
        .privacy(),
    Pane::new("iCloudStorage", "the offer to keep Documents and Desktop in iCloud")
        .macos(from("10.13.4")),
    Pane::new("iMessageAndFaceTime", "the setup of iMessage and FaceTime")
        .ios(from("12.0")),
    Pane::new("Intelligence", "the offer of Apple Intelligence")
        .ios(from("18.0"))
        .macos(from("15.0"))
        .visionos(from("26.0"))
        .privacy(),
    Pane::new("Keyboard", "the choice of keyboards")
        .ios(from("13.0").not_always()),
    Pane::new("LiquidGlass", "the choice of how Liquid Glass looks")
        .ios(from("27.0"))
        .macos(from("27.0")),
    Pane::new("Location", "the question whether to use Location Services")
        .ios(from("7.0"))
        .macos(from("10.11"))
        .tvos(from("10.2"))
        .visionos(from("26.0"))
        .privacy(),
    Pane::new("MessagingActivationUsingPhoneNumber", "the activation of iMessage with the phone number")
        .ios(from("10.0")),
    Pane::new("Multitasking", "the choice of how windows are arranged")
        .ios(from("26.0")),
    Pane::new("OnBoarding", "the lessons in gestures for new users")
        .ios(from("11.0").until("14.0")),
    Pane::new("OSShowcase", "the tour of what is new in the system")
        .ios(from("26.0"))
        .macos(from("26.1")),
    Pane::new("Passcode", "the setup of a passcode")
        .ios(from("7.0"))
        .macos(from("10.9"))
        .visionos(from("26.0")),
    Pane::new("Payment", "the setup of Apple Pay")
        .ios(from("8.1"))
        .macos(from("10.12.4"))
        .visionos(from("26.0")),
    Pane::new("Privacy", "the explanation of how Apple treats personal data")
        .ios(from("11.3"))
        .macos(from("10.13.4"))
        .tvos(from("11.3"))
        .visionos(from("26.0"))
        .privacy(),
    Pane::new("Restore", "the choice to restore from a backup or to migrate")
        .ios(from("7.0"))
        .macos(from("10.9")),
    Pane::new("RestoreCompleted", "the notice that a restore is complete")
        .ios(from("14.0")),
    Pane::new("Safety", "the introduction to Emergency SOS and other safety features")
        .ios(from("16.0")),
    Pane::new("SafetyAndHandling", "the safety and handling information")
        .ios(from("18.4").not_always()),
    Pane::new("ScreenSaver", "the choice of aerial screen savers")
        .tvos(from("10.2")),
    Pane::new("ScreenTime", "the introduction to Screen Time")
        .ios(from("12.0"))
        .macos(from("10.15"))
        .visionos(from("26.0")),
    Pane::new("SIMSetup", "the setup of a mobile plan")
        .ios(from("12.0"))
        .note("an eSIM is then not set up automatically either"),
    Pane::new("Siri", "the offer of Siri")
        .ios(from("7.0"))
        .macos(from("10.12"))
        .tvos(from("10.2"))
        .visionos(from("26.0"))
        .privacy(),
    Pane::new("SoftwareUpdate", "the choice of automatic updates")
        .ios(from("12.0"))
        .macos(from("15.4"))
        .visionos(from("26.0")),
    Pane::new("SpokenLanguage", "the choice of languages for dictation")
        .ios(from("13.0").not_always())
        .privacy(),
    Pane::new("TapToSetup", "the setup with a device nearby")
        .ios(from("18.0"))
        .tvos(from("10.2").not_always())
        .note("Apple's sources disagree on iOS"),
    Pane::new("TermsOfAddress", "the choice of how the user is addressed")
        .ios(from("16.0").not_always())
        .macos(from("13.0").not_always()),
    Pane::new("Tips", "the introduction to tips")
        .visionos(from("26.0")),
    Pane::new("TOS", "Apple's terms and conditions")
        .ios(from("7.0"))
        .macos(from("10.9"))
        .tvos(from("10.2"))
        .visionos(from("26.0")),
    Pane::new("TVHomeScreenSync", "the choice to keep the Home Screen the same on every Apple TV")
        .tvos(from("11.0")),
    Pane::new("TVProviderSignIn", "the sign-in with a TV provider")
        .tvos(from("11.0")),
    Pane::new("TVRoom", "the choice of the room the Apple TV is in")
        .tvos(from("11.4")),
    Pane::new("UnlockWithWatch", "the offer to unlock with an Apple Watch")
        .macos(from("15.0")),
    Pane::new("UpdateCompleted", "the notice that an update is complete")
        .ios(from("14.0"))
        .macos(from("26.1")),
    Pane::new("WatchMigration", "the migration of an Apple Watch")
        .ios(from("11.0")),
    Pane::new("Welcome", "the greeting before the first step")
        .ios(from("13.0"))
        .macos(from("15.0"))
        .visionos(from("26.0")),
    Pane::new("Zoom", "the choice of a larger display")
        .ios(from("8.3").until("17.0"))
        .visionos(from("26.0")),
    Pane::new("AdditionalPrivacySettings", "further privacy settings")
        .macos(from("26.0"))
        .privacy()
        .former("Apple no longer lists it"),
    Pane::new("AgeAssurance", "the question for the user's age")
        .ios(from("26.2"))
        .former("Apple listed it for a month in 2026"),
    Pane::new("AgeBasedSafetySettings", "the safety settings for the user's age")
        .ios(from("26.1"))
        .former("Apple listed it for a month in 2026"),
    Pane::new("Registration", "the registration of a Mac with Apple")
        .macos(from("10.9"))
        .former("macOS has not had it for years"),
    Pane::new("Wallpaper", "the choice of a wallpaper")
        .macos(from("14.1").until("26.0"))
        .former("Apple removed it in macOS 26.0"),
    Pane::new("WebContentFiltering", "the settings for web content")
        .ios(from("18.2").until("26.1"))
        .former("Apple removed it in iOS 26.1"),
];

const fn from(first: &'static str) -> Support {
    Support { first, until: None, may_show: false }
}

impl Support {
    const fn until(self, version: &'static str) -> Self {
        Self { until: Some(version), ..self }
    }

    const fn not_always(self) -> Self {
        Self { may_show: true, ..self }
    }
}

impl Pane {
    const fn new(key: &'static str, unseen: &'static str) -> Self {
        Self {
            key,
            unseen,
            note: None,
            privacy: false,
            former: None,
            ios: None,
            macos: None,
            tvos: None,
            visionos: None,
        }
    }

    const fn ios(self, support: Support) -> Self {
        Self { ios: Some(support), ..self }
    }

    const fn macos(self, support: Support) -> Self {
        Self { macos: Some(support), ..self }
    }

    const fn tvos(self, support: Support) -> Self {
        Self { tvos: Some(support), ..self }
    }

    const fn visionos(self, support: Support) -> Self {
        Self { visionos: Some(support), ..self }
    }

    const fn note(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }

    const fn privacy(self) -> Self {
        Self { privacy: true, ..self }
    }

    const fn former(self, why: &'static str) -> Self {
        Self { former: Some(why), ..self }
    }
}
