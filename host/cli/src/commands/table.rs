//! `deputy table`: what policies look things up in, and whether the files are right.

use std::sync::Arc;

use domain::id::TableName;
use domain::table::Table as _;
use engine::table::{CsvTable, TableFile};
use serde_json::{Map, Value, json};

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{or_dash, print, print_json, print_table};

/// What `deputy table` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show every table, how many rows it has, and which plugins may look into it
    List,
    /// Read tables and tell every mistake with its line
    Check {
        /// Only these [default: all]
        tables: Vec<TableName>,
    },
    /// Show the first rows of a table, or one row, as a policy gets it
    Show {
        /// The table
        table: TableName,
        /// The key of one row; upper and lower case are the same
        key: Option<String>,
        /// Show so many rows
        #[arg(long, default_value_t = 20, value_name = "N")]
        rows: usize,
    },
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::List => Ok(list(common, &app)),
        Command::Check { tables } => check(common, &app, &tables),
        Command::Show { table, key, rows } => show(common, &app, &table, key.as_deref(), rows),
    }
}

fn list(common: &Common, app: &App) -> Exit {
    let (mut rows, mut data, mut exit) = (Vec::new(), Vec::new(), Exit::Success);
    for (name, file) in &app.engine.settings.tables {
        let (now, wrong) = (file.now(), file.wrong());
        let grants = app.engine.settings.plugins.iter().filter(|(_, plugin)| plugin.tables.contains(name));
        let plugins: Vec<&str> = grants.map(|(plugin, _)| plugin.as_str()).collect();
        let source = file.source();
        data.push(json!({
            "name": name, "file": source.path, "key": source.key, "granted_to": plugins,
            "rows": now.as_ref().map(|it| it.rows()), "columns": now.as_ref().map(|it| it.columns()),
            "sha256": now.as_ref().map(|it| it.digest()), "problem": wrong.as_ref().map(ToString::to_string),
        }));
        if wrong.is_some() {
            exit = Exit::Usage;
        }
        rows.push([
            name.to_string(),
            source.path.display().to_string(),
            source.key.clone(),
            now.map_or_else(|| "wrong: deputy table check".to_owned(), |it| it.rows().to_string()),
            or_dash(Some(&plugins.join(", "))),
        ]);
    }
    if common.json {
        print_json("tables", &data.into());
    } else {
        let headings = ["table", "file", "key", "rows", "granted to"];
        print_table(headings, rows, "no tables; add `[tables.NAME]` to deputy.toml");
    }
    exit
}

fn check(common: &Common, app: &App, chosen: &[TableName]) -> Outcome {
    let tables = &app.engine.settings.tables;
    let names: Vec<&TableName> =
        if chosen.is_empty() { tables.keys().collect() } else { chosen.iter().collect() };
    let (mut data, mut lines, mut wrong) = (Map::new(), Vec::new(), Vec::new());
    for name in names {
        let file = find(app, name)?;
        match read(file) {
            Ok(table) => {
                let (rows, without) = (table.rows(), table.rows_without_key());
                let note = match without {
                    0 => String::new(),
                    without => format!("; rows without a key, which nobody can look up: {without}"),
                };
                lines.push(format!(
                    "{name}: no mistakes; rows: {rows}, columns: {}{note}",
                    table.columns().len()
                ));
                let value = json!({ "rows": rows, "rows_without_key": without, "columns": table.columns(), "problem": null });
                data.insert(name.to_string(), value);
            }
            Err(mistakes) => {
                data.insert(name.to_string(), json!({ "problem": mistakes }));
                wrong.push(mistakes);
            }
        }
    }
    if common.json {
        print_json("tables", &Value::Object(data));
    } else if lines.is_empty() && wrong.is_empty() {
        print("no tables; add `[tables.NAME]` to deputy.toml");
    } else {
        lines.iter().for_each(|line| print(line));
    }
    if wrong.is_empty() { Ok(Exit::Success) } else { Err(Problem::usage(wrong.join("\n\n"))) }
}

fn show(common: &Common, app: &App, name: &TableName, key: Option<&str>, most: usize) -> Outcome {
    let table = read(find(app, name)?).map_err(Problem::usage)?;
    let unreadable = |error: domain::table::Unreadable| Problem::new(Exit::Failure, error);
    let object = |row: &[String]| -> Value {
        let cells = table.columns().iter().cloned().zip(row.iter().cloned().map(Value::from));
        Value::Object(cells.collect())
    };
    let Some(key) = key else {
        let rows = table.first(most).map_err(unreadable)?;
        if common.json {
            let rows: Vec<Value> = rows.iter().map(|row| object(row)).collect();
            print_json("table", &json!({ "name": name, "key": table.key_column(), "rows": rows }));
        } else {
            print(&format!("{}\n", one_line(&table.columns().join(" | "))));
            rows.iter().for_each(|row| print(&one_line(&row.join(" | "))));
            if table.rows() > rows.len() as u64 {
                print(&format!("… of {} rows", table.rows()));
            }
        }
        return Ok(Exit::Success);
    };
    let Some(row) = table.row(key).map_err(unreadable)? else {
        let problem = Problem::new(Exit::Failure, format!("the table `{name}` has no row `{key}`"));
        return Err(problem.hint(format!("rows are looked up by the column `{}`", table.key_column())));
    };
    if common.json {
        print_json("row", &object(&row));
    } else {
        let rows = table.columns().iter().zip(&row).map(|(column, cell)| [one_line(column), one_line(cell)]);
        print_table(["column", "cell"], rows.collect(), "");
    }
    Ok(Exit::Success)
}

fn find<'a>(app: &'a App, name: &TableName) -> Outcome<&'a TableFile> {
    let tables = &app.engine.settings.tables;
    tables.get(name).map(|table| &**table).ok_or_else(|| {
        let names: Vec<&str> = tables.keys().map(TableName::as_str).collect();
        unknown("table", name.as_str(), &names)
    })
}

fn read(file: &TableFile) -> Result<Arc<CsvTable>, String> {
    let now = file.now();
    match (now, file.wrong()) {
        (Some(table), None) => Ok(table),
        (_, wrong) => Err(wrong.map_or_else(String::new, |wrong| wrong.to_string())),
    }
}

/// What a cell holds, without what would break the line or the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
