//! Tables, from what a plugin asks for to the cells it gets.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::{Digest, TableName};
use domain::policy::Policy as _;
use domain::table::{Table, Tables, Unreadable};
use domain::verdict::Context;
use expect_test::{Expect, expect};
use sandbox::{Plugin, PluginSpec, TableUse};

use crate::help::{SANDBOX, context, devices, shown, spec};

/// Rows that are there already; the key is the first column.
#[derive(Debug)]
struct Rows {
    columns: Vec<String>,
    rows: BTreeMap<String, Vec<String>>,
    digest: Digest,
}

impl Table for Rows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn row(&self, key: &str) -> Result<Option<Vec<String>>, Unreadable> {
        let key = domain::table::key(key);
        match key.as_str() {
            "C666" => Err(Unreadable("the file is gone".to_owned())),
            key => Ok(self.rows.get(key).cloned()),
        }
    }
}

/// A table out of lines of cells, the first line its columns.
fn table(text: &str) -> Arc<dyn Table> {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let columns = lines.next().unwrap();
    let rows = lines.map(|row| (row[0].clone(), row)).collect();
    Arc::new(Rows { columns, rows, digest: Digest::of(text.as_bytes()) })
}

fn tables() -> BTreeMap<TableName, Arc<dyn Table>> {
    let assets = table("serial_number,site,room\nC1,Paris,12\nC2,,é\nEMEA,Berlin,1");
    let people = table("who,mail\nC3,eve@example.com");
    [("assets", assets), ("people", people)].map(|(name, table)| (name.parse().unwrap(), table)).into()
}

fn with_tables(context: Context, tables: BTreeMap<TableName, Arc<dyn Table>>) -> Context {
    Context { tables: Arc::new(Tables(tables)), ..context }
}

fn spec_of(behaviour: &str) -> PluginSpec {
    let mut spec = spec(artifacts::THREE_QUESTIONS, serde_json::json!({ "behaviour": behaviour }));
    let columns = |(name, table): (TableName, Arc<dyn Table>)| (name, table.columns().to_vec());
    spec.tables = tables().into_iter().map(columns).collect();
    spec
}

fn load(behaviour: &str) -> Plugin {
    SANDBOX.load(spec_of(behaviour)).unwrap()
}

#[track_caller]
fn check(behaviour: &str, serials: &str, expected: Expect) {
    let devices = devices(serials);
    let context = with_tables(context(), tables());
    expected.assert_eq(&shown(&devices, &load(behaviour).decide(&context, &devices).answer));
}

#[track_caller]
fn refused(spec: PluginSpec, expected: Expect) {
    let error = SANDBOX.load(spec).expect_err("this must not load");
    expected.assert_eq(&format!("{error}\n"));
}

#[test]
fn a_policy_gets_the_columns_it_named_in_its_order_of_the_row_with_the_key() {
    check(
        "look",
        "C1 c2 C3 C4",
        expect![[r#"
        C1 hold: 12|Paris|12
        C2 hold: é||é
        C3 hold: no row; Some(["eve@example.com"])
        C4 hold: no row; None
    "#]],
    );
}

#[test]
fn what_a_policy_looks_into_is_known_once_it_is_loaded() {
    let strings = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
    assert_eq!(
        load("look").tables(),
        [
            TableUse { table: "assets".parse().unwrap(), columns: strings(&["room", "site", "room"]) },
            TableUse { table: "people".parse().unwrap(), columns: strings(&["mail"]) },
        ]
    );
    assert_eq!(load("none").tables(), []);
}

#[test]
fn a_table_that_was_not_granted_is_refused_with_the_grant_to_write() {
    let mut spec = spec_of("look");
    spec.tables.retain(|name, _| name.as_str() == "assets");
    refused(
        spec,
        expect![[r#"
        plugin `site-policy` looks into the table `people` and was not granted that; if it may, write under [plugins.site-policy]: grants = { tables = ["assets", "people"] }
    "#]],
    );
}

#[test]
fn a_column_that_is_not_there_is_refused_with_those_that_are() {
    let mut spec = spec_of("look");
    spec.tables.insert("assets".parse().unwrap(), vec!["serial_number".to_owned(), "room".to_owned()]);
    refused(
        spec,
        expect![[r#"
        plugin `site-policy` looks at the column `site` of the table `assets`, which has `serial_number`, `room`
    "#]],
    );
}

#[test]
fn tables_nobody_can_have_are_a_broken_contract() {
    refused(
        spec_of("tables-of-no-name"),
        expect![[r#"
        plugin `site-policy` failed while it was configured: it broke the contract: it looks into a table `../[31metc`, and none can be called that
    "#]],
    );
    refused(
        spec_of("too-many-tables"),
        expect![[r#"
        plugin `site-policy` failed while it was configured: it broke the contract: it looks into 1000 tables, and 64 are the most
    "#]],
    );
}

#[test]
fn nothing_can_be_looked_up_before_a_question() {
    refused(
        spec_of("look-too-early"),
        expect![[r#"
        plugin `site-policy` failed while it was configured: it broke the contract: it looked into a table before it was asked anything
    "#]],
    );
}

#[test]
fn a_table_that_was_not_asked_for_is_not_there() {
    check(
        "look-nowhere-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` broke the contract: it looked into table 2, and it asked for 2
        "#]],
    );
}

#[test]
fn keys_that_are_nonsense_are_keys_without_a_row() {
    check(
        "look-for-nonsense",
        "C1",
        expect![[r#"
        C1 hold: 00000
    "#]],
    );
}

#[test]
fn looking_up_for_ever_runs_out_of_fuel_and_soon() {
    let devices = devices("C1 C2BAD");
    let context = with_tables(context(), tables());
    let answer = load("look-for-ever-on-bad").answer_assignment(&context, &devices);
    expect![[r#"
        C1 hold: fine
        C2BAD hold: fault: plugin `site-policy` ran out of fuel (5,218,000 for one device)
    "#]]
    .assert_eq(&shown(&devices, &answer.answer));
    // Each lookup costs 2,000 at least, so there were a few thousand and not millions.
    assert!(answer.usage.fuel < 20_000_000, "{}", answer.usage.fuel);
}

#[test]
fn a_long_key_costs_what_it_weighs_and_a_longer_one_is_not_read() {
    let devices = devices("C1");
    let context = with_tables(context(), tables());
    let answer = |behaviour: &str| {
        let mut spec = spec_of(behaviour);
        spec.limits.fuel_per_call = 1_000_000_000;
        SANDBOX.load(spec).unwrap().answer_assignment(&context, &devices)
    };
    // One of the keys has 100,000 bytes.
    let fuel = answer("look-for-nonsense").usage.fuel;
    assert!(fuel > 4 * 100_000, "{fuel}");
    expect![[r#"
        C1 hold: fault: plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
    "#]].assert_eq(&shown(&devices, &answer("look-for-much").answer));
}

#[test]
fn a_row_that_cannot_be_read_is_a_fault_that_names_the_table() {
    check(
        "look",
        "C1 C666 C2",
        expect![[r#"
            C1 hold: 12|Paris|12
            C666 hold: fault: plugin `site-policy` could not look something up: a row of the table `assets` cannot be read: the file is gone
            C2 hold: é||é
        "#]],
    );
}

#[test]
fn a_table_that_changed_since_the_policy_was_loaded_is_a_fault_that_says_so() {
    let devices = devices("C1 C2");
    let plugin = load("look");
    let without = |change: fn(&mut BTreeMap<_, _>)| {
        let mut tables: BTreeMap<TableName, Arc<dyn Table>> = tables();
        change(&mut tables);
        shown(&devices, &plugin.decide(&with_tables(context(), tables), &devices).answer)
    };
    expect![[r#"
        C1 hold: fault: plugin `site-policy` could not look something up: there is no table `people`
        C2 hold: fault: plugin `site-policy` could not look something up: there is no table `people`
    "#]]
    .assert_eq(&without(|tables| drop(tables.remove(&"people".parse().unwrap()))));
    expect![[r#"
        C1 hold: fault: plugin `site-policy` could not look something up: the table `assets` has no column `room`
        C2 hold: fault: plugin `site-policy` could not look something up: the table `assets` has no column `room`
    "#]].assert_eq(&without(|tables| {
        tables.insert("assets".parse().unwrap(), table("serial_number,site\nC1,Paris"));
    }));
    // The columns may stand elsewhere.
    expect![[r#"
        C1 hold: 7|Rome|7
        C2 hold: no row; None
    "#]]
    .assert_eq(&without(|tables| {
        tables.insert("assets".parse().unwrap(), table("serial_number,room,owner,site\nC1,7,eve,Rome"));
    }));
}
