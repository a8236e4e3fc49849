//! Conditions on devices: `when = { device_family = "iPad", "table.assets.owner" = "library" }`.
//!
//! The README of `rules` describes them for those who write them. A policy reads them with
//! [`Reader`] and asks [`Conditions::hold`] about a [`Subject`].

mod field;
mod read;
mod wanted;

use std::cell::OnceCell;

pub use field::Field;
pub use read::Reader;
use wanted::Wanted;

use crate::assignment::{Context, Device};
use crate::{TableUse, Tables};

/// The definitions `conditions` and `lookup` for a JSON Schema of settings.
pub(crate) const SCHEMA: &str = include_str!("condition/schema.json");

/// What must hold, and what must not.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    when: Vec<Condition>,
    unless: Vec<Condition>,
}

/// Where a value comes from, and what it has to be.
#[derive(Clone, Debug)]
struct Condition {
    source: Source,
    wanted: Wanted,
    /// It has to be something else.
    negated: bool,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
enum Source {
    Field(Field),
    /// Of the device's row, by table and column.
    Column(usize, usize),
    /// Whether the device has a row at all.
    Row(usize),
}

/// Tables that conditions look into, and by which field each.
#[derive(Clone, Debug, Default)]
pub struct Lookups(Vec<Lookup>);

#[derive(Clone, Debug)]
struct Lookup {
    table: String,
    columns: Vec<String>,
    key: Field,
}

impl Lookups {
    /// What to answer when Deputy asks for the tables.
    pub fn uses(&self) -> Vec<TableUse> {
        let uses = self.0.iter();
        uses.map(|lookup| TableUse { table: lookup.table.clone(), columns: lookup.columns.clone() }).collect()
    }

    /// The fields that rows are looked up by.
    pub fn keys(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().map(|lookup| &lookup.key)
    }
}

/// A device, with all that conditions may look at.
pub struct Subject<'a> {
    context: &'a Context,
    device: &'a Device,
    tables: &'a dyn Tables,
    lookups: &'a Lookups,
    /// The device's row in each table, looked up at most once.
    rows: Vec<OnceCell<Option<Vec<String>>>>,
}

impl<'a> Subject<'a> {
    /// A device of this call.
    pub fn new(
        context: &'a Context,
        device: &'a Device,
        lookups: &'a Lookups,
        tables: &'a dyn Tables,
    ) -> Self {
        let rows = vec![OnceCell::new(); lookups.0.len()];
        Self { context, device, tables, lookups, rows }
    }

    fn row(&self, table: usize) -> Option<&Vec<String>> {
        let look = || {
            let mut row = None;
            self.lookups.0[table].key.any_text(self.context, self.device, &mut |key| {
                if !key.is_empty() {
                    row = self.tables.lookup(table as u32, key);
                }
                row.is_some()
            });
            row
        };
        self.rows[table].get_or_init(look).as_ref()
    }
}

impl Conditions {
    /// Whether every condition holds and no exception.
    pub fn hold(&self, subject: &Subject) -> bool {
        self.when.iter().all(|condition| condition.holds(subject))
            && !self.unless.iter().any(|condition| condition.holds(subject))
    }

    /// Whether they may hold at one time and not at another, for the same device: they compare a date with the present.
    pub fn look_at_the_time(&self) -> bool {
        self.when.iter().chain(&self.unless).any(|condition| condition.wanted.looks_at_the_time())
    }

    /// The fields that are looked at, not counting those that tables are looked up by.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.when.iter().chain(&self.unless).filter_map(|condition| match &condition.source {
            Source::Field(field) => Some(field),
            Source::Column(..) | Source::Row(_) => None,
        })
    }
}

impl Condition {
    fn holds(&self, subject: &Subject) -> bool {
        let Subject { context, device, .. } = subject;
        let fits = match &self.source {
            Source::Row(table) => subject.row(*table).is_some(),
            Source::Column(table, column) => {
                let text = subject.row(*table).map_or("", |row| &row[*column]);
                // Nobody sees the blanks around a cell, and spreadsheets leave some.
                self.wanted.fits_text(text.trim(), context.now)
            }
            Source::Field(field) => match field.date(device) {
                Some(date) => self.wanted.fits_date(date, context.now),
                None => field.any_text(context, device, &mut |text| self.wanted.fits_text(text, context.now)),
            },
        };
        fits != self.negated
    }
}
