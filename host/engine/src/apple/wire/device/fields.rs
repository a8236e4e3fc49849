//! The fields of a device as Apple's JSON holds them, before they mean anything.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A device larger than this is none. A real one has less than 2 KiB.
pub(super) const LARGEST: usize = 64 * 1024;

/// The fields that `Device` and `Change` have a place for, in this order in [`Fields::known`].
pub(super) const KNOWN: [&str; 16] = [
    "serial_number",
    "model",
    "description",
    "color",
    "asset_tag",
    "os",
    "device_family",
    "profile_status",
    "profile_uuid",
    "profile_assign_time",
    "profile_push_time",
    "device_assigned_by",
    "device_assigned_date",
    "op_type",
    "op_date",
    "response_status",
];

/// A device's fields. Of a field that comes twice, the last counts.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) known: [Field<'a>; KNOWN.len()],
    pub(super) other: Vec<(Cow<'a, str>, Field<'a>)>,
    pub(super) size: usize,
    pub(super) not_an_object: bool,
}

/// What a field holds. Apple leaves out what it does not know, but an empty text and a time in the
/// year 1 mean the same.
#[derive(Default)]
pub(super) enum Field<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    /// JSON that is no text, as short as it can be written.
    Other(String),
}

impl<'a> Field<'a> {
    fn text(text: Cow<'a, str>) -> Self {
        if text.trim_ascii().is_empty() || text.starts_with("0001-01-01") {
            Self::Absent
        } else {
            Self::Text(text)
        }
    }

    /// From JSON that may hold anything: half a surrogate pair, a number out of range, endless
    /// depth. What cannot be read is kept as it was written.
    fn carefully(json: &'a str) -> Self {
        match serde_json::from_str::<Field<'a>>(json) {
            Ok(field) => field,
            Err(_) => Self::Other(json.to_owned()),
        }
    }

    /// Text that may be missing, but nothing else.
    pub(super) fn required_text(self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Other(_) => Err(format!("its {name} is no text")),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Text(text) => text.len(),
            Self::Other(json) => json.len(),
        }
    }
}

/// Reads all fields of a device; of what is no object, that it is none.
pub(super) struct FieldsVisitor {
    /// Each field apart, as raw text first.
    pub(super) carefully: bool,
}

impl FieldsVisitor {
    fn not_an_object<'de>() -> Fields<'de> {
        Fields { not_an_object: true, ..Fields::default() }
    }
}

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(Name(name)) = map.next_key()? {
            let field = match self.carefully {
                false => map.next_value::<Field<'de>>()?,
                true => Field::carefully(map.next_value::<&'de RawValue>()?.get()),
            };
            fields.size += name.len() + field.size();
            match KNOWN.iter().position(|known| *known == name) {
                Some(index) => fields.known[index] = field,
                // Too large already: what else there is only costs memory.
                None if fields.size > LARGEST => {}
                None => fields.other.push((name, field)),
            }
        }
        Ok(fields)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::not_an_object())
    }

    fn visit_unit<E>(self) -> Result<Fields<'de>, E> {
        Ok(Self::not_an_object())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields<'de>, E> {
        Ok(Self::not_an_object())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields<'de>, E> {
        Ok(Self::not_an_object())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields<'de>, E> {
        Ok(Self::not_an_object())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields<'de>, E> {
        Ok(Self::not_an_object())
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields<'de>, E> {
        Ok(Self::not_an_object())
    }
}

/// A field's name, borrowed from the page's text unless it is written with escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field<'de>, E> {
        Ok(Field::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Field<'de>, E> {
        Ok(Field::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Field<'de>, E> {
        Ok(Field::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Field<'de>, E> {
        Ok(Field::Other(Value::from(value).to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<'de>, A::Error> {
        let value = Value::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Field::Other(value.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<'de>, A::Error> {
        let value = Value::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Field::Other(value.to_string()))
    }
}
