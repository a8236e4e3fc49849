//! New expectations in a case file, and everything else as it was typed.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Value};

/// The file with `expect` of each of these cases, by index, being this text.
///
/// # Panics
///
/// If the text is not the file that the cases were read from.
pub fn update(text: &str, expectations: &[(usize, String)]) -> String {
    let mut document: DocumentMut = text.parse().expect("it was read before");
    let cases: Option<&mut ArrayOfTables> = document["cases"].as_array_of_tables_mut();
    let cases = cases.expect("cases are written as `[[cases]]`");
    for (index, expectation) in expectations {
        let case = cases.get_mut(*index).expect("the case was read from this file");
        let value = Value::from(expectation.as_str());
        match case.get_mut("expect") {
            Some(Item::Value(known)) => {
                let decor = known.decor().clone();
                *known = value;
                *known.decor_mut() = decor;
            }
            _ => _ = case.insert("expect", Item::Value(value)),
        }
    }
    document.to_string()
}
