//! Tables, as far as a plugin may look into them: those it asked for and was granted, in the columns it named.
//!
//! What a plugin asks for is checked when it is loaded ([`check`]). A question is answered with the tables
//! of its own run, so they are opened again for each ([`open`]); the plugin names them by place and never by
//! name. A lookup costs fuel, in proportion to what is read: looking things up for ever ends like
//! any other loop, after as much work on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::document;
use domain::id::{PluginName, TableName};
use domain::table::{Table, Tables};
use wasmtime::StoreContextMut;
use wasmtime::component::WasmStr;

use crate::call::{Guest, pay};
use crate::error::Error;
use crate::fault::Fault;

/// What one lookup costs, and each byte of its key and of the row. A row is read in a few microseconds, in
/// which a plugin burns some thousands.
const FUEL: u64 = 2_000;
const FUEL_PER_BYTE: u64 = 4;

/// A table that a plugin looks into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUse {
    /// The operator's name for it.
    pub table: TableName,
    /// The columns whose values it gets, in this order.
    pub columns: Vec<String>,
}

/// Whether a plugin may have what it asks for.
pub(crate) fn check(
    plugin: &PluginName,
    wanted: &[TableUse],
    granted: &BTreeMap<TableName, Vec<String>>,
) -> Result<(), Error> {
    let missing: Vec<TableName> = wanted
        .iter()
        .filter(|wanted| !granted.contains_key(&wanted.table))
        .map(|wanted| wanted.table.clone())
        .collect();
    if !missing.is_empty() {
        let all: BTreeSet<&TableName> = granted.keys().chain(&missing).collect();
        let all: Vec<String> = all.into_iter().map(|table| format!("\"{table}\"")).collect();
        return Err(Error::UngrantedTables { plugin: plugin.clone(), missing, grant: all.join(", ") });
    }
    for TableUse { table, columns } in wanted {
        let there: Vec<&str> = granted[table].iter().map(String::as_str).collect();
        if let Some(column) = columns.iter().find(|column| !there.contains(&column.as_str())) {
            return Err(Error::NoColumn {
                plugin: plugin.clone(),
                table: table.clone(),
                column: crate::convert::clean(column, 256),
                there: match there.is_empty() {
                    true => "nothing".to_owned(),
                    false => document::list_of(there),
                },
            });
        }
    }
    Ok(())
}

/// The tables of one run, by the place that a plugin knows them by.
pub(crate) type Opened = Arc<[Source]>;

/// A table of one run, and where its columns are that the plugin gets.
#[derive(Debug)]
pub(crate) struct Source {
    name: TableName,
    table: Arc<dyn Table>,
    columns: Vec<usize>,
}

/// Finds what a plugin asked for among the tables of a run. They may be others than when it was loaded.
pub(crate) fn open(wanted: &[TableUse], tables: &Tables) -> Result<Opened, Fault> {
    let source = |TableUse { table: name, columns }: &TableUse| {
        let gone = |what: String| Fault::TableGone { reason: what };
        let table = tables.0.get(name).ok_or_else(|| gone(format!("there is no table `{name}`")))?;
        let place = |column: &String| {
            let place = table.columns().iter().position(|there| there == column);
            place.ok_or_else(|| gone(format!("the table `{name}` has no column `{column}`")))
        };
        let columns = columns.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Source { name: name.clone(), table: Arc::clone(table), columns })
    };
    wanted.iter().map(source).collect()
}

/// A row could not be read: the operator's trouble and not the plugin's.
#[derive(Debug, thiserror::Error)]
#[error("a row of the table `{table}` cannot be read: {reason}")]
pub(crate) struct Unreadable {
    pub(crate) table: TableName,
    pub(crate) reason: String,
}

/// The import `lookup`.
pub(crate) fn lookup(
    mut store: StoreContextMut<Guest>,
    (table, key): (u32, WasmStr),
) -> wasmtime::Result<(Option<Vec<String>>,)> {
    let Some(opened) = store.data().tables.clone() else {
        return Err(wasmtime::Error::msg("it looked into a table before it was asked anything"));
    };
    let Some(source) = opened.get(table as usize) else {
        let asked = opened.len();
        return Err(wasmtime::Error::msg(format!("it looked into table {table}, and it asked for {asked}")));
    };
    let key = key.to_str(&store)?.into_owned();
    pay(&mut store, FUEL + FUEL_PER_BYTE * key.len() as u64)?;
    let row = source.table.row(&key);
    let row = row.map_err(|error| Unreadable { table: source.name.clone(), reason: error.to_string() })?;
    let cells = row.map(|row| {
        let cell = |column: &usize| row.get(*column).cloned().unwrap_or_default();
        source.columns.iter().map(cell).collect::<Vec<String>>()
    });
    let read: usize = cells.iter().flatten().map(String::len).sum();
    pay(&mut store, FUEL_PER_BYTE * read as u64)?;
    Ok((cells,))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check_grants(wanted: &[(&str, &[&str])], granted: &[(&str, &[&str])], expected: Expect) {
        let owned = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
        let wanted = wanted
            .iter()
            .map(|(table, columns)| TableUse { table: table.parse().unwrap(), columns: owned(columns) });
        let granted = granted.iter().map(|(table, columns)| (table.parse().unwrap(), owned(columns)));
        let checked = check(&"site-policy".parse().unwrap(), &wanted.collect::<Vec<_>>(), &granted.collect());
        let found = checked.map_or_else(|error| error.to_string(), |()| "granted".to_owned());
        expected.assert_eq(&format!("{found}\n"));
    }

    #[test]
    fn what_is_granted_and_there_can_be_used() {
        check_grants(
            &[("assets", &["site", "site"]), ("people", &[])],
            &[("assets", &["serial_number", "site"]), ("people", &["mail"]), ("rooms", &[])],
            expect![[r#"
                granted
            "#]],
        );
    }

    #[test]
    fn what_is_not_granted_is_an_error_with_the_grant_to_write() {
        check_grants(
            &[("people", &[]), ("rooms", &["floor"])],
            &[("assets", &["serial_number"])],
            expect![[r#"
                plugin `site-policy` looks into the tables `people`, `rooms` and was not granted that; if it may, write under [plugins.site-policy]: grants = { tables = ["assets", "people", "rooms"] }
            "#]],
        );
    }

    #[test]
    fn a_column_that_is_not_there_is_an_error_with_those_that_are() {
        check_grants(
            &[("assets", &["serial_number", "sight"])],
            &[("assets", &["serial_number", "site"])],
            expect![[r#"
                plugin `site-policy` looks at the column `sight` of the table `assets`, which has `serial_number`, `site`
            "#]],
        );
    }
}
