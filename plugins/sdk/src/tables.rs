//! The operator's tables.

/// Where rows are looked up: at Deputy's in a component, in memory in a test.
pub trait Tables {
    /// The row with this key in a table, by its index in what the policy asked for; the values are those
    /// of the columns it asked for, in that order.
    fn lookup(&self, table: u32, key: &str) -> Option<Vec<String>>;
}

/// No tables at all, for policies that ask for none.
#[derive(Clone, Copy, Debug)]
pub struct NoTables;

impl Tables for NoTables {
    fn lookup(&self, _: u32, _: &str) -> Option<Vec<String>> {
        None
    }
}
